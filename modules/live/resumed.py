"""What a client that comes back gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from modules.live.events import Committed, Utterance
from modules.live.session import Session


@dataclass(frozen=True)
class Resumed:
    """``missed``: what the client was not told, to be told before what the outbox gets.

    ``session`` is None where it is over: the outbox gets where it is stored.
    """

    session: Session | None
    samples: int = 0
    seq: int = 0
    missed: Iterator[Committed | Utterance] = field(default_factory=lambda: iter(()))
