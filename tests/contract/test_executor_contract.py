"""What an executor promises the runner: one suite for every executor and the stand-in of tests.

Another executor is a row here.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from modules.clock import SystemClock
from modules.errors import MediaError, StorageError
from modules.executors.base import Executor, RunCallbacks, Task
from modules.executors.local.executor import LocalExecutor
from modules.executors.protocol import Started, Transcribe
from modules.executors.ray.pool import RayPool
from modules.executors.tasks import task_for
from modules.transcript.model import Chunk
from modules.weights.files import ModelSpec
from tests.builders import SETTINGS, a_config
from tests.cluster.local_cluster import a_cluster
from tests.cluster.workers import a_pool, closing, config_in, ready
from tests.fake_pool import FarExecutor
from tests.fakes import FakeExecutor, Plan
from tests.scripted_worker import CHUNK_S, NOT_MEDIA, recording

SPEC = ModelSpec(name="faster-whisper-base", path="/nowhere", device="cpu", compute_type="int8")
COMMAND = [sys.executable, "-m", "tests.scripted_worker"]


@dataclass
class Kind:
    """An executor under test. ``expect`` tells a stand-in how the next run goes."""

    root: Path
    executor: Executor
    expect: Callable[[Plan], None]

    def task(self, chunks: int = 3, start_s: float = 0.0, content: bytes = b"") -> Task:
        """A recording of ``chunks`` chunks, or a file with ``content``, which is no recording."""
        error = MediaError("not_media", "This is not a recording.") if content else None
        self.expect(Plan(chunks=chunks, error=error))
        path = self.root / "slow talk.mp3"
        path.write_bytes(content or recording(chunks))
        return task_for(path, SETTINGS, SPEC, a_config(self.root), start_s)


@dataclass
class Log:
    """Callbacks that note what they are called with."""

    stop_after: int | None = None
    next_up: Transcribe | None = None
    seen: list[Any] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    ticks: int = 0
    asked: int = 0

    def callbacks(self) -> RunCallbacks:
        return RunCallbacks(
            on_chunk=self._on_chunk,
            on_tick=self._on_tick,
            should_stop=lambda: self.stop_after is not None and len(self.chunks) >= self.stop_after,
            on_accepted=lambda: self.seen.append("accepted"),
            on_started=self.seen.append,
            next_up=self._next_up,
        )

    def _on_chunk(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        self.seen.append(chunk)

    def _on_tick(self) -> None:
        self.ticks += 1

    def _next_up(self) -> Transcribe | None:
        self.asked += 1
        return self.next_up

    @property
    def numbers(self) -> list[int]:
        return [round(chunk.start_s / CHUNK_S) for chunk in self.chunks]


def local(root: Path) -> Kind:
    executor = LocalExecutor(a_config(root), SystemClock(), command=COMMAND)
    return Kind(root, executor, lambda plan: None)


def fake(root: Path) -> Kind:
    executor = FakeExecutor(SystemClock())
    return Kind(root, executor, executor.plans.append)


def far(root: Path) -> Kind:
    executor = FarExecutor(SystemClock())
    return Kind(root, executor, executor.plans.append)


KINDS: dict[str, Callable[[Path], Kind]] = {"local": local, "fake": fake, "far": far}


@pytest.fixture(scope="module", autouse=True)
def ray_pool(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RayPool | None]:
    """Before the first test, whatever it is about, or that would seem to leave a cluster behind."""
    wanted = any("[ray" in item.name for item in request.session.items)
    if not wanted or importlib.util.find_spec("ray") is None:
        yield None
        return
    with a_cluster() as cluster:
        config = config_in(tmp_path_factory.mktemp("ray"), cluster)
        with closing(a_pool(cluster, config)) as pool:
            ready(pool)
            yield pool


@pytest.fixture(params=[*KINDS, "ray"])
def kind(
    request: pytest.FixtureRequest, tmp_path: Path, ray_pool: RayPool | None
) -> Iterator[Kind]:
    if request.param == "ray":
        if ray_pool is None:
            pytest.skip("the optional packages for a cluster are not installed")
        made = Kind(tmp_path, ready(ray_pool)[0], lambda plan: None)
    else:
        made = KINDS[request.param](tmp_path)
    yield made
    made.executor.close()


def test_a_run_reports_its_steps_in_order_and_ends_with_its_facts(kind: Kind) -> None:
    log = Log()
    outcome = kind.executor.run(kind.task(), log.callbacks())
    assert log.seen[0] == "accepted"
    assert isinstance(log.seen[1], Started)
    assert log.seen[2:] == log.chunks
    assert log.numbers == [0, 1, 2]
    assert log.ticks > 0
    assert log.asked > 0, "it never asked what to prefetch"
    assert outcome.done is not None
    assert (outcome.done.chunks, outcome.done.duration_s) == (3, 3 * CHUNK_S)
    assert outcome.ran_s >= 0
    assert outcome.facts.model_name == SPEC.name
    assert kind.executor.status.model_loaded == SPEC.name


def test_a_run_may_begin_in_the_middle(kind: Kind) -> None:
    log = Log()
    assert kind.executor.run(kind.task(start_s=2 * CHUNK_S), log.callbacks()).done is not None
    assert log.numbers == [2]


def test_a_task_that_is_no_longer_wanted_is_not_begun(kind: Kind) -> None:
    log = Log(stop_after=0)
    assert kind.executor.run(kind.task(), log.callbacks()).done is None
    assert log.seen == []


def test_a_stop_ends_the_run_after_a_chunk_and_the_next_run_is_whole(kind: Kind) -> None:
    log = Log(stop_after=1)
    assert kind.executor.run(kind.task(9), log.callbacks()).done is None
    assert 1 <= len(log.chunks) < 9
    after = Log()
    assert kind.executor.run(kind.task(), after.callbacks()).done is not None
    assert after.numbers == [0, 1, 2]


def test_the_error_of_a_recording_is_raised_and_the_next_run_is_whole(kind: Kind) -> None:
    with pytest.raises(MediaError):
        kind.executor.run(kind.task(content=NOT_MEDIA), Log().callbacks())
    assert kind.executor.run(kind.task(), Log().callbacks()).done is not None


def test_what_a_callback_raises_is_raised_and_the_next_run_is_whole(kind: Kind) -> None:
    def full(chunk: Chunk) -> None:
        raise StorageError("disk_full", "The disk is full.")

    with pytest.raises(StorageError):
        kind.executor.run(kind.task(), RunCallbacks(on_chunk=full))
    log = Log()
    assert kind.executor.run(kind.task(), log.callbacks()).done is not None
    assert log.numbers == [0, 1, 2]


def test_what_is_prefetched_changes_nothing_of_the_run(kind: Kind) -> None:
    following = kind.task().command.model_copy(update={"path": bytes(kind.root / "next.mp3")})
    kind.expect(Plan(chunks=3))
    log = Log(next_up=following)
    assert kind.executor.run(kind.task(), log.callbacks()).done is not None
    assert log.numbers == [0, 1, 2]
    assert not kind.executor.failed_ahead


def test_a_prefetch_between_tasks_changes_nothing_of_the_next(kind: Kind) -> None:
    assert kind.executor.run(kind.task(), Log().callbacks()).done is not None
    task = kind.task()
    kind.executor.prefetch(task.command.model_copy(update={"path": bytes(kind.root / "no.mp3")}))
    kind.executor.prefetch(task.command)
    kind.executor.maintain()
    log = Log()
    assert kind.executor.run(task, log.callbacks()).done is not None
    assert log.numbers == [0, 1, 2]
    assert sum(kind.executor.status.restarts.values()) == 0


def test_warm_and_maintain_do_not_wait_and_close_may_be_called_twice(kind: Kind) -> None:
    kind.executor.warm(SPEC)
    kind.executor.maintain()
    assert kind.executor.status.memory_mb >= 0
    assert sum(kind.executor.status.restarts.values()) == 0
    kind.executor.close()
    kind.executor.close()
