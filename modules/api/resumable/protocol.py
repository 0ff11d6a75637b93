"""The headers of tus 1.0: read, checked, and written. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import formatdate
from urllib.parse import quote

from modules.api import forms
from modules.errors import TranscriberError, noted
from modules.service.resumable_uploads import UploadState

VERSION = "1.0.0"
EXTENSIONS = "creation,expiration,termination"
#: The type of a PATCH's body.
BODY_TYPE = "application/offset+octet-stream"
_NUMBER = re.compile(r"[0-9]{1,18}")

_MISSING = noted("it is missing")


def check_version(headers: Mapping[str, str]) -> None:
    """``headers`` with names in lower case, or in any. Raises TranscriberError."""
    given = headers.get("tus-resumable")
    if given != VERSION:
        shown = _MISSING if given is None else noted("got {value}", value=repr(given[:40]))
        raise TranscriberError(
            "unsupported_version",
            noted("Tus-Resumable: must be {version}, {shown}.", version=VERSION, shown=shown),
            remedy=noted("Use a client of tus 1.0."),
        )


def number(headers: Mapping[str, str], name: str) -> int:
    """A header that is a number of bytes. Raises TranscriberError."""
    given = headers.get(name.lower())
    if given is None or not _NUMBER.fullmatch(given):
        shown = _MISSING if given is None else noted("got {value}", value=repr(given[:40]))
        raise forms.invalid(
            noted("{name}: must be a number of bytes, {shown}", name=name, shown=shown)
        )
    return int(given)


def upload_length(headers: Mapping[str, str], most: int) -> int:
    """Raises TranscriberError, also where the length is to come later."""
    if "upload-defer-length" in headers:
        raise forms.invalid(noted("Upload-Defer-Length: is not supported; state Upload-Length"))
    length = number(headers, "Upload-Length")
    if length > most:
        raise TranscriberError(
            "body_too_large",
            noted(
                "Upload-Length: an upload may have at most {most} bytes, got {length}.",
                most=most,
                length=length,
            ),
            remedy=noted("Send less, or raise api.max_upload_mb."),
        )
    return length


def check_body_type(headers: Mapping[str, str]) -> None:
    """Raises TranscriberError."""
    given = headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() != BODY_TYPE:
        raise TranscriberError(
            "wrong_content_type",
            noted(
                "Content-Type: must be {body_type}, got {given!r}.",
                body_type=BODY_TYPE,
                given=given[:80],
            ),
            remedy=noted("Use a client of tus 1.0."),
        )


def headers_of(state: UploadState) -> dict[str, str]:
    """What is said of an upload in each answer. The name is percent-encoded UTF-8."""
    headers = {
        "Upload-Offset": str(state.offset),
        "Upload-Length": str(state.length),
        "Cache-Control": "no-store",
    }
    if state.metadata:
        headers["Upload-Metadata"] = state.metadata
    if state.expires is not None and state.offset < state.length:
        headers["Upload-Expires"] = formatdate(state.expires, usegmt=True)
    if state.filename is not None:
        headers["Upload-Filename"] = quote(state.filename.encode("utf-8", "surrogateescape"))
    return headers
