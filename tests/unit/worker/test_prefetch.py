"""What was made ready is used for the order and the bytes that it is about, and for no others."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.errors import MediaError
from modules.executors.tasks import task_for
from modules.weights.files import ModelSpec
from modules.worker.pipes import Assignment
from modules.worker.prefetch import Prefetcher
from tests.builders import SETTINGS, a_config, assigned, until

SPEC = ModelSpec(name="base", path="/models/base", device="cpu", compute_type="int8")


class FakeTranscription:
    """Only what ``Prefetcher`` uses of one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.error = error
        self.begun = threading.Event()
        self.closed = False
        self.ordered_as = 0
        self.whole: bool | None = None

    def prepare(self, whole: bool) -> None:
        self.whole = whole
        self.begun.set()
        assert self.may_go_on.wait(10)
        if self.error:
            raise self.error

    def number(self, order: int) -> None:
        self.ordered_as = order

    def close(self) -> None:
        self.closed = True


class Bench:
    def __init__(self, root: Path) -> None:
        self.config = a_config(root)
        self.path = root / "next.mp3"
        self.path.write_bytes(b"sound")
        self.made: list[FakeTranscription] = []
        self.ahead = Prefetcher()

    def order(self, number: int = 0, path: Path | None = None) -> Assignment:
        request = task_for(path or self.path, SETTINGS, SPEC, self.config)
        return assigned(request.command.model_copy(update={"task_id": number}))

    def begin(
        self, made: FakeTranscription | None = None, path: Path | None = None, **how: bool
    ) -> None:
        def make(order: Assignment) -> FakeTranscription:
            self.made.append(made or FakeTranscription())
            return self.made[-1]

        self.ahead.begin(self.order(path=path), make, **how)  # type: ignore[arg-type]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for each in made.made:
        each.may_go_on.set()
    made.ahead._pool.shutdown()


def test_it_is_begun_once_and_taken_by_its_order(bench: Bench) -> None:
    bench.begin()
    bench.begin()
    (made,) = bench.made
    assert made.begun.wait(10)
    assert bench.ahead.take(bench.order(7)) is made  # type: ignore[comparison-overlap]
    assert made.ordered_as == 7
    assert not made.closed
    assert bench.ahead.take(bench.order(8)) is None, "it was taken"


@pytest.mark.parametrize("idle", [False, True])
def test_only_where_nothing_else_is_done_all_of_it_is(bench: Bench, idle: bool) -> None:
    bench.begin(is_idle=idle)
    (made,) = bench.made
    assert made.begun.wait(10)
    assert made.whole is idle


def test_what_went_wrong_is_raised_for_its_order(bench: Bench) -> None:
    bench.begin(FakeTranscription(MediaError("not_media", "This is no recording.")))
    assert bench.made[0].begun.wait(10)
    with pytest.raises(MediaError):
        bench.ahead.take(bench.order(7))


@pytest.mark.parametrize("change", ["another order", "replaced", "written to"])
def test_it_is_let_go_where_it_is_not_what_is_ordered(
    bench: Bench, tmp_path: Path, change: str
) -> None:
    bench.begin()
    (made,) = bench.made
    assert made.begun.wait(10)
    path = bench.path
    if change == "another order":
        path = tmp_path / "another.mp3"
        path.write_bytes(b"sound")
    elif change == "replaced":
        (tmp_path / "fresh").write_bytes(b"noise")
        os.replace(tmp_path / "fresh", bench.path)
    else:
        before = bench.path.stat()
        bench.path.write_bytes(b"noise")
        os.utime(bench.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert bench.ahead.take(bench.order(7, path)) is None
    until(lambda: made.closed, "its file was held open")


def test_an_order_does_not_wait_for_one_that_was_not_begun(bench: Bench, tmp_path: Path) -> None:
    """The thread is stuck in a recording that nobody wants any more."""
    stuck = FakeTranscription()
    stuck.may_go_on.clear()
    (tmp_path / "stuck.mp3").write_bytes(b"sound")
    bench.begin(stuck, tmp_path / "stuck.mp3")
    assert stuck.begun.wait(10)
    bench.begin()
    assert bench.ahead.take(bench.order(7)) is None
    stuck.may_go_on.set()
    until(lambda: stuck.closed, "its file was held open")
