"""The name that an upload gets in the share, from what its client said. Pure."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from modules.api.uploads.code_pages import decoded
from modules.api.uploads.kinds import ending_by_content, ending_by_type
from modules.errors import TranscriberError, noted
from modules.recordings.names import is_recording
from modules.storage.transfer import NAME_MAX

#: What programs call a file of which they know no name.
_NO_NAMES = frozenset({"", "blob", "file", "undefined", "null", "nil", "none"})
_NAMELESS = "upload"
_PARAMETER = re.compile(r";\s*(filename\*?)\s*=\s*", re.IGNORECASE)
_EXTENDED = re.compile(r"([\w!#$&+^`{}~-]+)'[\w-]*'([^\s;]*)", re.ASCII)


@dataclass(frozen=True)
class UploadName:
    """``is_ours``: the client gave none, so that another one may be chosen."""

    name: str
    is_ours: bool


def name_of_upload(
    sent: str, disposition: str, head: bytes, content_type: str | None, language: str
) -> UploadName:
    """The name for a file that was sent as ``sent``; bytes that are no UTF-8 are surrogates in it.

    ``disposition``: the header it stands in; ``head``: the first bytes of the file. ``language``:
    the one that is expected. Raises TranscriberError if no recording can have this name.
    """
    name = _last_part(_extended(disposition) or _in_unicode(sent, language))
    is_ours = name.lower() in _NO_NAMES
    name = _with_ending(name or _NAMELESS, is_ours, head, content_type)
    if not is_recording(name):
        raise _unsupported(name, is_ours)
    if len(os.fsencode(name)) > NAME_MAX:
        raise TranscriberError(
            "invalid_request",
            noted(
                "file: its name must have at most {name_max} bytes, got {count}.",
                name_max=NAME_MAX,
                count=len(os.fsencode(name)),
            ),
            remedy=noted("Send it under a shorter name."),
        )
    return UploadName(name, is_ours)


def _in_unicode(sent: str, language: str) -> str:
    """Raises TranscriberError if the name is in a code page that cannot be told."""
    raw = sent.encode("utf-8", "surrogateescape")
    name = decoded(raw, language)
    if name is None:
        raise TranscriberError(
            "invalid_request",
            noted("file: its name must be UTF-8, got the bytes {raw!r}.", raw=quote(raw)),
            remedy=noted(
                'Send it in UTF-8, or name it yourself: curl -F "file=@NAME;filename=talk.mp3".'
            ),
        )
    return _unescaped(name)


def _unescaped(name: str) -> str:
    """Without percent signs, if letters beyond ASCII are behind them: clients escape even twice.

    A name that has such letters or blanks as they are was not escaped, whatever percent signs it
    has.
    """
    if not name.isascii() or " " in name:
        return name
    plain = name
    for _ in range(2):
        try:
            plain = unquote_to_bytes(plain).decode("utf-8")
        except UnicodeDecodeError:
            break
        if not plain.isascii():
            return plain
    return name


def _extended(disposition: str) -> str | None:
    """``filename*=UTF-8''%D1%8F.mp3`` of RFC 5987, which goes before ``filename``."""
    for found in _PARAMETER.finditer(disposition):
        value = _EXTENDED.match(disposition, found.end())
        if not found[1].endswith("*") or value is None:
            continue
        try:
            return unquote_to_bytes(value[2]).decode(value[1])
        except (LookupError, UnicodeDecodeError):
            continue
    return None


def _last_part(name: str) -> str:
    """Some clients send a whole path, of their own system; Windows drops blanks and dots behind."""
    return name.replace("\\", "/").rpartition("/")[2].strip().rstrip(" .")


def _with_ending(name: str, is_ours: bool, head: bytes, content_type: str | None) -> str:
    """With the ending of its content, where its own is none of a recording's."""
    if is_recording(name) or name.startswith("."):
        return name
    ending = ending_by_content(head)
    if ending is None and (is_ours or not os.path.splitext(name)[1]):
        ending = ending_by_type(content_type)
    return f"{name}.{ending}" if ending else name


def _unsupported(name: str, is_ours: bool) -> TranscriberError:
    if is_ours:
        message = noted(
            "file: it came without a name, and its content is no known kind of recording."
        )
    else:
        message = noted(
            "file: {name!r} is not the name of a recording, and its content is of no known kind.",
            name=name,
        )
    return TranscriberError(
        "unsupported_media_type",
        message,
        remedy=noted(
            "Send a recording, under a name with an ending such as .mp3, .wav or .mp4; "
            "with curl as -F file=@talk.mp3."
        ),
    )
