"""All hostile files together."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile.bombs import bombs
from tests.hostile.case import Case
from tests.hostile.headers import headers
from tests.hostile.names import names
from tests.hostile.playlists import playlists
from tests.hostile.polyglots import polyglots
from tests.hostile.strangers import strangers
from tests.hostile.truncations import truncations


def corpus(outside: str, inside: str, port: int) -> Iterator[Case]:
    """Every one, the same in every run but for what the playlists point to."""
    yield from truncations()
    yield from headers()
    yield from bombs()
    yield from playlists(outside, inside, port)
    yield from strangers()
    yield from polyglots()
    yield from names()
