"""The index of what was said: a row for each segment, found by the stems of its words.

Built from the results beside the recordings, and built again whenever it is lost.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

from modules.search import vocabulary
from modules.search.database import Database
from modules.search.near import is_near
from modules.search.query import Query, parse
from modules.search.stems import RULES, clean, tokens
from modules.transcript.model import Segment
from modules.transcript.transcript import LONGEST_S

#: So many segments are found at most, the newest; and so many are shown of one recording.
FOUND_MAX = 500
OF_ONE_MAX = 5
#: Segments that are written, or rows that are removed, while others wait.
_BATCH = 200
#: How many names are compared at a time.
_PAGE = 2000
_TEXT_CHARS, _SPEAKER_CHARS = 10_000, 200
_NEAR_MAX, _NEAR_LOOKED_AT = 8, 60
#: The number of a row: the second of the result, a place within it, the number of the segment. So
#: the newest are found first, in whatever order they were written.
_SEGMENT_BITS, _PLACE_BITS, _SECONDS_MAX = 20, 10, 2**33 - 2

#: What the rows of a recording are: being written, found, about to be removed.
_WRITING, _SHOWN, _GONE = 0, 1, 2
_VERSION = f"rules {RULES}, stemmer {metadata.version('snowballstemmer')}"
_SCHEMA = (
    # The version is a part of the schema, by which the file is recognized.
    f"CREATE TABLE recordings /* {_VERSION} */ (slot INTEGER PRIMARY KEY, name BLOB NOT NULL, "
    "state INTEGER NOT NULL, signature TEXT NOT NULL)",
    "CREATE INDEX recordings_by_name ON recordings (name, state, signature)",
    "CREATE INDEX recordings_by_state ON recordings (state)",
    "CREATE VIRTUAL TABLE segments USING fts5 (stems, start UNINDEXED, text UNINDEXED, "
    "speaker UNINDEXED, columnsize=0, "
    "tokenize=\"unicode61 remove_diacritics 0 categories 'L* N* Co Cn'\")",
    *vocabulary.SCHEMA,
)
_KNOWN = "SELECT name, signature FROM recordings WHERE state = ? AND name > ? ORDER BY name LIMIT ?"
_TAKEN = "SELECT 1 FROM recordings WHERE slot = ?"
_BEGIN = "INSERT INTO recordings (slot, name, state, signature) VALUES (?, ?, ?, ?)"
_IS_WRITTEN = "SELECT 1 FROM recordings WHERE slot = ? AND state = ?"
_ADD = "INSERT INTO segments (rowid, stems, start, text, speaker) VALUES (?, ?, ?, ?, ?)"
_LET_GO = "UPDATE recordings SET state = ? WHERE name = ? AND slot <> ?"
_SHOW = "UPDATE recordings SET state = ? WHERE slot = ?"
_OLD = "SELECT slot FROM recordings WHERE state <> ? LIMIT 1"
_ROWS = "SELECT rowid, stems FROM segments WHERE rowid >= ? AND rowid < ? LIMIT ?"
_REMOVE = "DELETE FROM segments WHERE rowid = ?"
_FORGET = "DELETE FROM recordings WHERE slot = ?"
_COUNT = "SELECT count(*) FROM recordings WHERE state = ?"
_FIND = (
    "SELECT r.name, s.start, s.text, s.speaker FROM segments AS s "
    "JOIN recordings AS r ON r.slot = s.rowid >> ? AND r.state = ? "
    "WHERE s.segments MATCH ? ORDER BY s.rowid DESC LIMIT ?"
)


#: What is found, by the recording's name: start in seconds, text, speaker. What is written: the
#: number, stems, and the same.
_Row = tuple[bytes, float, str, str | None]
_Written = tuple[int, str, float, str, str | None]


@dataclass(frozen=True)
class Hit:
    """A segment of a recording. ``marks``: stretches of characters of its text that match."""

    name: str
    start: float
    text: str
    speaker: str | None
    marks: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Found:
    """Hits, those of one recording together. ``total``: segments found, ``FOUND_MAX`` at most."""

    hits: tuple[Hit, ...] = ()
    total: int = 0


@dataclass(frozen=True)
class Text:
    """What is shown of a recording, when it was made in seconds, and by what a change is seen."""

    name: str
    signature: str
    made_s: int
    segments: Iterable[Segment]


class SearchIndex:
    """The index in ``path``. Thread-safe; one thread writes. No method raises for the disk."""

    def __init__(self, path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = Database(path, _SCHEMA, monotonic)

    def close(self) -> None:
        self._database.close()

    # --- writing ---

    def compare(self, there: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """Which of the recordings that are there, with their signatures, must be read; which of
        the index are no longer there."""
        stale, gone, last = dict(there), [], b""
        while True:
            nothing: list[tuple[bytes, str]] = []
            page = self._database.do(partial(_known_after, name=last), nothing)
            for raw, signature in page:
                name = os.fsdecode(raw)
                if name not in there:
                    gone.append(name)
                elif there[name] == signature:
                    stale.pop(name, None)
            if len(page) < _PAGE:
                return list(stale), gone
            last = page[-1][0]

    def put(self, text: Text, goes_on: Callable[[], bool] = lambda: True) -> bool:
        """Write a recording, in the place of what is there of it; False if that was not possible.

        The old rows are found until the new ones are complete. ``goes_on``: asked between pieces.
        """
        do, raw = self._database.do, os.fsencode(text.name)
        slot = do(partial(_begin, raw=raw, text=text), -1)
        if slot < 0:
            return False
        numbered = enumerate(itertools.islice(text.segments, 2**_SEGMENT_BITS))
        while batch := list(itertools.islice(numbered, _BATCH)):
            rows = [_row(slot, number, segment) for number, segment in batch]
            if not (goes_on() and do(partial(_add, slot=slot, rows=rows), False)):
                return False
        if not do(partial(_show, raw=raw, slot=slot), False):
            return False
        self.tidy(goes_on)
        return True

    def remove(self, name: str) -> None:
        """Let the rows of a recording be found no more; ``tidy`` removes them."""
        raw = os.fsencode(name)
        self._database.do(lambda db: bool(db.execute(_LET_GO, (_GONE, raw, -1))), False)

    def tidy(self, goes_on: Callable[[], bool] = lambda: True) -> None:
        """Remove rows that are not found: of removed recordings, and of a write that broke off."""
        while goes_on() and self._database.do(_tidy, False):
            pass

    # --- reading ---

    def count(self) -> int:
        """How many recordings are in it."""
        return self._database.do(lambda db: int(db.execute(_COUNT, (_SHOWN,)).fetchone()[0]), 0)

    def find(self, typed: str, limit: int) -> Found:
        """The segments with all words of a query, in any form; any text is a query.

        Recordings in which most words stand as typed come first, of equals the newest.
        """
        query = parse(typed)
        rows = self._rows(query)
        if not rows:
            query = query.without_begun()
            rows = self._rows(query)
        if not rows:
            query = query.widened(self._near)
            rows = self._rows(query)
        return Found(tuple(itertools.islice(_ordered(query, rows), limit)), len(rows))

    def _rows(self, query: Query) -> list[_Row]:
        if not query.parts:
            return []
        values = (_SEGMENT_BITS, _SHOWN, query.expression, FOUND_MAX)
        nothing: list[_Row] = []
        rows = self._database.do(lambda db: db.execute(_FIND, values).fetchall(), nothing)
        return [row for row in rows if _is_ours(*row)]

    def _near(self, stem: str) -> list[str]:
        alike = partial(vocabulary.alike, stem=stem, most=_NEAR_LOOKED_AT)
        nothing: list[str] = []
        looked_at = self._database.do(alike, nothing)
        return [other for other in looked_at if other != stem and is_near(stem, other)][:_NEAR_MAX]


def _known_after(database: sqlite3.Connection, *, name: bytes) -> list[tuple[bytes, str]]:
    return database.execute(_KNOWN, (_SHOWN, name, _PAGE)).fetchall()


def _begin(database: sqlite3.Connection, *, raw: bytes, text: Text) -> int:
    """A free slot for a recording, which is not found yet."""
    second: int = min(max(0, text.made_s), _SECONDS_MAX) << _PLACE_BITS
    first = second | zlib.crc32(raw) % (1 << _PLACE_BITS)
    slot, step = first, 0
    while database.execute(_TAKEN, (slot,)).fetchone():
        step += 1
        slot = (first + step * step) % ((_SECONDS_MAX + 1) << _PLACE_BITS)
    database.execute(_BEGIN, (slot, raw, _WRITING, text.signature))
    return slot


def _row(slot: int, number: int, segment: Segment) -> _Written:
    text = clean(segment.text[:_TEXT_CHARS]).strip()
    speaker = clean(segment.speaker[:_SPEAKER_CHARS]) if segment.speaker else None
    stems = " ".join(token.stem for token in tokens(text))
    return slot << _SEGMENT_BITS | number, stems, segment.start, text, speaker


def _add(
    database: sqlite3.Connection,
    *,
    slot: int,
    rows: list[_Written],
) -> bool:
    if not database.execute(_IS_WRITTEN, (slot, _WRITING)).fetchone():
        return False  # the index was begun anew meanwhile
    database.executemany(_ADD, rows)
    vocabulary.learn(database, {stem for row in rows for stem in row[1].split()})
    return True


def _show(database: sqlite3.Connection, *, raw: bytes, slot: int) -> bool:
    if not database.execute(_IS_WRITTEN, (slot, _WRITING)).fetchone():
        return False
    database.execute(_LET_GO, (_GONE, raw, slot))
    database.execute(_SHOW, (_SHOWN, slot))
    return True


def _tidy(database: sqlite3.Connection) -> bool:
    """Remove some rows. Answers whether there may be more."""
    old = database.execute(_OLD, (_SHOWN,)).fetchone()
    if old is None:
        return False
    (slot,) = old
    bounds = (slot << _SEGMENT_BITS, (slot + 1) << _SEGMENT_BITS)
    rows: list[tuple[int, str]] = database.execute(_ROWS, (*bounds, _BATCH)).fetchall()
    database.executemany(_REMOVE, ((number,) for number, _ in rows))
    vocabulary.forget(database, {stem for _, stems in rows for stem in str(stems).split()})
    if len(rows) < _BATCH:
        database.execute(_FORGET, (slot,))
    return True


def _is_ours(name: object, start: object, text: object, speaker: object) -> bool:
    """Whether a row is as we write it; the file lies where others write."""
    return (
        isinstance(name, bytes)
        and isinstance(start, float)
        and abs(start) <= LONGEST_S
        and isinstance(text, str)
        and isinstance(speaker, str | None)
    )


def _ordered(query: Query, rows: Iterable[_Row]) -> Iterator[Hit]:
    """Some hits of each recording; the rows come from the newest recording on."""
    by_name: dict[bytes, list[tuple[int, _Row]]] = {}
    for row in rows:
        by_name.setdefault(row[0], []).append((query.exact(row[2]), row))
    best = [
        sorted(found, key=lambda each: (-each[0], each[1][1]))[:OF_ONE_MAX]
        for found in by_name.values()
    ]
    best.sort(key=lambda found: -found[0][0])
    for found in best:
        for raw, start, text, speaker in sorted((row for _, row in found), key=lambda row: row[1]):
            yield Hit(os.fsdecode(raw), start, text, speaker, tuple(query.marks(text)))
