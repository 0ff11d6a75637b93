"""Every recording of the shared and the manual folder and its state, from the files alone."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from modules import orders
from modules.cli.session import parse_time
from modules.cli.sidecar_reader import read_reason, read_result, read_state
from modules.config import Config
from modules.errors import TranscriberError
from modules.file_manager import FileManager
from modules.folder_scan import Scan, scan
from modules.job import Job, Source
from modules.names import is_recording, is_visible_folder
from modules.sidecars import IN_PROGRESS, RESULT, job_from_json, recording_of, sidecar_name
from modules.stability import FileSample


class State(StrEnum):
    """What a person wants to know of a recording."""

    COMPLETED = "completed"  #: its text is there
    MANUAL = "manual"  #: failed, and moved to the manual folder
    ERROR = "error"  #: failed, and not moved yet
    PENDING = "pending"  #: nobody has begun with it
    QUEUED = "queued"  #: ordered, or begun and waiting to go on
    PROCESSING = "processing"  #: the model has it


@dataclass(frozen=True)
class Row:
    """One recording. ``name``: relative to the share, or to the manual folder."""

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


@dataclass
class Report:
    """``not_looked_into``: subfolders that the service passes by. ``problems``: one line each."""

    rows: list[Row] = field(default_factory=list)
    not_looked_into: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def report(config: Config, files: FileManager) -> Report:
    """The whole report, finished ones first. Raises OSError if the share cannot be listed."""
    manual = _inside(config.manual_directory, config.shared_directory)
    seen = scan(
        config.shared_directory,
        recursive=config.watch.recursive,
        wants_file=lambda name: is_recording(name) or name.endswith((RESULT, IN_PROGRESS)),
        wants_folder=lambda name: is_visible_folder(name) and name != manual,
    )
    rows = _shared_rows(seen, files) + _manual_rows(config.manual_directory)
    order = list(State)
    rows.sort(
        key=lambda row: (order.index(row.state), row.when or datetime.min.replace(tzinfo=UTC))
    )
    return Report(rows, sorted(seen.passed_by), seen.problems)


def _inside(folder: Path, root: Path) -> str | None:
    real, real_root = Path(os.path.realpath(folder)), Path(os.path.realpath(root))
    return real.relative_to(real_root).as_posix() if real.is_relative_to(real_root) else None


def _shared_rows(seen: Scan, files: FileManager) -> list[Row]:
    rows, claimed = [], set()
    ordered = _ordered(files.shared)
    for name, sample in seen.files.items():
        if is_recording(name):
            state, result = sidecar_name(name, IN_PROGRESS), sidecar_name(name, RESULT)
            claimed |= {state, result}
            rows.append(
                (_working_row(name, files) if state in seen.files else None)
                or (_finished_row(name, sample, files) if result in seen.files else None)
                or Row(name, _untouched(name, ordered), _time_of(sample))
            )
    for sidecar in seen.files.keys() - claimed:
        row = None if is_recording(sidecar) else _lonely_row(sidecar, files)
        rows += [row] if row else []
    return rows


def _untouched(name: str, ordered: set[object]) -> State:
    return State.QUEUED if name in ordered else State.PENDING


def _ordered(shared: Path) -> set[object]:
    """The names in orders that no daemon has carried out yet."""
    names = set()
    with contextlib.suppress(OSError):
        for path in orders.folder(shared).iterdir():
            with contextlib.suppress(TranscriberError):
                names.add((read_state(path) or {}).get("filename"))
    return names


def _working_row(name: str, files: FileManager) -> Row | None:
    """The row of a ``.in_progress``; None if it is gone by now."""
    try:
        content = read_state(files.shared / sidecar_name(name, IN_PROGRESS))
        if content is None or content.get("moved_to_manual"):
            return None
        job = job_from_json(name, content)
    except TranscriberError:
        return Row(name, State.ERROR, error="its .in_progress cannot be read")
    return Row(
        name,
        _state_of(job, content),
        when=parse_time(job.attempts[0].start_time) if job.attempts else job.created,
        stage=job.progress.stage,
        percentage=job.progress.percentage,
        attempt=job.attempt_number,
        error=job.error.message if job.error else None,
    )


def _state_of(job: Job, content: dict[str, Any]) -> State:
    if content.get("status") == "error" or job.given_up:
        return State.ERROR
    # An attempt that was interrupted is closed until its turn comes again; while the model is
    # loaded for it, none is open yet.
    running = bool(job.attempts) and job.attempts[-1].status == "processing"
    loading = job.progress.stage == "loading_model"
    return State.PROCESSING if running or loading else State.QUEUED


def _finished_row(name: str, sample: FileSample, files: FileManager) -> Row | None:
    """The row of a ``.result``; None if it was made from other bytes than lie there now."""
    content = read_result(files.shared / sidecar_name(name, RESULT)) or {}
    try:
        source = Source.model_validate(content.get("source"))
        same = (sample.size, sample.mtime_ns) == (source.size, source.mtime_ns)
        if not same and not files.is_still(name, source):
            return None
    except (ValueError, TranscriberError):
        return None
    return _completed(name, content)


def _completed(name: str, content: dict[str, Any]) -> Row:
    metadata = content.get("metadata")
    facts: dict[str, Any] = metadata if isinstance(metadata, dict) else {}
    return Row(
        name,
        State.COMPLETED,
        when=parse_time(content.get("processing_end")),
        duration_s=_number(content.get("duration_seconds")),
        language=str(facts.get("language") or facts.get("language_detected") or "") or None,
        words=_number(facts.get("word_count")),
    )


def _order_in_time(row: Row) -> float:
    return row.when.timestamp() if row.when else 0.0


def _number(value: Any) -> Any:
    return value if isinstance(value, int | float) else None


def _lonely_row(sidecar: str, files: FileManager) -> Row | None:
    """A sidecar whose recording is gone: archived by somebody, or lost."""
    try:
        if sidecar.endswith(RESULT):
            content = read_result(files.shared / sidecar)
            return _completed(recording_of(sidecar, content), content) if content else None
        content = read_state(files.shared / sidecar) or {}
    except TranscriberError:
        return None
    name = recording_of(sidecar, content)
    return Row(name, State.ERROR, error="the recording is gone, only its .in_progress is there")


def _manual_rows(manual: Path) -> list[Row]:
    try:
        seen = scan(manual, recursive=True, wants_file=is_recording, wants_folder=is_visible_folder)
    except OSError:
        return []
    return [
        Row(name, State.MANUAL, _time_of(sample), error=read_reason(manual, name) or None)
        for name, sample in seen.files.items()
    ]


def _time_of(sample: FileSample) -> datetime:
    return datetime.fromtimestamp(sample.mtime_ns / 1e9, UTC)
