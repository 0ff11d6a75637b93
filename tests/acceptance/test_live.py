"""A live session with the real model, fed at the pace of speech."""

from __future__ import annotations

import shutil
import threading
import time
import wave

import pytest

from tests.acceptance.recordings import SAMPLES
from tests.daemon_process import DaemonProcess, text_of
from tests.live_client import Live
from tests.speech import word_error_rate

pytestmark = pytest.mark.acceptance

RUSSIAN = SAMPLES / "please-hold-ru.wav"
#: Two or three words of seventeen.
NEARLY_RIGHT = 0.2
_PIECES_PER_S = 10


def _feed(live: Live, samples: bytes, rate: int) -> None:
    """Each piece when it would have been spoken, however late the answers are."""
    began, size = time.monotonic(), 2 * rate // _PIECES_PER_S
    for number, start in enumerate(range(0, len(samples), size), 1):
        time.sleep(max(0.0, began + number / _PIECES_PER_S - time.monotonic()))
        live.socket.send(samples[start : start + size])
    live.say("stop")


def test_speech_is_read_while_it_is_spoken_and_stored_as_the_file_would_be(
    russian: DaemonProcess,
) -> None:
    with wave.open(str(RUSSIAN)) as file:
        rate, samples = file.getframerate(), file.readframes(file.getnframes())
    with Live(russian) as live:
        assert live.begin(language="ru", rate=rate, name="live")["type"] == "ready"
        speaking = threading.Thread(target=_feed, args=(live, samples, rate))
        speaking.start()
        stored = live.wait_for("stored")
        speaking.join()
    words = [word for m in live.of("commit") for word in m["words"]]
    said = RUSSIAN.with_suffix(".txt").read_text(encoding="utf-8")
    assert word_error_rate(said, "".join(word["word"] for word in words)) <= NEARLY_RIGHT
    assert word_error_rate(said, " ".join(m["text"] for m in live.of("final"))) <= NEARLY_RIGHT
    starts = [word["start"] for word in words]
    assert starts == sorted(starts)
    result = russian.wait_for_result(stored["recording"])
    shutil.copyfile(russian.shared / stored["recording"], russian.shared / "dropped.wav")
    dropped = russian.wait_for_result("dropped.wav")
    assert dropped["transcription"] == result["transcription"]
    assert word_error_rate(said, text_of(result)) <= NEARLY_RIGHT
