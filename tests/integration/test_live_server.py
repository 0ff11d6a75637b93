"""The child's half of live transcription over a real socket and real files, with a fake engine."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import wave
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from modules.errors import ModelError
from modules.executors.live_protocol import (
    Closed,
    CloseSession,
    Commit,
    Final,
    Flushed,
    LiveFailed,
    OpenSession,
    Partial,
    Sound,
    Speech,
    Text,
    TextOrder,
    Worked,
)
from modules.transcript.model import Turn, Word
from modules.weights.files import ModelSpec
from modules.worker import live_server
from modules.worker.live_server import LiveServer
from modules.worker.live_voices import VoiceNames
from modules.worker.sharing import Sharing
from tests.builders import SETTINGS, until
from tests.contract.test_worker_contract import SAMPLE
from tests.fakes import FakeEngine, spoken_word
from tests.live_feeding import FedSession, LiveLine

SPEC = ModelSpec(name="fake", path="/nowhere", device="cpu", compute_type="int8")
PAUSE = bytes(2 * 16_000)


class LoudnessIsVoice:
    """Stands for the model of voices: quiet speech is by one speaker, loud speech by another."""

    def frames(self, samples: Any) -> float:
        return float(np.sqrt(np.mean(np.square(samples))))

    def embed(self, level: float, spans: Sequence[tuple[int, int]]) -> Any:
        return np.eye(2, dtype=np.float32)[[int(level < 0.02)] * len(spans)]


def no_voices() -> Any:
    raise ModelError("no_voice_model", "there is none")


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(SPEC, 2, Path("/nowhere"))


@pytest.fixture
def sharing(engine: FakeEngine) -> Sharing:
    made = Sharing()
    made.offer(engine)
    return made


@pytest.fixture
def server(sharing: Sharing) -> Iterator[LiveServer]:
    made = LiveServer(sharing, no_voices)
    yield made
    made.stop()


@pytest.fixture
def line(server: LiveServer) -> Iterator[LiveLine]:
    with LiveLine() as made:
        server.serve(made.its.dup())
        made.its.close()
        yield made


def speech(rate: int = 16_000) -> bytes:
    """Seven seconds of speech, with a pause of a fifth of a second in it."""
    with wave.open(str(SAMPLE)) as file:
        sound = file.readframes(file.getnframes())
    if rate == 16_000:
        return sound
    samples = np.frombuffer(sound, dtype="<i2").reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
    frame.sample_rate = 16_000
    resampler = av.AudioResampler("s16", "mono", rate)
    parts = [*resampler.resample(frame), *resampler.resample(None)]
    return b"".join(part.to_ndarray().tobytes() for part in parts)


def quiet(sound: bytes) -> bytes:
    return (np.frombuffer(sound, dtype="<i2") // 16).astype("<i2").tobytes()


def plain(words: list[Word] | tuple[Word, ...]) -> list[str]:
    return [word.word.strip() for word in words]


def test_what_is_spoken_is_shown_committed_and_final(line: LiveLine, engine: FakeEngine) -> None:
    fed = FedSession(line, 1)
    fed.speak(speech())
    fed.speak(PAUSE)
    final = line.wait(Final, 1)
    said = [spoken_word(i) for i in range(14)]
    inside = [w for w in said if 0.1 < (w.start or 0) < 1.7 or 2.4 < (w.start or 0) < 6.6]
    assert plain(final.words) == plain(inside)
    assert final.text == " ".join(plain(inside))
    assert line.of(Partial)
    assert len(line.of(Commit)) >= 2
    assert all(commit.language == "ru" for commit in line.of(Commit))
    assert [event.speaking for event in line.of(Speech)] == [True, False]
    assert line.of(Speech)[0].at_s == pytest.approx(0.13, abs=0.1)
    assert line.of(Speech)[1].at_s == pytest.approx(6.95, abs=0.1)
    fed.close()
    assert fed.committed == list(final.words)
    worked = line.of(Worked)
    assert worked
    assert [w.upto_s for w in worked] == sorted(w.upto_s for w in worked)
    assert {is_quick for _, is_quick in engine.heard} == {True, False}


def test_nothing_comes_of_silence(line: LiveLine, engine: FakeEngine) -> None:
    fed = FedSession(line, 1)
    fed.give(PAUSE * 60)
    fed.flush()
    fed.flushed()
    fed.close()
    assert [type(arrived.event) for arrived in line.arrived] == [Flushed, Closed]
    assert engine.heard == []
    assert 0 < line.readings < 60, "that commands are read is said, but not for each of them"


def test_a_flush_ends_the_utterance_before_its_silence(line: LiveLine) -> None:
    fed = FedSession(line, 1)
    sound = speech()
    fed.give(sound[: 2 * 16_000 * 4])
    fed.flush()
    fed.flushed()
    kinds = [arrived.event.kind for arrived in line.arrived]
    assert kinds.index("final") < kinds.index("flushed")
    fed.give(sound[2 * 16_000 * 4 :])
    fed.close()
    first, second = line.of(Final)
    assert first.words[-1].end <= 4
    assert second.words[0].start >= 4
    everything = plain(fed.committed)
    assert len(everything) == len(set(everything)) >= 10


def test_a_close_brings_the_tail_and_a_discarding_one_does_not(line: LiveLine) -> None:
    kept, dropped = FedSession(line, 1, step_s=None), FedSession(line, 2, step_s=None)
    for fed in (kept, dropped):
        fed.give(speech())
    dropped.close(discard=True)
    kept.close()
    assert len(line.of(Final, 1)) == 1
    assert not line.of(Final, 2)


@pytest.mark.parametrize("rate", [8_000, 24_000, 44_100, 48_000])
def test_sound_of_any_rate_is_heard_at_the_same_times(line: LiveLine, rate: int) -> None:
    for number, each in enumerate((16_000, rate), start=1):
        fed = FedSession(line, number, rate=each, step_s=None)
        fed.give(speech(each))
        fed.close()
    usual, other = line.of(Speech, 1), line.of(Speech, 2)
    assert [round(event.at_s, 1) for event in other] == pytest.approx(
        [round(event.at_s, 1) for event in usual], abs=0.15
    )
    expected, found = (set(plain(line.of(Final, n)[0].words)) for n in (1, 2))
    assert len(expected ^ found) <= 3, "where speech is told from pauses may differ a little"


def test_a_session_goes_on_where_another_child_left_it(line: LiveLine) -> None:
    fed = FedSession(line, 1, from_s=3.0)
    fed.give(speech())
    fed.close()
    words = line.wait(Final, 1).words
    assert words[0].start >= 3.0
    assert plain(words)[-1] in ("слово12", "слово13")


def test_one_pass_at_a_time_whoever_speaks(line: LiveLine, engine: FakeEngine) -> None:
    engine.pass_s = 0.05
    sessions = [FedSession(line, number, step_s=0.2) for number in (1, 2, 3)]
    threads = [threading.Thread(target=fed.speak, args=(speech(),)) for fed in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for fed in sessions:
        fed.close()
    assert engine.most_running == 1
    found = [plain(fed.committed) for fed in sessions]
    assert found[0] == found[1] == found[2]
    assert all(line.of(Commit, number) for number in (1, 2, 3))


def test_finals_only_where_the_pace_says_so(line: LiveLine, engine: FakeEngine) -> None:
    fed = FedSession(line, 1, step_s=None)
    fed.speak(speech()[: 2 * 16_000 * 3])
    fed.close()
    assert not line.of(Partial)
    assert not line.of(Commit)
    assert line.of(Final)
    assert [is_quick for _, is_quick in engine.heard] == [False]


def test_sound_that_is_not_there_fails_its_session_alone(line: LiveLine) -> None:
    broken, sound = FedSession(line, 1), FedSession(line, 2)
    line.send(Sound(session=1, samples=16_000))
    assert line.wait(LiveFailed, 1).code == "live_sound_missing"
    sound.give(speech())
    sound.close()
    assert line.of(Final, 2)
    line.send(Sound(session=broken.number, samples=32_000))  # of a session that is over
    assert len(line.of(LiveFailed)) == 1


def test_a_pass_that_fails_fails_its_session(line: LiveLine, engine: FakeEngine) -> None:
    engine.fails = True
    fed = FedSession(line, 1)
    fed.give(speech() + PAUSE)
    failed = line.wait(LiveFailed, 1)
    assert (failed.code, failed.message) == ("live_failed", "it fails")


def test_a_rate_that_cannot_be(line: LiveLine) -> None:
    FedSession(line, 1, rate=11)
    assert line.wait(LiveFailed, 1).code == "live_rate_unsupported"


def test_while_a_model_is_replaced_sessions_wait(
    line: LiveLine, engine: FakeEngine, sharing: Sharing
) -> None:
    engine.pass_s = 0.3
    fed = FedSession(line, 1, step_s=0.2)
    speaker = threading.Thread(target=fed.speak, args=(speech(),))
    speaker.start()
    until(lambda: engine.running, "no pass began")
    sharing.withdraw()
    assert engine.running == 0, "a pass was in progress when the model was freed"
    passes = len(engine.heard)
    speaker.join()
    assert len(engine.heard) == passes
    other = FakeEngine(SPEC, 2, Path("/nowhere"))
    sharing.offer(other)
    fed.close()
    assert other.heard
    assert len(plain(fed.committed)) >= 10


def test_a_daemon_that_is_gone_ends_its_sessions_and_another_is_served(
    server: LiveServer, engine: FakeEngine, sharing: Sharing
) -> None:
    with LiveLine() as first:
        server.serve(first.its.dup())
        first.its.close()
        FedSession(first, 1).give(speech())
        until(lambda: sharing.is_live, "the session was not opened")
    until(lambda: not sharing.is_live, "the session did not end")
    with LiveLine() as second:
        server.serve(second.its.dup())
        second.its.close()
        fed = FedSession(second, 1)
        fed.give(speech())
        fed.close()
        assert second.of(Final)


def test_a_further_socket_replaces_the_one_before(server: LiveServer) -> None:
    with LiveLine() as first, LiveLine() as second:
        for line in (first, second):
            server.serve(line.its.dup())
            line.its.close()
        assert first.is_over.wait(10)
        fed = FedSession(second, 1)
        fed.give(speech())
        fed.close()


def test_a_command_that_makes_no_sense_ends_the_connection(server: LiveServer) -> None:
    with LiveLine() as line:
        server.serve(line.its.dup())
        line.its.close()
        with tempfile.TemporaryFile() as file:
            line.send(
                OpenSession(session=1, rate=16_000, settings=SETTINGS).model_copy(
                    update={"op": "riddle"}
                ),
                file.fileno(),
            )
        assert line.is_over.wait(10)


def test_only_who_speaks_alone_is_heard_more_often(server: LiveServer, line: LiveLine) -> None:
    one, two = FedSession(line, 1), FedSession(line, 2)
    for fed in (one, two):
        fed.give(speech()[: 2 * 16_000])
        line.wait(Speech, fed.number)
    assert server._serving is not None
    sessions = server._serving._sessions
    until(lambda: not any(it.session.is_alone for it in sessions.values()), "both speak", 30)
    two.close()
    until(lambda: sessions[1].session.is_alone, "the other one has ended", 30)
    one.close()


# --- the text while it grows ----------------------------------------------------------------------


def texts_running() -> int:
    return sum(thread.name == "live-text" for thread in threading.enumerate())


def test_beside_live_words_the_text_of_the_file_comes(line: LiveLine) -> None:
    fed = FedSession(line, 1, text=TextOrder(model=SPEC))
    for _ in range(16):
        fed.give(speech() + PAUSE)
    text = line.wait(Text, 1)
    assert (text.chunk.number, text.chunk.start_s < 1) == (1, True)
    until(lambda: line.of(Final), "live words come as well", 30)
    assert texts_running() == 1
    fed.close(timeout_s=60)
    until(lambda: not texts_running(), "its thread ended", 30)


@pytest.mark.parametrize("how", ["discarded", "failed", "replaced"])
def test_a_session_that_ends_in_any_way_ends_its_text(
    server: LiveServer, line: LiveLine, engine: FakeEngine, how: str
) -> None:
    fed = FedSession(line, 1, text=TextOrder(model=SPEC))
    fed.give(speech())
    line.wait(Speech, 1)
    assert texts_running() == 1
    if how == "discarded":
        line.send(CloseSession(session=1, discard=True))
    elif how == "failed":
        line.send(Sound(session=1, samples=10**9))
    else:
        server.stop()
    until(lambda: not texts_running(), "its thread ended", 30)


def test_a_text_with_another_model_waits(line: LiveLine) -> None:
    other = SPEC.model_copy(update={"name": "other"})
    fed = FedSession(line, 1, text=TextOrder(model=other))
    for _ in range(12):
        fed.give(speech() + PAUSE)
    line.wait(Final, 1, count=3)
    assert line.of(Text) == []
    fed.close(timeout_s=60)


@contextlib.contextmanager
def voiced(sharing: Sharing, load: Callable[[], Any]) -> Iterator[LiveLine]:
    server = LiveServer(sharing, load)
    try:
        with LiveLine() as line:
            server.serve(line.its.dup())
            line.its.close()
            yield line
    finally:
        server.stop()


@pytest.fixture
def naming(monkeypatch: pytest.MonkeyPatch) -> list[VoiceNames]:
    """What names the voices of each session, once a session has begun."""
    made: list[VoiceNames] = []

    def make(*given: Any) -> VoiceNames:
        made.append(VoiceNames(*given))
        return made[-1]

    monkeypatch.setattr(live_server, "VoiceNames", make)
    return made


def is_ready(naming: list[VoiceNames]) -> None:
    """Finals before it have no speakers."""
    until(lambda: naming and naming[0].is_ready, "the voices can be told apart", 30)


def say(fed: FedSession, sounds: Sequence[bytes]) -> None:
    for sound in sounds:
        fed.give(sound + PAUSE)
    fed.close()


def test_voices_have_names_in_the_order_in_which_they_appear(
    sharing: Sharing, naming: list[VoiceNames]
) -> None:
    with voiced(sharing, LoudnessIsVoice) as line:
        fed = FedSession(line, 1, step_s=None, changes={"diarize": True})
        plain_session = FedSession(line, 2, step_s=None)
        is_ready(naming)
        say(fed, [quiet(speech()), speech(), quiet(speech()), speech()])
        say(plain_session, [speech()])
    names = [final.speaker for final in line.of(Final, 1)]
    assert names == ["SPEAKER_00", "SPEAKER_01"] * 2
    assert [final.speaker for final in line.of(Final, 2)] == [None]
    mine = [one.event for one in line.arrived if one.event.session == 1]
    assert isinstance(mine[-1], Closed), "something came behind the end"


def test_another_child_knows_the_voices_again(sharing: Sharing, naming: list[VoiceNames]) -> None:
    is_there = threading.Event()

    def load() -> LoudnessIsVoice:
        assert is_there.wait(30), "the sound from before is not there"
        return LoudnessIsVoice()

    with voiced(sharing, load) as line:
        before = [quiet(speech()) + PAUSE, speech() + PAUSE]
        first_s = len(before[0]) / 2 / 16_000
        at_s = len(b"".join(before)) / 2 / 16_000
        speakers = (
            Turn(start=0.2, end=6.9, speaker="SPEAKER_00"),
            Turn(start=first_s + 0.2, end=first_s + 6.9, speaker="SPEAKER_01"),
        )
        fed = FedSession(line, 1, step_s=None, from_s=at_s, speakers=speakers,
                         changes={"diarize": True})  # fmt: skip
        fed.give(b"".join(before))
        is_there.set()
        is_ready(naming)
        say(fed, [speech(), quiet(speech())])
    assert [final.speaker for final in line.of(Final, 1)] == ["SPEAKER_01", "SPEAKER_00"]


def test_without_a_model_of_voices_there_are_finals_without_speakers(sharing: Sharing) -> None:
    with voiced(sharing, no_voices) as line:
        fed = FedSession(line, 1, step_s=None, changes={"diarize": True})
        say(fed, [speech()])
    assert [final.speaker for final in line.of(Final, 1)] == [None]
