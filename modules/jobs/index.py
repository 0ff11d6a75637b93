"""Which file a job id stands for and how the job ended, kept on disk so that memory stays flat.

Only an index: all that counts is in the files beside the recordings. It may be lost at any time.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.jobs import journals
from modules.logger import get_logger

log = get_logger("Register")

KEPT_ENTRIES = 200_000
#: A full disk would otherwise say so with every job.
_COMPLAIN_EVERY_S = 60.0
#: Ours take milliseconds, and the longest value is a name; a planted file may ask for more.
_STATEMENT_S = 20.0
_VALUE_BYTES_MAX = 2**20

#: What only a new file mends. Our statements are fixed, so SQLITE_ERROR means a foreign schema.
_RUINED = frozenset(
    {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_NOTADB}
)

#: ``seq`` grows with every note, so it shows what was noted last. Names are bytes, as on the disk.
_SCHEMA = (
    # Else SQLite looks for a journal, and opens it by its name, with each transaction: one that
    # was planted meanwhile would be played back, a FIFO waited for.
    "PRAGMA locking_mode=EXCLUSIVE",
    "PRAGMA journal_mode=TRUNCATE",  # nothing of WAL's shared memory works on a network share
    "PRAGMA synchronous=NORMAL",
    "PRAGMA user_version=1",  # is written each time, so that the journal is open from here on
    "CREATE TABLE IF NOT EXISTS jobs (seq INTEGER PRIMARY KEY, job_id TEXT NOT NULL UNIQUE, "
    "name BLOB NOT NULL, fate TEXT, noted TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS jobs_by_name ON jobs (name, seq)",
)
#: A trigger would run with every note.
_FOREIGN = "SELECT 1 FROM sqlite_master WHERE type IN ('trigger', 'view')"
_NOTE = "REPLACE INTO jobs (job_id, name, fate, noted) VALUES (?, ?, ?, ?)"
_FIND = "SELECT job_id, name, fate, noted FROM jobs WHERE job_id = ?"
_LATEST = "SELECT job_id, name, fate, noted FROM jobs WHERE name = ? ORDER BY seq DESC LIMIT 1"
_PRUNE = (
    "DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs WHERE fate IS NOT NULL ORDER BY seq "
    "LIMIT max(0, (SELECT count(*) FROM jobs) - ?))"
)


@dataclass(frozen=True)
class Entry:
    """What is known of a job id. ``fate``: None while the job is open; ``when``: ISO 8601."""

    job_id: str
    name: str
    fate: str | None
    when: str


class JobIndex:
    """The index in ``path``. Thread-safe; no method raises, whatever the disk does.

    Opened when first used; a file that cannot be used is begun anew. At most ``kept`` entries
    stay: the oldest of ended jobs make room, those of open ones never.
    """

    def __init__(
        self,
        path: Path,
        monotonic: Callable[[], float] = time.monotonic,
        kept: int = KEPT_ENTRIES,
    ) -> None:
        self._path = path.absolute()
        self._monotonic = monotonic
        self._kept = kept
        self._prune_every = max(1, kept // 200)
        self._notes = 0
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._closed = False
        self._complain_at = float("-inf")
        #: When the statement that runs has had its time.
        self._until = float("inf")

    def note(self, job_id: str, name: str, fate: str | None, when: str) -> None:
        """Write down how a job stands, over what was noted of it. ``name``: as ``os.fsdecode``."""
        with self._lock:
            if self._notes % self._prune_every == 0:
                self._ask(_PRUNE, lambda: (self._kept - self._prune_every,))
            self._notes += 1
            self._ask(_NOTE, lambda: (job_id, os.fsencode(name), fate, when))

    def find(self, job_id: str) -> Entry | None:
        """What was noted last of a job; None if nothing, or if the index cannot be read."""
        with self._lock:
            return _entry(self._ask(_FIND, lambda: (job_id,)))

    def latest(self, name: str) -> Entry | None:
        """The entry of a file that was noted last; None as for ``find``."""
        with self._lock:
            return _entry(self._ask(_LATEST, lambda: (os.fsencode(name),)))

    def close(self) -> None:
        """Close the file. What is noted or asked afterwards is ignored."""
        with self._lock:
            self._closed = True
            self._disconnect()

    # --- all below runs under the lock ---

    def _ask(self, statement: str, values: Callable[[], tuple[Any, ...]]) -> list[Any]:
        if self._closed:
            return []
        self._until = self._monotonic() + _STATEMENT_S
        try:
            return self._run(statement, values())
        except UnicodeEncodeError:
            return []  # not the name of any file, nor an id of ours
        except (sqlite3.Error, OSError) as error:
            self._complain(error)
            return []

    def _run(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        try:
            return self._connected().execute(statement, values).fetchall()
        except sqlite3.Error as error:
            if not self._is_ruined(error):
                raise
            log.warning("The index of jobs %s is begun anew: %s", self._path, error)
            self._discard()
        return self._connected().execute(statement, values).fetchall()

    def _connected(self) -> sqlite3.Connection:
        if self._database and not self._path.exists():
            self._disconnect()  # it was removed by hand; what we wrote would be lost
        if self._database is None:
            # Not its parents: a share that is not mounted must not grow folders.
            self._path.parent.mkdir(exist_ok=True)
            if not journals.prepare(self._path):
                log.warning("The index of jobs %s is begun anew: %s", self._path, journals.FOREIGN)
                self._discard()
            self._database = _open(self._path, lambda: self._monotonic() > self._until)
        return self._database

    def _disconnect(self) -> None:
        if self._database:
            self._database.close()
        self._database = None

    def _is_ruined(self, error: sqlite3.Error) -> bool:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
        if code == sqlite3.SQLITE_CANTOPEN:
            # Forbidden to us, or no file; too many open files are no reason to lose it.
            return self._path.exists() and not os.access(self._path, os.R_OK | os.W_OK)
        return code in _RUINED

    def _discard(self) -> None:
        self._disconnect()
        journals.discard(self._path)

    def _complain(self, error: Exception) -> None:
        now = self._monotonic()
        if now >= self._complain_at:
            self._complain_at = now + _COMPLAIN_EVERY_S
            log.warning("The index of jobs %s cannot be used: %s", self._path, error)


def _open(path: Path, is_over: Callable[[], bool]) -> sqlite3.Connection:
    """A connection without locks: the daemon holds its own, and many shares have none.

    ``is_over()``: whether the statement that runs has had its time.
    """
    database = sqlite3.connect(
        f"{path.as_uri()}?nolock=1", uri=True, isolation_level=None, check_same_thread=False
    )
    try:
        # Whatever somebody made of the file: no statement runs for ever, no value is huge.
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _VALUE_BYTES_MAX)
        database.set_progress_handler(is_over, 100_000)
        for statement in _SCHEMA:
            database.execute(statement)
        if database.execute(_FOREIGN).fetchone():
            raise _foreign()
    except BaseException:
        database.close()
        raise
    return database


def _foreign() -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError("it holds more than our table")
    error.sqlite_errorcode = sqlite3.SQLITE_NOTADB
    return error


def _entry(rows: list[Any]) -> Entry | None:
    if not rows:
        return None
    job_id, name, fate, when = rows[0]
    return Entry(job_id, os.fsdecode(name), fate, when)
