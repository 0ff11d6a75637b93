"""The SQLite file of the index: opened, begun anew where it is of no use, replaced where it fails.

Only a cache: all that is in it stands in the results beside the recordings.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from modules.jobs import journals
from modules.logger import get_logger

log = get_logger("Search")
T = TypeVar("T")

#: A failing disk would otherwise say so with every letter that somebody types.
_COMPLAIN_EVERY_S = 60.0
#: Ours take milliseconds; a planted file may ask for more.
_WORK_S = 20.0
_VALUE_BYTES_MAX = 2**20

#: What only a new file mends.
_RUINED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_NOTADB})
#: What fails for as long as the folder is as it is: no room, no rights, no working file system.
_UNUSABLE = frozenset(
    {
        sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOLFS,
    }
)  # fmt: skip

_PRAGMAS = (
    # The reasons are those of jobs/index.py: no look for planted journals, no shared memory, and a
    # journal that is open from the first transaction on.
    "PRAGMA trusted_schema=OFF",
    "PRAGMA locking_mode=EXCLUSIVE",
    "PRAGMA journal_mode=TRUNCATE",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA secure_delete=ON",
    "PRAGMA cache_size=-4000",
    "PRAGMA user_version=1",
)
_SCHEMA_OF = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"


class Database:
    """Does work in transactions, one at a time. Thread-safe; ``do`` never raises for the disk.

    ``schema``: the statements that make an empty database. A file that has another one, or that is
    corrupt, is begun anew. Where the folder allows no database, a temporary one on this machine
    takes its place until the program ends.
    """

    def __init__(
        self,
        path: Path,
        schema: Sequence[str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path.absolute()
        self._schema = tuple(schema)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._is_local = False
        self._closed = False
        self._complain_at = float("-inf")
        #: When the work that is done has had its time.
        self._until = float("inf")

    def do(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """What ``work`` answers, in a transaction of its own; ``otherwise`` if that fails.

        It may be called twice, and must be short.
        """
        with self._lock:
            if self._closed:
                return otherwise
            self._until = self._monotonic() + _WORK_S
            try:
                return self._tried(work)
            except (sqlite3.Error, OSError) as error:
                self._complain(error)
                return otherwise

    def close(self) -> None:
        """Close the file. What is asked afterwards is ignored."""
        with self._lock:
            self._closed = True
            self._disconnect()

    # --- all below runs under the lock ---

    def _tried(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._done(work)
        except (sqlite3.Error, OSError) as error:
            if not self._path.parent.is_dir():
                self._disconnect()
                raise  # the share is away, and comes back with all that is in it
            if _code(error) in _RUINED:
                log.warning("The search index %s is begun anew: %s", self._path, error)
                self._discard()
            elif self._is_local or not (isinstance(error, OSError) or _code(error) in _UNUSABLE):
                raise
            else:
                log.warning(
                    "The search index %s cannot be used, so it is kept in a temporary file of this "
                    "machine: %s", self._path, error,
                )  # fmt: skip
                self._disconnect()
                self._is_local = True
        return self._done(work)

    def _done(self, work: Callable[[sqlite3.Connection], T]) -> T:
        database = self._connected()
        database.execute("BEGIN")
        try:
            answer = work(database)
            database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                database.execute("ROLLBACK")
            raise
        return answer

    def _connected(self) -> sqlite3.Connection:
        if self._database and not self._is_local and not self._path.exists():
            self._disconnect()  # it was removed by hand; what we wrote would be lost
        if self._database is None:
            if not self._is_local and not journals.prepare(self._path):
                log.warning("The search index %s is begun anew: %s", self._path, journals.FOREIGN)
                self._discard()
            self._database = self._open("" if self._is_local else _address(self._path))
        return self._database

    def _open(self, address: str) -> sqlite3.Connection:
        """A connection without locks: the daemon holds its own, and many shares have none."""
        database = sqlite3.connect(
            address, uri=True, isolation_level=None, check_same_thread=False, cached_statements=32
        )
        try:
            # Whatever somebody made of the file: no statement runs for ever, no value is huge.
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _VALUE_BYTES_MAX)
            database.set_progress_handler(lambda: self._monotonic() > self._until, 100_000)
            self._prepare(database)
        except BaseException:
            database.close()
            raise
        return database

    def _prepare(self, database: sqlite3.Connection) -> None:
        """Make what is missing in an empty file. Raises sqlite3.Error for one of another schema."""
        for pragma in _PRAGMAS:
            database.execute(pragma)
        found = database.execute(_SCHEMA_OF).fetchall()
        if not found:
            database.execute("BEGIN")
            for statement in self._schema:
                database.execute(statement)
            database.execute("COMMIT")
        elif found != _made_by(self._schema):
            raise _ruined("it was made by another version")

    def _disconnect(self) -> None:
        if self._database:
            self._database.close()
        self._database = None

    def _discard(self) -> None:
        self._disconnect()
        journals.discard(self._path)

    def _complain(self, error: Exception) -> None:
        now = self._monotonic()
        if now >= self._complain_at:
            self._complain_at = now + _COMPLAIN_EVERY_S
            log.warning("The search index %s cannot be used: %s", self._path, error)


def _address(path: Path) -> str:
    return f"{path.as_uri()}?nolock=1"


def _made_by(schema: Sequence[str]) -> list[tuple[str, ...]]:
    """The schema as this version of SQLite writes it down, shadow tables included."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
        for statement in schema:
            empty.execute(statement)
        return empty.execute(_SCHEMA_OF).fetchall()


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF


def _ruined(why: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(why)
    error.sqlite_errorcode = sqlite3.SQLITE_NOTADB
    return error
