"""The pool of one machine: a single worker, which is there from the start to the end."""

from __future__ import annotations

import socket

from modules.errors import TranscriberError
from modules.executors.base import Capabilities, Executor, Worker


class LocalPool:
    """One executor of this process. Its child uses all cores, so a second one would gain nothing.

    ``device``: as in the settings.
    """

    is_fixed = True
    limit = 1
    problem: TranscriberError | None = None

    def __init__(self, executor: Executor, device: str = "cpu") -> None:
        self._worker = Worker("local", socket.gethostname(), device, executor)

    @property
    def capabilities(self) -> Capabilities:
        return self._worker.executor.capabilities

    def workers(self) -> tuple[Worker, ...]:
        return (self._worker,)

    def maintain(self) -> None:
        """Nothing changes; the runner looks after its executor."""

    def close(self) -> None:
        """Nothing is shared."""
