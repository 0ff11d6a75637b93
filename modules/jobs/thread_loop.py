"""A thread that works until it is stopped, whatever goes wrong in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class ThreadLoop:
    """Runs ``tick`` over and over in a thread of its own.

    ``tick`` answers how many seconds to wait until the next one; ``wake`` ends the wait. After an
    unexpected error ``on_error`` logs it, and ``failure_pause_s`` later the loop goes on.
    ``burst_s``: after ``wake`` this much longer, so that a burst is handled at once. ``on_end`` is
    called by the thread itself.
    """

    def __init__(
        self,
        name: str,
        tick: Callable[[], float],
        on_error: Callable[[], None],
        *,
        failure_pause_s: float,
        burst_s: float = 0.0,
        on_end: Callable[[], None] = lambda: None,
        daemon: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._tick = tick
        self._on_error = on_error
        self._failure_pause_s = failure_pause_s
        self._burst_s = burst_s
        self._on_end = on_end
        self._daemon = daemon
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._monotonic = monotonic
        #: When the tick that runs began, or last said that it lives.
        self._beaten_at: float | None = None

    @property
    def silent_s(self) -> float:
        """How long the tick that runs has given no sign of life; 0 between two ticks."""
        beaten_at = self._beaten_at
        return 0.0 if beaten_at is None else max(0.0, self._monotonic() - beaten_at)

    def beat(self) -> None:
        """For a tick that takes long: it lives. Called by the thread itself."""
        if self._beaten_at is not None:
            self._beaten_at = self._monotonic()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def start(self) -> None:
        """Also after ``stop``. Raises RuntimeError while a thread is still busy."""
        if self._thread and self._thread.is_alive():
            raise RuntimeError(f"the thread {self._name} is still busy")
        self._stopping.clear()
        self._thread = threading.Thread(target=self.run, name=self._name, daemon=self._daemon)
        self._thread.start()

    def wake(self) -> None:
        """Have the next tick at once. Safe from any thread."""
        self._wake.set()

    def wait(self, seconds: float) -> None:
        """For a tick that must pause: returns early when the loop is stopped."""
        self._stopping.wait(seconds)

    def ask_to_stop(self) -> None:
        self._stopping.set()
        self._wake.set()

    def stop(self, timeout_s: float | None = None) -> bool:
        """End the thread; False if it is still busy after ``timeout_s`` and is left behind."""
        self.ask_to_stop()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def run(self) -> None:
        """The loop, in the caller's thread."""
        try:
            while not self._stopping.is_set():
                if self._wake.wait(self.tick_safely()):
                    self._stopping.wait(self._burst_s)
                self._wake.clear()
        finally:
            self._on_end()

    def tick_safely(self) -> float:
        """One tick; after an unexpected error the pause that it costs."""
        self._beaten_at = self._monotonic()
        try:
            return self._tick()
        except Exception:  # noqa: BLE001 # it is logged: one error must not end the thread's work for good
            self._on_error()
            return self._failure_pause_s
        finally:
            self._beaten_at = None
