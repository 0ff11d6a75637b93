"""The pipes to the child: commands go in, events come out, complaints are kept."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import threading
from collections import deque

from modules.executors.protocol import Command, Event, parse_event
from modules.logger import get_logger

log = get_logger("AudioProcessor")

#: No event and no complaint is longer; one without an end would fill the daemon's memory.
_EVENT_BYTES, _COMPLAINT_BYTES = 4 * 2**20, 2**12


class ClosedError(Exception):
    """The child has closed its end: it is dead, or will be ended."""


class Connection:
    """One child's pipes, read by two threads of their own. Everything else is for one thread."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._events: queue.Queue[Event | None] = queue.Queue()
        #: The last lines of the child's standard error.
        self.complaints: deque[str] = deque(maxlen=20)
        self._readers = tuple(
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in (
                (self._read_events, "worker-events"),
                (self._read_complaints, "worker-stderr"),
            )
        )
        for reader in self._readers:
            reader.start()

    def send(self, command: Command) -> None:
        """That the child has died is noticed, and reported, by ``receive``."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(command.model_dump_json().encode() + b"\n")
            self._process.stdin.flush()

    def receive(self, timeout_s: float) -> Event | None:
        """The next event, or None after the time-out. Raises ClosedError."""
        try:
            event = self._events.get(timeout=timeout_s) if timeout_s else self._events.get_nowait()
        except queue.Empty:
            return None
        if event is None:
            raise ClosedError
        return event

    def close_input(self) -> None:
        with contextlib.suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()

    def join(self, timeout_s: float) -> bool:
        """Wait for the readers of a dead child; False if another process holds a pipe open."""
        for reader in self._readers:
            reader.join(timeout_s)
        return not any(reader.is_alive() for reader in self._readers)

    def _read_events(self) -> None:
        """Put the child's events into the queue; None when it has closed its end."""
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError), self._process.stdout as lines:
            while line := lines.readline(_EVENT_BYTES):
                event = parse_event(line)
                if event is None:
                    log.warning("WhisperX sent a line that makes no sense; it was thrown away")
                else:
                    self._events.put(event)
        self._events.put(None)

    def _read_complaints(self) -> None:
        assert self._process.stderr is not None
        with contextlib.suppress(OSError, ValueError), self._process.stderr as lines:
            while line := lines.readline(_COMPLAINT_BYTES):
                self.complaints.append(line.decode(errors="replace").rstrip())
