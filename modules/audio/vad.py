"""What finds speech: Silero's model or pyannote's. Lives in the child process."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from faster_whisper.vad import VadOptions, get_speech_timestamps

from modules.audio.chunking import SAMPLE_RATE, Samples, SpeechDetector
from modules.config.settings import TranscriptionSettings

#: Shorter pauses are part of speech, shorter speech is a click; in milliseconds.
MIN_PAUSE_MS, MIN_SPEECH_MS = 160, 100


def detector(settings: TranscriptionSettings, device: str) -> SpeechDetector:
    """Samples to regions of speech. Speech begins at ``vad_onset`` and ends below ``vad_offset``,
    by default 0.15 less, as in Silero's own code.

    ``device``: cpu or cuda, used by pyannote's model alone.
    """
    onset, offset = thresholds(settings)
    if settings.vad_method == "pyannote":
        return lambda samples: _by_pyannote(samples, onset, offset, device)
    return lambda samples: _by_silero(samples, onset, offset)


def thresholds(settings: TranscriptionSettings) -> tuple[float, float]:
    """The probabilities at which speech begins, and below which it ends."""
    onset = settings.vad_onset
    offset = max(onset - 0.15, 0.01) if settings.vad_offset is None else settings.vad_offset
    return onset, offset


def _by_silero(samples: Samples, onset: float, offset: float) -> list[tuple[int, int]]:
    """By Silero's ONNX model, which faster-whisper ships; deterministic, one thread."""
    options = VadOptions(
        threshold=onset,
        neg_threshold=offset,
        min_silence_duration_ms=MIN_PAUSE_MS,
        min_speech_duration_ms=MIN_SPEECH_MS,
        speech_pad_ms=0,
    )
    return [(int(r["start"]), int(r["end"])) for r in get_speech_timestamps(samples, options)]


def _by_pyannote(
    samples: Samples, onset: float, offset: float, device: str
) -> list[tuple[int, int]]:
    """By the pyannote model that whisperx ships; slower than Silero by a factor of ten."""
    import torch
    from whisperx.vads.pyannote import Binarize

    waveform = torch.from_numpy(samples).unsqueeze(0)
    scores = _pyannote(device)({"waveform": waveform, "sample_rate": SAMPLE_RATE})
    regions = Binarize(onset=onset, offset=offset)(scores).get_timeline().support()
    edges = [(int(r.start * SAMPLE_RATE), int(r.end * SAMPLE_RATE)) for r in regions]
    return [(max(0, a), min(b, len(samples))) for a, b in edges if b > a]


@lru_cache(maxsize=1)
def _pyannote(device: str) -> Callable[..., Any]:
    import torch
    from whisperx.vads.pyannote import load_vad_model

    return load_vad_model(torch.device(device))  # type: ignore[no-any-return]
