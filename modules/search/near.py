"""Which stems are close enough to be the same word, mistyped or with another vowel. Pure."""

from __future__ import annotations

from collections.abc import Iterator

#: Stand around a stem, so that its first and last letters have trigrams of their own.
BEGINS, ENDS = "^", "$"
_VOWELS = frozenset("аеиоуыэюяaeiouy")
_SHORTEST, _SUBSTITUTED_FROM, _TWICE_FROM = 3, 5, 7
#: Longer ones are found by their first letters alone.
_TRIGRAMS_MAX = 24


def trigrams(stem: str) -> Iterator[str]:
    """All stretches of three letters."""
    padded = f"{BEGINS}{stem}{ENDS}"[: _TRIGRAMS_MAX + 2]
    return (padded[at : at + 3] for at in range(len(padded) - 2))


def is_near(stem: str, other: str) -> bool:
    """Whether two stems may be meant alike.

    One letter may be wrong, missing, too many or exchanged with its neighbour; two in long words.
    Short words differ by a vowel that comes and goes only: "дом" is not "том".
    """
    short, long = sorted((stem, other), key=len)
    if len(short) < _SHORTEST:
        return False
    if len(short) < _SUBSTITUTED_FROM:
        return len(long) == len(short) + 1 and _is_with_vowel(short, long)
    return distance(short, long) <= (2 if len(long) >= _TWICE_FROM else 1)


def _is_with_vowel(short: str, long: str) -> bool:
    return any(
        letter in _VOWELS and long[:at] + long[at + 1 :] == short for at, letter in enumerate(long)
    )


def distance(a: str, b: str) -> int:
    """How many letters have to be changed, added, removed or exchanged with their neighbour."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        before, last, row = row, before, [i]
        for j, other in enumerate(b, 1):
            best = min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                best = min(best, last[j - 2] + 1)
            row.append(best)
    return row[-1]
