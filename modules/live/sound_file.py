"""The sound of one session: raw 16-bit samples, or a container, appended as it comes."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modules.errors import StorageError, noted
from modules.live.wav import SAMPLE_BYTES
from modules.storage import beneath
from modules.storage.atomic import storage_errors


class SoundFile:
    """Open for appending until it is closed. Thread-safe; one append at a time. What it counts are
    samples, or bytes of a container (``unit_bytes`` 1).

    What ``append`` has returned for is in the hands of the system: it outlives the daemon, and a
    power cut once the file has landed, as with uploads.
    """

    def __init__(self, path: Path, *, new: bool, unit_bytes: int = SAMPLE_BYTES) -> None:
        self.path = path
        self._unit_bytes = unit_bytes
        self._lock = threading.Lock()
        self._samples = 0
        #: It takes no more samples than these.
        self.samples_max = sys.maxsize
        self._is_torn = False
        flags = os.O_RDWR | os.O_APPEND | (os.O_CREAT | os.O_EXCL if new else 0)
        with storage_errors(path):
            self._descriptor: int | None = beneath.descriptor(path, flags, 0o600)
            facts = os.fstat(self._descriptor)
            if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
                self.close()
                raise OSError(errno.ESTALE, "is no file of ours", os.fspath(path))
        self._samples = facts.st_size // unit_bytes

    @property
    def samples(self) -> int:
        return self._samples

    def append(self, data: bytes, wanted: Callable[[], bool] = lambda: True) -> int:
        """Add whole samples, unless it is closed or they are not ``wanted`` when it is their
        turn; returns how many there are then.

        Raises StorageError: then none of them are there.
        """
        with self._lock, storage_errors(self.path):
            if self._descriptor is None or not wanted():
                return self._samples
            left = memoryview(data)[: (self.samples_max - self._samples) * self._unit_bytes]
            count = len(left) // self._unit_bytes
            self._mend(self._descriptor)
            try:
                while left:
                    left = left[os.write(self._descriptor, left) :]
            except OSError:
                self._is_torn = True
                with contextlib.suppress(OSError):  # the next one tries it again
                    self._mend(self._descriptor)
                raise
            self._samples += count
            return self._samples

    def _mend(self, descriptor: int) -> None:
        """Take away what was written of samples that are not all there. Raises OSError."""
        if self._is_torn:
            os.ftruncate(descriptor, self._samples * self._unit_bytes)
            self._is_torn = False

    @contextmanager
    def between_appends(self) -> Iterator[int]:
        """No samples are added meanwhile; how many there are."""
        with self._lock:
            yield self._samples

    def sync(self) -> None:
        """Have what is there survive a power cut. Raises StorageError."""
        with storage_errors(self.path):
            descriptor = self._descriptor
            if descriptor is not None:
                os.fdatasync(descriptor)

    def reader(self) -> int:
        """A descriptor of this very file for reading, for the caller to close.

        Raises StorageError.
        """
        with self._lock, storage_errors(self.path):
            if self._descriptor is None:
                raise OSError(errno.EBADF, "the session is over", os.fspath(self.path))
            opened = beneath.descriptor(self.path, os.O_RDONLY)
            ours, there = os.fstat(self._descriptor), os.fstat(opened)
            if (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino):
                os.close(opened)
                raise StorageError(
                    "file_vanished",
                    noted("The sound of a session is gone ({path})", path=self.path),
                )
            return opened

    def close(self) -> None:
        with self._lock:
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                os.close(descriptor)
