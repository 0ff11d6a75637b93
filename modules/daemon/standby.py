"""A second process for the same folder: it waits until the owner ends or gives no sign of life.

Whether it is silent is seen by our own clock alone, from its note not changing: those of two
machines need not agree.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any

from modules.api.server.http_server import can_listen
from modules.clock import Clock
from modules.config.schema import Config
from modules.daemon.signals import stop_signals
from modules.errors import StorageError, TranscriberError, noted
from modules.logger import get_logger
from modules.recordings.lock import describe, holder, lock_path, note_path, our_identity, read_note
from modules.recordings.shared_folder import SharedFolder
from modules.recordings.standbys import StandbyNote
from modules.storage.atomic import remove

log = get_logger("Standby")

_POLL_S = 0.5
_COMPLAINT_S = 60.0


class Standby:
    """``wait`` returns when the folder is to be taken over, and the lock on it can be had."""

    def __init__(
        self, config: Config, clock: Clock, pause: Callable[[float], None] = time.sleep
    ) -> None:
        """Raises TranscriberError where the lock of one machine says nothing to another."""
        if config.processing.lock_file:
            raise TranscriberError(
                "standby_without_lock",
                noted("A standby needs the lock in the shared folder."),
                remedy=noted("Leave processing.lock_file out."),
            )
        self._config = config
        self._clock = clock
        self._pause = pause
        self._folder = SharedFolder(config.shared_directory)
        self._note = StandbyNote(config.shared_directory, clock)
        self._stopping = False
        self._seen: dict[str, Any] | None = None
        self._seen_at = clock.monotonic()
        self._due: dict[str, float] = {}

    def wait(self) -> bool:
        """Until it is our turn; False if a signal, or ``stop``, asked for the end instead."""
        with stop_signals(self.stop):
            try:
                while not self._stopping:
                    if self._is_our_turn():
                        return True
                    self._pause(_POLL_S)
            finally:
                with contextlib.suppress(StorageError):
                    self._note.remove()
        log.info("Stopped")
        return False

    def stop(self) -> None:
        """Ask ``wait`` to return. Safe from any thread and from a signal handler."""
        self._stopping = True

    def _is_our_turn(self) -> bool:
        if not self._folder.state.is_dir():
            self._seen_at = self._clock.monotonic()  # the share is away, which says nothing
            return False
        note = read_note(self._config)
        if note != self._seen:
            self._seen, self._seen_at = note, self._clock.monotonic()
        # The kernel says of a process of this machine that it has ended, and at once.
        is_here = note is None or note.get("host") == socket.gethostname()
        if is_here and holder(self._config) is None:
            return True
        self._show(note)
        silent_s = self._clock.monotonic() - self._seen_at
        return silent_s >= self._config.standby.takeover_seconds and self._take_over(note, silent_s)

    def _show(self, note: dict[str, Any] | None) -> None:
        if self._is_due("note", self._config.standby.heartbeat_seconds):
            with contextlib.suppress(StorageError):
                self._note.write()
        if self._is_due("waiting", float("inf")):
            who = describe(note) if note else "Another process"
            log.info("Waiting to take %s over: %s owns it", self._config.shared_directory, who)

    def _take_over(self, note: dict[str, Any] | None, silent_s: float) -> bool:
        """Shut the silent owner out, and make its lock void."""
        api = self._config.api
        if why := can_listen(api.host, api.port):
            if self._is_due("address", _COMPLAINT_S):
                log.warning("The owner is silent, and cannot be followed: %s", why)
            return False
        try:
            taken = self._folder.fence.shut_out(
                our_identity(), lambda: read_note(self._config) == note, self._void_the_lock
            )
        except StorageError as error:
            if self._is_due("trouble", _COMPLAINT_S):
                log.warning("The owner is silent, and the folder cannot be taken over: %s", error)
            return False
        if taken:
            who = describe(note) if note else "The owner"
            log.warning("%s gave no sign of life for %.0f s: taking over", who, silent_s)
        return taken

    def _void_the_lock(self) -> None:
        """A process that stands still keeps its lock, on a file without a name from now on."""
        remove(lock_path(self._config))
        remove(note_path(self._config))

    def _is_due(self, what: str, every_s: float) -> bool:
        now = self._clock.monotonic()
        if now < self._due.get(what, now):
            return False
        self._due[what] = now + every_s
        return True
