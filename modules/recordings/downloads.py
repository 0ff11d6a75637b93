"""Which files are still being downloaded, as their programs show by another file beside them."""

from __future__ import annotations

from pathlib import Path

from modules.recordings.names import is_temporary
from modules.storage import beneath
from modules.storage.transfer import is_taken

#: Notes of aria2, lftp and axel. They write pieces at several places of a file at once, so that it
#: has its full size, and holes, until the note is removed.
_NOTES = (".aria2", ".lftp-pget-status", ".st")


def is_downloading(path: Path, size: int) -> bool:
    """Whether another file shows that this one, of so many bytes, is not complete yet.

    An empty one is often where a browser will put ``NAME.part`` or ``STEM.XXXXXXXX.part``.
    """
    try:
        has_note = any(is_taken(Path(f"{path}{note}")) for note in _NOTES)
        return has_note or (size == 0 and _has_part(path))
    except OSError:
        return False  # the looks at the file itself report it


def _has_part(path: Path) -> bool:
    return any(
        name.startswith(f"{path.stem}.") and is_temporary(name)
        for name in beneath.names_in(path.parent)
    )
