"""What may lie beside a SQLite database before it is opened: a journal of ours, or nothing.

SQLite plays back a journal that it finds, whoever wrote it: it may make the database as large as
the journal says, and deletes the file that the journal names as the list of its transaction.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
from pathlib import Path

from modules.storage import beneath
from modules.storage.atomic import put_aside_unless
from modules.storage.safe_open import open_regular

FOREIGN = "it, or what lies beside it, was not written by this program"

#: How a journal begins, and how one ends that names such a list.
_MAGIC = bytes.fromhex("d9d505f920a163d7")
_HEADER = struct.Struct(">8s5I")
#: Where a database says how it is written, and that this is with a rollback journal.
_WAYS, _ROLLBACK = slice(18, 20), b"\x01\x01"


def journal_of(database: Path) -> Path:
    """The rollback journal of a database."""
    return database.with_name(f"{database.name}-journal")


def discard(database: Path) -> None:
    """Delete a database with its journal, which would be played back into the next one.

    Raises OSError.
    """
    for path in (database, journal_of(database)):
        with contextlib.suppress(FileNotFoundError):
            beneath.unlink(path)


def prepare(database: Path) -> bool:
    """Make room beside a database that is about to be opened.

    What is no file is moved aside. False if the database or its journal is not ours, so that both
    must go. Raises OSError.
    """
    journal = journal_of(database)
    others = [database.with_name(f"{database.name}-{end}") for end in ("wal", "shm")]
    for path in (database, journal, *others):
        put_aside_unless(path, stat.S_ISREG)
    for path in others:  # ours has none
        with contextlib.suppress(FileNotFoundError):
            beneath.unlink(path)
    head, _, size = _ends(database)
    if head and head[_WAYS] not in (_ROLLBACK, b""):
        return False
    return _is_ours(journal, size)


def _is_ours(journal: Path, size: int) -> bool:
    """Whether a journal, if there is one, belongs to a database that had at most this ``size``."""
    head, tail, _ = _ends(journal)
    if head[:1] in (b"", b"\0"):
        return True  # that is not played back: it was not begun, or a crash came before its header
    if len(head) < _HEADER.size or tail == _MAGIC:
        return False
    magic, _, _, pages, _, page = _HEADER.unpack_from(head)
    return bool(magic == _MAGIC and pages * page <= size)


def _ends(path: Path) -> tuple[bytes, bytes, int]:
    """The first and the last bytes of a file, and how many it has; nothing if there is none."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(_HEADER.size)
            file.seek(max(0, size - len(_MAGIC)))
            return head, file.read(len(_MAGIC)), size
    except FileNotFoundError:
        return b"", b"", 0
