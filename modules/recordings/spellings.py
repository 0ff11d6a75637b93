"""Which recording a client means by a name that is not spelled as on the disk.

A letter such as ``й`` is one character or two (Unicode's NFC and NFD): people see no difference,
and tools change one into the other. Clients also escape names twice, or send paths of Windows.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote_to_bytes

from modules.errors import TranscriberError, noted
from modules.recordings.names import is_recording
from modules.recordings.sidecars import IN_PROGRESS, RESULT, RecordingPaths
from modules.storage import beneath
from modules.storage.atomic import storage_errors
from modules.storage.transfer import is_folder, is_taken


def meant(name: str, folders: Sequence[Path], *, paths: bool = False) -> str:
    """The recording that a name means under folders: itself if it is there, else the one alike.

    Its texts may be all that is left of it. ``name`` itself if there is none. ``paths``: a name may
    also be the path that a client of Windows has for it. Raises TranscriberError ``ambiguous_name``
    if two are meant, StorageError.
    """
    forms = list(_forms(name, paths))
    for form in forms:
        if any(_is_there(folder, form) for folder in folders):
            return form
    for form in forms:
        alike = {each for folder in folders for each in _alike(folder, form)}
        if len(alike) > 1:
            raise _ambiguous(name, sorted(alike))
        if alike:
            return alike.pop()
    return name


def normalized(name: str) -> str:
    """Equal for names that look the same."""
    return unicodedata.normalize("NFC", name)


def _forms(name: str, paths: bool) -> Iterator[str]:
    """The name, and without what clients add, the likeliest first; each could be a recording's."""
    forms = [name]
    for _ in range(2):  # as it is escaped by two libraries
        try:
            plain = unquote_to_bytes(forms[-1]).decode("utf-8")
        except UnicodeError:
            break
        forms.append(plain)
    if paths:
        forms += [form.replace("\\", "/") for form in forms if "\\" in form]
        forms += [form.rpartition("/")[2] for form in forms if "\\" in name]
        forms += [form.strip().rstrip(" .") for form in forms]
    return (form for form in dict.fromkeys(forms) if is_recording(form))


def _is_there(folder: Path, name: str) -> bool:
    paths = RecordingPaths(name)
    with storage_errors(folder / name):
        return any(is_taken(folder / each) for each in (name, paths.result, paths.state))


def _alike(root: Path, name: str) -> list[str]:
    """The recordings that look the same; if there are none, those of which texts or state are."""
    if name.isascii():
        return []  # there is no other spelling
    found: list[str] = []
    left: list[str] = []
    folder, _, last = name.rpartition("/")
    for place in _folders_alike(root, folder):
        for entry in _entries(root / place):
            own = entry.removesuffix(RESULT).removesuffix(IN_PROGRESS)
            if normalized(own) == normalized(last) and is_recording(place + own):
                (found if own == entry else left).append(place + own)
    return found or left


def _folders_alike(root: Path, folder: str) -> Iterator[str]:
    """Subfolders that look like a path, each with a slash behind it; no links."""
    if not folder:
        yield ""
        return
    above, _, last = folder.rpartition("/")
    for place in _folders_alike(root, above):
        for entry in _entries(root / place):
            if normalized(entry) == normalized(last) and is_folder(root / place / entry):
                yield f"{place}{entry}/"


def _entries(folder: Path) -> list[str]:
    with storage_errors(folder):
        try:
            return beneath.names_in(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []


def _ambiguous(name: str, alike: Sequence[str]) -> TranscriberError:
    shown = " and ".join(map(_with_marks_apart, alike))
    return TranscriberError(
        "ambiguous_name",
        noted(
            "{name!r} could be each of the recordings {shown}, which look the same.",
            name=name,
            shown=shown,
        ),
        details=shown,
        remedy=noted("Ask for one exactly as it is spelled, or rename one."),
    )


def _with_marks_apart(name: str) -> str:
    """So that two names which look the same do not."""
    return "".join(f"\\u{ord(c):04x}" if unicodedata.combining(c) else c for c in name)
