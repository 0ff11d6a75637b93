"""``Upload-Metadata``: the file's name, its type, and the fields of an upload. Pure."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from modules.api import forms
from modules.api.schemas import requests
from modules.api.uploads.names import UploadName, name_of_upload
from modules.config.languages import language_of
from modules.errors import TranscriberError, noted
from modules.service.resumable_uploads import UploadFields
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
        raise forms.invalid(noted("wait: is not possible here; ask GET /result for the text"))
    return Metadata(filename, content_type or None, asked)


class UploadMetadata:
    """``MetadataReader`` of the service. ``language``: the configured one."""

    def __init__(self, language: str) -> None:
        self._language = language

    def fields(self, metadata: str) -> UploadFields:
        """With the name where it tells by itself that this is a recording."""
        sent = read(metadata)
        asked = sent.asked
        found = self._by_name_alone(sent)
        return UploadFields(
            name=found.name if found else None,
            rename=asked.if_exists == "rename" or (found is not None and found.is_ours),
            wishes=asked.wishes(),
            job_id=asked.job_id,
            callback_urls=(asked.callback_url,) if asked.callback_url else (),
        )

    def name(self, metadata: str, head: bytes) -> tuple[str, bool]:
        sent = read(metadata)
        if kind := kind_of_text(head):
            raise TranscriberError(
                "no_recording",
                noted(
                    "file: {filename!r} is no recording: it is {kind}.",
                    filename=sent.filename,
                    kind=noted(kind),
                ),
                remedy=noted("Send the recording itself."),
            )
        found = self._name(sent, head, sent.content_type)
        return found.name, found.is_ours

    def _by_name_alone(self, sent: Metadata) -> UploadName | None:
        try:
            return self._name(sent, b"", None)
        except TranscriberError as error:
            if error.code != "unsupported_media_type":
                raise
            return None

    def _name(self, sent: Metadata, head: bytes, content_type: str | None) -> UploadName:
        expected = language_of(sent.asked.language or "") or self._language
        return name_of_upload(sent.filename, "", head, content_type, expected)


#: As many as a form may have parts.
_PAIRS_MAX = 100


def _pairs(header: str) -> list[tuple[str, bytes]]:
    listed = header.split(",") if header.strip() else []
    if len(listed) > _PAIRS_MAX:
        raise forms.invalid(
            noted(
                "Upload-Metadata: at most {most} keys, got {count}",
                most=_PAIRS_MAX,
                count=len(listed),
            )
        )
    pairs: list[tuple[str, bytes]] = []
    for pair in listed:
        key, _, value = pair.strip().partition(" ")
        if not key or key in dict(pairs):
            raise forms.invalid(
                noted("Upload-Metadata: each key must be there once, got {key!r}", key=key[:40])
            )
        try:
            pairs.append((key, base64.b64decode(value, validate=True)))
        except (binascii.Error, ValueError) as error:
            raise forms.invalid(
                noted("Upload-Metadata: {key}: must be base64", key=key[:40])
            ) from error
    return pairs


def _text(key: str, value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise forms.invalid(noted("{key}: must be text in UTF-8", key=key[:40])) from error
