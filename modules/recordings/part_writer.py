"""The body of one PATCH on its way into the file of an upload, as it comes."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

from modules.clock import Clock
from modules.errors import TranscriberError, noted
from modules.storage import beneath


class PartWriter:
    """Stands where the server would keep a body: what came is in the file, whatever follows.

    ``limit``: the most bytes that may come. ``append`` and ``begin_at`` are for one thread; any
    other may ``revoke``, after which nothing is written any more, or ``close`` it once all came.
    """

    def __init__(
        self,
        upload_id: str,
        offset: int,
        length: int,
        clock: Clock,
        on_close: Callable[[PartWriter], None],
    ) -> None:
        self.upload_id = upload_id
        self.limit = length - offset
        self._offset = offset
        self._clock = clock
        self._on_close = on_close
        self._received = 0
        self._closing = threading.Lock()
        self._descriptor: int | None = None
        self._moved_at = clock.monotonic()
        self._revoked = self._closed = False

    def begin_at(self, path: Path) -> None:
        """Raises OSError; ESTALE if the file is not the one, and not as long, as was noted."""
        descriptor = beneath.descriptor(path, os.O_WRONLY | os.O_APPEND)
        facts = os.fstat(descriptor)
        # A second name would be that of a file which others keep elsewhere.
        is_ours = stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1
        if not is_ours or facts.st_size != self._offset:
            os.close(descriptor)
            raise OSError(errno.ESTALE, "the upload has changed", os.fspath(path))
        self._descriptor = descriptor

    def idle_s(self) -> float:
        return self._clock.monotonic() - self._moved_at

    def revoke(self) -> None:
        self._revoked = True

    def append(self, data: bytes) -> None:
        """Raises OSError, and TranscriberError if it was revoked or closed."""
        if self._revoked or self._closed:
            raise TranscriberError(
                "upload_locked",
                noted("The upload was cancelled, or another request goes on with it."),
                remedy=noted("Ask with HEAD how far it is."),
            )
        self._moved_at = self._clock.monotonic()
        left = memoryview(data)[: max(0, self.limit - self._received)]
        self._received += len(data)
        while left and self._descriptor is not None:
            left = left[os.write(self._descriptor, left) :]

    def __len__(self) -> int:
        return self._received

    def getfile(self) -> PartWriter:
        """The application finds this in the place of the body."""
        return self

    def read(self, size: int = -1) -> bytes:
        """There is nothing left to be read."""
        return b""

    def close(self) -> None:
        with self._closing:
            descriptor, self._descriptor, self._closed = self._descriptor, None, True
        if descriptor is not None:
            os.close(descriptor)
        self._on_close(self)
