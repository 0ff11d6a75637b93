"""The real daemon with several workers, which live in its process and do as a file says."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path

from modules.clock import Clock
from modules.config.schema import Config
from tests.fake_pool import FakePool, FarExecutor
from tests.fakes import Plan
from tests.scripted_daemon import PROGRAM, ScriptedDaemon

WORKERS = 3
#: Long enough to be looked at.
_CHUNKS, _CHUNK_S = 3000, 0.2
_POOLED = """
from modules.daemon import pool
from tests.pooled_daemon import FilePool
pool.cluster = FilePool
import transcriber
"""


class FilePool(FakePool):
    """The lines of the file ``lost`` beside the shared folder are names of those that are gone."""

    def __init__(self, config: Config, clock: Clock) -> None:
        super().__init__([_slow(clock) for _ in range(config.workers.max)])
        self._file = config.shared_directory.parent / "lost"

    def maintain(self) -> None:
        lost = set(self._file.read_text().split()) if self._file.exists() else set()
        for name in lost - self.gone:
            self.lose(int(name.removeprefix("node")))
        for name in self.gone - lost:
            self.executors[int(name.removeprefix("node"))] = _slow(self.executors[0].clock)
        self.gone = lost


def _slow(clock: Clock) -> FarExecutor:
    executor = FarExecutor(clock, between=lambda number: time.sleep(_CHUNK_S))
    executor.plans = [Plan(chunks=_CHUNKS) for _ in range(100)]
    return executor


class PooledDaemon(ScriptedDaemon):
    """With ``workers.kind: ray``, and no Ray."""

    def configure(self, config: Mapping[str, Mapping[str, object]]) -> None:
        workers = {"kind": "ray", "address": "127.0.0.1:1", "max": WORKERS}
        super().configure({"live": {"enabled": False}, "workers": workers, **config})

    def command(self, *arguments: str) -> list[str]:
        program = PROGRAM.format(hold_s=self.hold_s).replace("import transcriber\n", _POOLED)
        return [sys.executable, "-c", program, "--config", str(self.config_file), *arguments]

    def lose(self, *names: str) -> None:
        """These are gone from now on, and no others."""
        lost: Path = self.root / "lost"
        lost.write_text("\n".join(names))
