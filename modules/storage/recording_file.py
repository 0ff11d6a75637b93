"""Open a recording for reading, and say in plain words why it cannot be read."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import NoReturn

from modules.errors import MediaError, StorageError, noted
from modules.storage.safe_open import descriptor_of

_VANISHED = {errno.ENOENT, errno.ENOTDIR, errno.ESTALE}
_NOT_REGULAR = {errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.EINVAL}
_DENIED = {errno.EACCES, errno.EPERM}


def open_recording_file(path: Path) -> int:
    """A descriptor of a regular file. Raises MediaError if it is none, StorageError."""
    try:
        return descriptor_of(path)
    except OSError as error:
        if error.errno in _NOT_REGULAR:
            raise MediaError(
                "not_a_regular_file",
                noted("This is a link, a folder or a device, not a file with a recording in it."),
                remedy=noted("Copy the recording itself into the folder."),
            ) from error
        raise_storage_error(error)


def raise_storage_error(error: OSError) -> NoReturn:
    """What an OSError about the file itself means to the user."""
    if error.errno in _VANISHED:
        raise StorageError(
            "file_vanished", noted("The file is no longer there."), details=str(error)
        ) from error
    if error.errno in _DENIED:
        raise StorageError(
            "permission_denied",
            noted("The file may not be read."),
            details=str(error),
            remedy=noted("Give the transcriber read permission for it."),
        ) from error
    raise StorageError(
        "read_error",
        noted("The file could not be read from its disk or network share."),
        details=str(error),
        remedy=noted("Check the disk or the network connection."),
    ) from error
