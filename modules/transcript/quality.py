"""Detect text that Whisper invented or is unsure of. Pure.

Whisper was trained on subtitles. For silence, music and noise it tends to write what subtitles have
there: credits, descriptions of sounds, thanks for watching. Where speech is hard to understand, its
text repeats itself.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from modules.transcript.known_lines import is_sound, known_line, letters_of
from modules.transcript.model import Flag, Word

#: OpenAI's own limits, from the recipe in ``whisper/transcribe.py``.
MAX_COMPRESSION_RATIO = 2.4
MIN_AVG_LOGPROB = -1.0
MIN_NO_SPEECH_PROB = 0.6
_TEMPERATURE_STEP = 0.2

#: A text repeats itself from this many times in a row and this many words in all.
_MIN_REPEATS, _MIN_LOOP_WORDS, _MAX_PERIOD = 4, 8, 12
#: A word is outside speech if less than this share of it overlaps any speech.
_MIN_OVERLAP = 0.1

#: Nobody says a word in so little detected speech, in seconds: music and noise have such moments.
_HARDLY_S = 0.25

#: Nobody says more letters a second; around a text this much speech may be its own, in seconds.
_MOST_LETTERS_PER_S, _AROUND_S = 30.0, 0.5


@dataclass(frozen=True)
class DecodingScores:
    """Whisper's own scores of a text; None where it gave no number."""

    text: str
    temperature: float
    avg_logprob: float | None
    no_speech_prob: float | None
    #: Whether the text was cut off at the limit of tokens.
    truncated: bool = False

    @property
    def compression_ratio(self) -> float:
        return round(compression_ratio(self.text.strip()), 3)

    @property
    def unsure(self) -> bool:
        return self.avg_logprob is None or self.avg_logprob < MIN_AVG_LOGPROB

    @property
    def sounds_silent(self) -> bool:
        """By Whisper's recipe: no speech was detected, and the probability of the text is low."""
        silence = self.no_speech_prob or 0.0
        return silence > MIN_NO_SPEECH_PROB and self.unsure

    @property
    def repeats_itself(self) -> bool:
        return self.compression_ratio > MAX_COMPRESSION_RATIO or has_loop(self.text.split())

    @property
    def overflows(self) -> bool:
        """Whether the chunk has more text than the limit of tokens allows."""
        return self.truncated and not self.repeats_itself

    @property
    def should_retry(self) -> bool:
        """Whether another temperature may give a better text, by Whisper's recipe."""
        return (self.repeats_itself or self.unsure) and not self.sounds_silent


def compression_ratio(text: str) -> float:
    """As Whisper defines it: bytes of the text over its bytes when compressed; high if it repeats
    itself, 0 without text."""
    content = text.encode(errors="replace")
    return len(content) / len(zlib.compress(content)) if content else 0.0


def temperatures(doubtful: DecodingScores) -> list[float]:
    """The temperatures to try instead, those of Whisper's recipe.

    A text that repeats itself may need any of them. Where only the probability is low, only the
    next one is tried: for 5 such chunks of noisy speech, no higher one raised the probability.
    """
    step = math.floor(doubtful.temperature / _TEMPERATURE_STEP + 1e-6) + 1
    higher = [round(n * _TEMPERATURE_STEP, 1) for n in range(step, 6)]
    return higher if doubtful.repeats_itself else higher[:1]


def best(tried: Sequence[DecodingScores]) -> int:
    """The index of the best doubtful text: the most probable one that does not repeat itself."""
    usable = [i for i, one in enumerate(tried) if not one.repeats_itself]
    return max(usable or range(len(tried)), key=lambda i: _known(tried[i].avg_logprob))


def _known(number: float | None) -> float:
    return -math.inf if number is None else number


