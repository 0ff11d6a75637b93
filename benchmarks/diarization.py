"""Who speaks when: diarization error rate, cost and memory, on dialogues of human voices.

    python -m benchmarks.diarization [--minutes 4] [--only 2]

Sentences of several speakers, from Debian's packages (see ``tests.speech``), alternate in turns of
2 to 8 s with pauses of 0.1 to 0.6 s and without overlap. The reference is where a sentence is less
than 40 dB below its loudest 10 ms; pauses in it above 0.5 s are nobody's. The number of speakers
is not given. ``phone``: 8 kHz, 300 to 3400 Hz, mu-law, and back to 16 kHz. Time is processor time
of one thread, voice activity detection included.
"""

from __future__ import annotations

import argparse
import random
import resource
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from modules.config.settings import TranscriptionSettings
from modules.diarization.diarizer import Diarized, Diarizer
from modules.transcript.model import Turn
from tests import speech

RATE_HZ = speech.RATE_HZ
PACKAGES = {
    "fr": speech.Package(
        "asterisk-core-sounds-fr-g722",
        "1.6.1-1",
        "7add61d5e42279ecff1bbdf842a5a946ac3644fac9a0fe44384731aa7270c8e0",
    ),
    "it": speech.Package(
        "asterisk-core-sounds-it-g722",
        "1.6.1-1",
        "46b4cf7afc508a5fcfc051b7ea233251c0d195dd4ef83cc4b7facb4c6429b016",
    ),
    "en": speech.WIDEBAND["en"],
    "ru": speech.WIDEBAND["ru"],
}
#: Women are en, fr and ru; men are it and ru-man.
CASES = (
    ("ru-man", "ru"),
    ("en", "it"),
    ("en", "ru"),
    ("fr", "en"),
    ("fr", "ru"),
    ("it", "ru-man"),
    ("en", "fr", "it"),
    ("en", "fr", "ru"),
    ("en", "fr", "it", "ru-man", "ru"),
    ("ru-man",),
    ("ru",),
    ("en",),
    ("fr",),
    ("it",),
)
_CLIPS = 120
_CLIP_S = (1.5, 9.0)
_TURN_S = (2.0, 8.0)
_GAP_S = (0.1, 0.6)
_FRAME = RATE_HZ // 100

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Dialogue:
    """Mono 16 kHz samples, and who really speaks when."""

    samples: Samples
    reference: list[Turn]

    def blocks(self) -> Iterator[Samples]:
        """The samples, 5 s at a time."""
        for first in range(0, len(self.samples), 5 * RATE_HZ):
            yield self.samples[first : first + 5 * RATE_HZ]


def dialogue(voices: Sequence[str], seconds: float, phone: bool = False, seed: int = 1) -> Dialogue:
    """Turns of these voices, one after the other; the same for the same seed."""
    chance = random.Random(seed)  # nosec B311 # repeatable and no secret
    parts: list[Samples] = []
    reference: list[Turn] = []
    position, turn = 0, 0
    while position < seconds * RATE_HZ:
        voice = _next_voice(voices, reference, chance)
        left_s = chance.uniform(*_TURN_S)
        while left_s > 0:
            clip = chance.choice(clips(voice))
            reference += _reference(clip, position / RATE_HZ, voice)
            gap = np.zeros(round(chance.uniform(*_GAP_S) * RATE_HZ), dtype=np.float32)
            parts += [clip, gap]
            position += len(clip) + len(gap)
            left_s -= len(clip) / RATE_HZ + _CLIP_S[0]
        turn += 1
    samples = np.concatenate(parts)
    hiss = np.random.default_rng(seed).normal(0, 3e-4, len(samples))
    samples = (samples + hiss).astype(np.float32)
    return Dialogue(_phoned(samples) if phone else samples, reference)


def _next_voice(voices: Sequence[str], said: Sequence[Turn], chance: random.Random) -> str:
    others = [voice for voice in voices if not said or voice != said[-1].speaker]
    return chance.choice(others or list(voices))


@lru_cache
def clips(voice: str) -> list[Samples]:
    """Sentences of a voice, without silence at the ends, all as loud."""
    if voice == "ru-man":
        paths = [clip.path for clip in speech.festvox_russian()[::4]]
    else:
        folder = speech._unpacked(PACKAGES[voice]) / "usr/share/asterisk/sounds"
        paths = [p for p in sorted(folder.glob("*/*.g722")) if p.stat().st_size > 8000]
    found: list[Samples] = []
    for path in paths:
        clip = _clip(path)
        if _CLIP_S[0] <= len(clip) / RATE_HZ <= _CLIP_S[1] and len(found) < _CLIPS:
            found.append(clip)
    return found


