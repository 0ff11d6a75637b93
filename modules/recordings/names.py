"""Which names in the shared folder are recordings.

A name is a path relative to the share, with ``/``. It is judged by its spelling alone.
"""

from __future__ import annotations

import os

from modules.config.media_types import ENDINGS

#: Our own folder inside the share: lock, owner's note, pause flag, uploads in flight.
STATE_FOLDER = ".transcriber"

#: Endings under which browsers, copy tools and sync tools write what is not yet whole.
TEMPORARY_EXTENSIONS = frozenset(
    {"part", "partial", "crdownload", "filepart", "tmp", "temp", "download"}
)

#: Beginnings of temporary names: Syncthing on Windows, Office's lock files. The hidden ones
#: (``.syncthing.*``, ``._*``, rsync's ``.name.XXXXXX``) fall under the leading dot.
TEMPORARY_PREFIXES = ("~syncthing~", "~$")

#: Bins and indexes that network storage keeps in a share: what lies there was thrown away.
SYSTEM_FOLDERS = frozenset(
    {"#recycle", "@recycle", "@eadir", "$recycle.bin", "system volume information", "lost+found"}
)


def is_recording(name: str) -> bool:
    """Whether a file of this name is taken for a recording.

    Syncthing's conflict copies (``talk.sync-conflict-20240101-….mp3``) are: they hold sound that
    stands nowhere else. Our own files never are: none ends in a media extension.
    """
    folder, slash, last = name.rpartition("/")
    # First, as it is cheap: most names in a share are of texts, and a rescan asks about each.
    if _extension(last) not in ENDINGS or _is_ignored(last):
        return False
    # An empty folder before a slash is an absolute path.
    return not (slash and not is_visible_folder(folder)) and _is_possible(name)


def is_visible_folder(name: str) -> bool:
    """Whether recordings in this subfolder, given relative to the share, are looked at."""
    return all(
        part and not _is_ignored(part) and part.lower() not in SYSTEM_FOLDERS
        for part in name.split("/")
    )


def _is_possible(name: str) -> bool:
    """Whether a file system could have such a name at all; orders may say anything."""
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def _is_ignored(part: str) -> bool:
    if part.startswith(".") or part.lower().startswith(TEMPORARY_PREFIXES):
        return True
    return _extension(part) in TEMPORARY_EXTENSIONS


def _extension(part: str) -> str:
    stem, dot, extension = part.rpartition(".")
    return extension.lower() if dot and stem else ""
