"""What a recording of the corpus is: how it is made, who met its like, and what is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.recordings.sound import said

RU, QUEUE, EN = said("ru"), said("queue"), said("en")
#: A word or two of seventeen.
NEARLY_RIGHT = 0.13
#: What a telephone, a codec or noise leaves: a few words wrong, but never a sentence.
STILL_RIGHT = 0.3


@dataclass(frozen=True)
class Row:
    """One file. ``kind``: what is odd about it; ``met``: where people met it.

    ``text``: what is said; empty if nothing is. ``wrong``: the highest word error rate.
    ``times``: (beginning of a word, second at which it begins, by how much it may differ).
    ``notes``: parts of ``metadata.notes`` that must be there; ``absent``: that must not.
    ``left_out``: (what, beginning of its label, why), all of them. ``languages``: of the segments,
    in order. ``warnings``: all of their codes. ``red``: why it is not right yet. ``heard``: whether
    a model hears it; of the others ``tests/unit/audio/test_odd_files.py`` looks at the sound.
    """

    name: str
    kind: str
    met: str
    make: Callable[[], bytes]
    text: str = RU
    wrong: float = NEARLY_RIGHT
    times: tuple[tuple[str, float, float], ...] = ()
    duration_s: float | None = None
    notes: tuple[str, ...] = ()
    absent: tuple[str, ...] = ("partial: ", "no speech was found")
    left_out: tuple[tuple[str, str, str], ...] = ()
    languages: tuple[str, ...] = ("ru",)
    warnings: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    red: str = ""
    heard: bool = True
