"""What is being said in a live session: its words, pass by pass. Positions are 16 kHz samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from modules.audio.chunking import SAMPLE_RATE, AudioChunk
from modules.executors.live_protocol import Final, Worked
from modules.transcript.agreement import Agreement
from modules.transcript.model import Word
from modules.transcript.sentences import joined

#: With so much that is not agreed on, the oldest part is committed, in seconds.
_UNSETTLED_S = 12.0
#: So much of what was committed a pass hears again: a quick one, and one for the final; in seconds.
_AGAIN_S, _AGAIN_FINALLY_S = 2.0, 6.0
#: By its attention a word may begin so much before its speech, in seconds.
_AHEAD_S = 0.3
#: A pass needs so much new speech; and where the last one left doubts.
_NEW_SPEECH, _NEW_SPEECH_IN_DOUBT = int(0.6 * SAMPLE_RATE), int(0.3 * SAMPLE_RATE)
#: It may follow so soon then, in seconds, if the pace allows the one after ``_USUAL_S``.
_SOON_S, _USUAL_S = 0.5, 1.0

#: ``partial``: of an utterance that goes on; ``draft``: of one that is likely to be over.
Kind = Literal["partial", "draft", "final"]
Words = tuple[Word, ...]


@dataclass(frozen=True)
class Pass:
    """What to transcribe, of the utterance that begins at ``utterance``.

    ``until``: the last sample; ``speech_end``: where speech ended then; ``due_at``: since when it
    waits, by the monotonic clock; ``is_quick``: greedily, though it is a final.
    """

    kind: Kind
    chunk: AudioChunk
    utterance: int
    until: int
    speech_end: int
    due_at: float
    is_quick: bool = False


@dataclass(frozen=True)
class Heard:
    """What a pass found. ``settled``: whether the language will not change any more."""

    words: Words = ()
    language: str | None = None
    settled: bool = True
    busy_s: float = 0.0


def final_of(session: int, words: Words, language: str | None) -> Final:
    """The event for an utterance that is over; it has words, all with times."""
    return Final(
        session=session,
        start_s=words[0].start or 0.0,
        end_s=words[-1].end or 0.0,
        text=joined(words),
        words=words,
        language=language,
    )


def worked_of(session: int, upto_s: float, busy_s: float, waited_s: float) -> Worked:
    """The event for a pass that is over."""
    return Worked(
        session=session, upto_s=upto_s, busy_s=round(busy_s, 4), waited_s=round(waited_s, 4)
    )


@dataclass(frozen=True)
class Draft:
    """A final that was begun before the utterance was over; good if speech did not go on."""

    speech_end: int
    heard: Heard


@dataclass
class Utterance:
    """``begin``: its first sample; ``end``: its last one, None while it goes on; ``begin_s``: the
    second of the session at ``begin``.

    ``is_cut``: it ended although somebody goes on speaking. ``heard``: the last sample of its last
    pass; ``draft_end``: where speech ended when its last draft was begun. Due by the monotonic
    clock: ``ready_at`` a pass, ``draft_at`` a draft, ``ended_at`` its final.
    """

    begin: int
    begin_s: float
    agreement: Agreement
    is_announced: bool = False
    end: int | None = None
    is_cut: bool = False
    heard: int = 0
    ready_at: float = math.inf
    draft_at: float = math.inf
    ended_at: float = math.inf
    draft: Draft | None = None
    draft_end: int = -1
    shown: Words = ()

    def set_due(self, now: float, speech: Sequence[tuple[int, int]], is_quiet: bool) -> None:
        """After more sound: ``is_quiet`` if it is likely to be over."""
        if not is_quiet:
            self.draft_at = math.inf
        elif speech and self.draft_end < speech[-1][1]:
            self.draft_at = min(self.draft_at, now)
        new = sum(b - max(a, self.heard) for a, b in speech if b > self.heard)
        if new >= (_NEW_SPEECH_IN_DOUBT if self.agreement.is_doubtful else _NEW_SPEECH):
            self.ready_at = min(self.ready_at, now)

    def pause_s(self, step_s: float, is_alone: bool) -> float:
        """From one pass to the next, where the pace is ``step_s``: less where words are held back,
        if nobody else speaks who needs the time."""
        is_soon = is_alone and step_s <= _USUAL_S and self.agreement.is_doubtful
        return min(step_s, _SOON_S) if is_soon else step_s

    def window_s(self, kind: Kind, onsets: Sequence[float]) -> float:
        """Where a pass begins, in seconds of the session: in a pause, if there is one among the
        committed words that are heard again, as a word that is cut is misheard.

        ``onsets``: where speech begins after pauses.
        """
        words = self.agreement.committed
        if not words:
            return self.begin_s
        again_s = _AGAIN_S if kind == "partial" else _AGAIN_FINALLY_S
        earliest = self.agreement.committed_s - again_s
        pauses = [at for at in onsets if earliest <= at <= (words[-1].start or 0.0) + _AHEAD_S]
        if pauses:
            return pauses[-1] if kind == "partial" else pauses[0]
        return next(word.start or 0.0 for word in words if (word.end or 0.0) > earliest)

    def go_on(self, words: Sequence[Word], until_s: float, may_commit: bool) -> Words:
        """After a pass over sound up to ``until_s``: what it commits."""
        if not may_commit:
            self.agreement = Agreement(self.agreement.from_s, (), tuple(words))
            return ()
        self.agreement, new = self.agreement.heard(words, until_s)
        begin_s = max(self.agreement.committed_s, self.begin_s)
        if not new and until_s - begin_s >= _UNSETTLED_S:
            self.agreement, new = self.agreement.forced(until_s)
        return new

    def newly_shown(self, until_s: float, has_committed: bool) -> Words | None:
        """The words to show behind the committed ones; None if there is nothing to change.

        ``has_committed``: a commit took the place of what was shown.
        """
        before = () if has_committed else self.shown
        self.shown = self.agreement.shown(until_s, self.shown)
        return None if self.shown == before else self.shown

    def is_drafted(self, speech_end: int) -> bool:
        """Whether a draft has heard all of its speech."""
        return self.draft is not None and self.draft.speech_end >= speech_end
