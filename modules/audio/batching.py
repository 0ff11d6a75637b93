"""Which chunks go through the model together. Pure.

A chunk's text must not depend on what else is in its batch: a run that goes on from a checkpoint
makes up other batches than an undisturbed one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from modules.audio.chunking import MAX_CHUNK_S, AudioChunk


def batches(
    stream: Iterator[AudioChunk],
    size: Callable[[AudioChunk], int],
    joins: Callable[[AudioChunk], bool],
) -> Iterator[list[AudioChunk]]:
    """The chunks in order, in lists of ``size``, which is asked for the first chunk of each.

    The first with speech stands alone: it tells the language, and its text is wanted soon. So does
    each that does not join others.
    """
    batch: list[AudioChunk] = []
    room, first = 1, True
    for chunk in stream:
        alone = first or not joins(chunk)
        if batch and alone:
            yield batch
            batch = []
        if not batch:
            room = 1 if alone else size(chunk)
        batch.append(chunk)
        if len(batch) >= room:
            yield batch
            batch = []
        first = first and not len(chunk.samples)
    if batch:
        yield batch


def fair_share(left_s: float | None, streams: int, most: int) -> int:
    """How many chunks a stream may take of ``left_s`` seconds of sound: at most ``most``, and few
    towards the end, so that all streams are busy until then. None: not known.
    """
    if left_s is None:
        return most
    return max(1, min(most, math.ceil(left_s / MAX_CHUNK_S / (1.5 * streams))))
