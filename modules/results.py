"""Put the ``.result`` together from a job and its finished chunks. Pure."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from modules.clock import iso
from modules.job import Job
from modules.outputs import full_text, segment_json
from modules.protocol import Chunk, Segment
from modules.segments import mean_confidence

#: Above this probability, speech that contradicts a language that was given is worth a note.
_CERTAIN = 0.7


@dataclass(frozen=True)
class RunFacts:
    """What the worker told of the run that finished a job."""

    duration_s: float
    notes: tuple[str, ...]
    whisperx_version: str
    model_name: str
    model_size_mb: int
    model_load_s: float
    memory_peak_mb: int
    cpu_s: float


def segments_of(chunks: Sequence[Chunk]) -> list[Segment]:
    """All segments in order."""
    return [segment for chunk in chunks for segment in chunk.segments]


def segments_from(result: Mapping[str, Any]) -> list[Segment]:
    """The segments of a ``.result``; anybody may have edited it, so what makes no sense is out."""
    found = []
    transcription = result.get("transcription")
    listed = transcription.get("segments") if isinstance(transcription, dict) else None
    for raw in listed if isinstance(listed, list) else ():
        with contextlib.suppress(ValidationError):
            found.append(Segment.model_validate(raw))
    return found


def result_json(
    job: Job, chunks: Sequence[Chunk], facts: RunFacts, outputs: Sequence[str], now: datetime
) -> dict[str, Any]:
    """The content of ``NAME.result``. Keys whose value is not known are absent."""
    segments = segments_of(chunks)
    attempts = job.attempts
    return {
        "filename": job.name,
        "job_id": job.job_id,
        "processing_start": attempts[0].start_time if attempts else iso(now),
        "processing_end": iso(now),
        "duration_seconds": round(facts.duration_s, 3),
        "processing_time_seconds": round(sum(a.running_seconds for a in attempts), 3),
        "settings": job.settings.model_dump(),
        "source": job.source.model_dump() if job.source else {},
        "outputs": list(outputs),
        "transcription": {
            "text": full_text(segments),
            "segments": [{"id": i, **segment_json(s)} for i, s in enumerate(segments)],
        },
        "metadata": _metadata(job, chunks, segments, facts),
        "processing_stats": {
            "total_attempts": job.attempt_number,
            "memory_peak_mb": facts.memory_peak_mb,
            "cpu_time_seconds": facts.cpu_s,
        },
    }


def _metadata(
    job: Job, chunks: Sequence[Chunk], segments: Sequence[Segment], facts: RunFacts
) -> dict[str, Any]:
    words = [word for segment in segments for word in segment.words]
    heard = next((c for c in chunks if c.detected_language), None)
    spoken = Counter(c.language for c in chunks if c.language)
    known = {
        "duration_seconds": round(facts.duration_s, 3),
        "confidence": mean_confidence(words),
        "language": spoken.most_common(1)[0][0] if spoken else None,
        "language_detected": heard.detected_language if heard else None,
        "language_probability": heard.language_probability if heard else None,
        "languages": sorted(spoken) if len(spoken) > 1 else None,
        "alignment": next((c.alignment for c in chunks if c.alignment), None),
        "speech_seconds": round(sum(c.speech_s for c in chunks), 3),
        "word_count": len(full_text(segments).split()),
        "segment_count": len(segments),
        "notes": [*facts.notes, *_notes(job, segments, heard)],
        "whisperx_version": facts.whisperx_version,
        "model_info": {
            "name": facts.model_name,
            "size_mb": facts.model_size_mb,
            "load_time_seconds": facts.model_load_s,
        },
    }
    return {key: value for key, value in known.items() if value is not None}


def _notes(job: Job, segments: Sequence[Segment], heard: Chunk | None) -> list[str]:
    if not segments:
        return ["no speech was found"]
    asked, probability = job.settings.language, heard.language_probability if heard else None
    if asked in ("auto", "mixed") or not heard or not probability or probability < _CERTAIN:
        return []
    if heard.detected_language == asked:
        return []
    return [
        f"language: {asked} was set, but the speech sounds like "
        f"{heard.detected_language} ({probability:.0%})"
    ]
