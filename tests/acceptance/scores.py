"""How right a transcript is, over many recordings."""

from __future__ import annotations

from collections.abc import Iterable

from tests.speech import normalised, word_error_rate


def total_word_error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """Wrong words of all recordings over the words of all references; pairs are (said, heard)."""
    errors = words = 0.0
    for reference, hypothesis in pairs:
        count = len(normalised(reference).split())
        errors += word_error_rate(reference, hypothesis) * count
        words += count
    return errors / words
