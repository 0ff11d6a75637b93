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

#: Credits of subtitles, with a name. They are never part of speech.
_CREDITS = re.compile(
    r"\W*(?i:субтитр\w* (?:сделал|делал|создавал|подогнал|добавил)|редактор субтитров"
    r"|субтитры и корректор|корректор|sous-titrage|untertitel im auftrag des)"
    r"\s+[A-ZА-ЯЁ][\w.]*.{0,60}"
    r"|.{0,60}(?i:dimatorzok|amara\.org|castingwords|transcribed by https?:).{0,40}"
)
#: Credits that could also be the beginning of a spoken sentence.
_CREDITS_PERHAPS = re.compile(
    r"\W*(?:субтитры|subtitles by|subtitled by|captions by|captioning by|sous-titr\w+ par"
    r"|untertitel von|sottotitoli a cura|subtítulos por)\b",
    re.IGNORECASE,
)
#: A sound as subtitles describe it, in capitals or in brackets: "ТРЕВОЖНАЯ МУЗЫКА", "[Music]".
_SOUNDS = (
    r"(?:\w+\s+){0,2}(?:музык\w*|звонок|звон|звуки?|аплодисменты|смех|стук|шум|выстрелы?|тишина"
    r"|заставка|music|applause|laughter|beep\w*|silence)(?:\s+(?:playing|\w+ая|\w+ий))?"
)
_SOUND = re.compile(rf"\W*{_SOUNDS}(?:\W+{_SOUNDS})*\W*", re.IGNORECASE)
_BRACKETED = re.compile(r"[\[(*♪][^\[\]()*♪]*[\])*♪]\W*")
#: Lines that people say, and that Whisper also invents where there is no speech.
_POLITE = frozenset(
    re.sub(r"[^\w ]", "", line).lower()
    for line in (
        "Спасибо за просмотр!", "Продолжение следует...", "Подписывайтесь на канал!",
        "Подпишись на канал!", "До новых встреч!", "До свидания!", "Спасибо за внимание!",
        "Спасибо.", "Поехали!", "Ставьте лайки!", "Всем пока!", "Пока!", "Ого!", "Ой!",
        "Thank you.", "Thank you for watching!", "Thanks for watching!", "Thank you very much.",
        "Thanks for listening.", "Please subscribe to my channel.", "Please subscribe.",
        "See you next time.", "See you in the next video.", "Bye.", "Bye bye.", "You", "Oh.",
        "Okay.", "I'm", "Oh my god.", "Oh, yeah.", "Yeah.",
        "I'm going to cut it off.", "I don't know.", "Music playing", "I'll be right back.",
    )
)  # fmt: skip


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
    bare = text.strip()
    loud = sum(map(str.isalpha, bare)) > 3 and bare == bare.upper()
    marked = loud or _BRACKETED.fullmatch(bare) is not None
    sound = marked and _SOUND.fullmatch(bare) is not None
    return sound or _CREDITS.fullmatch(bare) is not None


def is_polite(text: str) -> bool:
    """Whether it is a line that people say and Whisper also invents, once or several times."""
    pieces = [re.sub(r"[^\w ]", "", part).strip().lower() for part in re.split(r"[.!?…]+", text)]
    said = [piece for piece in pieces if piece]
    whole = re.sub(r"[^\w ]", "", text).strip().lower()
    polite = whole in _POLITE or (bool(said) and all(piece in _POLITE for piece in said))
    return polite or _CREDITS_PERHAPS.match(text) is not None


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


def flags(
    scores: DecodingScores, text: str, words: Sequence[Word], speech: Sequence[tuple[float, float]]
) -> tuple[Flag, ...]:
    """Why a segment's text is doubtful; empty if it is not.

    ``scores`` are those of the chunk that contains the segment.
    """
    silent = scores.sounds_silent or (scores.no_speech_prob or 0.0) > 0.9
    away = outside(words, speech)
    found: dict[Flag, bool] = {
        "repetition": scores.repeats_itself or has_loop(text.split()),
        "low_probability": scores.unsure,
        "no_speech": silent,
        "outside_speech": away,
        "filler": is_credit(text) or (is_polite(text) and (silent or away or scores.unsure)),
    }
    return tuple(flag for flag, holds in found.items() if holds)


def is_invented(text: str, found: Sequence[Flag], scores: DecodingScores) -> bool:
    """Whether two signs agree that this was not said; with one sign it is only doubtful."""
    if is_credit(text):
        return True
    return "filler" in found and (scores.sounds_silent or "outside_speech" in found)
