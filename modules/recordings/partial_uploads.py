"""Uploads that come in pieces: a file that grows, a note beside it, and who writes at the moment.

Both lie where others may write. The offset is the size of the file; a note is only believed where
it says what any client could have said. The note is written after the file and removed before it,
so a note that names where its upload lands, without a file, is of one that has landed.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from modules.clock import Clock
from modules.errors import StorageError, TranscriberError, noted
from modules.recordings.names import is_recording
from modules.recordings.part_writer import PartWriter
from modules.storage import beneath
from modules.storage.atomic import own_folder, remove, storage_errors, to_json, write_whole
from modules.storage.safe_open import open_regular, read_model

ID = re.compile(r"[0-9a-f]{32}")
#: So long an upload is kept after its last byte, or after it has landed.
KEPT_S = 24 * 3600.0
#: A PATCH of which nothing came for so long gives way to the next one: its client is cut off.
STALE_S = 5.0
#: One that moved so lately will be finished: the room for its rest is taken.
_LIVELY_S = 15 * 60.0
_NOTE_BYTES = 128 * 1024


def _is_in_the_share(name: str) -> str:
    if "/" in name or not is_recording(name):
        raise ValueError("must be the name of a recording directly in the share")
    return name


Name = Annotated[str, AfterValidator(_is_in_the_share)]


class UploadNote(BaseModel):
    """What an upload is to become. ``metadata``: as the client sent it, and all that it asked for.

    ``name``: the one that it should get, None until its content decides; ``checked``: whether its
    content was looked at; ``landing``: the name in the share that it has, or is about to get;
    ``finished``: nothing is left to be done.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    format: Literal[1] = 1
    length: int = Field(ge=0, lt=2**63)
    metadata: str = Field(max_length=65536)
    client: str = Field(max_length=64)
    rename: bool = False
    name: Name | None = None
    checked: bool = False
    landing: Name | None = None
    finished: bool = False


