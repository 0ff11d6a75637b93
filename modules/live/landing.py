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
from modules.live.note import SessionNote, recording_name
from modules.live.store import SessionStore
from modules.live.wav import HEADER_BYTES, SAMPLE_BYTES, header
from modules.logger import get_logger
from modules.recordings.uploads import Uploads
from modules.storage import beneath
from modules.storage.atomic import storage_errors, sync_folder
from modules.storage.safe_open import open_regular

log = get_logger("Live")

_PIECE_BYTES = 2**20

#: Puts a recording of this name, with these wishes, of this client, into the queue; the job's id.
Submit = Callable[[str, Mapping[str, Any], str], str | None]


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

    def finish(self, session_id: str) -> Stored:
        """Land the sound, as far as it has not landed. Raises StorageError, TranscriberError."""
        note = self._store.note(session_id)
        if note is None:
            return self._without_note(session_id)
        if note.finished:
            self._store.remove_sound(session_id)
            return Stored(note.landing, note.job_id)
        sound = self._store.open_sound(session_id)
        if sound is None:
            self._store.remove(session_id)
            return Stored()
        with sound:
            size = os.fstat(sound.fileno()).st_size
            data_bytes = size - size % SAMPLE_BYTES
            if not data_bytes:
                self._store.remove(session_id)
                return Stored()
            if not (note.landing and self._has_landed(note.landing, sound, data_bytes)):
                note = self._land(session_id, note, sound, data_bytes)
        return self._queue(session_id, note)

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
        self, session_id: str, note: SessionNote, sound: IO[bytes], data_bytes: int
    ) -> SessionNote:
        folder = self._shared / self._directory
        with storage_errors(folder):
            beneath.make_folders(folder)
            file = self._uploads.open()

        def before(name: str) -> None:
            self._store.write_note(session_id, note.model_copy(update={"landing": name}))

        try:
            with storage_errors(folder):
                file.write(header(note.rate, data_bytes))
                for piece in _pieces(sound, data_bytes):
                    file.write(piece)
            wanted = recording_name(note, self._directory)
            name = self._uploads.land(file, wanted, rename=True, before=before)
        except BaseException:
            self._uploads.discard(file)
            raise
        sync_folder(folder)
        log.info("%s: a live session of %.1f s", name, data_bytes / SAMPLE_BYTES / note.rate)
        return note.model_copy(update={"landing": name})

    def _queue(self, session_id: str, note: SessionNote) -> Stored:
        name, job_id = note.landing or "", None
        try:
            job_id = self._submit(name, note.wishes, note.client)
        except StorageError:
            raise
        except TranscriberError as error:
            # It is in the folder all the same, and found there.
            log.warning("%s: it waits for its turn like any other: %s", name, error)
        finished = note.model_copy(update={"finished": True, "job_id": job_id})
        self._store.write_note(session_id, finished)
        self._store.remove_sound(session_id)
        return Stored(name, job_id)

    def _has_landed(self, name: str, sound: IO[bytes], data_bytes: int) -> bool:
        """Whether an earlier attempt gave the sound this name."""
        with contextlib.suppress(OSError), open_regular(self._shared / name) as there:
            if os.fstat(there.fileno()).st_size != HEADER_BYTES + data_bytes:
                return False
            there.seek(HEADER_BYTES)
            return all(piece == there.read(len(piece)) for piece in _pieces(sound, data_bytes))
        return False


def _pieces(sound: IO[bytes], data_bytes: int) -> Iterator[bytes]:
    sound.seek(0)
    left = data_bytes
    while left and (piece := sound.read(min(left, _PIECE_BYTES))):
        left -= len(piece)
        yield piece
    if left:
        raise StorageError("file_vanished", noted("The sound of a session became shorter."))
