"""``Upload-Metadata``: the file's name, its type, and the fields of an upload. Pure."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from modules.api import forms
from modules.api.schemas import requests
from modules.api.uploads.names import UploadName, name_of_upload
from modules.config.languages import language_of
from modules.errors import TranscriberError
from modules.storage.file_kind import kind_of_text

#: What clients send besides, and what means nothing here.
_IGNORED = frozenset({"name", "type", "relativePath"})


@dataclass(frozen=True)
class Metadata:
    """``filename``: bytes that are no UTF-8 are surrogates in it."""

    filename: str
    content_type: str | None
    asked: requests.UploadRequest


def read(header: str) -> Metadata:
    """Raises TranscriberError ``invalid_request``."""
    fields = dict(_pairs(header))
    filename = fields.pop("filename", b"").decode("utf-8", "surrogateescape")
    content_type = _text("filetype", fields.pop("filetype", b""))
    texts = {key: _text(key, value) for key, value in fields.items() if key not in _IGNORED}
    asked = forms.checked(requests.UploadRequest, texts)
    if asked.wait:
        raise forms.invalid("wait: is not possible here; ask GET /result for the text")
    return Metadata(filename, content_type or None, asked)


def name_before(metadata: Metadata, language: str) -> UploadName | None:
    """The name, where it tells by itself that this is a recording. Raises TranscriberError."""
    try:
        return _name(metadata, b"", None, language)
    except TranscriberError as error:
        if error.code != "unsupported_media_type":
            raise
        return None


def choose_name(header: str, head: bytes, language: str) -> tuple[str, bool]:
    """The name for what begins with ``head``, and whether a free one like it will do.

    Raises TranscriberError if this is no recording.
    """
    metadata = read(header)
    if kind := kind_of_text(head):
        raise TranscriberError(
            "no_recording",
            f"file: {metadata.filename!r} is no recording: it is {kind}.",
            remedy="Send the recording itself.",
        )
    found = _name(metadata, head, metadata.content_type, language)
    return found.name, found.is_ours


def _name(metadata: Metadata, head: bytes, content_type: str | None, language: str) -> UploadName:
    expected = language_of(metadata.asked.language or "") or language
    return name_of_upload(metadata.filename, "", head, content_type, expected)


def _pairs(header: str) -> list[tuple[str, bytes]]:
    pairs: list[tuple[str, bytes]] = []
    for pair in header.split(",") if header.strip() else []:
        key, _, value = pair.strip().partition(" ")
        if not key or key in dict(pairs):
            raise forms.invalid(f"Upload-Metadata: each key must be there once, got {key[:40]!r}")
        try:
            pairs.append((key, base64.b64decode(value, validate=True)))
        except (binascii.Error, ValueError) as error:
            raise forms.invalid(f"Upload-Metadata: {key[:40]}: must be base64") from error
    return pairs


def _text(key: str, value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise forms.invalid(f"{key[:40]}: must be text in UTF-8") from error
