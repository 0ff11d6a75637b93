"""What people have put into the folder: by this the program is judged."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from modules.recordings.names import STATE_FOLDER


@dataclass
class Recording:
    """Bytes that must not be lost. ``doomed``: a removal was asked for, and may have happened."""

    name: str
    content: bytes
    mtime_ns: int
    where: Path
    had: set[str] = field(default_factory=set)
    doomed: bool = False


class Folder:
    """The share and ``manual/`` under ``root``, with all that people have there.

    ``moment`` counts on while the program works; ``history`` says which bytes a name had when.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.shared = root / "shared"
        self.manual = root / "manual"
        self.elsewhere = root / "elsewhere"
        self.away = root / "away"
        self.recordings: list[Recording] = []
        self.strangers: dict[Path, bytes] = {}
        self.moment = 0
        self.history: dict[str, list[tuple[int, bytes | None]]] = {}

    @property
    def is_away(self) -> bool:
        return self.away.exists()

    @property
    def real_shared(self) -> Path:
        """Where the share's files are, be it mounted or not."""
        return self.away if self.is_away else self.shared

    def note(self, name: str, content: bytes | None) -> None:
        """From now on the name has these bytes."""
        self.history.setdefault(name, []).append((self.moment, content))

    def note_absence(self, name: str) -> None:
        if not os.path.lexists(self.real_shared / name):
            self.note(name, None)

    def had_since(self, name: str, moment: int) -> list[bytes]:
        """What lay under the name at that moment or later."""
        entries = self.history.get(name, [])
        before = [content for when, content in entries if when < moment][-1:]
        found = before + [content for when, content in entries if when >= moment]
        return [content for content in found if content is not None]

    def ever_had(self, name: str) -> list[bytes]:
        return self.had_since(name, -1)

    def place_of(self, recording: Recording) -> Path | None:
        """Where the recording lies now; size and time tell it from all others, or its bytes."""
        if self.is_at(recording, recording.where):
            return recording.where
        for path in self.files():
            if self.is_at(recording, path):
                recording.where = path
                return path
        # Touched while a copy of it was on its way: the copy has the older time.
        for path in self.files():
            if path.read_bytes() == recording.content:
                recording.where = path
                return path
        return None

    def places_of(self, recording: Recording) -> list[Path]:
        found = [path for path in self.files() if self.is_at(recording, path)]
        place = None if found else self.place_of(recording)
        return [place] if place else found

    @staticmethod
    def is_at(recording: Recording, path: Path) -> bool:
        try:
            found = os.stat(path)
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (len(recording.content), recording.mtime_ns)

    def in_share(self) -> list[Recording]:
        """The recordings that lie under their name in the share."""
        return [r for r in self.recordings if self.is_at(r, self.real_shared / r.name)]

    def in_manual(self) -> list[Recording]:
        return [r for r in self.recordings if (p := self.place_of(r)) and self.is_manual(p)]

    def is_manual(self, path: Path) -> bool:
        return path.is_relative_to(self.manual)

    def files(self, *endings: str) -> Iterator[Path]:
        """Every file but our own state, or those with such an ending."""
        for root in (self.real_shared, self.manual):
            for folder, subfolders, names in os.walk(root):
                subfolders[:] = sorted(s for s in subfolders if s != STATE_FOLDER)
                wanted = [n for n in names if n.endswith(endings)] if endings else names
                yield from (Path(folder, name) for name in sorted(wanted))


def fingerprint(content: bytes) -> str:
    """As ``.result`` and ``.in_progress`` have it, for less than a MiB."""
    return hashlib.sha256(str(len(content)).encode() + content + content).hexdigest()
