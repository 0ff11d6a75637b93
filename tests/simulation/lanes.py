"""Threads that take turns: only one of them works at a time, and the seed says which."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tests.disk import Died


class Lane:
    """A thread of the program's that works while the simulation waits for it, and not otherwise."""

    def __init__(self) -> None:
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._work: Callable[[], None] | None = None
        self._raised: BaseException | None = None
        self._dies = False
        #: It is in the middle of a piece of work.
        self.is_paused = False
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    # --- for the simulation ---

    def go_on(self, work: Callable[[], None]) -> None:
        """Until the next pause or the end of the work; begins it unless it is paused.

        Raises what the work raises.
        """
        if not self.is_paused:
            self._work = work
        self._turn()
        raised, self._raised = self._raised, None
        if raised:
            raise raised

    def kill(self) -> None:
        """The process dies: what is paused does not go on."""
        if self.is_paused:
            self._dies = True
            self._turn()
            self._dies, self._raised = False, None

    def close(self) -> None:
        self.kill()
        self._work = None
        self._go.release()
        self._thread.join()

    def _turn(self) -> None:
        self._go.release()
        self._back.acquire()

    # --- in the thread ---

    def pause(self) -> None:
        """Let others have their turn. Raises Died if the process died meanwhile."""
        self.is_paused = True
        self._back.release()
        self._go.acquire()
        self.is_paused = False
        if self._dies:
            raise Died("together with the others")

    @property
    def is_here(self) -> bool:
        """Whether the caller is this thread."""
        return threading.current_thread() is self._thread

    def _live(self) -> None:
        while True:
            self._go.acquire()
            if self._work is None:
                return
            try:
                self._work()
            except BaseException as error:  # noqa: BLE001 # raised again where it is waited for
                self._raised = error
            self._work = None
            self._back.release()
