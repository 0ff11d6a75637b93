"""Which names in the shared folder are recordings.

A name is a path relative to the share, with ``/``. It is judged by its spelling alone.
"""

from __future__ import annotations

import os
import re

from modules.config.media_types import ENDINGS
from modules.storage.tree import FOLDERS_MAX

#: Our own folder inside the share: lock, owner's note, pause flag, uploads in flight.
STATE_FOLDER = ".transcriber"

#: What Linux opens, and 255 letters of four bytes: NTFS counts letters, others bytes.
_PATH_BYTES, _PART_BYTES = 4096, 1020

#: Endings under which browsers, copy tools and sync tools write what is not yet whole, and of the
#: notes that they keep beside it.
TEMPORARY_EXTENSIONS = frozenset(
    "part partial crdownload filepart tmp temp download opdownload fdmdownload"
    " ytdl aria2 lftp-pget-status !ut !qb bc!".split()
)

#: Beginnings of temporary names: Syncthing on Windows, Office's lock files. The hidden ones
#: (``.syncthing.*``, ``._*``, rsync's ``.name.XXXXXX``) fall under the leading dot.
TEMPORARY_PREFIXES = ("~syncthing~", "~$")

#: Pieces of a download with the ending of the whole: yt-dlp gives each track a file of its own
#: (``Talk.f251.webm``, ``Talk.fhls-audio-0.mp4``), and joins them in ``Talk.temp.mp4``. The same
#: in a sound editor's file (``voice.f32.wav``) means something else.
_PIECE = re.compile(
    r"\.(?:te?mp\.[^.]+|f(?:\d{2,3}|hls|dash|http|rtmp)(?:-[\w-]+)?"
    r"\.(?:3gp|aac|flv|m4a|mkv|mov|mp3|mp4|ogg|opus|ts|webm))$",
    re.IGNORECASE,
)

#: Bins, snapshots and indexes that network storage and systems keep in a share: what lies there
#: was thrown away, or lies elsewhere too. Hidden ones fall under the leading dot.
SYSTEM_FOLDERS = frozenset(
    {
        # Synology, QNAP, NetApp
        "#recycle", "#snapshot", "@eadir", "@tmp", "@sharebin", "@synoresource",
        "@recycle", "@recently-snapshot", "@__thumb", "@transcode", "~snapshot",
        # Nextcloud and ownCloud
        "files_trashbin", "files_versions",
        # macOS, and the servers that speak to it
        "__macosx", "network trash folder", "temporary items", "thevolumesettingsfolder",
        "thefindbycontentfolder",
        # Windows, Linux
        "$recycle.bin", "recycler", "recycled", "system volume information", "lost+found",
        # the packages of somebody's program
        "node_modules",
    }
)  # fmt: skip


def is_recording(name: str) -> bool:
    """Whether a file of this name is taken for a recording.

    Syncthing's conflict copies (``talk.sync-conflict-20240101-….mp3``) are: they hold sound that
    stands nowhere else. Our own files never are: none ends in a media extension.
    """
    if len(name) > _PATH_BYTES or name.count("/") > FOLDERS_MAX:
        return False  # no file system has it, or nobody looks so deep
    folder, slash, last = name.rpartition("/")
    # First, as it is cheap: most names in a share are of texts, and a rescan asks about each.
    if not has_media_ending(last) or is_temporary(last) or _PIECE.search(last):
        return False
    # An empty folder before a slash is an absolute path.
    return not (slash and not is_visible_folder(folder)) and _is_possible(name)


def is_visible_folder(name: str) -> bool:
    """Whether recordings in this subfolder, given relative to the share, are looked at."""
    return name.count("/") < FOLDERS_MAX and all(
        part and not is_temporary(part) and part.lower() not in SYSTEM_FOLDERS
        for part in name.split("/")
    )


def _is_possible(name: str) -> bool:
    """Whether a file system could have such a name at all; orders may say anything."""
    try:
        raw = os.fsencode(name)
    except UnicodeEncodeError:
        return False
    parts = raw.split(b"/")
    is_short = len(raw) < _PATH_BYTES
    return is_short and b"\0" not in raw and max(map(len, parts)) <= _PART_BYTES


def has_media_ending(part: str) -> bool:
    """Whether a name, without folders, ends as those of recordings do."""
    return _extension(part) in ENDINGS


def is_temporary(part: str) -> bool:
    """Whether a name, without folders, is hidden, or one for what is not yet whole."""
    if part.startswith(".") or part.lower().startswith(TEMPORARY_PREFIXES):
        return True
    extension = _extension(part)
    return extension in TEMPORARY_EXTENSIONS or extension.startswith("part-frag")


def _extension(part: str) -> str:
    stem, dot, extension = part.rpartition(".")
    return extension.lower() if dot and stem else ""
