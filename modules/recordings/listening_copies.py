"""Listening copies and peaks of recordings, in ``.transcriber/listen``: a cache, nothing more.

A file's name is its key, which says of which bytes, and of which tracks of them, it was made.
Everything in it may be removed at any time; it is made again when it is asked for.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from modules.config.types import DURATION_HOURS_MAX
from modules.recordings.shared_folder import SharedFolder
from modules.storage import beneath
from modules.storage.atomic import (
    own_folder,
    put_aside_unless,
    remove,
    storage_errors,
    sync_folder,
    write_own,
)
from modules.storage.safe_open import descriptor_of, read_regular

#: What there is at most; beyond that, what was used longest ago is removed.
BYTES_MAX, FILES_MAX = 2 * 2**30, 400
#: What nobody used for so long is removed.
UNUSED_S = 30 * 86_400.0
#: A use is noted at most this often: each is a write to the share.
_NOTED_S = 3600.0
#: Peaks of the longest recording that can be configured.
_PEAKS_BYTES_MAX = DURATION_HOURS_MAX * 72_000
#: Of the key, what stands for the bytes of the recording.
PREFIX_CHARS = 32
SOUND, PEAKS, _PART = ".mp3", ".peaks", ".part"
_NAME = re.compile(r"[0-9a-f]{48}(?:\.mp3|\.peaks|\.part)")


class ListeningCopies:
    """Each method that touches the disk raises StorageError while the share cannot be used.

    A key is 48 hexadecimal digits. ``now``: seconds since 1970, as files have them.
    """

    def __init__(self, folder: SharedFolder, now: Callable[[], float] = time.time) -> None:
        self._share = folder
        self.folder = folder.state / "listen"
        self._now = now

    def open_sound(self, key: str) -> int | None:
        """A descriptor of the MP3; None if there is none."""
        return self._opened(self.folder / f"{key}{SOUND}")

    def peaks(self, key: str) -> bytes | None:
        """The peaks, one byte each; None if there are none."""
        path = self.folder / f"{key}{PEAKS}"
        opened = self._opened(path)
        if opened is None:
            return None
        os.close(opened)
        with contextlib.suppress(OSError):
            return read_regular(path, _PEAKS_BYTES_MAX)
        return None

    def _opened(self, path: Path) -> int | None:
        """What is no file of ours counts as missing. That it is used is noted."""
        try:
            descriptor = descriptor_of(path)
        except OSError:
            self._share.require()
            return None
        with contextlib.suppress(OSError):
            if self._now() - os.fstat(descriptor).st_mtime > _NOTED_S:
                os.utime(descriptor, (self._now(), self._now()))
        return descriptor

    def begin(self, key: str) -> PartFile:
        """A new MP3, which has its name only once it is whole."""
        self._make_folder()
        return PartFile(self.folder / f"{key}{_PART}", self.folder / f"{key}{SOUND}")

    def keep_peaks(self, key: str, peaks: bytes) -> None:
        self._make_folder()
        write_own(self.folder / f"{key}{PEAKS}", peaks)

    def _make_folder(self) -> None:
        self._share.require()
        with storage_errors(self.folder):
            own_folder(self.folder)

    def tidy(self, missing_bytes: int = 0) -> None:
        """Remove what a crash left, what nobody used for long, and what is too much.

        ``missing_bytes``: so much room the disk lacks, so that what was used longest ago is removed
        until there is as much. To be called while nothing is being made.
        """
        files = sorted(self._files(), reverse=True)
        most = min(BYTES_MAX, max(0, sum(size for _, size, _ in files) - missing_bytes))
        kept, total = 0, 0
        for used_at, size, path in files:
            is_left_over = path.suffix == _PART or self._now() - used_at > UNUSED_S
            if is_left_over or kept == FILES_MAX or total + size > most:
                remove(path)
            else:
                kept, total = kept + 1, total + size

    def forget(self, fingerprint: str) -> None:
        """Remove what was made of a recording with this fingerprint."""
        for _, _, path in self._files():
            if path.name.startswith(fingerprint[:PREFIX_CHARS]):
                remove(path)

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """When each file of ours was used last, its size, and where it lies."""
        try:
            names = beneath.names_in(self.folder)
        except OSError:
            self._share.require()
            return
        for name in filter(_NAME.fullmatch, names):
            with contextlib.suppress(OSError):
                facts = beneath.lstat(self.folder / name)
                # A time that lies ahead says nothing.
                used_at = facts.st_mtime if facts.st_mtime <= self._now() + 60 else 0.0
                yield used_at, facts.st_size, self.folder / name


class PartFile:
    """An MP3 that is being made. Raises StorageError."""

    def __init__(self, path: Path, target: Path) -> None:
        self._path, self._target = path, target
        with storage_errors(path):
            for each in (path, target):
                put_aside_unless(each, stat.S_ISREG)
            remove(path)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            self._file = os.fdopen(beneath.descriptor(path, flags, 0o600), "wb")

    def write(self, data: bytes) -> None:
        with storage_errors(self._path):
            self._file.write(data)

    def finish(self, head: bytes) -> None:
        """Write its first bytes, for which there was room left, and give it its name."""
        with storage_errors(self._path):
            self._file.seek(0)
            self._file.write(head)
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            beneath.rename(self._path, self._target)
            sync_folder(self._target.parent)

    def discard(self) -> None:
        """Remove it, unless it is finished."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            beneath.unlink(self._path)
