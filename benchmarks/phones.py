"""Where words begin and end in festvox-ru: the package's rules from letters to sounds, run again.

The package has the times of phones and the texts, but no times of words. Its phones were made from
the letters by the rules in its ``msu_ru_nsh_lexicon.scm`` (``msu_ru``). The same rules stand here,
without what only colours a sound: voiced and voiceless, hard and soft consonants count as one, and
so do all vowels, since what they become depends on the stress and on the neighbours. A sentence
has word times only if the rules give exactly the sequence of its phones; all 620 do.

The times of the phones were found by the makers of the voice with a recogniser: in steps of 10 ms,
and off by some tens of ms at places. Borders at pauses are the most certain.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.speech import Phone, normalised

PAUSE = "pau"
VOWEL = "V"

#: Each rule is tried at every place, the first that fits is taken: letters, and their sounds.
#: A lookbehind or lookahead is the rule's neighbourhood; ``#`` is the edge of a word.
_RULES = tuple(
    (re.compile(pattern), tuple(sounds.split()))
    for pattern, sounds in (
        (r"(?<=#)чт(?=о)", "sh t"),
        (r"(?<=и)ч(?=ная)|(?<=о)ч(?=ник)|(?<=не)ч(?=но)|(?<=ро)ч(?=но)", "sh"),
        (r"(?<=#арти)лл(?=ер)", "l"),
        (r"(?<=#бо)г(?=#)|г(?=к)", "h"),
        (r"(?<=#мно)г(?=о)|(?<=немно)г(?=о)|(?<=намно)г(?=о)", "k"),
        (r"(?<=поло)г(?=о#)|(?<=стро)г(?=о#)|(?<=доро)г(?=о#)", "k"),
        (r"(?<=е)г(?=одня#)|(?<=[ое])г(?=о#)|(?<=е)г(?=ося#)", "f"),
        (r"(?<=#)ее(?=#)", "j V j V"),
        (r"(?<=л)ьо", "j V"),
        (r"сьо", "s j V"),
        (r"(?<=[#ъьаяоёуюэеиы])[юяеё]", "j V"),
        (r"[аыоуэюяеёи]", VOWEL),
        (r"(?<=#э)м(?=м)", "m"),
        (r"в(?=ств)", ""),
        (r"с(?:т|ть)(?=с)|ст(?=ц)|ст(?=н)|зд(?=н)|зд(?=ц)", "s"),
        (r"рд(?=[цч])", "r"),
        (r"лн(?=ц)|нт(?=[цс])|нд(?=[цшс])|нг(?=т)", "n"),
        (r"сш(?=ест)", "sh"),
        (r"сч", "sch"),
        (r"ч(?=ш)", "t"),
        (r"д(?=ц)", ""),
        (r"тс(?=я)", "c"),
        (r"([брнмскп])(?=\1)", ""),
        (r"[бп]", "p"),
        (r"[вф]", "f"),
        (r"[гк]", "k"),
        (r"[дт]", "t"),
        (r"[зс]", "s"),
        (r"[жш]", "sh"),
        (r"л", "l"),
        (r"м", "m"),
        (r"н", "n"),
        (r"р", "r"),
        (r"х", "h"),
        (r"ц", "c"),
        (r"ч", "ch"),
        (r"щ", "sch"),
        (r"й", "j"),
        (r".", ""),
    )
)
_ALIKE = {"b": "p", "v": "f", "g": "k", "d": "t", "z": "s", "zh": "sh"}


@dataclass(frozen=True)
class SpokenWord:
    """A word of the text, in seconds from the start, and the silences that touch it."""

    word: str
    start_s: float
    end_s: float
    pause_before_s: float = 0.0
    pause_after_s: float = 0.0


def spoken_words(text: str, phones: Sequence[Phone]) -> list[SpokenWord]:
    """The words of the normalised text with their times.

    Raises ValueError if the phones are not what the rules make of the text.
    """
    words = normalised(text).split()
    sounds = [sounds_of(word) for word in words]
    voiced = [phone for phone in phones if phone.name != PAUSE]
    if [s for word in sounds for s in word] != [class_of(phone.name) for phone in voiced]:
        raise ValueError(f"the phones do not say {text!r}")
    spoken, place = [], 0
    for word, count in zip(words, map(len, sounds), strict=True):
        spoken.append(SpokenWord(word, voiced[place].start_s, voiced[place + count - 1].end_s))
        place += count
    return with_pauses(spoken, phones[-1].end_s)


def with_pauses(words: Sequence[SpokenWord], end_s: float) -> list[SpokenWord]:
    """The words of a recording that ends at ``end_s``, with the silences between them."""
    ends = [0.0, *(word.end_s for word in words)]
    starts = [*(word.start_s for word in words), end_s]
    gaps = [max(0.0, start - end) for end, start in zip(ends, starts, strict=True)]
    return [
        replace(word, pause_before_s=before, pause_after_s=after)
        for word, before, after in zip(words, gaps, gaps[1:], strict=False)
    ]


def moved(words: Sequence[SpokenWord], by_s: float) -> list[SpokenWord]:
    """The same words, later by ``by_s``."""
    return [replace(w, start_s=w.start_s + by_s, end_s=w.end_s + by_s) for w in words]


def sounds_of(word: str) -> list[str]:
    """The classes of sounds that the package's rules make of a word in small letters."""
    letters = f"#{word}#"
    sounds: list[str] = []
    place = 1
    while place < len(letters) - 1:
        rule, made = next((m, s) for r, s in _RULES if (m := r.match(letters, place)))
        sounds += made
        place = rule.end()
    return sounds


def class_of(phone: str) -> str:
    """The class of a phone of the package: ``zz`` and ``s`` are one, all vowels are one."""
    if phone[0] in "aeiouy":
        return VOWEL
    if len(phone) == 2 and phone[0] == phone[1]:
        phone = phone[0]
    return _ALIKE.get(phone, phone)
