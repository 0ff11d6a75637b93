"""As many runners as there are workers: started and ended as workers come and go."""

from __future__ import annotations

from collections.abc import Mapping

from modules.executors.base import Worker, WorkerPool
from modules.jobs.job import Status
from modules.jobs.thread_loop import ThreadLoop
from modules.logger import get_logger
from modules.runner.common import Common
from modules.runner.outage import HOLD_S, Standstill
from modules.runner.runner import Runner
from modules.runner.seat import Seat

log = get_logger("Runner")

#: How often it is looked which workers there are, in seconds.
_LOOK_EVERY_S = 1.0


class Runners:
    """One runner for each worker of a pool.

    A pool that is fixed has its runners from the start, the first in a thread called ``runner``;
    any other is looked at by a thread of its own, called ``workers``.
    """

    def __init__(self, common: Common, pool: WorkerPool) -> None:
        self._common = common
        self._scheduler = common.scheduler
        self._pool = pool
        self._runners: list[tuple[Worker, Runner]] = []
        #: Of workers that are gone: they end with what they have in hand.
        self._leaving: list[Runner] = []
        self._ended = dict.fromkeys((Status.COMPLETED, Status.FAILED), 0)
        self._is_started = False
        self._loop = ThreadLoop(
            "workers", self._look, failure_pause_s=HOLD_S, daemon=False,
            monotonic=common.clock.monotonic,
            on_error=lambda: log.exception("The workers could not be looked at; going on"),
        )  # fmt: skip
        if pool.is_fixed:
            self._runners = [(worker, self._runner_of(worker)) for worker in pool.workers()]
            self._scheduler.set_workers(len(self._runners))

    def _runner_of(self, worker: Worker) -> Runner:
        name = f"runner-{worker.name}" if self._runners else "runner"
        return Runner(self._common, worker.executor, name)

    # --- state; from any thread ---

    @property
    def silent_s(self) -> float:
        """How long the thread that is silent the longest has given no sign of life."""
        runners = [*self._leaving, *(runner for _, runner in self._runners)]
        return max([self._loop.silent_s, *(runner.silent_s for runner in runners)])

    @property
    def finished(self) -> Mapping[Status, int]:
        """Files by how they ended, since the start."""
        runners = [*self._leaving, *(runner for _, runner in self._runners)]
        return {s: n + sum(r.finished[s] for r in runners) for s, n in self._ended.items()}

    @property
    def outage(self) -> Standstill:
        """Why no worker can do anything; ``troubled`` has what only some of them suffer from."""
        found = [runner.outage for _, runner in self._runners]
        if not found:
            return Standstill.of_pool(self._pool.problem)
        held = [outage for outage in found if outage.reason]
        if len(held) < len(found):
            return Standstill()
        return Standstill(held[0].reason, held[0].kind)

    @property
    def troubled(self) -> list[str]:
        """What keeps some of the workers from working, while others do."""
        seats = self.seats()
        found = [f"{seat.worker.name}: {seat.problem}" for seat in seats if seat.problem]
        if self._pool.problem and seats:
            found.append(str(self._pool.problem))
        return [] if self.outage.reason else found

    def seats(self) -> list[Seat]:
        """The workers that there are, and what they do."""
        return [
            Seat(worker, runner.in_hand, runner.outage.reason) for worker, runner in self._runners
        ]

    # --- life ---

    def start(self) -> None:
        self._is_started = True
        for _, runner in self._runners:
            runner.start()
        if not self._pool.is_fixed:
            self._scheduler.set_workers(0)
            self._loop.start()

    def stop(self) -> None:
        """Let what runs stop at its next chunk, end the workers, and join all threads."""
        self._loop.stop()
        runners = [*self._leaving, *(runner for _, runner in self._runners)]
        for runner in runners:
            runner.ask_to_stop()
        self._scheduler.shut_down()
        for runner in runners:
            runner.stop()
        self._pool.close()

    def expect(self, name: str) -> None:
        """A file will probably be complete soon: it can be prepared if nothing else is done.

        Safe from any thread.
        """
        self._common.expected = self._common.expected or name
        self._scheduler.nudge()

    def tick(self) -> None:
        """One turn of everything, in the caller's thread."""
        if not self._pool.is_fixed:
            self.look()
        for _, runner in list(self._runners):
            runner.tick()

    # --- workers come and go ---

    def _look(self) -> float:
        self.look()
        return _LOOK_EVERY_S

    def look(self) -> None:
        """Have a runner for every worker that is there, and none for one that is gone."""
        self._pool.maintain()
        there = {id(worker.executor): worker for worker in self._pool.workers()}
        kept: list[tuple[Worker, Runner]] = []
        for worker, runner in self._runners:
            now = there.pop(id(worker.executor), None)
            if now is None:
                log.warning("The worker %s is gone", worker.name)
                runner.is_ready = False
                runner.ask_to_stop()
                self._leaving.append(runner)
            else:
                # It is still one of the pool's, so the loss that its last job ended in was not its.
                runner.is_ready = True
                kept.append((now, runner))
        self._runners = kept + [(worker, self._begin(worker)) for worker in there.values()]
        self._join_the_gone()
        runners = [*self._leaving, *(runner for _, runner in self._runners)]
        self._scheduler.set_workers(sum(runner.is_able for runner in runners))

    def _begin(self, worker: Worker) -> Runner:
        log.info("The worker %s is there, on %s (%s)", worker.name, worker.node, worker.device)
        runner = Runner(self._common, worker.executor, f"runner-{worker.name}")
        if self._is_started:
            runner.start()
        return runner

    def _join_the_gone(self) -> None:
        for runner in list(self._leaving):
            if self._is_started and not runner.stop(timeout_s=0.0):
                continue
            if runner.in_hand is None:
                self._leaving.remove(runner)
                for status, count in runner.finished.items():
                    self._ended[status] += count
