"""The end of a session: its sound becomes a recording in the share, and that a job.

Whatever instant a crash comes at, ``finish`` goes on from what the disk has: the name is noted
before it is given, and whether the recording there has this sound can be seen.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from modules.errors import StorageError, TranscriberError, noted
from modules.live.note import ENDING, SessionNote, recording_name
from modules.live.store import SessionStore
from modules.live.wav import SAMPLE_BYTES, header
from modules.logger import get_logger
from modules.recordings.checkpoint import Begun
from modules.recordings.uploads import Uploads
from modules.storage import beneath
from modules.storage.atomic import storage_errors, sync_folder
from modules.storage.safe_open import open_regular

log = get_logger("Live")

_PIECE_BYTES = 2**20
#: So much is copied before it is had written, as all of it at the end would take long in one piece.
_SYNC_BYTES = 64 * 2**20

#: Puts a recording of this name, with these wishes, of this client, of which so much is done, into
#: the queue; the job's id.
Submit = Callable[[str, Mapping[str, Any], str, Begun | None], str | None]
#: Called between two pieces of what is copied; what it raises ends the copy, as a death would.
GoOn = Callable[[], None]


@dataclass(frozen=True)
class Content:
    """What lands: these bytes, then so many of a file."""

    head: bytes
    file: IO[bytes]
    size: int
    ending: str = ENDING


@dataclass(frozen=True)
class Stored:
    """``recording``: its name in the share; None if there was no sound."""

    recording: str | None = None
    job_id: str | None = None


class Landing:
    """``directory``: the subfolder of the share, empty for the share itself."""

    def __init__(
        self, shared: Path, store: SessionStore, uploads: Uploads, submit: Submit, directory: str
    ) -> None:
        self._shared = shared
        self._store = store
        self._uploads = uploads
        self._submit = submit
        self._directory = directory

    def finish(self, session_id: str, go_on: GoOn = lambda: None) -> Stored:
        """Land the sound, as far as it has not landed. Raises StorageError, TranscriberError."""
        note = self._store.note(session_id)
        if note is None:
            return self._without_note(session_id)
        if note.discarded:
            self._store.remove(session_id)
            return Stored()
        if note.finished:
            self._store.remove_sound(session_id)
            return Stored(note.landing, note.job_id)
        content = self._container(session_id, note) or self._sound(session_id, note)
        if content is None:
            self._store.remove(session_id)
            return Stored()
        with content.file:
            if not (note.landing and self._has_landed(note.landing, content, go_on)):
                note = self._land(session_id, note, content, go_on)
        # What was heard is not, sample by sample, what the decoder will find in a container.
        begun = self._store.begun(session_id) if content.head else None
        return self._queue(session_id, note, begun)

    def _container(self, session_id: str, note: SessionNote) -> Content | None:
        """The container as it came, if it is still there: it was not decoded to its end."""
        if note.container is None:
            return None
        file = self._store.open_container(session_id)
        if file is not None and (size := os.fstat(file.fileno()).st_size):
            return Content(b"", file, size, f".{note.container}")
        if file is not None:
            file.close()
        return None

    def _sound(self, session_id: str, note: SessionNote) -> Content | None:
        """Whole samples; None without any."""
        file = self._store.open_sound(session_id)
        if file is None:
            return None
        size = os.fstat(file.fileno()).st_size
        size -= size % SAMPLE_BYTES
        if not size:
            file.close()
            return None
        return Content(header(note.rate, size), file, size)

    def _without_note(self, session_id: str) -> Stored:
        """A session that died as it began, of which nothing was acknowledged, or one with a note
        that is damaged or from a later version: its sound may be all that there is."""
        if self._store.has_note(session_id):
            path = self._store.sound_path(session_id)
            log.warning("The note of a live session cannot be read; its sound stays in %s", path)
        else:
            self._store.remove(session_id)
        return Stored()

    def _land(
        self, session_id: str, note: SessionNote, content: Content, go_on: GoOn
    ) -> SessionNote:
        folder = self._shared / self._directory
        with storage_errors(folder):
            beneath.make_folders(folder)
            file = self._uploads.open()

        def before(name: str) -> None:
            self._store.write_note(session_id, note.model_copy(update={"landing": name}))

        try:
            with storage_errors(folder):
                _copy(content, file, go_on)
            wanted = recording_name(note, self._directory, content.ending)
            name = self._uploads.land(file, wanted, rename=True, before=before)
        except BaseException:
            self._uploads.discard(file)
            raise
        sync_folder(folder)
        if content.head:
            seconds = content.size / SAMPLE_BYTES / note.rate
            log.info("%s: a live session of %.1f s", name, seconds)
        else:
            log.info("%s: a live session, as it came", name)
        return note.model_copy(update={"landing": name})

    def _queue(self, session_id: str, note: SessionNote, begun: Begun | None) -> Stored:
        name, job_id = note.landing or "", None
        try:
            job_id = self._submit(name, note.wishes, note.client, begun)
        except StorageError:
            raise
        except TranscriberError as error:
            # It is in the folder all the same, and found there.
            log.warning("%s: it waits for its turn like any other: %s", name, error)
        finished = note.model_copy(update={"finished": True, "job_id": job_id})
        self._store.write_note(session_id, finished)
        self._store.remove_sound(session_id)
        return Stored(name, job_id)

    def _has_landed(self, name: str, content: Content, go_on: GoOn) -> bool:
        """Whether an earlier attempt gave the sound this name."""
        with contextlib.suppress(OSError), open_regular(self._shared / name) as there:
            if os.fstat(there.fileno()).st_size != len(content.head) + content.size:
                return False
            there.seek(len(content.head))
            return all(piece == there.read(len(piece)) for piece in _pieces(content, go_on))
        return False


def _copy(content: Content, file: IO[bytes], go_on: GoOn) -> None:
    file.write(content.head)
    written = 0
    for piece in _pieces(content, go_on):
        file.write(piece)
        written += len(piece)
        if written >= _SYNC_BYTES:
            written = 0
            file.flush()
            os.fdatasync(file.fileno())


def _pieces(content: Content, go_on: GoOn) -> Iterator[bytes]:
    content.file.seek(0)
    left = content.size
    while left and (piece := content.file.read(min(left, _PIECE_BYTES))):
        left -= len(piece)
        go_on()
        yield piece
    if left:
        raise StorageError("file_vanished", noted("The sound of a session became shorter."))
