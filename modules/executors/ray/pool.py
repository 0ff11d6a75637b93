"""The workers of a cluster, as many as there is room for."""

from __future__ import annotations

import importlib.util
import os

from modules.clock import Clock
from modules.config.schema import Config
from modules.errors import ClusterAwayError, TranscriberError, noted
from modules.executors.base import Capabilities, Worker
from modules.executors.ray.channel import LinkClosedError
from modules.executors.ray.executor import away
from modules.executors.ray.link_process import LinkProcess
from modules.executors.ray.slot import ClusterPlan, WorkerSlot
from modules.executors.ray.token_file import require_token, usual_token_file
from modules.logger import get_logger

log = get_logger("Cluster")

#: How long the link may take to connect, and how long it is left alone after it ended, in seconds.
_CONNECT_S, _AGAIN_S = 60.0, 5.0
#: A worker that has not begun within this time has no room in the cluster.
_ROOM_S = 30.0
_INSTALL = "make cluster"


class RayPool:
    """Implements ``WorkerPool``. ``maintain`` and ``close`` are for one thread."""

    is_fixed = False

    def __init__(self, plan: ClusterPlan, config: Config, clock: Clock) -> None:
        self._plan = plan
        self._clock = clock
        self._device = "cuda" if plan.gpus else "cpu"
        self._slots = tuple(WorkerSlot(n + 1, plan, config, clock) for n in range(plan.workers))
        self._link: LinkProcess | None = None
        self._is_connected = False
        self._since = float("-inf")
        self._workers: tuple[Worker, ...] = ()
        self._problem: TranscriberError | None = away("not asked yet")

    @property
    def limit(self) -> int:
        return self._plan.workers

    @property
    def problem(self) -> TranscriberError | None:
        return self._problem

    @property
    def capabilities(self) -> Capabilities:
        known = [worker.executor.capabilities.compute_types for worker in self._workers]
        known = [types for types in known if types]
        if not known:
            return Capabilities()
        common = {
            device: tuple(t for t in types if all(t in each.get(device, ()) for each in known))
            for device, types in known[0].items()
        }
        return Capabilities({device: types for device, types in common.items() if types})

    @property
    def link_pid(self) -> int | None:
        """The process in which Ray runs, if there is one."""
        return self._link.pid if self._link else None

    def workers(self) -> tuple[Worker, ...]:
        return self._workers

    def maintain(self) -> None:
        try:
            self._maintain()
        except Exception:  # whatever it is, the next look is a second away
            log.exception("The cluster could not be looked after")

    def _maintain(self) -> None:
        try:
            if self._has_link():
                self._look_at_slots()
        except LinkClosedError as error:
            self._lose_link(away(str(error)))

    def _has_link(self) -> bool:
        """Whether the cluster is connected; begins what is missing. Raises LinkClosedError."""
        now = self._clock.monotonic()
        if self._link is None:
            if now >= self._since + _AGAIN_S:
                self._start_link(now)
            return False
        if not self._is_connected and now > self._since + _CONNECT_S:
            raise LinkClosedError(f"not connected within {_CONNECT_S:g} s")
        was_connected, self._is_connected = self._is_connected, self._link.look()
        if self._is_connected and not was_connected:
            log.info("Connected with the cluster at %s", self._plan.address)
        return self._is_connected

    def _start_link(self, now: float) -> None:
        self._since = now
        try:
            if importlib.util.find_spec("ray") is None:
                raise missing_ray()
            require_token(self._plan.token_file or usual_token_file(os.environ))
        except TranscriberError as error:
            if str(error) != str(self._problem):
                log.error("%s", error)
            self._problem = error
            return
        self._link = LinkProcess(self._plan.address, self._plan.token_file, self._clock)

    def _lose_link(self, problem: TranscriberError) -> None:
        if self._is_connected or self._problem is None:
            log.error("%s (%s)", problem, problem.details)
        link, self._link, self._is_connected = self._link, None, False
        self._since = self._clock.monotonic()
        self._workers, self._problem = (), problem
        for slot in self._slots:
            slot.drop(problem)
        if link:
            link.end()

    def _look_at_slots(self) -> None:
        assert self._link is not None
        for slot in self._slots:
            slot.look(self._link)
        self._workers = tuple(worker for slot in self._slots if (worker := self._worker(slot)))
        self._problem = self._why_fewer()

    def _worker(self, slot: WorkerSlot) -> Worker | None:
        executor = slot.executor
        if executor is None:
            return None
        node = executor.hello.node
        name = f"{node}-{slot.number}"
        return Worker(name, node, executor.device or self._device, executor)

    def _why_fewer(self) -> TranscriberError | None:
        missing = [slot for slot in self._slots if slot.executor is None]
        known = next((slot.problem for slot in missing if slot.problem), None)
        now = self._clock.monotonic()
        if known or not any(now - slot.since > _ROOM_S for slot in missing):
            return known
        return ClusterAwayError(
            "cluster_full",
            noted(
                "The cluster has room for {count} of {limit} workers.",
                count=len(self._workers),
                limit=self.limit,
            ),
            remedy=noted("Add a machine, or lower workers.max or workers.cpus_per_worker."),
        )

    def close(self) -> None:
        """End the link, and with it all workers."""
        link, self._link = self._link, None
        self._workers = ()
        for slot in self._slots:
            slot.drop()
        if link:
            link.end()


def missing_ray() -> ClusterAwayError:
    """The optional packages are not installed."""
    return ClusterAwayError(
        "ray_missing",
        noted("The packages for a cluster are not installed."),
        remedy=noted("Run `{command}`.", command=_INSTALL),
    )
