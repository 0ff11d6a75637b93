"""What a daemon holds that a leak would add to: memory, descriptors, threads, processes."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from tests.daemon_process import DaemonProcess

HELD_AGAIN_WITHIN_S = 30.0


@dataclass(frozen=True)
class Footprint:
    """What is counted, memory aside."""

    descriptors: int
    threads: int
    children: int
    zombies: int

    @classmethod
    def of(cls, daemon: DaemonProcess) -> Footprint:
        process = psutil.Process(daemon.pid)
        states = [child.status() for child in process.children(recursive=True)]
        return cls(
            descriptors=len(os.listdir(f"/proc/{daemon.pid}/fd")),
            threads=len(os.listdir(f"/proc/{daemon.pid}/task")),
            children=len(states),
            zombies=states.count(psutil.STATUS_ZOMBIE),
        )

    def wait_until_held_again(self, daemon: DaemonProcess) -> None:
        """Wait until the daemon holds no more, and no less, than this."""
        assert self.zombies == 0
        daemon.wait_for(
            lambda: Footprint.of(daemon) == self,
            f"it held as much as at first, {self}; last seen {Footprint.of(daemon)}",
            HELD_AGAIN_WITHIN_S,
        )


def quarters(values: Sequence[float]) -> tuple[float, float]:
    """The medians of the first and of the last quarter."""
    count = max(1, len(values) // 4)
    return statistics.median(values[:count]), statistics.median(values[-count:])
