"""The files of live sessions, by id: the sound, a note, and what was said so far."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from modules.errors import StorageError
from modules.jobs.source import FileIdentity
from modules.live.note import ID, SessionNote
from modules.live.sound_file import SoundFile
from modules.recordings.checkpoint import Begun
from modules.storage import beneath
from modules.storage.atomic import own_folder, remove, storage_errors, to_json, write_whole
from modules.storage.safe_open import NOT_OURS, append_regular, open_regular, read_model

_NOTE_BYTES = 128 * 1024
#: Of one line of what was said; longer ones are not ours.
LINE_BYTES = 2**18


class SessionStore:
    """Thread-safe. Every method that touches the disk raises StorageError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: Sessions that are not wanted, and of which something may be left.
        self._unwanted: set[str] = set()
        #: Sessions of this run, of which something may be there.
        self._created: set[str] = set()

    def create(self, note: SessionNote) -> tuple[str, SoundFile, IO[bytes]]:
        """A new session with no sound yet: its id, its sound, and the file for lines of what is
        said. If it cannot be made whole, nothing is left of it."""
        session_id = secrets.token_hex(16)
        self._created.add(session_id)
        with storage_errors(self.folder):
            own_folder(self.folder)
        sound = SoundFile(self.sound_path(session_id), new=True)
        try:
            self.write_note(session_id, note)
            return session_id, sound, self._open_said(session_id)
        except StorageError:
            sound.close()
            self.remove(session_id)
            raise

    def write_note(self, session_id: str, note: SessionNote) -> None:
        write_whole(self._note_path(session_id), to_json(note.model_dump()))

    def note(self, session_id: str) -> SessionNote | None:
        """None if there is no such session, or what lies there is no note of ours."""
        if not ID.fullmatch(session_id):
            return None
        note = read_model(SessionNote, self._note_path(session_id), _NOTE_BYTES)
        if note and session_id in self._unwanted:
            return note.model_copy(update={"discarded": True})
        return note

    def has_note(self, session_id: str) -> bool:
        """Whether there is one, if only one that cannot be understood."""
        path = self._note_path(session_id)
        with storage_errors(path), contextlib.suppress(FileNotFoundError):
            beneath.lstat(path)
            return True
        return False

    def open_sound(self, session_id: str) -> IO[bytes] | None:
        """For reading; None if there is none."""
        return self._open(self.sound_path(session_id))

    def open_container(self, session_id: str) -> IO[bytes] | None:
        """For reading; None if there is none."""
        return self._open(self.container_path(session_id))

    def _open(self, path: Path) -> IO[bytes] | None:
        with storage_errors(path):
            try:
                return open_regular(path)
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno in NOT_OURS:
                    return None
                raise

    def _open_said(self, session_id: str) -> IO[bytes]:
        path = self._said_path(session_id)
        with storage_errors(path):
            return append_regular(path)

    def said(self, session_id: str) -> Iterator[bytes]:
        """The lines that were appended, each with its line end; a torn one is left out."""
        path = self._said_path(session_id)
        with (
            storage_errors(path),
            contextlib.suppress(FileNotFoundError),
            open_regular(path) as file,
        ):
            while line := file.readline(LINE_BYTES):
                if line.endswith(b"\n"):
                    yield line

    def remove_container(self, session_id: str) -> None:
        """All of it is in the sound."""
        remove(self.container_path(session_id))

    def begun(self, session_id: str) -> Begun:
        """Where the finished chunks of its text are, if there are any."""
        # There is no recording yet whose identity it could be.
        source = FileIdentity(size=0, mtime_ns=0, fingerprint=session_id)
        return Begun(self.folder / f"{session_id}.checkpoint", source)

    def remove_sound(self, session_id: str) -> None:
        """With what was made of it."""
        self.remove_container(session_id)
        remove(self.sound_path(session_id))
        remove(self._said_path(session_id))
        remove(self.begun(session_id).path)

    def remove(self, session_id: str) -> None:
        """Of a session that is not wanted; the note first, as nothing lands without it."""
        remove(self._note_path(session_id))
        self.remove_sound(session_id)
        self._unwanted.discard(session_id)
        self._created.discard(session_id)

    def discard(self, session_id: str) -> bool:
        """Remove a session that is not wanted; whatever is left of it never lands, as that is noted
        first. False if something is left.

        Raises StorageError if nothing could be noted or removed, so that only this run knows.
        """
        self._unwanted.add(session_id)
        unnoted = None
        try:
            if note := self.note(session_id):
                self.write_note(session_id, note)
        except StorageError as error:  # a full disk, where there is room to remove it
            unnoted = error
        try:
            self.remove(session_id)
        except StorageError:
            if unnoted and self.has_note(session_id):
                raise
            return False
        return True

    def ids(self) -> set[str]:
        """Of all that lies there, finished or not; none where there is no folder."""
        with storage_errors(self.folder):
            try:
                names = beneath.names_in(self.folder)
            except FileNotFoundError:
                return set()
        stems = (os.path.splitext(name)[0] for name in names)
        return {stem for stem in stems if ID.fullmatch(stem)}

    def earlier_ids(self) -> set[str]:
        """Of those that this run did not begin."""
        return self.ids() - self._created

    def age_s(self, session_id: str, now: float) -> float:
        """Seconds since its note was written."""
        path = self._note_path(session_id)
        with storage_errors(path):
            try:
                return now - beneath.lstat(path).st_mtime
            except FileNotFoundError:
                return 0.0

    def sound_path(self, session_id: str) -> Path:
        return self.folder / f"{session_id}.pcm"

    def container_path(self, session_id: str) -> Path:
        return self.folder / f"{session_id}.container"

    def _note_path(self, session_id: str) -> Path:
        return self.folder / f"{session_id}.json"

    def _said_path(self, session_id: str) -> Path:
        return self.folder / f"{session_id}.said"
