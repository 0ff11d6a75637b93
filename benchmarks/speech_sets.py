"""What the accuracy is measured on: human speech in sets of one kind each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.phones import SpokenWord, moved, spoken_words, with_pauses
from tests.speech import (
    Clip,
    Language,
    asterisk_prompts,
    festvox_phones,
    festvox_russian,
    joined,
    placed,
    spread,
)

LANGUAGES: tuple[Language, ...] = ("ru", "en")
#: Silence between the parts of a joined recording.
GAP_S = 0.7


@dataclass(frozen=True)
class Recording:
    """A file and what is said in it; ``words`` with their true times where these are known."""

    path: Path
    text: str
    words: tuple[SpokenWord, ...] = ()


@dataclass(frozen=True)
class SpeechSet:
    """Recordings of one kind; ``joined`` if they are long ones made of many short ones."""

    title: str
    language: Language
    recordings: tuple[Recording, ...]
    joined: bool = False


@dataclass(frozen=True)
class Sizes:
    """Prompts in each of their sets, single sentences, and minutes of each joined recording.

    With a ``limit`` no set has more recordings, and no joined recording more parts.
    """

    prompts: int
    sentences: int
    minutes: float
    limit: int | None = None


def speech_sets(sizes: Sizes) -> list[SpeechSet]:
    """All sets, chosen evenly from what there is, the same ones each time."""
    sets = [
        _prompts(language, sizes, wideband) for language in LANGUAGES for wideband in (True, False)
    ]
    prose = _some(festvox_russian(), sizes.sentences, sizes.limit)
    sentences = tuple(Recording(clip.path, clip.text, _true_words([(0.0, clip)])) for clip in prose)
    sets.append(SpeechSet("prose ru", "ru", sentences))
    if sizes.minutes:
        long_ru = _joined(festvox_russian(), sizes, timed=True)
        long_en = _joined(asterisk_prompts("en", wideband=True), sizes, timed=False)
        sets.append(SpeechSet("prose ru, joined", "ru", (long_ru,), joined=True))
        sets.append(SpeechSet("prompts en, joined", "en", (long_en,), joined=True))
    return sets


def _prompts(language: Language, sizes: Sizes, wideband: bool) -> SpeechSet:
    clips = _some(asterisk_prompts(language, wideband=wideband), sizes.prompts, sizes.limit)
    title = f"prompts {language}, {16 if wideband else 8} kHz"
    return SpeechSet(title, language, tuple(Recording(clip.path, clip.text) for clip in clips))


def _some(clips: Sequence[Clip], count: int, limit: int | None) -> list[Clip]:
    wanted = min(count, len(clips), limit or count)
    return spread(clips, wanted)


def _joined(clips: Sequence[Clip], sizes: Sizes, timed: bool) -> Recording:
    """One recording of about that many minutes, of clips from everywhere."""
    mean_s = sum(clip.duration_s + GAP_S for clip in clips) / len(clips)
    parts = _some(clips, max(1, round(sizes.minutes * 60 / mean_s)), sizes.limit)
    seconds = sum(clip.duration_s + GAP_S for clip in parts)
    whole = joined(parts, seconds, GAP_S)
    words = _true_words(placed(parts, seconds, GAP_S)) if timed else ()
    return Recording(whole.path, whole.text, words)


def _true_words(parts: Sequence[tuple[float, Clip]]) -> tuple[SpokenWord, ...]:
    """The words of festvox clips that begin at these seconds, with the pauses between them."""
    words = [
        word
        for start_s, clip in parts
        for word in moved(spoken_words(clip.text, festvox_phones(clip)), start_s)
    ]
    start_s, last = parts[-1]
    return tuple(with_pauses(words, start_s + last.duration_s))
