"""What sidecars say, at the price of a few kilobytes each, whatever the length of a recording."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from modules.errors import TranscriberError
from modules.recordings.sidecars import ERROR_TEXT, IN_PROGRESS, sidecar_name
from modules.storage.atomic import parse_json

_EDGE_BYTES = 8192
#: How the keys around the transcript begin in our files. JSON escapes line breaks inside of texts,
#: so nothing that was said can look like this.
_TRANSCRIPT = b'\n  "transcription": {'
_AFTER = b'\n  "metadata": {'
_WHAT_HAPPENED = "What happened:"


def read_result(path: Path) -> dict[str, Any] | None:
    """A ``.result`` without its transcript, or None if it cannot be read."""
    try:
        return parse_json(_without_transcript(path), path.name)
    except (OSError, TranscriberError):
        return None


def _without_transcript(path: Path) -> bytes:
    """The beginning and the end of the file; all of it where it does not look like ours."""
    with open(path, "rb") as file:
        head = file.read(_EDGE_BYTES)
        file.seek(max(0, os.fstat(file.fileno()).st_size - _EDGE_BYTES))
        tail = file.read()
        start, end = head.find(_TRANSCRIPT), tail.rfind(_AFTER)
        if start >= 0 and end >= 0:
            return head[:start] + tail[end:]
        file.seek(0)
        return file.read()


def read_state(path: Path) -> dict[str, Any] | None:
    """A ``.in_progress``, or None if there is none. Raises TranscriberError if it is corrupt."""
    try:
        return parse_json(path.read_bytes(), path.name)
    except OSError:
        return None


def read_reason(manual: Path, name: str) -> str:
    """Why a file lies in ``manual/``, in one line; empty if nothing there tells."""
    try:
        state = read_state(manual / sidecar_name(name, IN_PROGRESS)) or {}
        error = state.get("error")
        if isinstance(error, dict) and error.get("message"):
            return str(error["message"]).partition("\n")[0]
        lines = (manual / sidecar_name(name, ERROR_TEXT)).read_text(errors="replace").splitlines()
    except (OSError, TranscriberError):
        return ""
    reasons = (
        line.removeprefix(_WHAT_HAPPENED) for line in lines if line.startswith(_WHAT_HAPPENED)
    )
    return next(reasons, next(iter(lines), "")).strip()
