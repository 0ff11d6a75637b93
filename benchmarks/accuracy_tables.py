"""The accuracy's figures as tables to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks import word_times
from benchmarks.confidence import Share
from benchmarks.figures import Heard, word_errors
from benchmarks.measure import table
from benchmarks.scores import Comparison, Interval
from benchmarks.word_times import Border, TimeError

_BORDERS: tuple[Border, ...] = ("start", "end")
_PLACES = {"all": (True, False), "at a pause": (True,), "inside speech": (False,)}


def shown(interval: Interval | None, signed: bool = False) -> str:
    """A share with its interval, in percent; with a sign for a difference, in points."""
    if interval is None:
        return "-"
    value, low, high = (f"{100 * v:{'+' if signed else ''}.1f}" for v in asdict(interval).values())
    return f"{value} ({low} to {high})"


def errors_table(
    results: Sequence[Heard],
    comparisons: Sequence[Comparison],
    names: tuple[str, str] = ("ours", "whisperx"),
) -> str:
    """Word error rates of both, by these names, set by set and together, and the verdicts."""
    rows = [("WER in %", "recordings", "words", *names, "difference", "verdict")]
    for heard, comparison in zip(results, comparisons, strict=True):
        rows.append(_errors_row(heard.speech.title, [heard], comparison))
    rows.append(_errors_row("together", results, word_errors(*results)))
    return table(rows)


def _errors_row(title: str, heard: Sequence[Heard], comparison: Comparison) -> tuple[str, ...]:
    said = [words for it in heard for words in it.said]
    return (
        title,
        str(len(said)),
        str(sum(map(len, said))),
        shown(comparison.ours),
        shown(comparison.theirs),
        shown(comparison.difference, signed=True),
        verdict(comparison),
    )


def verdict(comparison: Comparison) -> str:
    """Ours is worse only if the whole interval of the difference is above 0."""
    return "ours no worse" if comparison.no_worse else "ours WORSE"


def times_rows(title: str, errors: Sequence[TimeError]) -> list[dict[str, Any]]:
    """The figures of one set, for starts and ends, at pauses and inside speech."""
    rows: list[dict[str, Any]] = []
    for border in _BORDERS:
        for where, wanted in (
            ("all", (True, False)),
            ("at a pause", (True,)),
            ("inside", (False,)),
        ):
            chosen = [e for e in errors if e.border == border and e.at_pause in wanted]
            figures = word_times.summary(chosen)
            if figures:
                rows.append({"set": title, "border": border, "where": where} | asdict(figures))
    return rows


def times_table(rows: Sequence[dict[str, Any]]) -> str:
    """Errors of word times in milliseconds."""
    heading = ("word times, ms", "border", "where", "words", "median", "90th pct.", "bias")
    lines = [
        (
            *(row["set"], row["border"], row["where"], str(row["words"])),
            *(f"{1000 * row[key]:.0f}" for key in ("median_s", "p90_s")),
            f"{1000 * row['bias_s']:+.0f}",
        )
        for row in rows
    ]
    return table([heading, *lines])


def confidence_table(bins: Sequence[Share], shares: Mapping[str, Share]) -> str:
    """Which part of the words is right, by confidence and by flag."""
    rows = [("right in %", "words", "share")]
    for number, share in enumerate(bins):
        low, high = number / len(bins), (number + 1) / len(bins)
        rows.append((f"confidence {low:.1f} to {high:.1f}", str(share.words), shown(share.right)))
    rows += [(kind, str(share.words), shown(share.right)) for kind, share in shares.items()]
    return table(rows)
