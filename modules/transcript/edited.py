"""A transcript with the corrections that people made. Pure."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

from modules.errors import TranscriberError, noted
from modules.transcript.model import Dropped, Segment, Word
from modules.transcript.operations import (
    Confirm,
    Join,
    Operation,
    RenameSpeaker,
    RestoreDropped,
    SetSpeaker,
    Split,
    Words,
    effective,
)
from modules.transcript.sentences import mean_confidence
from modules.transcript.slicing import concatenate, joined_text, slice_words, word_offsets
from modules.transcript.timed_words import shared_out, timed_words


class EditConflictError(TranscriberError):
    """An operation does not fit the text as it is."""


def conflict(message: str) -> EditConflictError:
    remedy = noted("Read the text again, and repeat the change.")
    return EditConflictError("edit_conflict", message, remedy=remedy)


class EditedText:
    """The segments of a transcript by their ids, changed by one operation after the other.

    ``skipped``: the operations that did not fit.
    """

    def __init__(
        self,
        segments: Sequence[Segment],
        dropped: Sequence[Dropped] = (),
        operations: Sequence[Operation] = (),
    ) -> None:
        self._order = [str(number) for number in range(len(segments))]
        self._segments = dict(zip(self._order, segments, strict=True))
        self._dropped = dict(enumerate(dropped))
        #: The ids of the segments that operations made.
        self.made: list[str] = []
        self.skipped: list[Operation] = []
        for operation in effective(operations):
            try:
                self.apply(operation)
            except EditConflictError:
                self.skipped.append(operation)

    def __iter__(self) -> Iterator[tuple[str, Segment]]:
        """Ids and segments in order, without those of which nothing is left."""
        for key in self._order:
            if self._segments[key].text:
                yield key, self._segments[key]

    @property
    def segments(self) -> list[Segment]:
        return [segment for _, segment in self]

    @property
    def dropped(self) -> Iterable[tuple[int, Dropped]]:
        """What is left out, by its number."""
        return self._dropped.items()

    def get(self, key: str) -> Segment | None:
        """A segment; None if it was joined to another, or nothing is left of it."""
        segment = self._segments.get(key)
        return segment if segment and segment.text else None

    def span_of(self, operation: Operation) -> tuple[float, float] | None:
        """Where in the recording an operation is, in seconds, before it is applied."""
        if isinstance(operation, RestoreDropped):
            found = self._dropped.get(operation.dropped)
            return (found.start, found.end) if found else None
        segment = self._segments.get(getattr(operation, "segment", ""))
        if segment is None:
            return None
        if not isinstance(operation, Words | Confirm):
            return segment.start, segment.end
        words = timed_words(segment)
        if operation.after > len(words):
            return None
        return _stretch(segment, words, operation.first, operation.after)

    def apply(self, operation: Operation) -> None:
        """Change the text. Raises EditConflictError, with nothing changed, if it does not fit."""
        _RULES[type(operation)](self, operation)

    # --- the operations ---

    def _words(self, operation: Words) -> None:
        segment, words = self._found(operation)
        new = _retimed(segment, words, operation)
        kept = (*words[: operation.first], *new, *words[operation.after :])
        self._replace(operation.segment, _rewritten(segment, words, operation), kept)

    def _confirm(self, operation: Confirm) -> None:
        segment, words = self._found(operation)
        marked = [
            word if word.checked else word.model_copy(update={"checked": "confirmed"})
            for word in words[operation.first : operation.after]
        ]
        kept = (*words[: operation.first], *marked, *words[operation.after :])
        self._replace(operation.segment, segment.text, kept)

    def _set_speaker(self, operation: SetSpeaker) -> None:
        segment = self._segment(operation.segment)
        if segment.speaker != operation.was:
            key = operation.segment
            raise conflict(noted("The speaker of segment {key} is another one now.", key=key))
        words = tuple(w.model_copy(update={"speaker": operation.now}) for w in segment.words)
        self._segments[operation.segment] = segment.model_copy(
            update={"speaker": operation.now, "words": words}
        )

    def _rename_speaker(self, operation: RenameSpeaker) -> None:
        was, now = operation.was, operation.now
        renamed = {
            key: _renamed(segment, was, now)
            for key, segment in self._segments.items()
            if segment.speaker == was or any(word.speaker == was for word in segment.words)
        }
        if not renamed:
            raise conflict(noted("No speaker is called {was!r} now.", was=was))
        self._segments |= renamed

    def _split(self, operation: Split) -> None:
        segment = self._segment(operation.segment)
        words = timed_words(segment)
        if not 0 < operation.at_word < len(words):
            key, at = operation.segment, operation.at_word
            raise conflict(noted("Segment {key} has no word {at} now.", key=key, at=at))
        whole = segment.model_copy(update={"words": words})
        begins, at = word_offsets(whole), operation.at_word
        self._segments[operation.segment] = slice_words(whole, begins, 0, at)
        self._segments[operation.id] = slice_words(whole, begins, at, len(words))
        self._order.insert(self._order.index(operation.segment) + 1, operation.id)
        self.made.append(operation.id)

    def _join(self, operation: Join) -> None:
        before, after = self._segment(operation.segment), self._segment(operation.following)
        shown = [key for key, _ in self]
        at = shown.index(operation.segment) if operation.segment in shown else len(shown)
        if shown[at + 1 : at + 2] != [operation.following]:
            key, last = operation.following, operation.segment
            raise conflict(noted("Segment {key} does not follow {last} now.", key=key, last=last))
        both = [each.model_copy(update={"words": timed_words(each)}) for each in (before, after)]
        joined, end = concatenate(*both), max(before.end, after.end)
        # What was put back may lie inside of what was said before it.
        words = in_order(joined.words, joined.start, end)
        self._segments[operation.segment] = joined.model_copy(update={"end": end, "words": words})
        self._order.remove(operation.following)
        del self._segments[operation.following]

    def _restore_dropped(self, operation: RestoreDropped) -> None:
        found = self._dropped.get(operation.dropped)
        if found is None or found.text != operation.was:
            raise conflict(noted("This text was put back already, or is another one now."))
        segment = Segment(start=found.start, end=found.end, text=found.text.strip())
        words = tuple(
            word.model_copy(update={"checked": "confirmed"}) for word in timed_words(segment)
        )
        del self._dropped[operation.dropped]
        self._segments[operation.id] = segment.model_copy(update={"words": words})
        starts = [self._segments[key].start for key in self._order]
        self._order.insert(bisect.bisect_right(starts, found.start), operation.id)
        self.made.append(operation.id)

    # --- their parts ---

    def _segment(self, key: str) -> Segment:
        segment = self._segments.get(key)
        if segment is None:
            raise conflict(noted("There is no segment {key} now.", key=key))
        return segment

    def _found(self, operation: Words | Confirm) -> tuple[Segment, tuple[Word, ...]]:
        """The segment of an operation and all its words.

        Raises EditConflictError unless they are as they were when the operation was made.
        """
        segment = self._segment(operation.segment)
        words = timed_words(segment)
        now = tuple(word.word for word in words[operation.first : operation.after])
        is_inside = operation.first <= operation.after <= len(words)
        if not is_inside or now != operation.was:
            key, said = operation.segment, " ".join(now)
            raise conflict(
                noted("These words of segment {key} are others now: {now!r}.", key=key, now=said)
            )
        return segment, words

    def _replace(self, key: str, text: str, words: tuple[Word, ...]) -> None:
        segment = self._segments[key]
        update: dict[str, Any] = {
            "text": text,
            "words": words,
            "confidence": mean_confidence(words),
        }
        if all(word.checked for word in words):
            update["flags"] = ()
        self._segments[key] = segment.model_copy(update=update)


_RULES: dict[type, Callable[[EditedText, Any], None]] = {
    Words: EditedText._words,
    Confirm: EditedText._confirm,
    SetSpeaker: EditedText._set_speaker,
    RenameSpeaker: EditedText._rename_speaker,
    Split: EditedText._split,
    Join: EditedText._join,
    RestoreDropped: EditedText._restore_dropped,
}


def in_order(words: Iterable[Word], start_s: float, end_s: float) -> tuple[Word, ...]:
    """The words with times that do not decrease, from ``start_s`` to ``end_s``."""
    found: list[Word] = []
    for word in words:
        start = min(max(word.start or 0.0, start_s), end_s)
        end = min(max(word.end or 0.0, start), end_s)
        found.append(word.model_copy(update={"start": start, "end": end}))
        start_s = end
    return tuple(found)


def _stretch(
    segment: Segment, words: Sequence[Word], first: int, after: int
) -> tuple[float, float]:
    """The time of words ``first`` to ``after``; of none, that between their neighbours."""
    if first < after:
        start, end = words[first].start, words[after - 1].end
    else:
        start = words[first - 1].end if first else segment.start
        end = words[after].start if after < len(words) else segment.end
    start = segment.start if start is None else start
    return start, max(start, segment.end if end is None else end)


def _retimed(segment: Segment, words: Sequence[Word], operation: Words) -> list[Word]:
    """The new words. Those that were there already stay as they are. Of the others, as many as
    before have the times of those; else they share the whole stretch by letters, and its ends
    stay."""
    new: list[Word] = []
    matcher = SequenceMatcher(None, operation.was, operation.now, autojunk=False)
    for kind, first, after, begin, end in matcher.get_opcodes():
        low, high = operation.first + first, operation.first + after
        old, texts = words[low:high], operation.now[begin:end]
        if kind == "equal":
            new += old
        elif len(old) == len(texts):
            pairs = zip(old, texts, strict=True)
            new += [_typed(text, word.start, word.end, word.speaker) for word, text in pairs]
        else:
            from_s, to_s = _stretch(segment, words, low, high)
            shares = shared_out(from_s, to_s, [*map(len, texts)])
            beside = words[max(0, low - 1) : high] or words[:1]
            speaker = beside[-1].speaker if beside else None
            for text, share in zip(texts, shares, strict=True):
                a, b = (min(max(round(each, 3), from_s), to_s) for each in share)
                new.append(_typed(text, a, b, speaker))
    return new


def _typed(text: str, start: float | None, end: float | None, speaker: str | None) -> Word:
    return Word(word=text, start=start, end=end, speaker=speaker, checked="edited")


def _rewritten(segment: Segment, words: Sequence[Word], operation: Words) -> str:
    """The text with the new words in the place of the old; what is around them stays as it is."""
    text, new = segment.text, joined_text(operation.now)
    begins = word_offsets(segment.model_copy(update={"words": tuple(words)}))
    ends = [begin + len(word.word.strip()) for begin, word in zip(begins, words, strict=True)]
    if operation.first < operation.after:
        before, behind = text[: begins[operation.first]], text[ends[operation.after - 1] :]
        if new:
            return before + new + behind
    else:
        at = begins[operation.first] if operation.first < len(begins) else len(text)
        before, behind = text[:at], text[at:]
    return joined_text(part for part in (before.strip(), new, behind.strip()) if part)


def _renamed(segment: Segment, was: str, now: str) -> Segment:
    def name(speaker: str | None) -> str | None:
        return now if speaker == was else speaker

    words = tuple(word.model_copy(update={"speaker": name(word.speaker)}) for word in segment.words)
    return segment.model_copy(update={"speaker": name(segment.speaker), "words": words})
