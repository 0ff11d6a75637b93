"""Which voice an utterance is by, of those that were heard before it. Pure: no model, no audio.

What was said cannot be taken back, so there is no second look as for recordings: each utterance is
given to the voice it is most like, or is a new one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modules.diarization.clustering import SPEAKER_LIKENESS, Floats, voices_of

#: Cosine between the mean of an utterance and that of a voice from which on it is that voice. Of 99
#: in 100 pairs of utterances by one of the voices of ``benchmarks.diarization`` it was at least
#: 0.56; between two people at most 0.41, and on the phone 0.66. See decision 11.
SAME_LIKENESS = 0.55
#: A shorter utterance than that of so many windows is no new voice; and from this cosine on it is
#: given to a known one.
NEW_WINDOWS, SHORT_LIKENESS = 2, 0.35
#: No session has more voices.
MOST_VOICES = 20


@dataclass
class _Voice:
    number: int
    total: Floats

    @property
    def mean(self) -> Floats:
        return self.total / max(float(np.linalg.norm(self.total)), 1e-9)


class HeardVoices:
    """The voices of one session, named in the order in which they appear; for one thread."""

    def __init__(self, at_most: int | None = None) -> None:
        self._most = min(at_most or MOST_VOICES, MOST_VOICES)
        self._voices: list[_Voice] = []
        self._named = 0

    def learn(self, name: str, embeddings: Floats) -> None:
        """A voice that had this name, as ``name_of`` gives it, before."""
        number = int(name.rpartition("_")[2])
        self._named = max(self._named, number + 1)
        voice = next((one for one in self._voices if one.number == number), None)
        if voice is None and len(embeddings):
            voice = _Voice(number, np.zeros_like(embeddings[0]))
            self._voices.append(voice)
        if voice is not None:
            voice.total = voice.total + embeddings.sum(axis=0)

    def name_of(self, embeddings: Floats) -> str | None:
        """The speaker of an utterance, by its windows' unit vectors, shape (n, 192); of several
        the one that is heard longest. None if it is too short to tell."""
        if not len(embeddings):
            return None
        within = voices_of(embeddings)
        mine = embeddings[(embeddings @ within.T).argmax(axis=1) == 0]
        voice = self._like(within[0], len(mine))
        if voice is None:
            return None
        if len(mine) >= NEW_WINDOWS:
            voice.total = voice.total + mine.sum(axis=0)
            self._join(voice)
        return f"SPEAKER_{voice.number:02d}"

    def _like(self, mean: Floats, windows: int) -> _Voice | None:
        likeness = [float(voice.mean @ mean) for voice in self._voices]
        best = int(np.argmax(likeness)) if likeness else -1
        if best >= 0 and (likeness[best] >= SAME_LIKENESS or self._named >= self._most):
            return self._voices[best]
        if windows >= NEW_WINDOWS and self._named < self._most:
            self._voices.append(_Voice(self._named, np.zeros_like(mean)))
            self._named += 1
            return self._voices[-1]
        return self._voices[best] if best >= 0 and likeness[best] >= SHORT_LIKENESS else None

    def _join(self, voice: _Voice) -> None:
        """One voice that was taken for two is the earlier one from now on."""
        for other in self._voices:
            if other is not voice and float(other.mean @ voice.mean) >= SPEAKER_LIKENESS:
                kept, left = sorted((voice, other), key=lambda one: one.number)
                kept.total = kept.total + left.total
                self._voices.remove(left)
                return
