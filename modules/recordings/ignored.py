"""Files with the name of a recording that are none: left where they are until they change.

What is known of them is kept in ``.transcriber/``, and never beside somebody's own file.
"""

from __future__ import annotations

import io
import json
import stat
import threading
from dataclasses import dataclass
from pathlib import Path

from modules.errors import StorageError, TranscriberError
from modules.logger import get_logger
from modules.recordings.names import is_recording
from modules.recordings.shared_folder import SharedFolder
from modules.storage import beneath, file_kind
from modules.storage.atomic import parse_json, put_aside_unless, storage_errors, write_own
from modules.storage.safe_open import NOT_OURS, append_regular, read_regular

log = get_logger("FileManager")

#: One line a file; more than this is not read.
_BYTES_MAX = 16 * 2**20

_KIND_CHARS = 200


@dataclass(frozen=True)
class _Entry:
    """A file as it was when it was looked at, and what it is."""

    size: int
    mtime_ns: int
    kind: str


class IgnoredFiles:
    """Remembers across restarts which files are no recordings. Thread-safe."""

    def __init__(self, folder: SharedFolder) -> None:
        self._folder = folder
        self._path = folder.state / "ignored.jsonl"
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] | None = None

    def kind_of(self, name: str) -> str | None:
        """What an ignored file is, as in "a text document"; None if it is not one, or changed.

        Raises StorageError.
        """
        with self._lock:
            entry = self._known().get(name)
        return entry.kind if entry and entry == self._seen(name, entry.kind) else None

    def look(self, name: str) -> str | None:
        """The same, also for a text that was not looked at before; it is noted then.

        Of a file that may not be read nothing is known. Raises StorageError.
        """
        kind = self.kind_of(name)
        if kind is None:
            kind = self._kind_of_text(name)
            if kind:
                self.note(name, kind)
        return kind

    def _kind_of_text(self, name: str) -> str | None:
        try:
            return file_kind.kind_of_text(file_kind.head_of(self._folder.at(name)))
        except StorageError:
            return None  # found out, and said once, when its turn comes

    def look_closely(self, name: str) -> str | None:
        """What a file without sound in it certainly is; None if it may be a damaged recording.

        Raises StorageError.
        """
        return file_kind.kind_of(file_kind.head_of(self._folder.at(name)))

    def note(self, name: str, kind: str) -> None:
        """Leave a file alone from now on, until it changes. Raises StorageError."""
        self._folder.require()
        entry = self._seen(name, kind)
        if entry is None:
            return
        with self._lock:
            known = self._known()
            if known.get(name) == entry:
                return
            with storage_errors(self._path):
                put_aside_unless(self._path, stat.S_ISREG)
                with append_regular(self._path) as file:
                    file.write(_line(name, entry))
            known[name] = entry
        log.info("%s is no recording and stays where it is: it is %s", name, kind)

    def reload(self) -> None:
        """Read again what another process may have noted."""
        with self._lock:
            self._entries = None

    def _seen(self, name: str, kind: str) -> _Entry | None:
        path = self._folder.at(name)
        try:
            facts = beneath.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            with storage_errors(path):
                raise
        return _Entry(facts.st_size, facts.st_mtime_ns, kind)

    def _known(self) -> dict[str, _Entry]:
        if self._entries is None:
            self._entries = _read(self._path)
        return self._entries

    def tidy(self) -> None:
        """Forget the files that are gone or have changed. Raises StorageError."""
        with self._lock:
            known = self._known()
            left = {n: e for n, e in known.items() if self._seen(n, e.kind) == e}
            if len(left) < len(known):
                write_own(self._path, b"".join(_line(n, e) for n, e in left.items()))
                self._entries = left


def _read(path: Path) -> dict[str, _Entry]:
    """Every line that makes sense; a crash may have torn the last one. Raises StorageError."""
    entries = {}
    with storage_errors(path):
        try:
            content = read_regular(path, _BYTES_MAX)
        except FileNotFoundError:
            return {}
        except OSError as error:
            if error.errno not in NOT_OURS:
                raise
            aside = put_aside_unless(path, lambda mode: False)
            log.warning("%s was set aside as %s (%s)", path, aside, error)
            return {}
    for line in io.BytesIO(content):
        try:
            found = parse_json(line, path.name)
            kind, name = str(found["kind"]), str(found["filename"])
            if len(kind) <= _KIND_CHARS and is_recording(name):
                entries[name] = _Entry(int(found["size"]), int(found["mtime_ns"]), kind)
        except (TranscriberError, KeyError, TypeError, ValueError, OverflowError):
            continue
    return entries


def _line(name: str, entry: _Entry) -> bytes:
    """One file; names that are not UTF-8 become escapes."""
    content = {"filename": name, "size": entry.size, "mtime_ns": entry.mtime_ns}
    # A line break in front: a torn line must not swallow the next one.
    return b"\n" + json.dumps(content | {"kind": entry.kind}).encode("ascii")
