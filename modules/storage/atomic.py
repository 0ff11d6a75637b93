"""Files that are written whole: a reader sees the old version or the new one, never half of one."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pydantic_core

from modules.errors import Message, StorageError, TranscriberError, joined, noted, reason_of
from modules.logger import get_logger
from modules.storage import beneath, no_replace

log = get_logger("FileManager")

#: Temporary files are hidden and short, so that they fit where the final name only just does.
TEMPORARY_PREFIX = ".~transcriber-"

#: Files up to this size may hold anything; larger ones at most one item in so many bytes.
_DENSE_BYTES, _ITEM_BYTES = 2**20, 6

_MAKE_ROOM = noted("Make room; work goes on by itself.")
_OWNER = noted("Check who owns the folder.")
_REASONS: dict[int, tuple[str, Message, Message | None]] = {
    errno.ENOSPC: ("disk_full", noted("The disk is full."), _MAKE_ROOM),
    errno.EDQUOT: ("disk_full", noted("The disk quota is used up."), _MAKE_ROOM),
    errno.EROFS: ("read_only", noted("The folder is read-only."), noted("Mount it writable.")),
    errno.EACCES: ("permission_denied", noted("Access is denied."), _OWNER),
    errno.EPERM: ("permission_denied", noted("Access is denied."), _OWNER),
    errno.ENOENT: ("file_vanished", noted("The file or its folder is gone."), None),
    errno.ENOTDIR: ("file_vanished", noted("The file or its folder is gone."), None),
}


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into a StorageError that says what to do about it."""
    try:
        yield
    except OSError as error:
        unknown = noted("The folder cannot be used: {reason}.", reason=reason_of(error))
        code, message, remedy = _REASONS.get(error.errno or 0, ("storage_error", unknown, None))
        message = joined(" ", message, f"({path})")
        raise StorageError(code, message, remedy=remedy, details=str(error)) from error


def to_json(value: Any) -> bytes:
    """JSON as all our files have it: UTF-8, two-space indent. Odd file names become escapes.

    Raises ValueError for a number that is not finite.
    """
    # The standard library indents in Python: ten times slower, with every token a string in memory.
    with contextlib.suppress(pydantic_core.PydanticSerializationError):
        content = pydantic_core.to_json(value, indent=2)
        if b"NaN" not in content and b"Infinity" not in content:
            return content + b"\n"
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    # Names that are not UTF-8 hold lone surrogates; as \udcXX escapes they survive the round trip.
    return text.encode("utf-8", errors="backslashreplace") + b"\n"


def write_whole(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Write a file, or its pieces, so that it survives a crash at any instant.

    Raises StorageError, and whatever making a piece raises.
    """
    _write(path, content, lambda temporary, name: os.replace(temporary, name))


def write_new(path: Path, content: bytes) -> bool:
    """``write_whole`` that replaces nothing: False if the name is taken. Raises StorageError."""
    try:
        _write(path, content, lambda temporary, name: no_replace.rename_new(temporary, name))
    except StorageError as error:
        if isinstance(error.__cause__, FileExistsError):
            return False
        raise
    return True


def _write(
    path: Path, content: bytes | Iterable[bytes], give_name: Callable[[str, str], None]
) -> None:
    pieces = (content,) if isinstance(content, bytes) else content
    with storage_errors(path), beneath.pinned(path) as real:
        folder, name = os.path.split(real)
        temporary = f"{folder}/{TEMPORARY_PREFIX}{secrets.token_hex(6)}"
        try:
            with open(temporary, "xb") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            give_name(temporary, f"{folder}/{name}")
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        _sync(folder)


def write_own(path: Path, content: bytes | Iterable[bytes]) -> None:
    """``write_whole`` for a name that is ours alone: a folder that lies there is moved aside."""
    with storage_errors(path):
        put_aside_unless(path, lambda mode: not stat.S_ISDIR(mode))
    write_whole(path, content)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable; network shares that cannot do it are let off."""
    with contextlib.suppress(OSError), beneath.pinned_folder(folder) as real:
        _sync(real)


def _sync(folder: str) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove(path: Path) -> bool:
    """Delete a file; False if it was not there. Raises StorageError."""
    with storage_errors(path):
        try:
            beneath.unlink(path)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return False  # a folder is no file of ours
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return False  # no folder can hold it
            raise
    return True


def put_aside_unless(path: Path, is_right: Callable[[int], bool]) -> Path | None:
    """Move what others placed under one of our names away, unless its mode ``is_right``.

    Returns where it is now; None if nothing was moved. Raises OSError.
    """
    try:
        if is_right(beneath.lstat(path).st_mode):
            return None
    except (FileNotFoundError, NotADirectoryError):
        return None
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.aside")
    beneath.rename(path, aside)
    log.warning("%s was moved to %s: it is not what belongs there", path, aside.name)
    return aside


def own_folder(path: Path) -> None:
    """Make a folder that is ours alone; a link or a file in its place is moved aside.

    Raises OSError.
    """
    put_aside_unless(path, stat.S_ISDIR)
    beneath.make_folders(path, 0o700)


#: How deep JSON may be nested; ours is less than ten deep.
JSON_DEPTH_MAX = 64


def parse_json(content: bytes, what: str) -> dict[str, Any]:
    """A JSON object out of one of our files. Raises TranscriberError if it is none.

    Numbers are finite, and it is at most ``JSON_DEPTH_MAX`` deep: whatever it holds can be sent on.
    """
    try:
        _refuse_dense(content)
        value = json.loads(content, parse_constant=_finite, parse_float=_finite)
        if is_deeper(value, JSON_DEPTH_MAX):
            raise ValueError(f"nested more than {JSON_DEPTH_MAX} deep")
    except (ValueError, RecursionError) as problem:
        raise TranscriberError(
            "corrupt_sidecar", noted("{file} cannot be read: {problem}", file=what, problem=problem)
        ) from problem
    if not isinstance(value, dict):
        raise TranscriberError("corrupt_sidecar", noted("{file}: not a JSON object", file=what))
    return value


def is_deeper(value: object, most: int) -> bool:
    """Whether lists and mappings are nested in each other more than ``most`` deep."""
    level: list[object] = [value]
    for _ in range(most + 1):
        level = [
            each
            for outer in level
            if isinstance(outer, dict | list)
            for each in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(each, dict | list)
        ]
        if not level:
            return False
    return True


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no finite number")
    return number


def _refuse_dense(content: bytes) -> None:
    """Raises ValueError for a large file of brackets: it would take fifty times its size in memory.

    Ours have an item in a dozen bytes at most.
    """
    if len(content) > _DENSE_BYTES:
        items = content.count(b"[") + content.count(b"{") + content.count(b",")
        if items * _ITEM_BYTES > len(content):
            raise ValueError("has too many items for its size")
