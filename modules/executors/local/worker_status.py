"""What the WhisperX process of this machine does, for whoever looks."""

from __future__ import annotations

import socket

from modules.executors.base import Activity, WorkerStatus
from modules.executors.local.process import Child


def status_of(child: Child | None, ended_at: float) -> WorkerStatus:
    """``ended_at``: when the last child ended, by the monotonic clock. Safe from any thread."""
    node = socket.gethostname()
    if child is None or child.is_dead:
        return WorkerStatus(node, "off", ended_at)
    pid, memory_mb, loaded = child.process.pid, child.memory_mb, child.loaded
    busy_since = child.busy_since  # read once: another thread ends the task
    if loaded is None:
        state: Activity = "loading" if child.ready else "starting"
        return WorkerStatus(node, state, child.started_at, pid, memory_mb=memory_mb)
    return WorkerStatus(
        node,
        "waiting" if busy_since is None else "transcribing",
        child.idle_since if busy_since is None else busy_since,
        pid,
        loaded.name,
        loaded.device,
        loaded.compute_type,
        loaded.encoder,
        memory_mb,
        serves_live=child.has_live,
    )
