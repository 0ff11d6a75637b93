"""Live speech in the real, confined child: words while they are spoken, and files beside it."""

from __future__ import annotations

import threading
import time
import wave
from bisect import bisect
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from modules.executors.live_protocol import Commit, Final, Flushed, Partial, Speech, Worked
from modules.executors.local.connection import send_command
from modules.executors.protocol import Live, Load, Loaded, Ready
from modules.transcript.model import Chunk
from tests.acceptance.test_invented import Sound, music, ring_back, silence, white_noise
from tests.builders import until
from tests.contract.test_worker_contract import SAMPLE, Worker, content, joined, real
from tests.live_feeding import FedSession, LiveLine
from tests.speech import Clip, asterisk_prompts, require_speech, word_error_rate
from tests.speech import joined as one_clip

pytestmark = pytest.mark.acceptance

SECOND = bytes(2 * 16_000)
#: How much worse the live text may be than that of the file, as a share of the words.
WORSE = 0.12
#: What is waited for on a machine with much other work, in seconds.
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    kind = real(tmp_path_factory.mktemp("live"))
    made = Worker(kind)
    try:
        made.expect(Ready, kind.start_s)
        made.say(Load(model=kind.spec))
        made.expect(Loaded)
        yield made
    finally:
        made.end()


@pytest.fixture
def line(worker: Worker) -> Iterator[LiveLine]:
    with LiveLine() as made:
        send_command(worker.input, Live(), made.its.fileno())
        made.its.close()
        yield made


@pytest.fixture(scope="module")
def clip() -> Clip:
    require_speech()
    return one_clip(asterisk_prompts("ru", wideband=True), 24, gap_s=0.9)


def sound_of(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        return file.readframes(file.getnframes())


def text_of(chunks: list[Chunk]) -> str:
    return " ".join(segment.text for chunk in chunks for segment in chunk.segments)


def test_words_come_while_they_are_spoken(worker: Worker, line: LiveLine, clip: Clip) -> None:
    _, chunks, _ = worker.run(clip.path)
    fed = FedSession(line, 1)
    fed.speak(sound_of(clip.path))
    seen_meanwhile = len(line.of(Commit)), len(line.of(Final)), len(line.of(Partial))
    fed.speak(SECOND)
    fed.close(timeout_s=PATIENCE_S)
    assert all(seen_meanwhile), f"commits, finals, partials before the end: {seen_meanwhile}"
    live = "".join(word.word for word in fed.committed)  # none was changed, or this raises
    offline = text_of(chunks)
    assert word_error_rate(clip.text, live) <= word_error_rate(clip.text, offline) + WORSE
    finals = line.of(Final)
    assert " ".join(final.text for final in finals) == live.strip()
    edges = [s for final in finals for s in (final.start_s, final.end_s)]
    assert edges == sorted(edges)
    speech = line.of(Speech)
    assert [event.speaking for event in speech] == [True, False] * (len(speech) // 2)
    assert all(worked.busy_s > 0 for worked in line.of(Worked))
    assert not line.torn


def test_the_language_is_detected_and_then_kept(line: LiveLine, clip: Clip) -> None:
    fed = FedSession(line, 1, changes={"language": "auto"})
    fed.speak(sound_of(clip.path)[: 16 * len(SECOND)])
    fed.close(timeout_s=PATIENCE_S)
    assert {event.language for event in line.of(Final)} == {"ru"}
    assert {event.language for event in line.of(Commit)} == {"ru"}


def test_voices_are_named_in_the_order_in_which_they_appear(line: LiveLine) -> None:
    from benchmarks.diarization import clips

    def said(voice: str, number: int) -> bytes:
        return (clips(voice)[number] * 32767).astype("<i2").tobytes() + SECOND

    first = FedSession(line, 1, step_s=None, changes={"diarize": True})

    def is_named() -> bool:
        first.give(said("ru", 0))
        time.sleep(0.5)
        return any(final.speaker for final in line.of(Final, 1))

    until(is_named, "no voice was named: its model takes seconds to load", PATIENCE_S)
    first.close(discard=True)
    voices = ["ru-man", "ru"] * 5
    fed = FedSession(line, 2, step_s=None, changes={"diarize": True})
    for number, voice in enumerate(voices):
        fed.give(said(voice, number + 1))
        fed.flush()
        fed.flushed(number + 1, timeout_s=PATIENCE_S)
    fed.close(timeout_s=PATIENCE_S)
    finals = line.of(Final, 2)
    ends = [sum(len(said(v, n + 1)) for n, v in enumerate(voices[: i + 1])) / 32_000
            for i in range(len(voices))]  # fmt: skip
    true = [voices[bisect(ends, final.start_s)] for final in finals]
    names = [{"ru-man": "SPEAKER_00", "ru": "SPEAKER_01"}[voice] for voice in true]
    assert {final.speaker for final in finals} == set(names)
    wrong = [(f.speaker, name, f.text) for f, name in zip(finals, names, strict=True)
             if f.speaker != name]  # fmt: skip
    assert len(wrong) <= len(finals) // 8, wrong


@pytest.mark.parametrize("sound", [silence, white_noise, music, ring_back])
def test_where_nobody_speaks_nothing_is_said(line: LiveLine, sound: Callable[[int], Sound]) -> None:
    fed = FedSession(line, 1)
    for minute in range(10):
        samples = np.clip(sound(minute), -1, 1) * 32767
        fed.give(samples.astype("<i2").tobytes())
    fed.flush()
    fed.flushed(timeout_s=PATIENCE_S)
    assert [type(event) for event in line.of(Flushed)] == [Flushed]
    assert line.of(Partial) + line.of(Commit) + line.of(Final) == []
    fed.close()


def test_a_file_has_the_same_text_beside_live_speech(
    worker: Worker, line: LiveLine, clip: Clip, tmp_path: Path
) -> None:
    """Alone its chunks go through the model in threes, beside a session one by one."""
    recording = joined(tmp_path / "long.wav", repeats=10)
    _, alone, _ = worker.run(recording)
    fed = FedSession(line, 1)
    is_over = threading.Event()
    sound = sound_of(clip.path)

    def speak() -> None:
        while not is_over.is_set():
            fed.speak(sound, lambda: not is_over.is_set())

    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        line.wait(Commit, 1, PATIENCE_S)
        _, beside, _ = worker.run(recording)
    finally:
        is_over.set()
        speaker.join()
    fed.close(timeout_s=PATIENCE_S)
    assert content(beside) == content(alone)
    assert line.of(Commit)


def test_a_child_whose_daemon_let_go_of_the_sessions_goes_on(worker: Worker) -> None:
    for _ in range(2):
        with LiveLine() as line:
            send_command(worker.input, Live(), line.its.fileno())
            line.its.close()
            fed = FedSession(line, 1)
            fed.give(sound_of(SAMPLE))
            line.wait(Speech, 1, PATIENCE_S)
    worker.run(SAMPLE)
