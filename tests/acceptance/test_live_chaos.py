"""A live session with the real model, while its child, its daemon or its connection is killed, or
its child stands still."""

from __future__ import annotations

import time
import wave
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Literal, get_args

import pytest

from tests.acceptance.recordings import SAMPLES
from tests.daemon_process import DaemonProcess, text_of
from tests.live_chaos import ask, sound_in
from tests.live_client import SOON_S, port_of
from tests.live_wire import Wire
from tests.soak import soak
from tests.speech import word_error_rate

pytestmark = pytest.mark.acceptance

Trouble = Literal["child", "socket", "daemon"]
TROUBLES: tuple[Trouble, ...] = get_args(Trouble)
#: Sessions, each with one trouble at a random moment.
RUNS = soak(1, 20)
RUSSIAN = SAMPLES / "please-hold-ru.wav"
#: Words that are missing or wrong where the sound is heard from the middle on by a new child.
NEARLY_RIGHT = 0.35
FRAME_S = 0.1
#: Of the sample, spoken three times.
WORDS_MIN = 3 * 17 * 2 // 3
#: Two words that begin so close to each other are the same one.
_SAME_S = 0.05
#: A new child has its model after this time, on a machine three times slower than a quiet one.
CHILD_S = 120.0
#: So long a child may show no progress; a chunk takes seconds where the machine is busy.
HANG_S = 10.0


