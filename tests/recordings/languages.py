"""Rows 22 and 23: a language that is not the one that was set, and one that changes."""

from __future__ import annotations

from functools import partial

from tests.recordings.row import EN, QUEUE, RU, Row
from tests.recordings.sound import Samples, joined, spoken, zeros
from tests.recordings.waves import pcm, wav
from tests.recordings.writing import Track, written


def _wav(*names: str, pause_s: float = 0.6) -> bytes:
    return wav(pcm(_in_turn(*names, pause_s=pause_s)))


def _in_turn(*names: str, pause_s: float = 0.6) -> Samples:
    parts = [part for name in names for part in (spoken(name), zeros(pause_s))]
    return joined(*parts[:-1])


_CHANGE = partial(Row, kind="the language changes", met="SubtitleEdit#10101")
_WRONG = partial(Row, kind="the language that was set is wrong", met="tried by hand")

ROWS = (
    _CHANGE(
        "ru-then-en.wav",
        make=lambda: _wav("ru", "en"),
        text=f"{RU} {EN}",
        languages=("ru", "en"),
    ),
    _CHANGE(
        "ru-then-en-auto.wav",
        make=lambda: _wav("ru", "en"),
        text=f"{RU} {EN}",
        languages=("ru", "en"),
        settings={"language": "auto"},
    ),
    _CHANGE(
        "en-then-ru.opus",
        make=lambda: written("ogg", [Track(_in_turn("en", "ru"), "libopus")]),
        text=f"{EN} {RU}",
        languages=("en", "ru"),
        settings={"language": "en"},
    ),
    _CHANGE(
        "ru-en-ru.mp3",
        make=lambda: written("mp3", [
            Track(_in_turn("queue", "en", "ru", pause_s=0.8), "libmp3lame", 44_100),
        ]),
        text=f"{QUEUE} {EN} {RU}",
        languages=("ru", "en", "ru"),
    ),
    _WRONG(
        "english-set-to-russian.wav",
        make=lambda: _wav("en"),
        text=EN,  # of language ru still: that is what it was heard as
        warnings=("other_language",),
    ),
)  # fmt: skip
