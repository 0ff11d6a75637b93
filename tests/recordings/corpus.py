"""All odd recordings, one row a file."""

from __future__ import annotations

from tests.recordings import channels, containers, headers, languages, levels, times, tracks
from tests.recordings.row import Row

ROWS: tuple[Row, ...] = (
    *containers.ROWS,
    *tracks.ROWS,
    *channels.ROWS,
    *levels.ROWS,
    *headers.ROWS,
    *times.ROWS,
    *languages.ROWS,
)