class PartialUploads:
    """The files, by id. Thread-safe. Every method that reads the disk raises StorageError."""

    def __init__(self, folder: Path, shared: Path, clock: Clock) -> None:
        self._folder = folder
        self._shared = shared
        self._clock = clock
        self._lock = threading.Lock()
        #: Who has an upload: the body of a PATCH that comes, or what must not be disturbed.
        self._holders: dict[str, object] = {}

    # --- files ---

    def create(self, note: UploadNote) -> str:
        """An empty upload; returns its id."""
        upload_id = secrets.token_hex(16)
        path = self._part(upload_id)
        with storage_errors(self._folder):
            own_folder(self._folder)
            os.close(beneath.descriptor(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        try:
            self.write_note(upload_id, note)
        except StorageError:
            remove(path)
            raise
        return upload_id

    def write_note(self, upload_id: str, note: UploadNote) -> None:
        write_whole(self._note(upload_id), to_json(note.model_dump()))

    def note(self, upload_id: str) -> UploadNote | None:
        """None if there is no such upload, or what lies there is no note of ours."""
        if not ID.fullmatch(upload_id):
            return None
        return read_model(UploadNote, self._note(upload_id), _NOTE_BYTES)

    def offset(self, upload_id: str) -> int | None:
        """How many bytes are there; None without a file of ours."""
        facts = self._facts(self._part(upload_id))
        return facts.st_size if facts else None

    def head(self, upload_id: str, size: int) -> bytes:
        path = self._part(upload_id)
        with storage_errors(path), open_regular(path) as file:
            return file.read(size)

    def open_whole(self, upload_id: str) -> IO[bytes]:
        """For ``Uploads.land``."""
        path = self._part(upload_id)
        with storage_errors(path):
            return open(path, "r+b", opener=lambda _, flags: beneath.descriptor(path, flags))

    def has_name(self, upload_id: str, name: str) -> bool:
        """Whether an earlier landing under this name was carried out; what it left is removed."""
        part, there = self._facts(self._part(upload_id)), self._facts(self._shared / name)
        if part is None:
            return True
        if there is None or (part.st_dev, part.st_ino) != (there.st_dev, there.st_ino):
            return False
        remove(self._part(upload_id))
        return True

    def remove(self, upload_id: str) -> None:
        remove(self._note(upload_id))
        remove(self._part(upload_id))

    def ids(self) -> set[str]:
        """Of all that lies there, whole or not; none where there is no folder."""
        with storage_errors(self._folder):
            try:
                names = beneath.names_in(self._folder)
            except FileNotFoundError:
                return set()
        stems = (name.removesuffix(".part").removesuffix(".json") for name in names)
        return {stem for stem in stems if ID.fullmatch(stem)}

    def unfinished(self) -> tuple[int, int]:
        """How many uploads have not landed, and how many bytes those that move will still take."""
        count = rest = 0
        for upload_id in self.ids():
            facts = self._facts(self._part(upload_id))
            if facts is None:
                continue
            count += 1
            is_lively = abs(self._now() - facts.st_mtime) < _LIVELY_S
            if is_lively and (note := self.note(upload_id)):
                rest += max(0, note.length - facts.st_size)
        return count, rest

    def expires(self, upload_id: str) -> float | None:
        """When it is removed unless more of it comes, in seconds since 1970."""
        facts = self._facts(self._part(upload_id)) or self._facts(self._note(upload_id))
        return facts.st_mtime + KEPT_S if facts else None

    def has_expired(self, upload_id: str) -> bool:
        expires = self.expires(upload_id)
        return expires is not None and expires < self._now()

    def is_left(self, upload_id: str) -> bool:
        """Expired, or with a time a day ahead: a clock was wrong, and it would never expire."""
        expires = self.expires(upload_id)
        ahead = expires is not None and expires - 2 * KEPT_S > self._now()
        return ahead or self.has_expired(upload_id)

    def remove_idle(self) -> bool:
        """Remove the oldest upload of which nothing came; False if it began a moment ago."""
        empty = [
            (facts.st_mtime, upload_id)
            for upload_id in self.ids()
            if (facts := self._facts(self._part(upload_id))) and not facts.st_size
        ]
        began, upload_id = min(empty, default=(self._now(), ""))
        if self._now() - began < _LIVELY_S:
            return False
        self.remove(upload_id)
        return True

    # --- who writes ---

    def open_for(self, upload_id: str, offset: int, length: int) -> PartWriter:
        """The body of a PATCH from ``offset`` on. Raises TranscriberError.

        For the network thread alone, which also appends to it: so one that gives way to another
        does not write at this moment.
        """
        writer = PartWriter(upload_id, offset, length, self._clock, self._release)
        with self._lock:
            holder = self._holders.get(upload_id)
            if isinstance(holder, PartWriter) and holder.idle_s() > STALE_S:
                holder.revoke()
            elif holder is not None:
                raise locked()
            self._holders[upload_id] = writer
        path = self._part(upload_id)
        try:
            if writer.limit:  # or it is whole, and may have landed
                with storage_errors(path):
                    writer.begin_at(path)
        except BaseException:
            self._release(writer)
            raise
        return writer

    @contextlib.contextmanager
    def exclusive(
        self, upload_id: str, after: PartWriter | None = None, *, revoking: bool = False
    ) -> Iterator[None]:
        """Nobody else changes the upload inside of the ``with``. Raises TranscriberError.

        ``after``: the body that was received, which is closed. ``revoking``: a body that comes
        ends here.
        """
        token = object()
        with self._lock:
            holder = self._holders.get(upload_id)
            if after is not holder and not (revoking and isinstance(holder, PartWriter)):
                raise locked()
            if isinstance(holder, PartWriter) and after is None:
                holder.revoke()
            self._holders[upload_id] = token
        try:
            if after:
                after.close()
            yield
        finally:
            self._release(token, upload_id)

    def _release(self, holder: Any, upload_id: str | None = None) -> None:
        key = upload_id or holder.upload_id
        with self._lock:
            if self._holders.get(key) is holder:
                del self._holders[key]

    def _now(self) -> float:
        return self._clock.utc_now().timestamp()

    def _part(self, upload_id: str) -> Path:
        return self._folder / f"{upload_id}.part"

    def _note(self, upload_id: str) -> Path:
        return self._folder / f"{upload_id}.json"

    def _facts(self, path: Path) -> os.stat_result | None:
        """Of a regular file."""
        with storage_errors(path):
            try:
                facts = beneath.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                return None
        return facts if stat.S_ISREG(facts.st_mode) else None


def locked() -> TranscriberError:
    return TranscriberError(
        "upload_locked",
        noted("Another request is sending to this upload at the moment, or it is being finished."),
        remedy=noted("Try again in a few seconds."),
    )
