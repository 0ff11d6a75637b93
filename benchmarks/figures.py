"""The figures of one set: errors of words, of their times, and which words are right. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.confidence import Cluster, Judged, Share, share_right
from benchmarks.hearing import HeardWord
from benchmarks.scores import Alignment, Comparison, aligned, blocks, compared, units_of
from benchmarks.speech_sets import SpeechSet
from benchmarks.spoken import spoken
from benchmarks.word_times import TimeError, time_errors

#: From here on a word counts as sure, and below this as doubtful.
SURE = 0.9
UNSURE = 0.5


@dataclass(frozen=True)
class Heard:
    """One set as both heard it, recording by recording, normalised."""

    speech: SpeechSet
    ours: list[list[HeardWord]]
    theirs: list[list[str]]

    @property
    def said(self) -> list[list[str]]:
        """The references' words."""
        language = self.speech.language
        return [spoken(recording.text, language).split() for recording in self.speech.recordings]

    def alignments(self) -> list[Alignment]:
        """Ours along the references."""
        ours = [[word.word for word in words] for words in self.ours]
        return [aligned(*pair) for pair in zip(self.said, ours, strict=True)]


def word_errors(*sets: Heard) -> Comparison:
    """The word error rates of one set, or of several together."""
    ours, theirs = [], []
    for heard in sets:
        for said, own, other in zip(heard.said, heard.alignments(), heard.theirs, strict=True):
            ours += units_of(own.errors, heard.speech.joined)
            theirs += units_of(aligned(said, other).errors, heard.speech.joined)
    return compared(ours, theirs)


def times_of(heard: Heard) -> list[TimeError]:
    """The errors of the word times of one set; none where the truth is not known."""
    errors: list[TimeError] = []
    for recording, said, words, alignment in zip(
        heard.speech.recordings, heard.said, heard.ours, heard.alignments(), strict=True
    ):
        if recording.words:
            if [word.word for word in recording.words] != said:
                raise ValueError(f"the times of {recording.path} are of other words")
            errors += time_errors(recording.words, words, alignment.pairs)
    return errors


def clusters_of(heard: Heard) -> list[Cluster]:
    """Our words of one set with whether they are right, by recording or by block of one."""
    clusters: list[Cluster] = []
    for words, alignment in zip(heard.ours, heard.alignments(), strict=True):
        right = {place for _, place in alignment.pairs}
        judged = [
            Judged(word.confidence, place in right, word.doubtful)
            for place, word in enumerate(words)
        ]
        clusters += blocks(judged) if heard.speech.joined else [judged]
    return clusters


def shares_of(clusters: Sequence[Cluster]) -> dict[str, Share]:
    """Which part of the words is right, by what we said of them."""
    return {
        f"confidence from {SURE}": share_right(clusters, lambda w: (w.confidence or 0.0) >= SURE),
        f"confidence below {UNSURE}": share_right(
            clusters, lambda w: w.confidence is not None and w.confidence < UNSURE
        ),
        "without confidence": share_right(clusters, lambda w: w.confidence is None),
        "in flagged segments": share_right(clusters, lambda w: w.doubtful),
        "in segments without flag": share_right(clusters, lambda w: not w.doubtful),
    }
