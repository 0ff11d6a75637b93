"""One recording and its state, from the files alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from modules.clock import parse_time
from modules.errors import Message, TranscriberError, noted
from modules.jobs.job import Job, Priority
from modules.jobs.source import FileIdentity
from modules.outputs.notes import warnings_of
from modules.recordings.sidecars import RESULT, RecordingPaths, recording_of
from modules.recordings.state import job_from_json
from modules.recordings.store import RecordingStore
from modules.service.folder_view.sidecar_reader import (
    read_corrected_facts,
    read_reason,
    read_result,
    read_state,
)
from modules.watching.stability import FileSample

_CHARS_MAX, _WARNINGS_MAX = 500, 10


class State(StrEnum):
    """What a person wants to know of a recording."""

    COMPLETED = "completed"  #: its text is there
    MANUAL = "manual"  #: failed, and moved to the manual folder
    ERROR = "error"  #: failed, and not moved yet
    IGNORED = "ignored"  #: no recording but its name, left where it is
    SKIPPED = "skipped"  #: has subtitles already
    PENDING = "pending"  #: not begun
    QUEUED = "queued"  #: ordered, or begun and waiting to go on
    PROCESSING = "processing"  #: the model has it


_GONE = noted("the recording is missing, only its .in_progress is there")
#: What is done in which order: the running one, orders, orders not taken in yet, found files.
_RUNNING, _URGENT, _ORDERED, _FOUND = (0, 0.0), 1, 2, 3


@dataclass(frozen=True)
class Row:
    """One recording. ``name``: relative to the share, or to the manual folder.

    ``flagged_s``: seconds of doubtful text. ``warnings``: what one must know of its text, as in
    ``.result``. ``turn``: by which those that
    are still to be done are sorted. ``job``: as the folder tells it.
    """

    name: str
    state: State
    when: datetime | None = None
    stage: str | None = None
    percentage: int | None = None
    attempt: int | None = None
    error: str | None = None
    duration_s: float | None = None
    language: str | None = None
    words: int | None = None
    speakers: int | None = None
    flagged_s: float | None = None
    warnings: tuple[dict[str, Any], ...] = ()
    turn: tuple[int, float] = (0, 0.0)
    size: int = 0
    job: Job | None = None


def untouched_row(name: str, sample: FileSample, ordered: Mapping[object, float]) -> Row:
    """One that is not begun. Requested ones go first, the others by file time."""
    when = _time_of(sample)
    if name in ordered:
        turn = (_ORDERED, ordered[name])
        return Row(name, State.QUEUED, when, turn=turn, size=sample.size)
    turn = (_FOUND, sample.mtime_ns / 1e9)
    return Row(name, State.PENDING, when, turn=turn, size=sample.size)


def ignored_row(name: str, sample: FileSample, kind: str) -> Row:
    """One that is no recording; ``kind`` says what it is instead."""
    return Row(name, State.IGNORED, _time_of(sample), error=noted(kind), size=sample.size)


def skipped_row(name: str, sample: FileSample, subtitles: str) -> Row:
    """One that has subtitles already; ``subtitles``: their file."""
    return Row(name, State.SKIPPED, _time_of(sample), error=_short(subtitles), size=sample.size)


def working_row(name: str, sample: FileSample, files: RecordingStore) -> Row | None:
    """The row of a ``.in_progress``; None if it was removed meanwhile."""
    try:
        content = read_state(files.folder.sidecar_at(RecordingPaths(name).state))
        if content is None or content.get("moved_to_manual"):
            return None
        job = job_from_json(name, content)
    except TranscriberError:
        return Row(name, State.ERROR, error=noted("its .in_progress cannot be read"))
    state = _state_of(job, content)
    return Row(
        name,
        state,
        when=parse_time(job.attempts[0].start_time) if job.attempts else job.created,
        stage=job.progress.stage,
        percentage=job.progress.percentage,
        attempt=job.attempt_number,
        error=_short(job.error.message) if job.error else None,
        turn=_turn(job, state, sample),
        size=sample.size,
        job=job,
    )


def _turn(job: Job, state: State, sample: FileSample) -> tuple[int, float]:
    if state is State.PROCESSING:
        return _RUNNING
    if job.priority is Priority.API:
        return (_URGENT, job.created.timestamp())
    return (_FOUND, sample.mtime_ns / 1e9)


def _state_of(job: Job, content: dict[str, Any]) -> State:
    if content.get("status") == "error" or job.given_up:
        return State.ERROR
    # An attempt that was interrupted is closed until its turn comes again; while the model is
    # loaded for it, none is open yet.
    running = bool(job.attempts) and job.attempts[-1].status == "processing"
    loading = job.progress.stage == "loading_model"
    return State.PROCESSING if running or loading else State.QUEUED


def finished_row(name: str, sample: FileSample, files: RecordingStore) -> Row | None:
    """The row of a ``.result``; None if it was made from other bytes than lie there now."""
    content = read_result(files.folder.sidecar_at(RecordingPaths(name).result)) or {}
    try:
        source = FileIdentity.model_validate(content.get("source"))
        same = (sample.size, sample.mtime_ns) == (source.size, source.mtime_ns)
        if not same and not files.folder.is_still(name, source):
            return None
    except (ValueError, TranscriberError):
        return None
    return _completed(name, content, files)


def _completed(name: str, content: dict[str, Any], files: RecordingStore) -> Row:
    metadata = content.get("metadata")
    facts: dict[str, Any] = metadata if isinstance(metadata, dict) else {}
    edits = files.folder.sidecar_at(RecordingPaths(name).edits)
    facts |= read_corrected_facts(edits, content.get("job_id"))
    return Row(
        name,
        State.COMPLETED,
        when=parse_time(content.get("processing_end")),
        duration_s=_number(content.get("duration_seconds")),
        language=_short(facts.get("language") or facts.get("language_detected")),
        words=_number(facts.get("word_count")),
        speakers=len(speakers) if isinstance(speakers := facts.get("speakers"), list) else None,
        flagged_s=_number(facts.get("flagged_seconds")),
        warnings=_few(warnings_of(content)),
    )


def _few(warnings: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    return tuple(each for each in warnings[:_WARNINGS_MAX] if len(repr(each)) < 4 * _CHARS_MAX)


def _short(text: object) -> str | None:
    """Cut: a list keeps it of every recording, and whoever writes into the share wrote it."""
    if isinstance(text, Message) and len(text) <= _CHARS_MAX:
        return text
    return str(text)[:_CHARS_MAX] if text else None


def _number(value: Any) -> Any:
    return value if isinstance(value, int | float) else None


def lonely_row(sidecar: str, files: RecordingStore) -> Row | None:
    """A sidecar without its recording, which was archived or lost."""
    try:
        if sidecar.endswith(RESULT):
            content = read_result(files.folder.sidecar_at(sidecar))
            return _completed(recording_of(sidecar, content), content, files) if content else None
        content = read_state(files.folder.sidecar_at(sidecar)) or {}
    except TranscriberError:
        return None
    name = recording_of(sidecar, content)
    return Row(name, State.ERROR, error=_GONE)


def failed_row(manual: Path, name: str, sample: FileSample) -> Row:
    reason = _short(read_reason(manual, name))
    return Row(name, State.MANUAL, _time_of(sample), error=reason)


def _time_of(sample: FileSample) -> datetime | None:
    try:
        return datetime.fromtimestamp(sample.mtime_ns / 1e9, UTC)
    except (ValueError, OverflowError, OSError):  # tools set it to anything
        return None
