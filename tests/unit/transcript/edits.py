"""Transcripts and operations on them, made by Hypothesis."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import strategies as st

from modules.transcript.edited import EditedText
from modules.transcript.model import Dropped, Segment, Word
from modules.transcript.operations import (
    Confirm,
    Join,
    Operation,
    RenameSpeaker,
    RestoreDropped,
    SetSpeaker,
    Split,
    Undo,
    Words,
)
from modules.transcript.timed_words import timed_words

#: Words that are parts of others, punctuation, and signs that are written without spaces.
VOCABULARY = ("а", "он", "они", "ан", "банан", "—", "да.", "don't", "on", "日", "本")
SPEAKERS = ("SPEAKER_00", "SPEAKER_01", "Мария")
spoken = st.sampled_from(VOCABULARY)
numbers = itertools.count()


def segment(words: list[str], start: float, speaker: str | None = None) -> Segment:
    """Half a second for each word."""
    said = tuple(
        Word(word=w, start=start + i / 2, end=start + i / 2 + 0.4, confidence=0.9, speaker=speaker)
        for i, w in enumerate(words)
    )
    end = start + len(words) / 2
    return Segment(start=start, end=end, text=" ".join(words), words=said, speaker=speaker)


@st.composite
def transcripts(draw: Any) -> list[Segment]:
    found, start = [], 0.0
    for _ in range(draw(st.integers(1, 5))):
        words = draw(st.lists(spoken, min_size=1, max_size=6))
        found.append(segment(words, start, draw(st.sampled_from((None, *SPEAKERS[:2])))))
        start = found[-1].end + 1
    return found


DROPPED = [Dropped(start=0.1, end=0.3, text="Спасибо за просмотр", flags=("filler",))]


def operation(draw: Any, text: EditedText, ops: list[Operation]) -> Operation:
    """One that fits the text as it is, or nearly."""
    key = f"o{next(numbers)}"
    shown = dict(text)
    kind = draw(st.sampled_from(("words", "words", "confirm", "speaker", "rename", "split", "join",
                                 "restore", "undo")))  # fmt: skip
    if kind == "undo" and ops:
        return Undo(id=key, of=draw(st.sampled_from(ops)).id)
    if kind == "restore":
        return RestoreDropped(id=key, dropped=0, was=DROPPED[0].text)
    if kind == "rename" or not shown:
        was, now = draw(st.sampled_from(SPEAKERS)), draw(st.sampled_from(SPEAKERS))
        return RenameSpeaker(id=key, was=was, now=now)
    name = draw(st.sampled_from(sorted(shown)))
    words = timed_words(shown[name])
    if kind == "join":
        names = list(shown)
        after = names[(names.index(name) + 1) % len(names)]
        return Join(id=key, segment=name, following=after)
    if kind == "split":
        return Split(id=key, segment=name, at_word=draw(st.integers(1, max(1, len(words)))))
    if kind == "speaker":
        now = draw(st.sampled_from((None, *SPEAKERS)))
        return SetSpeaker(id=key, segment=name, was=shown[name].speaker, now=now)
    first = draw(st.integers(0, len(words)))
    after = draw(st.integers(first, len(words)))
    facts: dict[str, Any] = {
        "id": key, "segment": name, "first": first, "after": after,
        "was": tuple(word.word for word in words[first:after]),
    }  # fmt: skip
    if kind == "confirm":
        return Confirm(**facts)
    return Words(**facts, now=tuple(draw(st.lists(spoken, max_size=4))))
