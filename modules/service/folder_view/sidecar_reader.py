"""What sidecars say, at the price of a few kilobytes each, whatever the length of a recording."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from modules.errors import TranscriberError
from modules.messages import restored
from modules.recordings.error_texts import REASON_PREFIXES
from modules.recordings.sidecars import (
    EDITS_BYTES_MAX,
    ERROR_TEXT_BYTES_MAX,
    RESULT_BYTES_MAX,
    STATE_BYTES_MAX,
    RecordingPaths,
)
from modules.storage.atomic import parse_json
from modules.storage.safe_open import open_regular, read_json, read_regular

_EDGE_BYTES = 8192
#: How the keys around the transcript begin in our files. JSON escapes line breaks inside of texts,
#: so nothing that was said can look like this.
_TRANSCRIPT = b'\n  "transcription": {'
_AFTER = b'\n  "metadata": {'


def read_result(path: Path) -> dict[str, Any] | None:
    """A ``.result`` without its transcript, or None if it cannot be read."""
    try:
        return parse_json(_without_transcript(path), path.name)
    except (OSError, TranscriberError):
        return None


def _without_transcript(path: Path) -> bytes:
    """The beginning and the end of the file; all of it where it does not look like ours."""
    with open_regular(path) as file:
        head = file.read(_EDGE_BYTES)
        file.seek(max(0, os.fstat(file.fileno()).st_size - _EDGE_BYTES))
        tail = file.read()
        start, end = head.find(_TRANSCRIPT), tail.rfind(_AFTER)
        if start >= 0 and end >= 0:
            return head[:start] + tail[end:]
    return read_regular(path, RESULT_BYTES_MAX)


def read_corrected_facts(path: Path, job_id: object) -> dict[str, Any]:
    """What corrections changed of the metadata of the ``.result`` of a job; empty if nothing is
    known, or they were made for the text of another job."""
    try:
        content = read_json(path, EDITS_BYTES_MAX)
    except (OSError, TranscriberError):
        return {}
    facts = content.get("facts")
    return facts if isinstance(facts, dict) and content.get("job_id") == job_id else {}


def read_state(path: Path) -> dict[str, Any] | None:
    """A ``.in_progress``, or None if there is none. Raises TranscriberError if it is corrupt."""
    try:
        return read_json(path, STATE_BYTES_MAX)
    except OSError:
        return None


def read_reason(manual: Path, name: str) -> str:
    """Why a file lies in ``manual/``, in one line; empty if nothing there tells."""
    paths = RecordingPaths(name)
    try:
        state = read_state(manual / paths.state) or {}
        error = state.get("error")
        if isinstance(error, dict) and error.get("message"):
            message = restored(str(error["message"]), error.get("template"))
            return message if "\n" not in message else message.partition("\n")[0]
        text = read_regular(manual / paths.error_text, ERROR_TEXT_BYTES_MAX)
    except (OSError, TranscriberError):
        return ""
    lines = text.decode(errors="replace").splitlines()
    for line in lines:
        for prefix in REASON_PREFIXES:
            if line.startswith(prefix):
                return line.removeprefix(prefix).strip()
    return next(iter(lines), "").strip()
