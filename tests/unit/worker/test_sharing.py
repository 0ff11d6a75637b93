"""Files and live sessions share the model: nobody waits longer than a pass or a chunk."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from modules.weights.files import ModelSpec
from modules.worker.sharing import Kind, Sharing
from tests.builders import until
from tests.fakes import FakeClock, FakeEngine

STREAMS = 2


def engine() -> FakeEngine:
    spec = ModelSpec(name="fake", path="/nowhere", device="cpu", compute_type="int8")
    return FakeEngine(spec, STREAMS, Path("/nowhere"))


class Files:
    """Threads that each want to transcribe a chunk, and hold their turn until they are let go."""

    def __init__(self, sharing: Sharing, streams: int = STREAMS, kind: Kind = "file") -> None:
        self._sharing = sharing
        self._kind: Kind = kind
        self._streams = streams
        self._go = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.should_stop = False
        self.running = self.begun = self.refused = self.waited = 0

    def want(self, count: int = 1) -> None:
        for _ in range(count):
            thread = threading.Thread(target=self._turn, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _turn(self) -> None:
        with self._sharing.turn(self._kind, self._streams, self._waits, self._stops) as goes_on:
            with self._lock:
                if not goes_on:
                    self.refused += 1
                    return
                self.running += 1
                self.begun += 1
            self._go.acquire()
            with self._lock:
                self.running -= 1

    def _waits(self) -> None:
        self.waited += 1

    def _stops(self) -> bool:
        return self.should_stop

    def end_one(self) -> None:
        self._go.release()

    def join(self) -> None:
        self.should_stop = True
        for _ in self._threads:
            self._go.release()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()


def settled(files: Files, running: int) -> bool:
    """Whether so many run, also after those that wait have looked again."""
    until(lambda: files.running == running, f"{files.running} run, not {running}")
    before = files.waited
    until(lambda: files.waited > before, "none waits")
    return files.running == running


def settled_at(files: Files, running: int) -> bool:
    until(lambda: files.running == running, f"{files.running} run, not {running}")
    return True


def test_without_speech_files_have_all_streams() -> None:
    sharing = Sharing()
    sharing.live(3, 0)
    files = Files(sharing)
    files.want(STREAMS)
    until(lambda: files.running == STREAMS, "not all streams are used")
    files.join()


@pytest.mark.parametrize(("speaking", "running"), [(1, 1), (2, 1), (3, 0), (5, 0)])
def test_while_somebody_speaks_files_leave_streams_free(speaking: int, running: int) -> None:
    clock = FakeClock()
    sharing = Sharing(clock.monotonic)
    files = Files(sharing)
    files.want()
    until(lambda: files.running == 1, "the first does not run")
    files.end_one()
    until(lambda: files.running == 0, "the first does not end")
    sharing.live(speaking, speaking)
    files.want(STREAMS)
    assert settled(files, running)
    sharing.live(speaking, 0)
    until(lambda: files.running == STREAMS, "the streams are not given back")
    files.join()


def test_however_many_speak_files_get_a_chunk_in_half_a_minute() -> None:
    clock = FakeClock()
    sharing = Sharing(clock.monotonic)
    sharing.live(9, 9)
    files = Files(sharing)
    files.want(STREAMS)
    assert settled(files, 1), "the first never ran, so it is overdue; the other is not"
    files.end_one()
    assert settled(files, 0)
    clock.advance(29)
    assert settled(files, 0)
    clock.advance(1)
    until(lambda: files.begun == 2, "no chunk in half a minute")
    files.join()


def test_files_and_sessions_that_grow_take_turns() -> None:
    clock = FakeClock()
    sharing = Sharing(clock.monotonic)
    sharing.live(1, 1)  # which leaves one stream
    for kind in ("growing", "file"):  # from here on neither is overdue
        with sharing.turn(kind, STREAMS, lambda: None, lambda: False) as goes_on:
            assert goes_on
        clock.advance(1)
    files, texts = Files(sharing), Files(sharing, kind="growing")
    with sharing.turn("file", STREAMS, lambda: None, lambda: False):
        files.want(2)
        texts.want(2)
        until(lambda: texts.waited and files.waited, "they do not wait")
    until(lambda: texts.running == 1, "after a file a text is next")
    assert files.begun == 0
    clock.advance(1)
    texts.end_one()
    until(lambda: files.running == 1, "after a text a file is next")
    assert texts.begun == 1
    files.join()
    texts.join()


def test_who_just_reports_that_it_waits_does_not_lose_its_turn() -> None:
    sharing = Sharing(FakeClock().monotonic)
    sharing.live(1, 1)  # which leaves one stream
    for kind in ("growing", "file"):  # from here on neither is overdue
        with sharing.turn(kind, STREAMS, lambda: None, lambda: False) as goes_on:
            assert goes_on
    files, texts = Files(sharing), Files(sharing, kind="growing")
    reports, may_go_on = threading.Event(), threading.Event()

    def report() -> None:
        reports.set()
        assert may_go_on.wait(30)

    texts._waits = report  # type: ignore[method-assign]
    with sharing.turn("file", STREAMS, lambda: None, lambda: False):
        texts.want()
        assert reports.wait(30)
        files.want()
        until(lambda: files.waited, "it does not wait")
    looks = files.waited
    until(lambda: files.begun or files.waited > looks, "it does not look again")
    assert files.begun == 0, "a text is next"
    may_go_on.set()
    until(lambda: texts.running == 1, "the text gets no turn")
    files.join()
    texts.join()


def test_however_many_speak_each_kind_gets_a_chunk_in_half_a_minute() -> None:
    clock = FakeClock()
    sharing = Sharing(clock.monotonic)
    sharing.live(9, 9)
    files, texts = Files(sharing), Files(sharing, kind="growing")
    files.want(3)
    texts.want(3)
    for number in (1, 2, 3):
        until(lambda n=number: files.begun == texts.begun == n, "each began a chunk")
        files.end_one()
        texts.end_one()
        until(lambda: not files.running + texts.running, "they ended")
        clock.advance(29)
        assert (files.begun, texts.begun) == (number, number)
        clock.advance(1)
    files.join()
    texts.join()


def test_in_the_pauses_there_are_no_more_chunks_than_streams() -> None:
    clock = FakeClock()
    sharing = Sharing(clock.monotonic)
    sharing.live(1, 0)
    files, texts = Files(sharing), Files(sharing, kind="growing")
    texts.want()
    until(lambda: texts.running == 1, "it gets no turn")
    texts.end_one()
    files.want(STREAMS)
    assert settled_at(files, STREAMS)
    texts.want()
    until(lambda: texts.waited, "the text does not wait")
    assert texts.running == 0
    files.end_one()
    until(lambda: texts.running == 1, "it gets no turn")
    files.join()
    texts.join()


def test_who_has_a_lease_is_waited_for() -> None:
    sharing = Sharing()
    sharing.offer(loaded := engine())
    withdrawn = threading.Event()

    def withdraw() -> None:
        sharing.withdraw()
        withdrawn.set()

    thread = threading.Thread(target=withdraw)
    with sharing.lease(loaded.spec, lambda: False) as leased:
        assert leased is loaded
        assert sharing.is_offered(loaded)
        thread.start()
        until(lambda: not sharing.is_offered(loaded), "it is not asked to end")
        assert not withdrawn.wait(0.2), "the engine was freed in the middle of a lease"
    assert withdrawn.wait(10)
    thread.join()
    with sharing.lease(loaded.spec, lambda: True) as none:
        assert none is None


def test_a_file_that_waits_can_be_stopped() -> None:
    sharing = Sharing(FakeClock().monotonic)
    files = Files(sharing)
    files.want()
    until(lambda: files.running == 1, "the first does not run")
    sharing.live(2, 2)
    files.want()
    until(lambda: files.waited, "the second does not wait")
    files.should_stop = True
    until(lambda: files.refused == 1, "the second was not stopped")
    files.join()


def test_a_single_stream_is_taken_in_turns() -> None:
    sharing = Sharing(FakeClock().monotonic)
    sharing.offer(engine())
    sharing.live(1, 1)
    files = Files(sharing, streams=1)
    files.want()
    until(lambda: files.running == 1, "a file gets no turn between the passes")
    files.end_one()
    until(lambda: files.running == 0, "it does not end")
    with sharing.one_pass():
        files.want()
        assert settled(files, 0)
    until(lambda: files.running == 1, "it gets no turn after the pass")
    files.join()


def test_an_engine_is_freed_after_the_pass_and_offered_again() -> None:
    sharing = Sharing()
    with sharing.one_pass() as none:
        assert none is None
    sharing.offer(loaded := engine())
    withdrawn = threading.Event()

    def withdraw() -> None:
        sharing.withdraw()
        withdrawn.set()

    thread = threading.Thread(target=withdraw)
    with sharing.one_pass() as used:
        assert used is loaded
        thread.start()
        assert not withdrawn.wait(0.2), "the engine was freed in the middle of a pass"
    assert withdrawn.wait(10)
    thread.join()
    with sharing.one_pass() as none:
        assert none is None
