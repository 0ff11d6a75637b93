"""What is lost in a cluster, and what follows: a child, an actor, a node, an answer, the head."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from modules.config.schema import Config
from modules.errors import ClusterAwayError, NodeLostError, WorkerError
from modules.executors.base import HandOut, RunCallbacks, Task
from modules.executors.ray import executor as executor_module
from modules.executors.ray import link_process
from modules.executors.ray.executor import RayExecutor
from modules.executors.ray.pool import RayPool
from modules.executors.tasks import task_for
from modules.transcript.model import Chunk
from tests.builders import SETTINGS, until
from tests.cluster.local_cluster import START_S, LocalCluster
from tests.cluster.workers import (
    a_pool,
    closing,
    config_in,
    maintained,
    ready,
    spec_in,
)
from tests.scripted_worker import CHUNK_S, full_text, recording


@pytest.fixture
def config(tmp_path: Path, cluster: LocalCluster) -> Config:
    return config_in(tmp_path, cluster)


@pytest.fixture
def pool(cluster: LocalCluster, config: Config) -> Iterator[RayPool]:
    with closing(a_pool(cluster, config)) as made:
        yield made


def a_task(config: Config, name: str, chunks: int = 6, start_s: float = 0.0) -> Task:
    path = config.shared_directory / name
    path.write_bytes(recording(chunks))
    task = task_for(path, SETTINGS, spec_in(config), config, start_s)
    return Task(task.command, handout=HandOut("job", "epoch", 1))


class Heard:
    """What a run delivers; calls ``then`` once, after so many chunks."""

    def __init__(self, after: int = 10**9, then: Callable[[], None] = lambda: None) -> None:
        self.chunks: list[Chunk] = []
        self.handouts: set[HandOut] = set()
        self._after, self._then = after, then

    def callbacks(self) -> RunCallbacks:
        return RunCallbacks(on_chunk=self._never, on_delivery=self._take)

    def _never(self, chunk: Chunk) -> None:
        raise AssertionError("it came without its hand-out")

    def _take(self, handout: HandOut, chunk: Chunk) -> bool:
        self.handouts.add(handout)
        self.chunks.append(chunk)
        if len(self.chunks) == self._after:
            self._then()
        return True

    @property
    def text(self) -> str:
        return " ".join(segment.text for chunk in self.chunks for segment in chunk.segments)

    @property
    def end_s(self) -> float:
        return self.chunks[-1].position_s


def undisturbed(executor: RayExecutor, config: Config) -> None:
    heard = Heard()
    assert executor.run(a_task(config, "after.mp3", 3), heard.callbacks()).done is not None
    assert heard.text == full_text(recording(3))


def test_a_dead_child_is_the_files_own_failure_and_the_worker_goes_on(
    pool: RayPool, config: Config
) -> None:
    executor = ready(pool)[0]
    heard = Heard()
    with pytest.raises(WorkerError) as caught:
        executor.run(a_task(config, "slow crash2.mp3"), heard.callbacks())
    assert caught.value.code == "whisperx_failed"
    assert caught.value.details is not None
    assert "it ends badly" in caught.value.details
    assert len(heard.chunks) == 2
    assert heard.handouts == {HandOut("job", "epoch", 1)}
    undisturbed(executor, config)
    assert executor.lost is None


def test_a_hung_child_is_ended_on_its_node(cluster: LocalCluster, tmp_path: Path) -> None:
    config = config_in(tmp_path, cluster, processing={"worker_hang_seconds": 8.0})
    with closing(a_pool(cluster, config)) as pool:
        executor = ready(pool)[0]
        with pytest.raises(WorkerError) as caught:
            executor.run(a_task(config, "hang2.mp3"), Heard().callbacks())
        assert caught.value.code == "worker_hung"
        undisturbed(executor, config)


def test_a_dead_actor_is_a_lost_node_and_its_child_dies_with_it(
    pool: RayPool, config: Config
) -> None:
    executor = ready(pool)[0]
    actor = psutil.Process(executor.hello.pid)
    children: list[psutil.Process] = []
    heard = Heard(2, lambda: (children.extend(actor.children()), actor.kill())[1])
    with pytest.raises(NodeLostError):
        executor.run(a_task(config, "slow talk.mp3", 50), heard.callbacks())
    assert children
    until(lambda: not any(child.is_running() for child in children), "its child is dead")
    with pytest.raises(NodeLostError):
        executor.run(a_task(config, "talk.mp3"), Heard().callbacks())
    executor.close()
    again = ready(pool, other_than=executor)[0]
    undisturbed(again, config)


def test_an_answer_that_is_late_is_nobodys(
    pool: RayPool, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor_module, "SILENT_S", 3.0)
    executor = ready(pool)[0]
    pid = executor.hello.pid
    heard = Heard(2, lambda: os.kill(pid, signal.SIGSTOP))
    try:
        with pytest.raises(NodeLostError):
            executor.run(a_task(config, "slow talk.mp3", 50), heard.callbacks())
    finally:
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGCONT)
    count = len(heard.chunks)
    executor.close()
    undisturbed(ready(pool, other_than=executor)[0], config)
    assert len(heard.chunks) == count


def test_nobody_waits_for_an_idle_worker_that_stands_still(pool: RayPool, config: Config) -> None:
    """A service that is to stop would not do so, and for a while nothing is lost of it."""
    executor = ready(pool)[0]
    executor.warm(spec_in(config))
    os.kill(executor.hello.pid, signal.SIGSTOP)
    try:

        def is_silent() -> bool:
            began = time.monotonic()
            executor.maintain()
            assert time.monotonic() - began < executor_module.SILENT_S / 2
            return executor.status.is_silent

        until(is_silent, "it is asked, and does not answer", START_S)
    finally:
        os.kill(executor.hello.pid, signal.SIGCONT)
    until(lambda: not is_silent(), "it answers again", START_S)
    undisturbed(executor, config)


def test_a_stop_that_is_not_obeyed_gives_the_worker_up(
    cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor_module, "_STOP_SLACK_S", 0.5)
    config = config_in(tmp_path, cluster, processing={"stop_grace_seconds": 0.5})
    with closing(a_pool(cluster, config)) as pool:
        executor = ready(pool)[0]
        pid = executor.hello.pid
        stopped: list[bool] = []
        heard = Heard(2, lambda: (os.kill(pid, signal.SIGSTOP), stopped.append(True))[1])
        callbacks = RunCallbacks(
            on_chunk=lambda chunk: None,
            on_delivery=heard.callbacks().on_delivery,
            should_stop=lambda: bool(stopped),
        )
        try:
            outcome = executor.run(a_task(config, "slow talk.mp3", 50), callbacks)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert outcome.done is None
        assert executor.status.lost == "It did not stop, and was given up."


def test_a_lost_node_is_told_and_another_goes_on_where_it_was(
    cluster: LocalCluster, pool: RayPool, config: Config
) -> None:
    """The text is that of an undisturbed run."""
    executor = ready(pool)[0]
    node = cluster.node_of(executor.hello.pid)
    heard = Heard(2, lambda: cluster.kill(node))
    content = recording(50)
    with pytest.raises(NodeLostError):
        executor.run(a_task(config, "slow talk.mp3", 50), heard.callbacks())
    executor.close()
    assert executor.status.lost is None, "its machine, which says nothing more"
    other = ready(pool, other_than=executor)[0]
    assert cluster.node_of(other.hello.pid) != node
    rest = Heard()
    task = a_task(config, "talk.mp3", 50, start_s=heard.end_s)
    assert other.run(task, rest.callbacks()).done is not None
    assert f"{heard.text} {rest.text}" == full_text(content)
    assert len(heard.chunks) + len(rest.chunks) == 50
    assert rest.chunks[0].start_s == heard.end_s
    assert heard.end_s % CHUNK_S == 0
    cluster.add()


def test_without_its_link_the_cluster_is_away_and_comes_back_by_itself(
    pool: RayPool, config: Config
) -> None:
    executor = ready(pool)[0]
    assert pool.link_pid is not None
    link = psutil.Process(pool.link_pid)
    heard = Heard(2, link.kill)
    with pytest.raises(ClusterAwayError):
        executor.run(a_task(config, "slow talk.mp3", 50), heard.callbacks())
    executor.close()
    pool.maintain()
    assert isinstance(pool.problem, ClusterAwayError)
    assert pool.workers() == ()
    undisturbed(ready(pool)[0], config)
    assert pool.problem is None


def replaced(pool: RayPool, link: psutil.Process) -> None:
    """The pool notices that the link stands still, and ends it."""

    def noticed() -> bool:
        pool.maintain()
        return pool.link_pid != link.pid

    until(noticed, "it is noticed", START_S)
    assert pool.problem is not None
    assert "no sign of life" in str(pool.problem.details)
    assert pool.workers() == ()
    assert not link.is_running()


def test_a_link_that_stands_still_is_replaced_also_under_a_recording(
    pool: RayPool, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = ready(pool)[0]
    monkeypatch.setattr(link_process, "SILENT_S", 5.0)
    link = psutil.Process(pool.link_pid)
    heard = Heard(2, link.suspend)
    with maintained(pool), pytest.raises(ClusterAwayError):
        executor.run(a_task(config, "slow talk.mp3", 50), heard.callbacks())
    assert not link.is_running()
    monkeypatch.undo()
    undisturbed(ready(pool, other_than=executor)[0], config)


def test_a_link_that_stands_still_is_replaced_while_its_workers_do_nothing_or_wait_for_room(
    cluster: LocalCluster, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else would notice: one worker has no file, and there is no room for the others."""
    with closing(a_pool(cluster, config, workers=4)) as pool:
        executors = ready(pool, 2)
        monkeypatch.setattr(link_process, "SILENT_S", 5.0)
        link = psutil.Process(pool.link_pid)
        link.suspend()
        replaced(pool, link)
        assert all("cannot be reached" in str(each.status.lost) for each in executors)
        with pytest.raises(ClusterAwayError):
            executors[0].run(a_task(config, "talk.mp3"), Heard().callbacks())
        for executor in executors:
            executor.close()
        monkeypatch.undo()
        ready(pool, 2)
    assert pool.link_pid is None


