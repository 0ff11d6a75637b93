"""Whether what the child says of a session can be true. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from modules.errors import WorkerError, noted
from modules.transcript.model import Word

#: Nobody says more, in words a second; and so many at once, for short sessions.
_WORDS_PER_S, _WORDS_AT_ONCE = 20, 200
_WORD_CHARS, _TEXT_CHARS = 200, 20_000
#: Times are rounded, and a word may end a little after the sound that it was heard in.
_TOLERANCE_S = 2.0


def check_words(words: Sequence[Word], said: int, received_s: float) -> None:
    """Raises WorkerError. ``said``: how many words of the session there were before."""
    if said + len(words) > _WORDS_AT_ONCE + _WORDS_PER_S * received_s:
        raise _implausible(f"{said + len(words)} words in {received_s:.0f} s")
    for word in words:
        if len(word.word) > _WORD_CHARS:
            raise _implausible(f"a word of {len(word.word)} characters")
        for time_s in (word.start, word.end):
            if time_s is not None:
                check_time(time_s, received_s)


def check_time(time_s: float, received_s: float) -> None:
    """Raises WorkerError."""
    if not -_TOLERANCE_S <= time_s <= received_s + _TOLERANCE_S:
        raise _implausible(f"a word at {time_s:.0f} s, of {received_s:.0f} s of sound")


def check_text(text: str) -> None:
    """Raises WorkerError."""
    if len(text) > _TEXT_CHARS:
        raise _implausible(f"an utterance of {len(text)} characters")


def _implausible(what: str) -> WorkerError:
    return WorkerError(
        "implausible_output", noted("WhisperX said of a live session: {what}.", what=what)
    )
