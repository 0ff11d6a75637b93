"""The recording on a node: the same share, mounted there, or pieces that the daemon sends."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from modules.errors import StorageError, noted
from modules.executors.ray.wire import PIECE_BYTES, PIECES_IN_FLIGHT
from modules.jobs.source import FileIdentity
from modules.recordings.shared_folder import identity_of
from modules.storage.recording_file import raise_storage_error

#: What a received recording must leave free of the disk.
_LEFT_FREE_BYTES = 2**30
#: How often somebody who waits for a piece looks whether to go on, in seconds.
_TICK_S = 0.25


def mapped(path: bytes, path_map: tuple[tuple[str, str], ...]) -> bytes:
    """The path of a file here that has this path on the daemon's machine.

    Machines differ: one that lacks the folder that is named, and has the daemon's, uses that.
    """
    for there, here in path_map:
        prefix = os.fsencode(there.rstrip("/"))
        if path == prefix or path.startswith(prefix + b"/"):
            is_elsewhere = os.path.isdir(here) or not os.path.isdir(there)
            return (os.fsencode(here.rstrip("/")) if is_elsewhere else prefix) + path[len(prefix) :]
    return path


def check_same(path: Path, identity: FileIdentity) -> None:
    """Raises StorageError unless the file here is the daemon's."""
    try:
        here = identity_of(path)
    except StorageError as error:
        raise StorageError(
            "node_lacks_file",
            noted(
                "The machine {node} cannot read the recording as {path}.",
                node=socket.gethostname(),
                path=path,
            ),
            details=str(error),
            remedy=noted("Mount the share there and name the two places in workers.path_map."),
        ) from error
    if here.fingerprint != identity.fingerprint:  # times of two mounts may differ, or be the same
        raise StorageError(
            "node_has_other_file",
            noted(
                "On the machine {node}, {path} is another file than on the daemon's.",
                node=socket.gethostname(),
                path=path,
            ),
            remedy=noted("Look whether the same share is mounted on both."),
        )


class Received:
    """A recording that comes in pieces, into a folder of its own that goes with it.

    ``put`` is called by others than the thread that waits in ``whole``.
    """

    def __init__(self, folder: Path, name: bytes, identity: FileIdentity) -> None:
        self._folder = folder
        self._path = folder / os.fsdecode(name)
        self._identity = identity
        self._count = -(-identity.size // PIECE_BYTES)
        self._missing = list(range(self._count))
        self._arrived = threading.Condition()
        self._file: int | None = None

    @property
    def wants(self) -> tuple[int, ...]:
        """The pieces that may be under way now."""
        with self._arrived:
            return tuple(self._missing[:PIECES_IN_FLIGHT]) if self._file is not None else ()

    def put(self, index: int, content: bytes) -> None:
        """Take a piece; one that is not wanted is thrown away."""
        with self._arrived:
            length = min(PIECE_BYTES, self._identity.size - index * PIECE_BYTES)
            if self._file is None or index not in self._missing or len(content) != length:
                return
            try:
                os.pwrite(self._file, content, index * PIECE_BYTES)
            except OSError:
                return  # asked for again, until there is room or nobody waits any more
            self._missing.remove(index)
            self._arrived.notify_all()

    def whole(self, go_on: Callable[[], bool]) -> Path | None:
        """The file, once it is here and the daemon's; None if it is no longer wanted.

        Raises StorageError.
        """
        self._make_room()
        with self._arrived:
            while self._missing:
                if not go_on():
                    return None
                self._arrived.wait(_TICK_S)
        check_same(self._path, self._identity)
        return self._path

    def _make_room(self) -> None:
        try:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(mode=0o700)
            free = shutil.disk_usage(self._folder).free
            if self._identity.size + _LEFT_FREE_BYTES > free:
                raise StorageError(
                    "node_disk_full",
                    noted(
                        "The machine {node} has no room for the recording in {folder}.",
                        node=socket.gethostname(),
                        folder=self._folder.parent,
                    ),
                    remedy=noted("Free some space there, or use workers.media: share."),
                )
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise_storage_error(error)
        with self._arrived:
            self._file = file

    def close(self) -> None:
        """Remove what came."""
        with self._arrived:
            file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                os.close(file)
        shutil.rmtree(self._folder, ignore_errors=True)
