"""A pool of workers on other machines, which live in this process and do as they are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from modules.clock import Clock
from modules.errors import NodeLostError, TranscriberError
from modules.executors.base import (
    Capabilities,
    ExecutorStatus,
    HandOut,
    Outcome,
    RunCallbacks,
    Task,
    Worker,
)
from modules.transcript.model import Chunk
from tests.fakes import FakeExecutor


class FarExecutor(FakeExecutor):
    """Sends its chunks with the name of their hand-out and a number, as one elsewhere does.

    ``lost``: its machine is gone, which a run finds out at the next border between chunks;
    ``why_lost``: what it is lost of, if that is known. ``is_silent``: it does not answer.
    ``between``: called before each chunk is sent.
    """

    def __init__(self, clock: Clock, between: Callable[[int], None] = lambda number: None) -> None:
        super().__init__(clock)
        self.between = between
        self.lost = False
        self.why_lost: str | None = None
        self.is_silent = False
        #: What was sent: the callbacks, the hand-out and the chunk.
        self.sent: list[tuple[RunCallbacks, HandOut, Chunk]] = []

    @property
    def status(self) -> ExecutorStatus:
        return replace(super().status, lost=self.why_lost, is_silent=self.is_silent)

    def run(self, request: Task, handlers: RunCallbacks) -> Outcome:
        handout = request.handout or HandOut("none", "none", 0)
        made = 0

        def check() -> None:
            if self.lost:
                raise NodeLostError("node_lost", "The machine of the worker is gone.")

        def send(chunk: Chunk) -> None:
            nonlocal made
            made += 1
            self.between(made)
            check()
            numbered = chunk.model_copy(update={"number": made})
            self.sent.append((handlers, handout, numbered))
            assert handlers.deliver(handout, numbered)

        check()
        outcome = super().run(request, replace(handlers, on_chunk=send))
        return replace(outcome, handout=request.handout)


@dataclass
class FakePool:
    """As many workers as there are executors; ``gone`` holds names of some of them."""

    executors: list[FakeExecutor]

    is_fixed = False

    def __post_init__(self) -> None:
        self.limit = len(self.executors)
        self.problem: TranscriberError | None = None
        self.gone: set[str] = set()
        self.maintained = 0
        self.closed = False

    @property
    def capabilities(self) -> Capabilities:
        return self.executors[0].capabilities

    def workers(self) -> tuple[Worker, ...]:
        there = ((f"node{i}", executor) for i, executor in enumerate(self.executors))
        return tuple(
            Worker(name, name, "cpu", executor) for name, executor in there if name not in self.gone
        )

    def lose(self, number: int) -> None:
        """The machine of a worker is gone."""
        executor = self.executors[number]
        assert isinstance(executor, FarExecutor)
        executor.lost = True
        self.gone.add(f"node{number}")

    def maintain(self) -> None:
        self.maintained += 1

    def close(self) -> None:
        self.closed = True
