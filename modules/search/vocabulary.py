"""The stems of all texts in the index, found by their letters where a query has a small mistake."""

from __future__ import annotations

import sqlite3
from collections.abc import Set as AbstractSet

from modules.search.near import BEGINS, ENDS, trigrams

SCHEMA = (
    "CREATE TABLE vocabulary (id INTEGER PRIMARY KEY, stem TEXT NOT NULL UNIQUE)",
    "CREATE VIRTUAL TABLE grams USING fts5 (stem, content='', tokenize='trigram')",
)
_LEARN = "INSERT OR IGNORE INTO vocabulary (stem) VALUES (?)"
_LEARNT = "SELECT coalesce(max(id), 0) FROM vocabulary"
_SPELL = "INSERT INTO grams (rowid, stem) SELECT id, ? || stem || ? FROM vocabulary WHERE id > ?"
_IS_SAID = "SELECT 1 FROM segments WHERE segments MATCH ? LIMIT 1"
_KNOWN = "SELECT id FROM vocabulary WHERE stem = ?"
_FORGET = "DELETE FROM vocabulary WHERE id = ?"
_UNSPELL = "INSERT INTO grams (grams, rowid, stem) VALUES ('delete', ?, ?)"
_ALIKE = (
    "SELECT v.stem FROM grams AS g JOIN vocabulary AS v ON v.id = g.rowid "
    "WHERE g.grams MATCH ? ORDER BY g.rank LIMIT ?"
)


def learn(database: sqlite3.Connection, stems: AbstractSet[str]) -> None:
    """Those that are not known yet."""
    (known,) = database.execute(_LEARNT).fetchone()
    database.executemany(_LEARN, ((stem,) for stem in sorted(stems)))
    database.execute(_SPELL, (BEGINS, ENDS, known))


def forget(database: sqlite3.Connection, stems: AbstractSet[str]) -> None:
    """Those that no segment has any more: who deletes a text wants its words gone."""
    for stem in sorted(stems):
        quoted = stem.replace('"', '""')
        if database.execute(_IS_SAID, (f'"{quoted}"',)).fetchone():
            continue
        if found := database.execute(_KNOWN, (stem,)).fetchone():
            database.execute(_FORGET, found)
            database.execute(_UNSPELL, (*found, f"{BEGINS}{stem}{ENDS}"))


def alike(database: sqlite3.Connection, *, stem: str, most: int) -> list[str]:
    """Stems that share letters with one, the likeliest first."""
    grams = " OR ".join(f'"{gram}"' for gram in trigrams(stem))
    if not grams:
        return []
    return [str(found) for (found,) in database.execute(_ALIKE, (grams, most))]
