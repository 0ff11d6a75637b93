"""Recordings cut off at every structural place: where a part begins, in its header, inside it."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile.case import Case, either, refused, result, text
from tests.hostile.sound import beep, speech_and_beep
from tests.hostile.structure import Part, find, parts

#: So many cuts for each part: more where a format has few parts.
_ALL_CUTS = ("wav", "mp3", "flac", "ogg", "ts", "aac", "amr", "avi", "aiff", "wma")
_INSIDE = ("m4a", "mp4", "mkv")
#: The share of a file after which its speech is over and its tone is not; in no form it is where
#: a frame ends, since nobody could tell then.
_IN_THE_TONE = 0.86
#: Forms in which what was there before the cut is heard, and the cut is seen.
_KEEP_SPEECH = ("wav", "mp3", "ogg", "mkv", "mp4")
_KEEP_SOUND = ("flac", "webm", "aac", "amr", "avi", "aiff")


def truncations() -> Iterator[Case]:
    """All of them."""
    for form in _ALL_CUTS + _INSIDE:
        for part in parts(form, beep(form)):
            for place, length in _cuts(form, part):
                yield either(f"cut-{form}-{part.label}-{place}.{form}", beep(form)[:length])
    for form in _KEEP_SPEECH:
        yield text(f"cut-late-{form}.{form}", _late(speech_and_beep(form)), partial=True)
    for form in _KEEP_SOUND:
        yield result(f"cut-late-{form}.{form}", _late(beep(form, 5.0)), partial=True)
    yield from _without_index()


def _late(data: bytes) -> bytes:
    return data[: round(len(data) * _IN_THE_TONE)]


def _cuts(form: str, part: Part) -> Iterator[tuple[str, int]]:
    inside = (part.start + part.head + part.end) // 2
    if form in _INSIDE:
        # Those have so many parts that the end of one is the beginning of the next.
        yield "inside", inside
        return
    if part.start:
        yield "before", part.start
    yield "header", part.start + part.head // 2
    yield "inside", inside


def _without_index() -> Iterator[Case]:
    """What a telephone leaves whose battery ran out: the sound, and no ``moov``."""
    data = speech_and_beep("m4a")
    moov = find("m4a", data, "moov").start
    yield refused("cut-m4a-no-index.m4a", data[:moov], "unfinished_file")
    yield refused("cut-m4a-half-index.m4a", data[: moov + 100], "unfinished_file")
    # Matroska's index is at its end too, and nobody needs it.
    whole = beep("mkv")
    cues = find("mkv", whole, "1c53bb6b").start
    yield result("cut-mkv-no-index.mkv", whole[:cues])