class Talk:
    """The sample three times, spoken at the pace of speech to one session."""

    def __init__(self, daemon: DaemonProcess, name: str) -> None:
        with wave.open(str(RUSSIAN)) as file:
            self._rate, spoken = file.getframerate(), file.readframes(file.getnframes())
        self.sound = (spoken + bytes(self._rate)) * 3
        self._name = name
        self._daemon = daemon
        self._at = self.acked = 0
        self._session: str | None = None
        self.told: dict[int, dict[str, Any]] = {}
        self.stored: dict[str, Any] | None = None
        self._seen = 0
        self._connect()

    def _connect(self) -> None:
        query = f"?session={self._session}" if self._session else ""
        self.wire = Wire(port_of(self._daemon), query)
        self._seen = 0
        if self._session:
            self.wire.say("start", session=self._session, seq=max(self.told, default=0))
        else:
            self.wire.say("start", rate=self._rate, language="ru", name=self._name)
        answer = self.wire.wait_for("ready", "stored")
        assert answer is not None, "it was closed"
        if answer["type"] == "ready":
            self._session, self._at = answer["session"], 2 * answer["received_samples"]
            assert self._at >= 2 * self.acked
        self._note()

    def speak_until(self, second: float) -> None:
        """Each frame when it has been spoken, however late the answers are."""
        size = 2 * round(self._rate * FRAME_S)
        began, first = time.monotonic(), self._at
        while self._at < min(len(self.sound), 2 * second * self._rate) and self.stored is None:
            due = began + (self._at + size - first) / 2 / self._rate
            self.read(max(0.0, due - time.monotonic()))
            self.wire.send(self.sound[self._at : self._at + size])
            self._at += size

    def read(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while self.wire.read(max(0.0, ends - time.monotonic())) and not self.wire.is_over:
            continue
        self._note()

    def _note(self) -> None:
        new, self._seen = self.wire.messages[self._seen :], len(self.wire.messages)
        for message in new:
            if message["type"] in ("ready", "received"):
                assert message["received_samples"] >= self.acked
                self.acked = message["received_samples"]
            elif message["type"] in ("commit", "final"):
                assert self.told.setdefault(message["seq"], message) == message
            elif message["type"] == "stored":
                self.stored = message
            elif message["type"] == "error":
                raise AssertionError(message)

    def meet(self, trouble: Trouble) -> None:
        if trouble == "child":
            self._kill_child()
        elif trouble == "socket":
            self.wire.send_torn(self.sound[self._at : self._at + 3200], 0.5)
            self.wire.cut()
            self._connect()
        else:
            self._daemon.kill()
            self.read(0.0)
            self.wire.close()
            self._daemon.start()
            self._connect()

    def _kill_child(self) -> None:
        loaded = self._daemon.log.count("WhisperX has loaded")
        for child in self._daemon.children():
            if child.pid == self._daemon.worker_pid():
                child.kill()
        self._await_child(loaded)

    def stop_child(self) -> None:
        """It stands still, whatever it does just then, as if it hung."""
        loaded = self._daemon.log.count("WhisperX has loaded")
        pid = self._daemon.worker_pid()
        for child in self._daemon.children():
            if child.pid == pid:
                child.suspend()
        self._await_child(loaded)
        assert self._daemon.worker_pid() != pid

    def _await_child(self, loaded: int) -> None:
        """Until there is another one, or there is nothing to hear in time."""
        deadline = time.monotonic() + CHILD_S
        while self._daemon.log.count("WhisperX has loaded") == loaded:
            assert time.monotonic() < deadline, "no other child came"
            self.speak_until((self._at + 1) / 2 / self._rate + FRAME_S)
            self.read(FRAME_S)

    def end(self) -> None:
        deadline = time.monotonic() + 6 * SOON_S
        # Who is late gets finals only, and without more sound this one would not end.
        if self.stored is None:
            self.wire.say("flush")
        # At the end 15 s are granted, no more.
        while self.stored is None and (self._lag_s() > 1.0 or len(self.words) < WORDS_MIN):
            assert time.monotonic() < deadline, f"it does not catch up: {self.words}"
            self.read(0.5)
        if self.stored is None:
            self.wire.say("stop")
        while self.stored is None:
            assert time.monotonic() < deadline, "it was not stored"
            self.read(0.2)
        self.wire.close()

    def _lag_s(self) -> float:
        return float(ask(self._daemon, f"/sessions/{self._session}").get("lag_seconds", 0.0))

    @property
    def words(self) -> list[dict[str, Any]]:
        commits = [self.told[seq] for seq in sorted(self.told)]
        return [word for each in commits if each["type"] == "commit" for word in each["words"]]


@pytest.fixture
def speaking(weights: None, tmp_path: Path) -> Iterator[DaemonProcess]:
    """One of its own, as it is killed."""
    with DaemonProcess(tmp_path) as daemon:
        daemon.wait_until_warm()
        yield daemon


@pytest.mark.parametrize("seed", range(RUNS))
def test_a_session_survives_what_is_killed_around_it(speaking: DaemonProcess, seed: int) -> None:
    rng = Random(seed)
    trouble = TROUBLES[seed % len(TROUBLES)]
    talk = Talk(speaking, f"seed{seed}")
    try:
        talk.speak_until(rng.uniform(2.0, 16.0))
        talk.meet(trouble)
        talk.speak_until(1e6)
        talk.end()
    finally:
        talk.wire.close()
    was_there = trouble != "daemon"
    check(speaking, talk, f"seed{seed}", is_whole=was_there, has_text=was_there)


@pytest.mark.parametrize("seed", range(soak(1, 6)))
def test_a_child_that_stands_still_is_replaced_and_the_session_goes_on(
    weights: None, tmp_path: Path, seed: int
) -> None:
    """In the middle of a pass, or between two of them, where only its silence tells."""
    patience = {"processing": {"worker_hang_seconds": HANG_S}}
    with DaemonProcess(tmp_path, patience) as daemon:
        daemon.wait_until_warm()
        talk = Talk(daemon, f"still{seed}")
        try:
            talk.speak_until(Random(seed).uniform(2.0, 9.0))
            talk.stop_child()
            daemon.wait_for_log(r"Replacing the WhisperX process \(hung\)", SOON_S)
            talk.speak_until(1e6)
            talk.end()
        finally:
            talk.wire.close()
        # The file has no more time for a chunk than the session, and no other child to try.
        check(daemon, talk, f"still{seed}", is_whole=True, has_text=False)


def check(daemon: DaemonProcess, talk: Talk, name: str, *, is_whole: bool, has_text: bool) -> None:
    """``is_whole``: nothing that was said is missing, as the daemon was there all the time.
    ``has_text``: its recording gets its text as well."""
    assert talk.stored
    recording = talk.stored["recording"]
    assert daemon.files(f"*{name}.wav") == {recording}
    kept = sound_in(daemon.shared / recording)
    assert len(kept) // 2 >= talk.acked > 0
    assert talk.sound.startswith(kept)
    check_words(talk)
    said = " ".join([RUSSIAN.with_suffix(".txt").read_text(encoding="utf-8")] * 3)
    if is_whole:
        assert kept == talk.sound
        assert word_error_rate(said, "".join(word["word"] for word in talk.words)) <= NEARLY_RIGHT
    if has_text:
        text = text_of(daemon.wait_for_result(recording))
        assert word_error_rate(said, text) <= NEARLY_RIGHT


def check_words(talk: Talk) -> None:
    """None is missing in the count, and none came twice."""
    assert sorted(talk.told) == list(range(1, len(talk.told) + 1))
    starts = [word["start"] for word in talk.words]
    twice = [
        (a["word"], b["word"])
        for a, b in zip(talk.words, talk.words[1:], strict=False)
        if b["start"] - a["start"] < _SAME_S and a["word"] == b["word"]
    ]
    assert starts == sorted(starts)
    assert not twice
