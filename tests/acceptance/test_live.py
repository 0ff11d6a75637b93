"""A live session with the real model, fed at the pace of speech."""

from __future__ import annotations

import json
import shutil
import threading
import time
import wave

import pytest
from websockets.sync.client import connect

from tests.acceptance.recordings import SAMPLES
from tests.daemon_process import DaemonProcess, text_of
from tests.integration.test_live_containers import encoded, told
from tests.integration.test_live_containers import text_of as text_of_finals
from tests.live_client import SOON_S, Live, port_of
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


def test_what_a_browser_records_is_read_while_it_is_spoken(russian: DaemonProcess) -> None:
    with wave.open(str(RUSSIAN)) as file:
        seconds = file.getnframes() / file.getframerate()
    data = encoded("webm", RUSSIAN)
    address = f"ws://127.0.0.1:{port_of(russian)}/v1/listen?language=ru&interim_results=true"
    size = int(len(data) / seconds / _PIECES_PER_S)
    with connect(address, proxy=None, open_timeout=SOON_S) as socket:
        began = time.monotonic()
        for number, start in enumerate(range(0, len(data), size), 1):
            time.sleep(max(0.0, began + number / _PIECES_PER_S - time.monotonic()))
            socket.send(data[start : start + size])
        shown = [json.loads(socket.recv(timeout=SOON_S))]
        assert "transcript" in shown[0]["channel"]["alternatives"][0], "nothing was shown meanwhile"
        socket.send(json.dumps({"type": "CloseStream"}))
        shown += told(socket)
    said = RUSSIAN.with_suffix(".txt").read_text(encoding="utf-8")
    assert word_error_rate(said, " ".join(text_of_finals(shown))) <= NEARLY_RIGHT
    [stored] = russian.shared.rglob("*.wav")
    result = russian.wait_for_result(str(stored.relative_to(russian.shared)))
    assert word_error_rate(said, text_of(result)) <= NEARLY_RIGHT


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
