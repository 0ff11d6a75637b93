"""Who of several voices speaks when, from voice embeddings. Pure: no model and no audio.

Windows are joined to pieces by average linkage on the cosine distance, a block of them at a time,
and the pieces to speakers by the likeness of their means; so the memory needed does not grow with
the square of a recording's length. The timeline is Viterbi's best path through the speakers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.intp]

#: Windows that are clustered at once; their distances take 4 MB.
BLOCK = 1000
#: Mean cosine between windows within which they make a piece.
PIECE_LIKENESS = 0.45
#: Cosine between the means of pieces from which on they are one speaker. Measured on the voices of
#: ``benchmarks.diarization``: up to 0.68 between two people (on the phone; 0.41 in wideband), from
#: 0.90 on between the first and the last 20 windows of one.
SPEAKER_LIKENESS = 0.75
#: A piece of fewer windows is too doubtful to be a speaker of its own.
LEAST_WINDOWS = 4
#: A small group whose voice lies so near to what two others span (1: in it) is of windows in which
#: both speak, not of a third speaker; small is less than this share of the windows.
MIXTURE = 0.72
SMALL_SHARE = 0.05
#: Nor is a speaker with a smaller share of the windows than this.
LEAST_SHARE = 0.005
_REFINEMENTS = 4

#: The timeline's step in seconds.
CELL_S = 0.25
#: What a change of speaker costs, in cosine summed over cells: within speech, and at a pause.
CHANGE_WITHIN = 0.8
CHANGE_AT_PAUSE = 0.3


@dataclass(frozen=True)
class Speech:
    """A stretch of speech without a pause, in seconds, and the windows that were cut from it.

    ``first`` and ``after``: which rows of the embeddings are its windows; ``centres``: the middle
    of each, in seconds.
    """

    start: float
    end: float
    first: int
    after: int
    centres: tuple[float, ...]


def voices_of(embeddings: Floats, at_least: int = 1, at_most: int | None = None) -> Floats:
    """The speakers' mean voices, unit vectors of shape (speakers, d), from those of windows (n, d).

    No more speakers than windows are found, even if ``at_least`` asks for them.
    """
    if len(embeddings) == 0:
        return embeddings
    at_least = max(1, min(at_least, len(embeddings)))
    sums, counts = _pieces(embeddings, at_least)
    solid = counts >= LEAST_WINDOWS
    if solid.sum() < at_least:
        solid = np.argsort(np.argsort(-counts, kind="stable")) < max(at_least, int(solid.sum()))
    sums, counts = _merged(sums[solid], counts[solid], at_least, at_most)
    order = np.argsort(-counts, kind="stable")
    voices, shares = _unit(sums[order]), counts[order] / len(embeddings)
    kept = voices[:1]
    for voice, share in zip(voices[1:], shares[1:], strict=True):
        doubtful = share < LEAST_SHARE or (share < SMALL_SHARE and _is_mixture(voice, kept))
        if not doubtful or len(kept) < at_least:
            kept = np.vstack([kept, voice])
    return _refined(embeddings, kept)


def _is_mixture(voice: Floats, others: Floats) -> bool:
    """True if the voice is made up of two of the others."""
    likeness = others @ voice
    for one, other in itertools.combinations(range(len(others)), 2):
        pair = others[[one, other]]
        parts = np.linalg.solve(pair @ pair.T + 1e-6 * np.eye(2), likeness[[one, other]])
        if (parts > 0).all() and likeness[[one, other]] @ parts > MIXTURE**2:
            return True
    return False


def _pieces(embeddings: Floats, at_least: int) -> tuple[Floats, Labels]:
    """Sums and numbers of the windows of each piece, at least so many pieces."""
    sums, counts = [], []
    for block in np.array_split(embeddings, math.ceil(len(embeddings) / BLOCK)):
        labels = _linked(block, at_least)
        for label in range(1, int(labels.max()) + 1):
            members = block[labels == label]
            sums.append(members.sum(axis=0))
            counts.append(len(members))
    return np.stack(sums), np.asarray(counts, dtype=np.intp)


def _linked(block: Floats, at_least: int) -> Labels:
    """Labels from 1 on by average linkage."""
    if len(block) == 1:
        return np.ones(1, dtype=np.intp)
    tree = linkage(block, "average", metric="cosine")
    labels = fcluster(tree, 1 - PIECE_LIKENESS, "distance")
    if labels.max() < at_least:
        labels = fcluster(tree, at_least, "maxclust")
    return np.asarray(labels, dtype=np.intp)


def _merged(
    sums: Floats, counts: Labels, at_least: int, at_most: int | None
) -> tuple[Floats, Labels]:
    """Join the two most alike pieces again and again while they are one speaker, or too many."""
    while len(sums) > at_least:
        voices = _unit(sums)
        likeness = voices @ voices.T
        np.fill_diagonal(likeness, -1.0)
        one, other = sorted(divmod(int(likeness.argmax()), len(sums)))
        too_many = at_most is not None and len(sums) > max(at_most, at_least)
        if likeness[one, other] < SPEAKER_LIKENESS and not too_many:
            break
        sums, counts = sums.copy(), counts.copy()
        sums[one] += sums[other]
        counts[one] += counts[other]
        sums, counts = np.delete(sums, other, axis=0), np.delete(counts, other)
    return sums, counts


def _refined(embeddings: Floats, voices: Floats) -> Floats:
    """Spherical k-means from these voices; one that loses all its windows stays as it was."""
    for _ in range(_REFINEMENTS):
        nearest = (embeddings @ voices.T).argmax(axis=1)
        sums = np.stack(
            [
                embeddings[nearest == k].sum(axis=0) if (nearest == k).any() else voices[k]
                for k in range(len(voices))
            ]
        )
        voices = _unit(sums)
    return voices


def _unit(rows: Floats) -> Floats:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(norms, 1e-9), dtype=np.float32)


def timeline(
    stretches: Sequence[Speech], embeddings: Floats, voices: Floats
) -> list[tuple[float, float, int]]:
    """(start, end, speaker) in seconds, in order, without overlap; nothing outside the speech."""
    if not len(voices) or not stretches:
        return []
    likeness = embeddings @ voices.T
    cells = [_cells(stretch, likeness) for stretch in stretches]
    costs = [_costs(len(part)) for part in cells]
    path = _best_path(np.concatenate(cells), np.concatenate(costs))
    spoken: list[tuple[float, float, int]] = []
    position = 0
    for stretch, part in zip(stretches, cells, strict=True):
        spoken += _runs(stretch, path[position : position + len(part)])
        position += len(part)
    return spoken


def _cells(stretch: Speech, likeness: Floats) -> Floats:
    """Likeness to each speaker, cell by cell, from the windows around: shape (cells, speakers).

    A window counts the less the farther its middle is; a stretch without windows says nothing.
    """
    count = max(1, round((stretch.end - stretch.start) / CELL_S))
    if not stretch.centres:
        return np.zeros((count, likeness.shape[1]), dtype=np.float32)
    middles = stretch.start + (np.arange(count) + 0.5) * (stretch.end - stretch.start) / count
    distance = np.abs(middles[:, None] - np.asarray(stretch.centres)[None, :])
    weight = np.maximum(0.75 - distance, 0.0)
    # Where no window is near, as at the ends, the nearest one speaks.
    weight[np.arange(count), distance.argmin(axis=1)] += 1e-3
    weight /= weight.sum(axis=1, keepdims=True)
    return np.asarray(weight @ likeness[stretch.first : stretch.after], dtype=np.float32)


def _costs(count: int) -> Floats:
    """What a change of speaker costs before each cell of a stretch."""
    costs = np.full(count, CHANGE_WITHIN, dtype=np.float32)
    costs[0] = CHANGE_AT_PAUSE
    return costs


def _best_path(scores: Floats, costs: Floats) -> Labels:
    """The speaker of each cell that gives the greatest sum of scores less costs (Viterbi)."""
    total = scores[0].copy()
    came_from = np.zeros(scores.shape, dtype=np.int16)
    stay = np.arange(scores.shape[1], dtype=np.int16)
    for cell in range(1, len(scores)):
        best = int(total.argmax())
        changed = total[best] - costs[cell] > total
        came_from[cell] = np.where(changed, best, stay)
        total = np.where(changed, total[best] - costs[cell], total) + scores[cell]
    path = np.zeros(len(scores), dtype=np.intp)
    path[-1] = int(total.argmax())
    for cell in range(len(scores) - 1, 0, -1):
        path[cell - 1] = came_from[cell, path[cell]]
    return path


def _runs(stretch: Speech, path: Labels) -> list[tuple[float, float, int]]:
    """The stretch cut where the speaker changes."""
    edges = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), len(path)]
    step = (stretch.end - stretch.start) / len(path)
    return [
        (stretch.start + a * step, stretch.start + b * step, int(path[a]))
        for a, b in itertools.pairwise(edges)
    ]
