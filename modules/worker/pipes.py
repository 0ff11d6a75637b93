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
    """Orders from the parent. A stop overtakes what it stops; the end of input ends the process."""

    def __init__(self, descriptor: int) -> None:
        self._orders: queue.Queue[Transcribe | Load] = queue.Queue()
        self._stopped = 0
        #: What is likely to be ordered next, as the parent said since its last order.
        self.next_up: Transcribe | None = None
        threading.Thread(target=self._read, args=(descriptor,), name="orders", daemon=True).start()

    def next(self, timeout_s: float | None = None) -> Transcribe | Load | None:
        """The next order; None if none comes in time."""
        try:
            return self._orders.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def stopped(self, order: int) -> bool:
        """True once the parent asked to stop this order."""
        return order <= self._stopped

    def _read(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as lines:
            for line in lines:
                order = COMMANDS.validate_json(line)
                if isinstance(order, Stop):
                    self._stopped = max(self._stopped, order.order)
                elif isinstance(order, Prefetch):
                    self.next_up = order.next
                else:
                    self.next_up = None  # or what was ordered just now would be made ready again
                    self._orders.put(order)
        # The parent closed the pipe or is dead; nobody is left to work for.
        os._exit(0)
