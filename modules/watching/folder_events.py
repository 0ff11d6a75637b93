"""The watchdog observer on the shared folder: hints where to look, and whether it still works.

Hints get lost, come twice or never come; the watcher's rescan is the truth.
"""

from __future__ import annotations

import errno
import os
import platform
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from modules.logger import get_logger
from modules.recordings.names import is_recording

log = get_logger("Watcher")

#: Not "modified": a large upload raises thousands of those, and the looks see it grow anyway.
#: Not "opened" and "closed without writing": our own looks raise them.
LISTENED_TO: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileClosedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]


class HintKind(Enum):
    """What an event means for the watcher."""

    APPEARED = "appeared"  #: it is there, perhaps still being written
    CLOSED = "closed"  #: a writer closed it, or it was moved in
    VANISHED = "vanished"  #: it was deleted or moved away
    FORGET = "forget"  #: report it again
    PLACED = "placed"  #: we put it there ourselves, whole
    RESCAN = "rescan"  #: something happened to a folder, or a rescan is requested


@dataclass(frozen=True, slots=True)
class Hint:
    """``name`` is relative to the share; empty for a rescan.

    ``placed``: the size, mtime in nanoseconds and inode of what was placed.
    """

    kind: HintKind
    name: str = ""
    placed: tuple[int, int, int] | None = None


class FolderEvents:
    """An observer that is rebuilt when it dies or when another folder lies under the same path.

    ``on_hint`` is called from the observer's thread and must only enqueue. The other methods belong
    to the watcher's thread; the properties to any.
    """

    def __init__(self, root: Path, *, recursive: bool, on_hint: Callable[[Hint], None]) -> None:
        self._root = root
        self._recursive = recursive
        self._on_hint = on_hint
        self._observer: BaseObserver | None = None
        self._identity: tuple[int, int] | None = None
        self._too_few = 0
        self.problem: str | None = None

    @property
    def alive(self) -> bool:
        """Whether every thread of the observer lives. One can be dead while the rest looks well."""
        observer = self._observer
        return observer is not None and all(t.is_alive() for t in _threads(observer))

    @property
    def works(self) -> bool:
        """Whether events can be relied on for speed (never for truth)."""
        return self.alive and self.problem is None

    @property
    def why_not(self) -> str | None:
        """Why they cannot be relied on at the moment; None while they can."""
        if self.works or self.problem:
            return self.problem
        died = "a thread of its observer died; a new one is on its way"
        return died if self._observer else "they begin with the first look at the folder"

    def mend(self, identity: tuple[int, int]) -> None:
        """Make sure that the folder with this (device, inode) is watched. Never raises."""
        if self.alive and identity == self._identity and _watch_count() != 0:
            return
        if self._observer is not None:
            why = "the folder was replaced" if self.alive else "its thread died"
            log.warning("The folder's event observer is rebuilt: %s", why)
        self.stop()
        self._start(identity)

    def confirm(self, folders: int) -> None:
        """Compare with what a rescan saw: a subfolder that got no watch raises no error."""
        watches = _watch_count()
        short = self.alive and watches is not None and watches < folders
        # Twice in a row: a folder that was made during the rescan has no watch yet.
        self._too_few = self._too_few + 1 if short else 0
        if self._too_few >= 2:
            self._complain(_explain(OSError(errno.ENOSPC, "not every subfolder is watched")))
        elif self._too_few == 0 and self.alive:
            self.problem = None

    def stop(self) -> None:
        """End the observer's threads and wait for them."""
        observer, self._observer = self._observer, None
        if observer is not None:
            _end(observer)

    def _start(self, identity: tuple[int, int]) -> None:
        # The watch does not follow links, and the share itself may be one.
        real = os.path.realpath(self._root)
        handler = _Handler(real, self._recursive, self._on_hint)
        observer: BaseObserver | None = None
        try:
            observer = _new_observer()
            observer.schedule(handler, real, recursive=self._recursive, event_filter=LISTENED_TO)
            observer.start()
        except (OSError, RuntimeError) as error:
            if observer is not None:
                _end(observer)
            self._complain(_explain(error))
            return
        self._observer, self._identity = observer, identity
        self._too_few, self.problem = 0, None

    def _complain(self, problem: str) -> None:
        if problem != self.problem:
            log.warning("No events from the folder, it is only rescanned: %s", problem)
        self.problem = problem


class _Handler(FileSystemEventHandler):
    def __init__(self, root: str, recursive: bool, on_hint: Callable[[Hint], None]) -> None:
        self._prefix = root.rstrip("/") + "/"
        self._recursive = recursive
        self._on_hint = on_hint

    def dispatch(self, event: FileSystemEvent) -> None:
        """Never raises: an exception here kills the observer's thread while the rest lives on."""
        try:
            self._handle(event)
        except Exception:
            log.exception("A file event could not be handled: %r", event)

    def _handle(self, event: FileSystemEvent) -> None:
        if event.is_directory:
            if self._recursive:
                self._on_hint(Hint(HintKind.RESCAN))
        elif isinstance(event, FileMovedEvent):
            self._pass_on(HintKind.VANISHED, event.src_path)
            self._pass_on(HintKind.CLOSED, event.dest_path)
        elif isinstance(event, FileClosedEvent):
            self._pass_on(HintKind.CLOSED, event.src_path)
        elif isinstance(event, FileDeletedEvent):
            self._pass_on(HintKind.VANISHED, event.src_path)
        else:
            self._pass_on(HintKind.APPEARED, event.src_path)

    def _pass_on(self, kind: HintKind, raw: bytes | str) -> None:
        path = os.fsdecode(raw)
        name = path.removeprefix(self._prefix)
        if path.startswith(self._prefix) and is_recording(name):
            self._on_hint(Hint(kind, name))


def _new_observer() -> BaseObserver:
    if platform.system() == "Linux":
        from watchdog.observers.inotify import InotifyObserver

        # Full events distinguish a file that was moved in from one that was only just created.
        return InotifyObserver(generate_full_events=True)
    return Observer()


def _threads(observer: BaseObserver) -> list[threading.Thread]:
    reader = getattr(observer, "_inotify_fd", None)  # no public name, and it can die alone
    extra = [reader] if isinstance(reader, threading.Thread) else []
    return [observer, *observer.emitters, *extra] if observer.emitters else []


def _end(observer: BaseObserver) -> None:
    observer.stop()
    if observer.ident is not None:
        observer.join()


def _watch_count() -> int | None:
    """Folders that inotify watches for this process, None where the kernel does not say.

    An unmount takes the watches away and leaves every thread alive.
    """
    count = 0
    try:
        for descriptor in os.listdir("/proc/self/fd"):
            count += _watches_of(descriptor)
    except OSError:
        return None
    return count


def _watches_of(descriptor: str) -> int:
    try:
        if os.readlink(f"/proc/self/fd/{descriptor}") != "anon_inode:inotify":
            return 0
        return Path(f"/proc/self/fdinfo/{descriptor}").read_text().count("inotify wd:")
    except OSError:
        return 0  # closed meanwhile


def _explain(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOSPC:
        return f"{error}; the limit is fs.inotify.max_user_watches: raise it with sysctl"
    if number == errno.EMFILE:
        return (
            f"{error}; the limit is fs.inotify.max_user_instances (raise it with sysctl)"
            " or that on open files"
        )
    return str(error)
