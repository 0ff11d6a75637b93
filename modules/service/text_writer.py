"""Brings the texts beside recordings up to date, some seconds after they were corrected.

A small file in ``.transcriber/edited`` says for each text that this is still to be done, so that
neither a crash nor a full disk leaves a text without its corrections.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from modules.clock import Clock
from modules.errors import StorageError, TranscriberError
from modules.jobs.events import Event
from modules.jobs.job import Status
from modules.jobs.thread_loop import ThreadLoop
from modules.logger import get_logger
from modules.recordings.names import is_recording
from modules.service.mailbox import Mailbox

log = get_logger("Edits")

#: So long after the last correction; and again so long after a failure.
QUIET_S, _AGAIN_S = 3.0, 30.0
_SUFFIX = ".json"
_NOTED_MAX = 5000
_DELETED = frozenset({"no_text_yet", "gone"})


class TextWriter:
    """Calls ``write(name)`` in a thread of its own for each text that was noted. Thread-safe."""

    def __init__(
        self,
        folder: Path,
        write: Callable[[str], None],
        clock: Clock,
        has_edits: Callable[[str], bool] = lambda name: False,
        on_written: Callable[[], None] = lambda: None,
    ) -> None:
        self._has_edits = has_edits
        self._on_written = on_written
        self._mailbox = Mailbox(folder)
        self._write = write
        self._clock = clock
        self._lock = threading.Lock()
        #: When each is due, and which have their file.
        self._due: dict[str, float] = {}
        self._noted: set[str] = set()
        self._loop = ThreadLoop(
            "texts", self._tick, failure_pause_s=_AGAIN_S, monotonic=clock.monotonic,
            on_error=lambda: log.exception("Writing corrected texts met an unexpected error"),
        )  # fmt: skip

    def start(self) -> None:
        """Also takes up what an earlier run left. Raises StorageError."""
        for file in self._mailbox.names((_SUFFIX,), _NOTED_MAX):
            try:
                name = (self._mailbox.read(file) or {}).get("filename")
            except StorageError:
                continue  # it stays for the next start
            except TranscriberError as error:
                log.warning("A note about a corrected text was dropped: %s", error)
                name = None
            if isinstance(name, str) and is_recording(name) and file == _file_of(name):
                self._due[name] = self._clock.monotonic()
                self._noted.add(name)
            else:
                self._mailbox.remove(file)
        self._loop.start()

    def stop(self) -> None:
        """What is due and not done is done at the next start."""
        self._loop.stop()

    def note(self, name: str) -> None:
        """The texts of a recording are to be written anew. Raises StorageError."""
        with self._lock:
            is_new = name not in self._noted
            self._due[name] = self._clock.monotonic() + QUIET_S
        if is_new:
            self._mailbox.put(_file_of(name), {"filename": name})
            with self._lock:
                self._noted.add(name)
        self._loop.wake()

    def on_event(self, event: Event) -> None:
        """A new transcript may have been written beside old corrections, or they beside it."""
        if event.kind == "transition" and event.job.status is Status.COMPLETED:
            with contextlib.suppress(StorageError):  # then nothing was published either
                if self._has_edits(event.job.name):
                    self.note(event.job.name)

    def _tick(self) -> float:
        now = self._clock.monotonic()
        with self._lock:
            ripe = sorted(name for name, at in self._due.items() if at <= now)
        for name in ripe:
            if self._loop.stopping:
                break
            self._do(name)
        with self._lock:
            nearest = min(self._due.values(), default=now + _AGAIN_S)
        return max(0.1, nearest - self._clock.monotonic())

    def _put_off(self, name: str) -> None:
        with self._lock:
            self._due[name] = self._clock.monotonic() + _AGAIN_S

    def _do(self, name: str) -> None:
        with self._lock:
            begun = self._due[name]
        try:
            self._write(name)
        except TranscriberError as error:
            if error.code not in _DELETED:
                log.warning("The texts of %s could not be written: %s", name, error)
                self._put_off(name)
                return
        except Exception:
            log.exception("The texts of %s met an unexpected error", name)
            self._put_off(name)  # the others must not wait for it
            return
        self._on_written()
        with self._lock:
            # Unless it was corrected again meanwhile.
            if self._due[name] == begun:
                del self._due[name]
                self._noted.discard(name)
                self._mailbox.remove(_file_of(name))


def _file_of(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:32] + _SUFFIX
