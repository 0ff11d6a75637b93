"""The corrections beside recordings, and the texts that they belong to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from modules.config.messages import first_problem
from modules.errors import StorageError, TranscriberError, noted, reason_of
from modules.recordings.shared_folder import SharedFolder
from modules.recordings.sidecars import EDITS_BYTES_MAX, RecordingPaths
from modules.storage import beneath
from modules.storage.atomic import (
    parse_json,
    put_aside_unless,
    storage_errors,
    to_json,
    write_own,
)
from modules.storage.safe_open import NOT_OURS, open_regular, read_json
from modules.transcript.edit_log import EditLog, log_for
from modules.transcript.edited import EditedText
from modules.transcript.model import Dropped, Segment
from modules.transcript.transcript import dropped_from, segments_from

_PIECE_BYTES = 2**20
#: Smaller files are read whatever they hold.
_SURELY_READABLE = 2**20


@dataclass(frozen=True)
class Corrected:
    """A finished transcript and its corrections. ``unreadable``: there are some that cannot be
    read; then it has none."""

    segments: list[Segment]
    dropped: list[Dropped]
    log: EditLog
    unreadable: bool = False

    @cached_property
    def text(self) -> EditedText:
        return EditedText(self.segments, self.dropped, self.log.ops)


class Edits:
    """Each method raises StorageError while the share cannot be used."""

    def __init__(self, folder: SharedFolder) -> None:
        self._folder = folder

    def read(self, name: str) -> EditLog | None:
        """The corrections of a recording's text; None if there are none.

        Raises TranscriberError ``edits_unreadable``: they must not be written over.
        """
        path = self._path(name)
        with storage_errors(path):
            try:
                return EditLog.model_validate(read_json(path, EDITS_BYTES_MAX))
            except (FileNotFoundError, NotADirectoryError):
                return None
            except OSError as error:
                if error.errno not in NOT_OURS:
                    raise
                raise _unreadable(path, reason_of(error)) from error
            except ValidationError as error:
                raise _unreadable(path, first_problem(error)) from error
            except StorageError:
                raise
            except TranscriberError as error:
                raise _unreadable(path, error.message) from error

    def readable(self, name: str) -> tuple[EditLog | None, bool]:
        """The corrections, if they can be read, and whether there are some that cannot."""
        try:
            return self.read(name), False
        except StorageError:
            raise
        except TranscriberError:
            return None, True

    def write(self, name: str, log: EditLog) -> None:
        """What is there about an earlier recording of this name is moved aside.

        Raises TranscriberError ``too_many_corrections``, with nothing changed, for what could not
        be read again.
        """
        before = self.read(name)
        path = self._path(name)
        content = to_json(log.model_dump(mode="json", exclude_none=True))
        _require_readable(content, path.name)
        if before and not before.is_for(log.fingerprint):
            with storage_errors(path):
                put_aside_unless(path, lambda _: False)
        write_own(self._folder.ready(path), content)

    def corrected(self, name: str, result: Mapping[str, Any]) -> Corrected:
        """The transcript in a ``.result`` with its corrections, to be read."""
        return self._corrected(name, segments_from(result), result)

    def segments(
        self, name: str, segments: list[Segment], result: Mapping[str, Any]
    ) -> list[Segment]:
        """Segments of which ``result`` has the rest, with the corrections that there are."""
        return self._corrected(name, segments, result).text.segments

    def to_change(self, name: str, result: Mapping[str, Any]) -> Corrected:
        """As ``corrected``. Raises TranscriberError ``edits_unreadable``, too."""
        segments, dropped = segments_from(result), dropped_from(result)
        log = log_for(self.read(name), segments, dropped, fingerprint_of(result))
        return Corrected(segments, dropped, log)

    def are_there(self, name: str) -> bool:
        """Whether a text has corrections, or a file in their place."""
        return self.signature(name)[1] is not None

    def signature(self, name: str) -> tuple[tuple[int, int, int] | None, ...]:
        """What differs when a result or its corrections were written: inode, time and size of
        both, None for what is not there."""
        paths = self._folder.sidecar_at(RecordingPaths(name).result), self._path(name)
        return tuple(_facts(path) for path in paths)

    def _corrected(
        self, name: str, segments: list[Segment], result: Mapping[str, Any]
    ) -> Corrected:
        dropped = dropped_from(result)
        found, unreadable = self.readable(name)
        log = log_for(found, segments, dropped, fingerprint_of(result))
        return Corrected(segments, dropped, log, unreadable)

    def _path(self, name: str) -> Path:
        return self._folder.sidecar_at(RecordingPaths(name).edits)


def fingerprint_of(result: Mapping[str, Any]) -> str | None:
    """That of the recording that a result was made from, if it has one."""
    found = (result.get("source") or {}).get("fingerprint")
    is_one = isinstance(found, str) and re.fullmatch("[0-9a-f]{64}", found)
    return found if is_one else None


def written_hashes(result: Mapping[str, Any], edits: Edits, name: str) -> dict[str, set[str]]:
    """The SHA-256 of what was written into each text of a recording, as far as they are known: with
    the ``.result``, and later with corrections. Raises StorageError."""
    known: dict[str, set[str]] = {}
    noted = result.get("outputs_sha256")
    for output, digest in (noted if isinstance(noted, dict) else {}).items():
        known.setdefault(output, set()).add(str(digest))
    log, _ = edits.readable(name)
    for output, digests in (log.outputs if log else {}).items():
        known.setdefault(output, set()).update(digests)
    return known


def _require_readable(content: bytes, name: str) -> None:
    try:
        if len(content) > EDITS_BYTES_MAX:
            raise TranscriberError(
                "corrupt_sidecar", noted("{name}: {count} bytes", name=name, count=len(content))
            )
        if len(content) > _SURELY_READABLE:
            parse_json(content, name)
    except TranscriberError as error:
        raise TranscriberError(
            "too_many_corrections",
            noted(
                "The corrections of this text would be too many for one file ({why}).",
                why=error.message,
            ),
            remedy=noted("Save the text with its corrections, and go on in that file."),
        ) from error


def _facts(path: Path) -> tuple[int, int, int] | None:
    with storage_errors(path):
        try:
            found = beneath.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def sha256_of(path: Path) -> str | None:
    """Of a regular file; None if nothing is there, empty for what is no file. StorageError."""
    digest = hashlib.sha256()
    with storage_errors(path):
        try:
            with open_regular(path) as file:
                while piece := file.read(_PIECE_BYTES):
                    digest.update(piece)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno in NOT_OURS:
                return ""
            raise
    return digest.hexdigest()


def _unreadable(path: Path, why: str | None) -> TranscriberError:
    return TranscriberError(
        "edits_unreadable",
        noted("The corrections in {name} cannot be read ({why}).", name=path.name, why=why),
        remedy=noted(
            "Repair the file, or move it away; until then the text is shown without them."
        ),
    )
