"""Uploads that come in pieces: begun, received, and put into the queue once the last byte is there.

Whatever instant a crash comes at, the next request for an upload, or the next start, goes on from
what the disk has: each step is noted before it, and can be seen to be done.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from modules.errors import StorageError, TranscriberError
from modules.intake.request import TranscriptionRequest
from modules.logger import get_logger
from modules.recordings.part_writer import PartWriter
from modules.recordings.partial_uploads import PartialUploads, UploadNote
from modules.recordings.uploads import Uploads, name_taken
from modules.service import upload_errors
from modules.service.service import TranscriptionService
from modules.storage.file_kind import HEAD_BYTES
from modules.storage.transfer import is_taken

log = get_logger("Uploads")

#: Uploads that are begun and have not landed.
UPLOADS_MAX = 500
#: What must be left on the disk for states and texts.
_SPARE_BYTES = 64 * 2**20
#: These say that the content is of no recording: it is not kept.
_REFUSED = frozenset({"no_recording", "unsupported_media_type"})


@dataclass(frozen=True)
class UploadFields:
    """What a client asks for with an upload. ``name``: None if its content decides.

    ``rename``: whether a free name like it will do.
    """

    name: str | None = None
    rename: bool = False
    wishes: Mapping[str, Any] = field(default_factory=dict)
    job_id: str | None = None
    callback_urls: tuple[str, ...] = ()


class MetadataReader(Protocol):
    """Understands what clients write into ``Upload-Metadata``. Both raise TranscriberError."""

    def fields(self, metadata: str) -> UploadFields: ...

    def name(self, metadata: str, head: bytes) -> tuple[str, bool]:
        """The name for what begins so, and whether a free one like it will do."""


@dataclass(frozen=True)
class UploadState:
    """How far an upload is. ``filename``: its name in the share once it is there.

    ``expires``: in seconds since 1970.
    """

    upload_id: str
    offset: int
    length: int
    metadata: str
    expires: float | None = None
    filename: str | None = None


class ResumableUploads:
    """Thread-safe."""

    def __init__(
        self,
        shared: Path,
        store: PartialUploads,
        uploads: Uploads,
        service: TranscriptionService,
        reader: MetadataReader,
    ) -> None:
        self._shared = shared
        self._store = store
        self._uploads = uploads
        self._service = service
        self._reader = reader

    def begin(self, length: int, metadata: str, client: str) -> UploadState:
        """A new upload; an empty one lands at once.

        Raises TranscriberError for what can be known before the first byte, StorageError.
        """
        fields = self._reader.fields(metadata)
        note = UploadNote(
            length=length, metadata=metadata, client=client, name=fields.name, rename=fields.rename
        )
        if note.name is not None:
            self._service.check(self._request(note, note.name))
            if not note.rename and is_taken(self._shared / note.name):
                raise name_taken(note.name)
        self._require_room(length)
        upload_id = self._store.create(note)
        return self.state(upload_id)

    def state(self, upload_id: str) -> UploadState:
        """How far it is. One whose last byte is there lands, if it has not.

        Raises TranscriberError, StorageError.
        """
        note, offset = self._found(upload_id)
        if offset < note.length or note.finished:
            return self._state(upload_id, note, offset)
        with self._store.exclusive(upload_id):
            note, offset = self._found(upload_id)
            return self._state(upload_id, self._finish(upload_id, note), offset)

    def receive(self, upload_id: str, offset: int) -> PartWriter:
        """Where the body of a PATCH goes that begins at ``offset``.

        For the network thread. Raises TranscriberError, StorageError.
        """
        note, there = self._found(upload_id)
        if offset != there:
            raise upload_errors.wrong_offset(there, offset)
        return self._store.open_for(upload_id, offset, note.length)

    def received(self, writer: PartWriter) -> UploadState:
        """What follows from a body that is there. Raises TranscriberError, StorageError."""
        upload_id = writer.upload_id
        with self._store.exclusive(upload_id, writer):
            note, offset = self._found(upload_id)
            if not note.finished and offset >= min(HEAD_BYTES, note.length):
                note = self._check(upload_id, note)
            if offset == note.length:
                note = self._finish(upload_id, note)
            return self._state(upload_id, note, offset)

    def cancel(self, upload_id: str) -> None:
        """Remove an upload, also while a body comes. Raises TranscriberError, StorageError."""
        self._found(upload_id)
        with self._store.exclusive(upload_id, revoking=True):
            note, _ = self._found(upload_id)
            if note.landing and self._store.has_name(upload_id, note.landing):
                raise upload_errors.finished(note.landing)
            self._store.remove(upload_id)

    def recover(self) -> None:
        """Land what a crash, or a client that left, kept from it."""
        try:
            ids = self._store.ids()
        except StorageError as error:
            log.warning("What an earlier run received could not be looked through: %s", error)
            return
        for upload_id in ids:
            try:
                if self._is_whole(upload_id):
                    self.state(upload_id)
            except TranscriberError as error:
                if error.code not in ("upload_not_found", "upload_expired"):
                    log.warning("An upload could not be finished: %s", error)

    def expire(self) -> None:
        """Land what is whole, and remove what nobody went on with. Raises StorageError."""
        self.recover()
        for upload_id in self._store.ids():
            if not self._store.is_left(upload_id) or self._is_whole(upload_id):
                continue
            note = self._store.note(upload_id)
            try:
                with self._store.exclusive(upload_id):
                    self._store.remove(upload_id)
            except StorageError:
                raise
            except TranscriberError:
                continue  # it moves again
            if note and not note.finished:
                log.info("An upload was given up: nothing came for a day (%s)", note.name)

    def _is_whole(self, upload_id: str) -> bool:
        """Whether all of it is there, and it did not land: it is not given up."""
        note = self._store.note(upload_id)
        waits = note is not None and not note.finished
        return waits and self._store.offset(upload_id) == getattr(note, "length", None)

    def _found(self, upload_id: str) -> tuple[UploadNote, int]:
        """The note, and how many bytes are there: of one that has landed, all."""
        note = self._store.note(upload_id)
        if note is None:
            raise upload_errors.unknown()
        if self._store.has_expired(upload_id) and not self._is_whole(upload_id):
            raise upload_errors.expired()
        offset = self._store.offset(upload_id)
        is_lost = not note.landing if offset is None else offset > note.length
        if is_lost:
            raise upload_errors.lost()
        return note, note.length if offset is None else offset

    def _state(self, upload_id: str, note: UploadNote, offset: int) -> UploadState:
        filename = note.landing if note.finished else None
        expires = self._store.expires(upload_id)
        return UploadState(upload_id, offset, note.length, note.metadata, expires, filename)

    def _check(self, upload_id: str, note: UploadNote) -> UploadNote:
        """With the name that its content allows. Raises TranscriberError, and forgets a text."""
        if note.checked:
            return note
        try:
            name, any_like_it = self._reader.name(
                note.metadata, self._store.head(upload_id, HEAD_BYTES)
            )
        except TranscriberError as error:
            if error.code in _REFUSED:
                self._store.remove(upload_id)
            raise
        rename = note.rename or any_like_it
        note = note.model_copy(update={"name": name, "rename": rename, "checked": True})
        self._store.write_note(upload_id, note)
        return note

    def _finish(self, upload_id: str, note: UploadNote) -> UploadNote:
        """Land it and put it into the queue, as far as neither is done."""
        if note.finished:
            return note
        if not (note.landing and self._store.has_name(upload_id, note.landing)):
            note = self._land(upload_id, self._check(upload_id, note))
        finished = note.model_copy(update={"finished": True})
        try:
            self._service.transcribe(self._request(note, note.landing or ""), False, lambda: False)
        except StorageError:
            raise
        except TranscriberError:
            # It is in the folder all the same, and found there.
            self._store.write_note(upload_id, finished)
            raise
        self._store.write_note(upload_id, finished)
        return finished

    def _land(self, upload_id: str, note: UploadNote) -> UploadNote:
        assert note.name is not None
        self._service.check(self._request(note, note.name))

        def before(name: str) -> None:
            self._store.write_note(upload_id, note.model_copy(update={"landing": name}))

        with self._store.open_whole(upload_id) as file:
            name = self._uploads.land(file, note.name, rename=note.rename, before=before)
        return note.model_copy(update={"landing": name})

    def _request(self, note: UploadNote, name: str) -> TranscriptionRequest:
        fields = self._reader.fields(note.metadata)
        return TranscriptionRequest(
            name,
            wishes=fields.wishes,
            client=note.client,
            job_id=fields.job_id,
            callback_urls=fields.callback_urls,
            uploaded=True,
        )

    def _require_room(self, length: int) -> None:
        count, rest = self._store.unfinished()
        if count >= UPLOADS_MAX and not self._store.remove_idle():
            raise upload_errors.too_many(count, UPLOADS_MAX)
        try:
            free = shutil.disk_usage(self._shared).free
        except OSError:
            return  # the disk says more when it is written to
        if length + rest + _SPARE_BYTES > free:
            raise upload_errors.no_room(length, free, rest)