def has_loop(words: Sequence[str]) -> bool:
    """Whether the same few words are repeated over and over without a break."""
    plain = [re.sub(r"\W", "", word).lower() for word in words]
    for period in range(1, _MAX_PERIOD + 1):
        run = 0
        for i in range(period, len(plain)):
            run = run + 1 if plain[i] == plain[i - period] else 0
            if run + period >= max(_MIN_REPEATS * period, _MIN_LOOP_WORDS):
                return True
    return False


def is_credit(text: str) -> bool:
    """Whether only subtitles have such a line: credits, or a sound in capitals or brackets."""
    known = known_line(text)
    return is_sound(text) or (known is not None and known.kind == "credit")


def is_polite(text: str) -> bool:
    """Whether it is a line that people may say and Whisper also invents."""
    known = known_line(text)
    return known is not None and known.kind != "credit"


def outside(words: Sequence[Word], speech: Sequence[tuple[float, float]]) -> bool:
    """Whether no word overlaps detected speech; times in seconds of the recording."""
    timed = [(w.start, w.end) for w in words if w.start is not None and w.end is not None]
    return bool(timed) and not any(
        _overlap(start, end, speech) >= _MIN_OVERLAP * max(end - start, 0.02)
        for start, end in timed
    )


def _overlap(start: float, end: float, speech: Sequence[tuple[float, float]]) -> float:
    """Seconds of speech within a span; a span without length counts as 20 ms."""
    end = max(end, start + 0.02)
    return sum(max(0.0, min(end, b) - max(start, a)) for a, b in speech)


def _is_crammed(text: str, words: Sequence[Word], speech: Sequence[tuple[float, float]]) -> bool:
    """Whether there is less detected speech than the text takes to say, however fast."""
    spoken_s = _spoken_around_s(words, speech)
    return spoken_s is not None and letters_of(text) > _MOST_LETTERS_PER_S * spoken_s


def is_hardly_spoken(words: Sequence[Word], speech: Sequence[tuple[float, float]]) -> bool:
    """Whether there is less detected speech around the words than a single one takes."""
    spoken_s = _spoken_around_s(words, speech)
    return spoken_s is not None and spoken_s < _HARDLY_S


def _spoken_around_s(words: Sequence[Word], speech: Sequence[tuple[float, float]]) -> float | None:
    """Seconds of detected speech that may be the words' own; None if no word has times."""
    timed = [(w.start, w.end) for w in words if w.start is not None and w.end is not None]
    if not timed:
        return None
    return _overlap(timed[0][0] - _AROUND_S, timed[-1][1] + _AROUND_S, speech)


def flags(
    scores: DecodingScores, text: str, words: Sequence[Word], speech: Sequence[tuple[float, float]]
) -> tuple[Flag, ...]:
    """Why a segment's text is doubtful; empty if it is not.

    ``scores`` are those of the chunk that contains the segment.
    """
    known = known_line(text)
    silence = scores.no_speech_prob or 0.0
    silent = scores.sounds_silent or silence > 0.9
    away = outside(words, speech) or (known is not None and _is_crammed(text, words, speech))
    doubtful = silent or away or scores.unsure
    if known is not None and known.kind == "perhaps":
        doubtful = doubtful or known.repeated or silence > MIN_NO_SPEECH_PROB
    found: dict[Flag, bool] = {
        "repetition": scores.repeats_itself or has_loop(text.split()),
        "low_probability": scores.unsure,
        "no_speech": silent,
        "outside_speech": away,
        "filler": is_credit(text) or (known is not None and doubtful),
    }
    return tuple(flag for flag, holds in found.items() if holds)


def is_invented(text: str, found: Sequence[Flag], scores: DecodingScores) -> bool:
    """Whether two signs agree that this was not said; with one sign it is only doubtful.

    That nothing else stands in the segment is the second sign for a line that only subtitles have.
    For a credit that somebody could say it is what made it a ``filler``.
    """
    known = known_line(text)
    if is_credit(text):
        return True
    if known is None or "filler" not in found:
        return False
    return known.kind == "perhaps" or scores.sounds_silent or "outside_speech" in found
