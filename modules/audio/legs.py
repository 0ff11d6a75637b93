"""A telephone call in stereo: each channel is a leg of its own, with a speaker of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

from modules.audio.chunking import AudioChunk
from modules.audio.mixing import Detector, as_loud, correlation, seconds_of
from modules.audio.resampler import Samples

#: From this correlation on, two channels carry the same sound, whatever is asked for.
_SAME = 0.98
#: A channel with less speech than this, in seconds, is no leg.
_SPEAKS_S = 0.3


def why_not_apart(pieces: Iterable[Samples], detect: Detector | None) -> str | None:
    """Why two channels are no two legs; None if both speak, and not with the same sound.

    ``pieces``: both channels, shape ``(2, n)``, of up to a minute each. No more of them is read
    than is needed to tell.
    """
    spoken_s = [0.0, 0.0]
    differ = False
    for lines in pieces:
        alike = correlation(lines[0], lines[1])
        if alike is not None and abs(alike) >= _SAME:
            continue
        differ = True
        for channel in (0, 1):
            if spoken_s[channel] < _SPEAKS_S:
                spoken_s[channel] += _speech_s(lines[channel], detect)
        if min(spoken_s) >= _SPEAKS_S:
            return None
    if not differ:
        return "both channels have the same sound"
    silent = [name for name, s in zip(("left", "right"), spoken_s, strict=True) if s < _SPEAKS_S]
    return f"there is no speech in the {' and the '.join(silent)} channel"


def _speech_s(line: Samples, detect: Detector | None) -> float:
    if not line.any():
        return 0.0
    return seconds_of(detect(as_loud(line))) if detect else len(line)


def apart(pieces: Iterator[Samples]) -> tuple[Iterator[Samples], Iterator[Samples]]:
    """Two channels, shape ``(2, n)``, as two streams. What one has not taken yet is held for it."""
    waiting: tuple[deque[Samples], deque[Samples]] = (deque(), deque())

    def channel(number: int) -> Iterator[Samples]:
        while True:
            if not waiting[number]:
                piece = next(pieces, None)
                if piece is None:
                    return
                for held, line in zip(waiting, piece, strict=True):
                    held.append(line.copy())
            yield waiting[number].popleft()

    return channel(0), channel(1)


def in_turns(
    legs: Sequence[Iterator[AudioChunk]], starts: tuple[float, float]
) -> Iterator[AudioChunk]:
    """The chunks of both legs, next always the one of the leg that is least far.

    ``starts``: where each begins. Nothing else decides, so a run that goes on from a checkpoint
    takes the same turns as an undisturbed one, and neither leg is ever far behind.
    """
    positions = list(starts)
    running: set[Literal[0, 1]] = {0, 1}
    while running:
        leg = min(running, key=lambda number: (positions[number], number))
        chunk = next(legs[leg], None)
        if chunk is None:
            running.remove(leg)
            continue
        positions[leg] = chunk.position_s
        yield replace(chunk, leg=leg)