def _clip(path: Path) -> Samples:
    samples = np.frombuffer(speech._samples(path), dtype=np.int16).astype(np.float32) / 32768
    loud = _loud(samples)
    samples = samples[max(0, loud[0] - 2) * _FRAME : (loud[-1] + 3) * _FRAME]
    return (0.6 * samples / max(float(np.abs(samples).max()), 1e-6)).astype(np.float32)


def _loud(samples: Samples) -> npt.NDArray[np.intp]:
    """Which 10 ms are less than 40 dB below the loudest ones."""
    count = len(samples) // _FRAME
    power = np.square(samples[: count * _FRAME]).reshape(count, _FRAME).mean(axis=1)
    return np.flatnonzero(power > power.max() * 1e-4)


def _reference(clip: Samples, start_s: float, voice: str) -> list[Turn]:
    spans: list[list[int]] = []
    for frame in _loud(clip).tolist():
        if spans and frame - spans[-1][1] <= 50:
            spans[-1][1] = frame + 1
        else:
            spans.append([frame, frame + 1])
    return [Turn(start=start_s + a / 100, end=start_s + b / 100, speaker=voice) for a, b in spans]


def _phoned(samples: Samples) -> Samples:
    from scipy.signal import butter, resample_poly, sosfilt

    band = butter(4, [300, 3400], "band", fs=8000, output="sos")
    narrow = np.clip(sosfilt(band, resample_poly(samples, 1, 2)), -1, 1)
    code = np.round(127 * np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256)) / 127
    decoded = np.sign(code) * np.expm1(np.abs(code) * np.log(256)) / 255
    return np.asarray(resample_poly(decoded, 2, 1), dtype=np.float32)


def error_rate(reference: Sequence[Turn], found: Sequence[Turn], collar_s: float) -> float:
    """Diarization error rate; ``collar_s`` before and after each true border is not looked at."""
    from pyannote.core import Annotation
    from pyannote.core import Segment as Span
    from pyannote.metrics.diarization import DiarizationErrorRate

    told = []
    for turns in (reference, found):
        annotation = Annotation()
        for number, turn in enumerate(turns):
            annotation[Span(turn.start, turn.end), number] = turn.speaker
        told.append(annotation)
    # pyannote's collar is the sum of both sides; the whole recording is looked at, so it warns.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(DiarizationErrorRate(collar=2 * collar_s)(*told))


def diarized(
    diarizer: Diarizer, spoken: Dialogue, count: int | None = None
) -> tuple[Diarized, float]:
    """What the diarizer finds, and the processor time that it takes, in seconds."""
    from modules.audio.vad import detector

    settings = TranscriptionSettings(
        model_size="base", language="auto", temperature=0, compute_type="int8", device="cpu"
    )
    began = time.process_time()
    found = diarizer.turns(spoken.blocks, detector(settings, "cpu"), count, count, lambda: True)
    assert found is not None
    return found, time.process_time() - began


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--only", type=int, help="cases with so many voices")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    import torch

    torch.set_num_threads(1)
    diarizer = Diarizer(Path("models/diarize"), "cpu")
    diarized(diarizer, dialogue(("en",), 10))  # loads the models
    print(
        "voices                | phone | found/there | DER 0.25 s | DER 0 s | CPU s/min | peak MB"
    )
    for voices in CASES:
        for phone in (False, True):
            if options.only in (None, len(voices)):
                print(_line(diarizer, voices, options.minutes, phone), flush=True)


def _line(diarizer: Diarizer, voices: Sequence[str], minutes: float, phone: bool) -> str:
    spoken = dialogue(voices, 60 * minutes, phone)
    found, seconds = diarized(diarizer, spoken)
    rates = [100 * error_rate(spoken.reference, found.turns, collar) for collar in (0.25, 0.0)]
    there, speakers = (len({t.speaker for t in turns}) for turns in (spoken.reference, found.turns))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    cost = seconds / (len(spoken.samples) / RATE_HZ / 60)
    return (
        f"{' '.join(voices):21} | {'yes' if phone else 'no':5} | {speakers:8}/{there:2} |"
        f" {rates[0]:8.1f} % | {rates[1]:5.1f} % | {cost:9.2f} | {peak_mb:7.0f}"
    )


if __name__ == "__main__":
    main()
