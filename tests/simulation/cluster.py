"""Workers on machines that vanish and come back."""

from __future__ import annotations

from collections.abc import Callable

from modules.errors import ClusterAwayError, TranscriberError
from modules.executors import base
from modules.executors.base import Capabilities
from tests.fakes import FakeClock
from tests.simulation.worker import Worker

#: For how long a machine is away, at most, in seconds.
_AWAY_S = 60.0


class Cluster:
    """A pool of so many workers, each on a machine of its own. ``make`` has one for a name."""

    is_fixed = False

    def __init__(self, count: int, clock: FakeClock, make: Callable[[str], Worker]) -> None:
        self.limit = count
        self._clock = clock
        self._make = make
        self._nodes = {f"node{i}": make(f"node{i}") for i in range(count)}
        self._back_at: dict[str, float] = {}

    @property
    def problem(self) -> TranscriberError | None:
        there = len(self.workers())
        return None if there else ClusterAwayError("cluster_away", "No machine can be reached.")

    @property
    def capabilities(self) -> Capabilities:
        return next(iter(self._nodes.values())).capabilities

    def workers(self) -> tuple[base.Worker, ...]:
        return tuple(
            base.Worker(name, name, "cpu", executor)
            for name, executor in self._nodes.items()
            if not executor.is_gone
        )

    def maintain(self) -> None:
        """Machines come back, with another worker."""
        for name, executor in self._nodes.items():
            if not executor.is_gone:
                continue
            back_at = self._back_at.setdefault(name, self._clock.monotonic() + _AWAY_S / 2)
            if self._clock.monotonic() >= back_at:
                del self._back_at[name]
                self._nodes[name] = self._make(name)

    def close(self) -> None:
        """Nothing is shared."""

    # --- for the simulation ---

    def lose(self, name: str, away_s: float) -> None:
        """A machine is gone; its worker finds out at the next border between chunks."""
        if not self._nodes[name].is_gone:
            self._nodes[name].is_gone = True
            self._back_at[name] = self._clock.monotonic() + away_s * _AWAY_S

    def names(self) -> list[str]:
        return list(self._nodes)

    def in_hand(self) -> list[str]:
        """The recordings that workers have, be they lost or not."""
        return [w.in_hand for w in self._nodes.values() if w.in_hand is not None]