def test_a_wrong_token_is_refused(cluster: LocalCluster, config: Config, tmp_path: Path) -> None:
    wrong = tmp_path / "token"
    wrong.touch(mode=0o600)
    wrong.write_text("0" * 64)
    with closing(a_pool(cluster, config, token_file=wrong)) as pool:

        def refused() -> bool:
            pool.maintain()
            problem = pool.problem
            return problem is not None and "not asked yet" not in str(problem.details)

        until(refused, "the cluster refuses the token", START_S)
        assert pool.workers() == ()
        assert isinstance(pool.problem, ClusterAwayError)


def test_a_token_that_others_may_read_is_used_by_nobody(
    cluster: LocalCluster, config: Config, tmp_path: Path
) -> None:
    """The service goes on by itself once it was made safe."""
    (token := tmp_path / "token").touch(mode=0o600)
    token.write_text(cluster.token.read_text())
    token.chmod(0o640)
    with closing(a_pool(cluster, config, token_file=token)) as pool:
        pool.maintain()
        assert pool.problem is not None
        assert pool.problem.code == "token_is_open"
        assert pool.link_pid is None
        token.chmod(0o600)
        ready(pool)
        assert pool.problem is None


def test_a_head_that_began_anew_is_found_out_by_the_link(
    cluster: LocalCluster, pool: RayPool, config: Config
) -> None:
    """It answers, and what the link is connected by lives on; but no worker would ever come."""
    executor = ready(pool)[0]
    link = pool.link_pid
    cluster.kill_gcs()
    cluster.start_head()
    cluster.replace_machines()
    executor.close()
    undisturbed(ready(pool, other_than=executor)[0], config)
    assert pool.link_pid != link
