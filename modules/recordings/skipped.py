"""Which files in the shared folder are neither recordings nor ours, and so are skipped."""

from __future__ import annotations

from modules.config.types import FORMATS
from modules.recordings.names import has_media_ending, is_recording, is_temporary
from modules.recordings.sidecars import IN_PROGRESS, RESULT, SETTINGS

#: The endings of what the program writes, and of what it reads beside recordings.
_OWN_ENDINGS = (*(f".{form}" for form in FORMATS), RESULT, IN_PROGRESS, SETTINGS)


def is_skipped(name: str) -> bool:
    """Whether a file, in a folder that is looked at, is skipped for its name and not by rule.

    Texts beside recordings, hidden files and what is still being written are none of these. A
    piece of a download is: it holds sound, and may have been left behind.
    """
    last = name.rpartition("/")[2]
    if last.endswith(_OWN_ENDINGS) or last == SETTINGS[1:] or is_temporary(last):
        return False
    return not (has_media_ending(last) and is_recording(name))
