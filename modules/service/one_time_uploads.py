"""Uploads of which only the text is wanted: removed once it is there, or once nobody waits for it.

A note in the folder says which they are, so that this holds across a crash.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from modules.errors import StorageError, TranscriberError
from modules.intake.request import TranscriptionRequest
from modules.jobs.job import Job
from modules.jobs.scheduler import Scheduler
from modules.logger import get_logger
from modules.recordings.names import STATE_FOLDER, is_recording
from modules.recordings.store import RecordingStore
from modules.service.answers import Accepted, Text
from modules.service.mailbox import Mailbox
from modules.service.service import TranscriptionService
from modules.service.spoken_language import Spoken, SpokenLanguage
from modules.service.text_stream import Piece, Stream, TextStreams
from modules.service.waiting import Disconnected

log = get_logger("Uploads")

#: As many clients as may wait.
_NOTES_MAX = 2000


def folder(shared: Path) -> Path:
    return shared / STATE_FOLDER / "unanswered"


class OneTimeUploads:
    """Thread-safe. ``keeps``: nothing is removed, and no job is cancelled.

    What failed, what takes too long and what others wait for stays.
    """

    def __init__(
        self,
        keeps: bool,
        scheduler: Scheduler,
        files: RecordingStore,
        service: TranscriptionService,
        streams: TextStreams,
    ) -> None:
        self._keeps = keeps
        self._scheduler = scheduler
        self._files = files
        self._service = service
        self._streams = streams
        self._notes = Mailbox(folder(files.folder.path))

    def text(self, request: TranscriptionRequest, disconnected: Disconnected) -> Accepted | Text:
        """The text of an upload, which is removed for it; ``Accepted`` if it takes too long.

        If the client leaves, the job is cancelled. Raises TranscriberError if there is no text.
        """
        if self._keeps:
            return self._service.transcribe(request, True, disconnected)
        note = self._note(request)
        try:
            found = self._service.transcribe(request, True, disconnected)
        except TranscriberError:
            self._notes.remove(note)
            raise
        self._conclude(request, note, found, disconnected())
        return found

    def stream(self, request: TranscriptionRequest, disconnected: Disconnected) -> Stream:
        """The same, while it is made: see ``TextStreams.follow``."""
        if self._keeps:
            yield from self._streams.follow(request, disconnected)
            return
        note = self._note(request)
        last: Piece | Accepted | Text | None = None
        try:
            with closing(self._streams.follow(request, disconnected)) as parts:
                for last in parts:
                    if isinstance(last, Piece):
                        yield last
        except TranscriberError:
            self._notes.remove(note)
            raise
        except GeneratorExit:  # the client left while something was sent to it
            if isinstance(last, Piece):
                self._conclude(request, note, last, True)
            raise
        if last is not None:
            self._conclude(request, note, last, disconnected())
            yield last

    def _conclude(
        self,
        request: TranscriptionRequest,
        note: str,
        found: Piece | Accepted | Text,
        disconnected: bool,
    ) -> None:
        """Remove what was answered, or what nobody waits for; the note goes in any case."""
        if isinstance(found, Text):
            self._remove(found.name, note)
        elif disconnected and self._is_unwanted(found.job, request.client):
            log.info("%s: nobody waits for its text any more, so it is removed", request.name)
            self._remove(request.name, note)
        else:
            self._notes.remove(note)

    def language(
        self, request: TranscriptionRequest, disconnected: Disconnected
    ) -> Accepted | Text | Spoken:
        """The language of an upload's first speech; the rest of it is not waited for.

        As if the client had left then, the job is cancelled and the upload removed. ``Text`` if it
        was done before. Raises TranscriberError if it fails.
        """
        spoken = SpokenLanguage(self._scheduler, self._files.states, request.name)
        found = self.text(request, lambda: spoken.known() is not None or disconnected())
        return found if isinstance(found, Text) else spoken.known() or found

    def sweep(self) -> None:
        """Remove what an earlier run did not answer: its clients are gone. Before work begins."""
        try:
            for note in self._notes.names((".json",), _NOTES_MAX):
                self._sweep(note)
        except StorageError as error:
            log.warning("What an earlier run did not answer could not be removed: %s", error)

    def _note(self, request: TranscriptionRequest) -> str:
        """Note an upload. Without the note, a crash leaves it, and nothing worse happens."""
        note = f"{secrets.token_hex(16)}.json"
        try:
            size, mtime_ns, _ = self._files.folder.state_of(request.name)
            facts = {"size": size, "mtime_ns": mtime_ns}
            self._notes.put(note, {"filename": request.name, "client": request.client} | facts)
        except StorageError as error:
            log.warning("%s: a crash would leave it in the folder: %s", request.name, error)
        return note

    def _sweep(self, note: str) -> None:
        try:
            facts = self._notes.read(note) or {}
        except StorageError:
            raise
        except TranscriberError:
            facts = {}
        name = str(facts.get("filename"))
        if self._is_same(name, facts) and self._is_unwanted(
            self._scheduler.get(name), facts.get("client")
        ):
            log.info("%s: nobody waits for its text any more, so it is removed", name)
            self._remove(name, note)
        else:
            self._notes.remove(note)

    def _is_same(self, name: str, facts: Mapping[str, Any]) -> bool:
        """Whether the recording is still the upload that the note is about."""
        if not is_recording(name) or not self._files.folder.is_there(name):
            return False
        return self._files.folder.state_of(name)[:2] == (facts.get("size"), facts.get("mtime_ns"))

    def _is_unwanted(self, job: Job | None, client: object) -> bool:
        """Whether no other client asked for the same recording, and it did not fail."""
        current = self._scheduler.by_id(job.job_id) if job else None
        if current:
            return all(each == client for each in current.clients)
        if job is None:
            return True
        return not (self._files.manual.has(job.name) or self._files.left.is_kept(job.name))

    def _remove(self, name: str, note: str) -> None:
        """What cannot be removed now, the next start will."""
        try:
            self._service.delete(name)
        except StorageError as error:
            log.warning("%s: it could not be removed: %s", name, error)
            return
        except TranscriberError:
            pass  # somebody else removed it
        self._notes.remove(note)
