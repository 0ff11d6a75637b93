"""Which requests are accepted, decided at their headers."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from modules.api.server.access import Access
from modules.api.server.origins import OriginCheck
from modules.api.server.refusals import Refusal, refusal
from modules.config.schema import ApiConfig

_UPLOADING = frozenset({"/transcribe", "/v1/audio/transcriptions", "/v1/audio/translations"})

#: What everything but an upload may send.
_BODY_BYTES = 1_000_000

#: The form around a file.
_FORM_BYTES = 2_000_000


class Admission:
    """Decides at the headers which clients are admitted, and how large their bodies may be."""

    def __init__(self, app: Flask, config: ApiConfig) -> None:
        self._app = app
        self._access = Access(config)
        self._origins = OriginCheck(config)
        self._upload_bytes = config.max_upload_mb * 2**20

    def admit(
        self, method: str, path: str, headers: Mapping[str, str], content_length: int | None
    ) -> Refusal | int:
        # First, or a page of another site could make the browser ask for the password.
        if refused := self._origins.refuse(headers):
            return refused
        if not self._access.admits(self._app, path, headers):
            return _no_key()
        form = headers.get("content-type", "").lower().startswith("multipart/form-data")
        if method == "POST" and form and path in _UPLOADING:
            return self._upload_bytes + _FORM_BYTES
        return _BODY_BYTES


def _no_key() -> Refusal:
    answer = refusal(
        401, "unauthorized", "A key is needed, or it is wrong.",
        "Send it as X-API-Key, as a Bearer token, or as the password of HTTP Basic.",
    )  # fmt: skip
    asking = ("WWW-Authenticate", 'Basic realm="audio-transcriber"')
    return Refusal(answer.status, answer.body, (asking,))
