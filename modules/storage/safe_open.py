"""Open files that others may have placed: links are not followed, opening a FIFO does not block."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import BaseModel, ValidationError

from modules.errors import TranscriberError, noted, reason_of
from modules.storage import beneath
from modules.storage.atomic import parse_json, storage_errors

Model = TypeVar("Model", bound=BaseModel)

#: What is no file of ours: a link, a socket, a folder, a device or a FIFO, or far too large.
NOT_OURS = frozenset({errno.ELOOP, errno.ENXIO, errno.EINVAL, errno.EISDIR, errno.EFBIG})


def descriptor_of(path: Path) -> int:
    """A descriptor of a regular file for reading.

    Raises OSError: ELOOP for a link, ENXIO for a socket, EINVAL for a folder, a device or a FIFO.
    """
    return _regular(beneath.descriptor(path, os.O_RDONLY), path)


def _regular(descriptor: int, path: Path) -> int:
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", os.fspath(path))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_regular(path: Path) -> IO[bytes]:
    """A regular file for reading. Raises OSError as ``descriptor_of`` does."""
    return open(descriptor_of(path), "rb")


def read_regular(path: Path, limit_bytes: int) -> bytes:
    """The content of a regular file of at most ``limit_bytes``.

    Raises OSError as ``descriptor_of`` does, and EFBIG for a larger file.
    """
    with open_regular(path) as file:
        too_large = os.fstat(file.fileno()).st_size > limit_bytes
        content = b"" if too_large else file.read(limit_bytes + 1)
    if too_large or len(content) > limit_bytes:  # it may grow while it is read
        raise OSError(errno.EFBIG, f"is larger than {limit_bytes} bytes", os.fspath(path))
    return content


def append_regular(path: Path) -> IO[bytes]:
    """A regular file for appending, made if it is missing. Raises OSError as ``descriptor_of``."""
    descriptor = beneath.descriptor(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    return os.fdopen(_regular(descriptor, path), "ab", buffering=0)


def read_model(model: type[Model], path: Path, limit_bytes: int) -> Model | None:
    """What a JSON file of ours says; None if it is not there, or what lies there is none of ours.

    Raises StorageError.
    """
    with storage_errors(path):
        try:
            return model.model_validate(read_json(path, limit_bytes))
        except (FileNotFoundError, NotADirectoryError, TranscriberError, ValidationError):
            return None
        except OSError as error:
            if error.errno in NOT_OURS:
                return None
            raise


def read_json(path: Path, limit_bytes: int) -> dict[str, Any]:
    """The JSON object in a regular file.

    Raises OSError as ``descriptor_of`` does, and TranscriberError ``corrupt_sidecar`` if the file
    is larger than ``limit_bytes`` or holds no JSON object.
    """
    try:
        content = read_regular(path, limit_bytes)
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        raise TranscriberError(
            "corrupt_sidecar",
            noted("{file} cannot be read: {problem}", file=path.name, problem=reason_of(error)),
        ) from error
    return parse_json(content, path.name)
