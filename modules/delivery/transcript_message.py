"""The message about a finished transcript, as a consumer of the queue gets it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from modules.errors import StorageError, noted
from modules.recordings.edits import sha256_of
from modules.recordings.sidecars import RecordingPaths
from modules.recordings.store import RecordingStore

SCHEMA = 1
#: A longer text is not in the message; a consumer reads it from the files or the API.
TEXT_BYTES_MAX = 256 * 1024


def compose(store: RecordingStore, name: str, job_id: str) -> dict[str, Any] | None:
    """Plain types only; paths are relative to the shared folder, ``api_url`` to the service.

    None if the text of this job is not there any more. Raises StorageError while the folder cannot
    be used.
    """
    store.folder.require()
    before = store.edits.signature(name)
    result = store.results.read(name)
    if result is None or result.get("job_id") != job_id:
        store.folder.require()  # or it is only the share that is gone
        return None
    path = RecordingPaths(name).result
    digest = sha256_of(store.folder.at(path))
    if store.edits.signature(name) != before:
        raise StorageError(
            "file_changed", noted("{path} was replaced while it was read.", path=path)
        )
    metadata = result.get("metadata") or {}
    return {
        "schema": SCHEMA,
        "job_id": job_id,
        "name": _plain(name),
        "language": metadata.get("language") or metadata.get("language_detected"),
        "duration_s": result.get("duration_seconds"),
        "result_path": _plain(path),
        "text_path": _text_path(store.results.outputs(name)),
        "result_sha256": digest,
        "text": _short((result.get("transcription") or {}).get("text")),
        "api_url": f"/result/{quote(job_id)}",
    }


def _text_path(outputs: tuple[str, ...]) -> str | None:
    """The txt, or the first of the other texts."""
    plain = [each for each in outputs if each.endswith(".txt")]
    return next((_plain(each) for each in (*plain, *outputs)), None)


def _short(text: object) -> str | None:
    if not isinstance(text, str):
        return None
    text = _plain(text)
    return text if len(text.encode()) <= TEXT_BYTES_MAX else None


def _plain(text: str) -> str:
    """Names that are not UTF-8 hold halves of characters, which no consumer could write."""
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")
