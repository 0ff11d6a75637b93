"""Two people speak to the real daemon: finals and the stored text say who it was."""

from __future__ import annotations

from bisect import bisect
from itertools import accumulate
from typing import Any

import pytest

from tests.builders import until
from tests.daemon_process import DaemonProcess
from tests.live_chaos import ask
from tests.live_client import SAMPLE_BYTES, SOON_S, Live
from tests.speech import RATE_HZ, require_speech

pytestmark = pytest.mark.acceptance

#: A man and a woman take turns, in sentences that are long enough to know a voice by.
VOICES = ("ru-man", "ru") * 3
LONG_S = 3.0
SECOND = bytes(SAMPLE_BYTES * RATE_HZ)
#: The model of voices takes 15 to 20 s to load on a quiet machine.
LOADED_S = 180.0


def sentences() -> list[bytes]:
    """One for each turn, with a pause behind it."""
    from benchmarks.diarization import clips

    found = {v: [c for c in clips(v) if len(c) >= LONG_S * RATE_HZ] for v in set(VOICES)}
    return [
        (found[voice][turn // 2] * 32767).astype("<i2").tobytes() + SECOND
        for turn, voice in enumerate(VOICES)
    ]


def await_voices(daemon: DaemonProcess, sentence: bytes) -> None:
    """Speak until somebody has a name: before, the model is not there."""
    with Live(daemon) as live:
        session = live.begin(language="ru", rate=RATE_HZ, diarize=True)["session"]

        def is_named() -> bool:
            live.send(sentence)
            live.say("flush")
            return live.wait_for("final")["speaker"] is not None

        until(is_named, "no voice was named", LOADED_S)
        ask(daemon, f"/sessions/{session}?discard=true", "DELETE")


def await_heard(daemon: DaemonProcess, session: str) -> None:
    """When it ends, 15 s are granted for what is left."""

    def is_heard() -> bool:
        state = ask(daemon, f"/sessions/{session}")
        return bool(state["lag_seconds"] < 1.0 and state["word_count"])

    until(is_heard, "all was heard", 4 * SOON_S)


def voices_of(parts: list[dict[str, Any]], ends_s: list[float]) -> list[tuple[str, str | None]]:
    """Whose turn it is where each of these begins, and who it is said to be."""
    return [(VOICES[bisect(ends_s, part["start"])], part["speaker"]) for part in parts]


def test_each_final_has_the_voice_that_spoke_and_so_has_the_text(russian: DaemonProcess) -> None:
    require_speech()
    said = sentences()
    ends_s = [at / len(SECOND) for at in accumulate(map(len, said))]
    await_voices(russian, said[1])
    with Live(russian) as live:
        start = {"language": "ru", "rate": RATE_HZ, "diarize": True, "name": "two"}
        session = live.begin(**start)["session"]
        for sentence in said:
            live.send(sentence)
            live.say("flush")
            live.wait_for("final")
        await_heard(russian, session)
        live.say("stop")
        recording = live.wait_for("stored")["recording"]
    finals = voices_of(live.of("final"), ends_s)
    named = [(voice, speaker) for voice, speaker in finals if speaker]
    assert {voice for voice, _ in named} == set(VOICES), finals
    assert set(named) == {("ru-man", "SPEAKER_00"), ("ru", "SPEAKER_01")}, finals
    assert len(named) >= len(VOICES), finals
    segments = russian.wait_for_result(recording)["transcription"]["segments"]
    stored = {pair for pair in voices_of(segments, ends_s) if pair[1]}
    assert len(stored) == 2, stored
    assert len({speaker for _, speaker in stored}) == 2, stored
