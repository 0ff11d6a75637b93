"""Build the ``.result`` from a job and its finished chunks. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from modules.clock import iso
from modules.jobs.job import Job
from modules.messages import Message, joined, noted
from modules.outputs.base import clock
from modules.outputs.notes import warning
from modules.outputs.statistics import Tally
from modules.transcript.model import LeftOut, RunFacts
from modules.transcript.slicing import joined_text
from modules.transcript.transcript import Transcript

#: Speech without words is said to the reader if it is so long in one place, or such a share.
_LONG_S, _SHARE = 3.0, 0.05
#: Above this probability, a detected language that differs from the configured one is noted.
_CERTAIN = 0.7


def result_json(
    job: Job, transcript: Transcript, facts: RunFacts, outputs: Sequence[str], now: datetime
) -> dict[str, Any]:
    """The content of ``NAME.result`` without the segments, which ``with_segments`` adds.

    Keys with unknown values are absent.
    """
    attempts = job.attempts
    tally = Tally.of(transcript)
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
        "transcription": {"text": joined_text(tally.texts), "segments": []},
        "metadata": _metadata(job, tally, facts),
        "processing_stats": {
            "total_attempts": job.attempt_number,
            "memory_peak_mb": facts.memory_peak_mb,
            "cpu_time_seconds": facts.cpu_s,
        },
    }


def language_of_text(result: Mapping[str, Any]) -> str | None:
    """The language that most of the text of a ``.result`` is in, by Whisper's code.

    Where nothing was said, the one that was set; None if none was.
    """
    settings, metadata = result["settings"], result["metadata"]
    if settings["task"] == "translate":
        return "en"
    asked = settings["language"]
    return metadata.get("language") or (None if asked in ("auto", "mixed") else asked)


def _metadata(job: Job, tally: Tally, facts: RunFacts) -> dict[str, Any]:
    detected, spoken = tally.detected, tally.languages
    known = {
        "duration_seconds": round(facts.duration_s, 3),
        "confidence": round(tally.confidence / tally.confident, 4) if tally.confident else None,
        "language": spoken[0] if spoken else None,
        "language_detected": detected.detected_language if detected else None,
        "language_probability": detected.language_probability if detected else None,
        "languages": sorted(spoken) if len(spoken) > 1 else None,
        "alignment": tally.alignment,
        "diarization": facts.diarization,
        "speakers": sorted(tally.speakers) or None,
        "speech_seconds": round(tally.speech_s, 3),
        "transcribed_seconds": round(tally.transcribed_s, 3),
        "flagged_seconds": round(tally.doubtful_s, 3),
        "word_count": tally.words,
        "segment_count": tally.segments,
        "dropped": [dropped.model_dump() for dropped in tally.dropped] or None,
        "account": _account(tally, facts),
        "notes": [*facts.notes, *_notes(job, tally), *map(_left_out_note, facts.left_out)],
        "warnings": list(_warnings(job, tally, facts)) or None,
        "settings_used": _settings_used(job, tally, facts),
        "whisperx_version": facts.whisperx_version,
        "engine_version": facts.engine_version,
        "model_info": {
            "name": facts.model_name,
            "size_mb": facts.model_size_mb,
            "load_time_seconds": facts.model_load_s,
        },
    }
    return {key: value for key, value in known.items() if value is not None}


def _account(tally: Tally, facts: RunFacts) -> dict[str, Any]:
    """What became of the sound, so that nothing is lost in silence."""
    spans = [{"start": start, "end": end} for start, end in tally.wordless]
    return {
        "sound_seconds": round(facts.duration_s, 3),
        "speech_seconds": round(tally.speech_s, 3),
        "speech_with_words_seconds": round(tally.speech_s - tally.wordless_s, 3),
        "speech_without_words": spans,
        "left_out": [part.model_dump(exclude_none=True) for part in facts.left_out],
    }


def _settings_used(job: Job, tally: Tally, facts: RunFacts) -> dict[str, Any]:
    """The values in effect, where a setting was automatic or could not be followed."""
    known = {
        "engine": job.settings.engine,
        "model_size": facts.model_name,
        "device": facts.device,
        "compute_type": facts.compute_type,
        "encoder": facts.encoder,
        "vad_method_in_pieces": facts.own_vad,
        "languages": tally.languages or None,
        "temperatures": sorted(tally.temperatures) or None,
    }
    translated = job.settings.task == "translate" and set(tally.spoken) != {"en"}
    asked: dict[str, Any] = {
        "task": "translate" if translated else "transcribe",
        "vad_method": job.settings.vad_method,
    }
    if 0.0 in tally.temperatures:
        asked["beam_size"] = job.settings.beam_size
    return asked | {key: value for key, value in known.items() if value is not None}


def _notes(job: Job, tally: Tally) -> Iterator[str]:
    if not tally.segments:
        heard_s = tally.speech_s
        like_it = noted("; {seconds:.1f} s sounded like it", seconds=heard_s) if heard_s else None
        yield joined("", noted("no speech was found"), like_it)
    if tally.doubtful:
        yield noted(
            "doubtful: {count} of {all} segments, {seconds:.1f} s ({why})",
            count=tally.doubtful,
            all=tally.segments,
            seconds=tally.doubtful_s,
            why=", ".join(sorted(tally.flags)),
        )
    if tally.dropped:
        yield noted(
            "dropped: {count} pieces of text that nobody said, see metadata.dropped",
            count=len(tally.dropped),
        )
    if other := _other_language(job, tally):
        heard, probability = other
        yield noted(
            "language: {asked} was set, but the speech sounds like {heard} ({probability:.0%})",
            asked=job.settings.language,
            heard=heard,
            probability=probability,
        )


def _warnings(job: Job, tally: Tally, facts: RunFacts) -> Iterator[dict[str, Any]]:
    """What a reader of the text must know, so that it is said in the text and in ``status`` too."""
    if other := _other_language(job, tally):
        yield warning("other_language", asked=job.settings.language, heard=other[0])
    for part in facts.left_out:
        if part.why in ("language", "simultaneous"):
            yield warning("track_left_out", track=part.label, tracks=part.count)
    longest_s = max((end - start for start, end in tally.wordless), default=0.0)
    if longest_s >= _LONG_S or tally.wordless_s > _SHARE * tally.speech_s:
        at = clock(tally.wordless[0][0])
        yield warning("speech_without_text", seconds=round(tally.wordless_s), at=at)
    if facts.incomplete:
        yield warning("incomplete")


_WHY_LEFT_OUT = {
    "commentary": noted("it is a commentary or description"),
    "language": noted("it is in another language"),
    "asked": noted("another was asked for"),
    "simultaneous": noted(
        "it speaks at the same time as the first; set audio_tracks to its number"
    ),
    "no_speech": noted("it has noise and no speech"),
}


def _left_out_note(part: LeftOut) -> Message:
    how_long = None
    if part.seconds is not None:
        how_long = noted(" for {seconds:.0f} s", seconds=part.seconds)
    what = noted("track") if part.what == "track" else noted("channel")
    which = noted(
        "left out: {what} {label} of {count}", what=what, label=part.label, count=part.count
    )
    return joined("", which, how_long, ", ", _WHY_LEFT_OUT[part.why])


def _other_language(job: Job, tally: Tally) -> tuple[str, float] | None:
    """The language of the speech and its probability, if it contradicts the one that was set.

    Also where all text was dropped: then the wrong language is the likely reason.
    """
    detected, asked = tally.detected, job.settings.language
    if asked in ("auto", "mixed") or detected is None or not (tally.segments or tally.dropped):
        return None
    heard, probability = detected.detected_language, detected.language_probability or 0.0
    is_other = heard is not None and heard != asked and probability >= _CERTAIN
    return (heard, probability) if heard and is_other else None
