"""Is a word with confidence 0.8 right in eight of ten cases? Shares by bin, and their picture.

A word is right if the alignment finds it in the reference; words that are missing from our text
have no confidence and do not count. Clusters are what the bootstrap draws: the words of one
recording, or of one block of a long one, since errors come together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.scores import Interval, rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 10
Z95 = 1.959964


@dataclass(frozen=True)
class Judged:
    """One word of ours: whether it was said, and whether its segment is flagged as doubtful."""

    confidence: float | None
    right: bool
    doubtful: bool


@dataclass(frozen=True)
class Share:
    """How many words there are of a kind, and which part of them is right; None if none are."""

    words: int
    right: Interval | None


Cluster = Sequence[Judged]


def share_right(clusters: Sequence[Cluster], wanted: Callable[[Judged], bool]) -> Share:
    """Which part of the wanted words is right."""
    counts = []
    for cluster in clusters:
        chosen = [word.right for word in cluster if wanted(word)]
        counts.append((sum(chosen), len(chosen)))
    right, words = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    return Share(words, _wider(rate(counts), wilson(right, words)) if words else None)


def wilson(right: int, words: int) -> tuple[float, float]:
    """The 95 % interval of a share of words that know nothing of each other.

    Where few words are all right or all wrong, the bootstrap would claim to be certain.
    """
    share, weight = right / words, Z95**2 / words
    middle = (share + weight / 2) / (1 + weight)
    half = Z95 * math.sqrt(share * (1 - share) / words + weight / words / 4) / (1 + weight)
    return middle - half, middle + half


def _wider(interval: Interval, limits: tuple[float, float]) -> Interval:
    low, high = min(interval.low, limits[0]), max(interval.high, limits[1])
    return Interval(interval.value, max(0.0, low), min(1.0, high))


def bin_of(confidence: float) -> int:
    """Which tenth it lies in; 1.0 is in the last one. A border belongs to the upper bin."""
    return min(int(confidence * BINS + 1e-9), BINS - 1)


def reliability(clusters: Sequence[Cluster]) -> list[Share]:
    """A share for each tenth of the confidence, from 0 to 1."""

    def in_bin(number: int) -> Callable[[Judged], bool]:
        return lambda word: word.confidence is not None and bin_of(word.confidence) == number

    return [share_right(clusters, in_bin(number)) for number in range(BINS)]


def draw(bins: Sequence[Share], target: Path) -> None:
    """The reliability curve with its counts as an SVG that is the same for the same figures."""
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 6), layout="constrained")
    curve, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _draw_curve(curve, bins)
    counts.bar(_middles(), [share.words for share in bins], width=0.08, color="tab:gray")
    counts.set(xlabel="confidence of the word", ylabel="words", yscale="symlog", xlim=(0, 1))
    with matplotlib.rc_context({"svg.hashsalt": "confidence", "svg.fonttype": "none"}):
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})


def _draw_curve(axes: Axes, bins: Sequence[Share]) -> None:
    axes.plot((0, 1), (0, 1), linestyle=":", color="tab:gray", label="confidence is the share")
    points = [(m, s.right) for m, s in zip(_middles(), bins, strict=True) if s.right]
    values = [right.value for _, right in points]
    below = [max(0.0, right.value - right.low) for _, right in points]
    above = [max(0.0, right.high - right.value) for _, right in points]
    axes.errorbar([m for m, _ in points], values, (below, above), marker="o", label="measured")
    axes.set(ylabel="share that is right", ylim=(0, 1.02))
    axes.legend(loc="lower right")


def _middles() -> list[float]:
    return [(number + 0.5) / BINS for number in range(BINS)]
