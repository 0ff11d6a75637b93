"""Put the ``.result`` together from a job and its finished chunks. Pure."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from modules.clock import iso
from modules.job import Job
from modules.joining import segments_of
from modules.outputs import full_text, segment_json
from modules.protocol import Chunk, Segment, Turn
from modules.segments import mean_confidence
from modules.speakers import with_speakers

#: Above this probability, speech that contradicts a language that was given is worth a note.
_CERTAIN = 0.7


@dataclass(frozen=True)
class RunFacts:
    """What the worker told of the run that finished a job.

    ``turns``: who speaks when, by the method that ``diarization`` names.
    """

    duration_s: float
    notes: tuple[str, ...]
    whisperx_version: str
    model_name: str
    model_size_mb: int
    model_load_s: float
    memory_peak_mb: int
    cpu_s: float
    device: str | None = None
    compute_type: str | None = None
    turns: tuple[Turn, ...] = ()
    diarization: str | None = None


def final_segments(chunks: Sequence[Chunk], facts: RunFacts) -> list[Segment]:
    """The segments of a finished recording, in order, with their speakers where those are known."""
    return with_speakers(segments_of(chunks), facts.turns)


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
    job: Job,
    chunks: Sequence[Chunk],
    segments: Sequence[Segment],
    facts: RunFacts,
    outputs: Sequence[str],
    now: datetime,
) -> dict[str, Any]:
    """The content of ``NAME.result``; ``segments`` are the ``final_segments`` of the chunks.

    Keys whose value is not known are absent.
    """
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
    spoken = _languages(chunks, segments)
    dropped = [dropped.model_dump() for chunk in chunks for dropped in chunk.dropped]
    known = {
        "duration_seconds": round(facts.duration_s, 3),
        "confidence": mean_confidence(words),
        "language": spoken[0] if spoken else None,
        "language_detected": heard.detected_language if heard else None,
        "language_probability": heard.language_probability if heard else None,
        "languages": sorted(spoken) if len(spoken) > 1 else None,
        "alignment": next((c.alignment for c in chunks if c.alignment), None),
        "diarization": facts.diarization,
        "speakers": sorted({s.speaker for s in segments if s.speaker}) or None,
        "speech_seconds": round(sum(c.speech_s for c in chunks), 3),
        "transcribed_seconds": round(sum(c.speech_s for c in chunks if c.segments), 3),
        "flagged_seconds": round(sum(s.end - s.start for s in segments if s.flags), 3),
        "word_count": sum(len(segment.text.split()) for segment in segments),
        "segment_count": len(segments),
        "dropped": dropped or None,
        "notes": [*facts.notes, *_notes(job, chunks, segments, heard)],
        "settings_used": _settings_used(job, segments, facts, spoken),
        "whisperx_version": facts.whisperx_version,
        "model_info": {
            "name": facts.model_name,
            "size_mb": facts.model_size_mb,
            "load_time_seconds": facts.model_load_s,
        },
    }
    return {key: value for key, value in known.items() if value is not None}


def _languages(chunks: Sequence[Chunk], segments: Sequence[Segment]) -> list[str]:
    """What it was transcribed in, the most spoken first."""
    spoken: Counter[str] = Counter()
    for chunk in chunks:
        for segment in chunk.segments:
            language = segment.language or chunk.language
            if language:
                spoken[language] += round(1000 * (segment.end - segment.start))
    return [language for language, _ in spoken.most_common()]


def _settings_used(
    job: Job, segments: Sequence[Segment], facts: RunFacts, spoken: Sequence[str]
) -> dict[str, Any]:
    """What was really done, where a setting leaves it open or could not be followed."""
    temperatures = {s.temperature for s in segments if s.temperature is not None}
    known = {
        "model_size": facts.model_name,
        "device": facts.device,
        "compute_type": facts.compute_type,
        "languages": list(spoken) or None,
        "temperatures": sorted(temperatures) or None,
    }
    translated = job.settings.task == "translate" and set(spoken) != {"en"}
    asked: dict[str, Any] = {
        "task": "translate" if translated else "transcribe",
        "vad_method": job.settings.vad_method,
    }
    if 0.0 in temperatures:
        asked["beam_size"] = job.settings.beam_size
    return asked | {key: value for key, value in known.items() if value is not None}


def _notes(
    job: Job, chunks: Sequence[Chunk], segments: Sequence[Segment], heard: Chunk | None
) -> Iterator[str]:
    if not segments:
        speech_s = sum(chunk.speech_s for chunk in chunks)
        found = f"; {speech_s:.1f} s sounded like it" if speech_s else ""
        yield f"no speech was found{found}"
    doubtful = [segment for segment in segments if segment.flags]
    if doubtful:
        why = ", ".join(sorted({flag for segment in doubtful for flag in segment.flags}))
        seconds = sum(segment.end - segment.start for segment in doubtful)
        yield f"doubtful: {len(doubtful)} of {len(segments)} segments, {seconds:.1f} s ({why})"
    dropped = sum(len(chunk.dropped) for chunk in chunks)
    if dropped:
        yield f"dropped: {dropped} pieces of text that nobody said, see metadata.dropped"
    asked, probability = job.settings.language, heard.language_probability if heard else None
    if asked in ("auto", "mixed") or not heard or not probability or probability < _CERTAIN:
        return
    if segments and heard.detected_language != asked:
        yield (
            f"language: {asked} was set, but the speech sounds like "
            f"{heard.detected_language} ({probability:.0%})"
        )
