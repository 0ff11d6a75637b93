"""Losses at random in a cluster: of everything that can be lost, for good or for a while."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime
from random import Random
from typing import Literal

from tests.cluster.cluster_daemon import ClusterDaemon
from tests.cluster.local_cluster import START_S, LocalCluster
from tests.kills import Kill, are_all_done, is_alive, is_busy, workers_of

Loss = Literal[
    "child", "actor", "raylet", "head", "link", "daemon", "frozen child", "frozen actor",
    "frozen raylet",
]  # fmt: skip
CHILD = "tests.scripted_worker"
#: So many machines the cluster has, once what was lost was replaced.
NODES = 2


class ClusterKiller:
    """Kills and freezes at random, keeps count, and replaces what a supervisor would.

    ``frozen_s``: how long something may stand still.
    """

    def __init__(
        self,
        daemon: ClusterDaemon,
        cluster: LocalCluster,
        rng: Random,
        frozen_s: tuple[float, ...],
    ) -> None:
        self._daemon = daemon
        self._cluster = cluster
        self._rng = rng
        self._frozen_s = frozen_s
        #: By process: when it goes on.
        self._frozen: dict[int, float] = {}
        self._actors: set[int] = set()
        self.hits: list[Kill] = []

    def strike(self, loss: Loss, busy: bool) -> None:
        """Let a random time pass, lose something, and bring back what others would.

        ``busy``: wait before that until a worker has a file; where all of them were done meanwhile
        none has.
        """
        self._daemon.wait_for(lambda: self._there(loss, busy), f"a {loss} is there", START_S, 0.1)
        time.sleep(self._rng.uniform(0, 1.0))  # the moment is what is tried out
        self._lose(loss)
        self.hits.append(Kill(loss, datetime.now(UTC)))
        self.mend()

    def mend(self, whole: bool = False) -> None:
        """Let what stood still long enough go on, and replace machines. ``whole``: all of it."""
        for pid, until in list(self._frozen.items()):
            if whole or time.monotonic() >= until:
                _send(pid, signal.SIGCONT)
                del self._frozen[pid]
        self._cluster.take_ended()
        while len(self._cluster.nodes) < NODES:
            self._cluster.add()

    def orphans(self) -> list[int]:
        """Children of actors that are alive though their actor is not."""
        found = [pid for actor in self._actors if not is_alive(actor) for pid in _children(actor)]
        return [pid for pid in found if is_alive(pid)]

    def _there(self, loss: Loss, busy: bool) -> bool:
        self.mend()
        kind = loss.removeprefix("frozen ")
        self._actors.update(self._cluster.actors())
        is_time = not busy or is_busy(self._daemon) or are_all_done(self._daemon)
        return is_time and bool(self._victims(kind))

    def _victims(self, kind: str) -> list[int]:
        if kind == "child":
            return [pid for actor in self._cluster.actors() for pid in _children(actor)]
        if kind == "actor":
            return self._cluster.actors()
        if kind == "raylet":
            return [self._cluster.raylet(node) for node in self._cluster.nodes]
        if kind == "link":
            return self._daemon.links()
        return [self._daemon.pid]

    def _lose(self, loss: Loss) -> None:
        if loss == "head":
            self._cluster.kill_head()
            time.sleep(self._rng.uniform(0, 3.0))
            self._cluster.start_head()
        elif loss == "daemon":
            self._daemon.kill()
            self._daemon.start()
        elif loss == "raylet":
            self._cluster.kill(self._rng.choice(self._cluster.nodes))
        else:
            frozen = loss.startswith("frozen ")
            victims = self._victims(loss.removeprefix("frozen "))
            if victims:  # it may have ended by itself meanwhile
                self._signal(self._rng.choice(victims), frozen)

    def _signal(self, pid: int, frozen: bool) -> None:
        if frozen:
            self._frozen[pid] = time.monotonic() + self._rng.choice(self._frozen_s)
        _send(pid, signal.SIGSTOP if frozen else signal.SIGKILL)


def _children(actor: int) -> list[int]:
    return workers_of(actor, CHILD)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
