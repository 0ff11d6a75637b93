"""What a pool promises the runners. Another kind of workers is a row here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modules.clock import SystemClock
from modules.executors.base import WorkerPool, combined
from modules.executors.local.pool import LocalPool
from tests.fake_pool import FakePool, FarExecutor
from tests.fakes import FakeExecutor


def local() -> WorkerPool:
    return LocalPool(FakeExecutor(SystemClock()))


def fake() -> WorkerPool:
    return FakePool([FarExecutor(SystemClock()) for _ in range(3)])


@pytest.fixture(params=[local, fake], ids=lambda kind: kind.__name__)
def pool(request: pytest.FixtureRequest) -> WorkerPool:
    kind: Callable[[], WorkerPool] = request.param
    return kind()


def test_no_more_than_the_limit_and_each_with_a_name_and_an_executor_of_its_own(
    pool: WorkerPool,
) -> None:
    pool.maintain()
    workers = pool.workers()
    assert 1 <= len(workers) <= pool.limit
    assert len({worker.name for worker in workers}) == len(workers)
    assert len({id(worker.executor) for worker in workers}) == len(workers)
    assert all(worker.node and worker.device for worker in workers)


def test_the_workers_stay_the_same_while_nothing_happens(pool: WorkerPool) -> None:
    before = pool.workers()
    pool.maintain()
    assert pool.workers() == before
    assert pool.problem is None


def test_what_all_of_them_can_do_is_known(pool: WorkerPool) -> None:
    assert "int8" in pool.capabilities.compute_types["cpu"]


def test_close_may_follow_the_executors(pool: WorkerPool) -> None:
    for worker in pool.workers():
        worker.executor.close()
    pool.close()


def test_several_executors_look_like_one() -> None:
    first, second = FakeExecutor(SystemClock()), FakeExecutor(SystemClock())
    first.restarts, second.restarts = {"died": 1}, {"died": 2, "hung": 1}
    second.pid, second.resting = None, True
    status = combined([first.status, second.status])
    assert (status.is_running, status.is_idle) == (True, True)
    assert dict(status.restarts) == {"died": 3, "hung": 1}
    assert status.memory_mb == 200
    assert combined([]).is_running is False
