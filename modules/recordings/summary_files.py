"""The summary beside a recording: ``NAME.summary.json`` and ``NAME.summary.md``."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from modules.recordings.edits import sha256_of
from modules.recordings.shared_folder import SharedFolder
from modules.recordings.sidecars import SUMMARY_BYTES_MAX, RecordingPaths
from modules.storage.atomic import put_aside_unless, remove, storage_errors, to_json, write_own
from modules.storage.safe_open import read_model

Text = Annotated[str, Field(max_length=20_000)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class Entry(_Part):
    """A point, a decision, a task or a question; ``time`` in seconds."""

    text: Text
    time: Annotated[float, Field(ge=0, lt=2**31)] | None = None
    who: Text = ""


class MadeFrom(_Part):
    """What a summary was made from; with the same it is not made again."""

    text_sha256: str
    template: str
    model: str
    language: str


class Failure(_Part):
    code: Annotated[str, Field(max_length=100)]
    message: Text


class Summary(_Part):
    """``failed``: ``error`` says why, and there is nothing of a summary."""

    job_id: str
    status: Literal["done", "failed"]
    made_from: MadeFrom
    creation_time: str
    filename: str | None = None
    error: Failure | None = None
    parts: int = 0
    markdown_sha256: str | None = None
    summary: Text = ""
    points: Annotated[tuple[Entry, ...], Field(strict=False)] = ()
    decisions: Annotated[tuple[Entry, ...], Field(strict=False)] = ()
    tasks: Annotated[tuple[Entry, ...], Field(strict=False)] = ()
    questions: Annotated[tuple[Entry, ...], Field(strict=False)] = ()


class SummaryFiles:
    """Each method raises StorageError while the share cannot be used."""

    def __init__(self, folder: SharedFolder) -> None:
        self._folder = folder

    def read(self, name: str) -> Summary | None:
        """What is beside a recording; None if there is nothing that can be read."""
        path = self._folder.sidecar_at(RecordingPaths(name).summary)
        return read_model(Summary, path, SUMMARY_BYTES_MAX)

    def write(self, name: str, summary: Summary, markdown: bytes | None) -> None:
        """Write both, the one for programs first: it says that the other is ours.

        A text for people that somebody changed or put there is moved aside. ``markdown`` is None
        for a failure; then one of ours is removed.
        """
        self._folder.require()
        paths = RecordingPaths(name)
        text = self._folder.ready(self._folder.text_at(paths.summary_text))
        before = self.read(name)
        digest = None if markdown is None else hashlib.sha256(markdown).hexdigest()
        there = sha256_of(text)
        is_ours = there in (before.markdown_sha256 if before else None, digest)
        if there is not None and not is_ours:
            with storage_errors(text):
                put_aside_unless(text, lambda _: False)
            there = None
        noted = summary.model_copy(update={"markdown_sha256": digest, "filename": name})
        sidecar = self._folder.ready(self._folder.sidecar_at(paths.summary))
        write_own(sidecar, to_json({"schema": 1} | _as_json(noted)))
        if markdown is None:
            if there is not None:
                remove(text)
        elif there != digest:
            write_own(text, markdown)

    def remove(self, name: str) -> None:
        """Also where only one of them is there."""
        paths = RecordingPaths(name)
        remove(self._folder.text_at(paths.summary_text))
        remove(self._folder.sidecar_at(paths.summary))


def _as_json(summary: Summary) -> dict[str, object]:
    return summary.model_dump(mode="json")
