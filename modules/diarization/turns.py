"""Stretches of speech to turns: windows over them, pauses bridged, speakers named in order."""

from __future__ import annotations

from collections.abc import Sequence

from modules.audio.chunking import SAMPLE_RATE
from modules.transcript.model import Turn

#: What speaks of one voice: a window, and how far the next one is.
WINDOW_S = 1.5

HOP_S = 0.75

#: A shorter stretch says nothing of a voice; its neighbours decide.
LEAST_SPEECH_S = 0.3

#: A speaker's turn goes on over a pause up to this.
PAUSE_S = 0.5

#: A shorter turn amid one other speaker's is taken for a slip.
FLICKER_S = 0.5


def windows(begin: int, end: int) -> list[tuple[int, int]]:
    """Windows in samples that cover a stretch; the whole stretch if it is shorter than one."""
    size, hop = int(WINDOW_S * SAMPLE_RATE), int(HOP_S * SAMPLE_RATE)
    if end - begin < int(LEAST_SPEECH_S * SAMPLE_RATE):
        return []
    if end - begin <= size:
        return [(begin, end)]
    starts = [*range(begin, end - size, hop), end - size]
    return [(start, start + size) for start in starts]


def joined(spoken: Sequence[tuple[float, float, int]]) -> list[tuple[float, float, str]]:
    """Stretches in order, those of one speaker joined over short pauses, slips taken out."""
    merged = _bridged(spoken)
    for index in range(1, len(merged) - 1):
        before, it, after = merged[index - 1 : index + 2]
        amid = it[0] - before[1] <= PAUSE_S and after[0] - it[1] <= PAUSE_S
        if amid and it[1] - it[0] < FLICKER_S and before[2] == after[2]:
            merged[index] = (it[0], it[1], before[2])
    return [(start, end, str(speaker)) for start, end, speaker in _bridged(merged)]


def _bridged(spoken: Sequence[tuple[float, float, int]]) -> list[tuple[float, float, int]]:
    merged: list[tuple[float, float, int]] = []
    for start, end, speaker in spoken:
        if merged and merged[-1][2] == speaker and start - merged[-1][1] <= PAUSE_S:
            merged[-1] = (merged[-1][0], end, speaker)
        else:
            merged.append((start, end, speaker))
    return merged


def named(spoken: Sequence[tuple[float, float, str]]) -> list[Turn]:
    """Turns sorted by start; SPEAKER_00 is the first to speak, SPEAKER_01 the next."""
    names: dict[str, str] = {}
    return [
        Turn(
            start=round(start, 3),
            end=round(end, 3),
            speaker=names.setdefault(speaker, f"SPEAKER_{len(names):02d}"),
        )
        for start, end, speaker in sorted(spoken)
        if end > start
    ]
