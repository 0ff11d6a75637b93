"""The child's two pipes to its parent: events out, orders in."""

from __future__ import annotations

import os
import queue
import threading

from modules.executors.protocol import COMMANDS, Event, Load, Prefetch, Stop, Transcribe


class Outbox:
    """Events to the parent, one line each, from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "wb")
        self._lock = threading.Lock()

    def send(self, event: Event) -> None:
        line = event.model_dump_json(exclude_none=True).encode() + b"\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()


class Inbox:
    """Commands from the parent. A stop overtakes its task; the end of input ends the process."""

    def __init__(self, descriptor: int) -> None:
        self._commands: queue.Queue[Transcribe | Load] = queue.Queue()
        self._stopped = 0
        #: What is likely to come next, as the parent said since its last command.
        self.next_up: Transcribe | None = None
        threading.Thread(
            target=self._read, args=(descriptor,), name="commands", daemon=True
        ).start()

    def next(self, timeout_s: float | None = None) -> Transcribe | Load | None:
        """The next command; None if none comes in time."""
        try:
            return self._commands.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def stopped(self, task_id: int) -> bool:
        """True once the parent asked to stop this task."""
        return task_id <= self._stopped

    def _read(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as lines:
            for line in lines:
                command = COMMANDS.validate_json(line)
                if isinstance(command, Stop):
                    self._stopped = max(self._stopped, command.task_id)
                elif isinstance(command, Prefetch):
                    self.next_up = command.next
                else:
                    self.next_up = None  # or the command itself would be prefetched again
                    self._commands.put(command)
        # The parent closed the pipe or is dead.
        os._exit(0)
