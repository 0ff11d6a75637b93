"""Which requests are accepted, decided at their headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from flask import Flask

from modules.api.server.access import Access, credentials
from modules.api.server.cors import Cors
from modules.api.server.origins import OriginCheck
from modules.api.server.patches import PatchAdmission
from modules.api.server.refusals import Body, Refusal, refusal
from modules.api.server.wrong_keys import WrongKeys
from modules.clock import Clock, SystemClock
from modules.config.schema import ApiConfig
from modules.messages import noted
from modules.storage.tree import FOLDERS_MAX

_UPLOADING = frozenset(
    {
        "/transcribe",
        "/v1/audio/transcriptions", "/v1/audio/translations",
        "/asr", "/detect-language",
    }
)  # fmt: skip

#: What everything but an upload may send.
_BODY_BYTES = 1_000_000

#: The form around a file.
_FORM_BYTES = 2_000_000

#: The longest path that the system opens; as many folders as a recording may lie in, and ours.
_PATH_CHARS = 4096
_PATH_PARTS = FOLDERS_MAX + 4


class Admission:
    """Decides at the headers which clients are admitted, and how large their bodies may be."""

    def __init__(
        self,
        app: Flask,
        config: ApiConfig,
        clock: Clock | None = None,
        on_wrong_key: Callable[[], None] = lambda: None,
        patches: PatchAdmission | None = None,
    ) -> None:
        self._app = app
        self._access = Access(config)
        self._origins = OriginCheck(config)
        self._cors = Cors(config)
        self._wrong_keys = WrongKeys(config.rate_limit, clock or SystemClock(), on_wrong_key)
        self._patches = patches
        self._upload_bytes = config.max_upload_mb * 2**20

    def admit(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        content_length: int | None,
        client: str,
    ) -> Refusal | int | Body:
        self._wrong_keys.report()
        if _is_too_long(path):
            return _no_such_name()
        # First, or a page of another site could make the browser ask for the password.
        if refused := self._origins.refuse(method, headers):
            return refused
        # A browser asks without the key, and is told nothing but what it may send.
        if self._cors.is_preflight(method, headers):
            return _BODY_BYTES
        if refused := self._check_key(path, headers, client):
            return refused
        form = headers.get("content-type", "").lower().startswith("multipart/form-data")
        if method == "POST" and form and path in _UPLOADING:
            return self._upload_bytes + _FORM_BYTES
        if self._patches is not None:
            body = self._patches.admit(method, path, headers, content_length)
            if body is not None:
                return body
        return _BODY_BYTES

    def _check_key(self, path: str, headers: Mapping[str, str], client: str) -> Refusal | None:
        if not self._access.guards(path, headers):
            return None
        given = bool(credentials(headers))
        wait_s = self._wrong_keys.wait_s(client) if given else 0
        # Where nobody had the right key lately, the key is not even looked at.
        if wait_s and not self._wrong_keys.is_trusted(client):
            self._wrong_keys.note_wrong(client)
            return _too_many(wait_s)
        if self._access.admits(self._app, path, headers):
            self._wrong_keys.note_right(client)
            return None
        if given:
            self._wrong_keys.note_wrong(client)
        return _too_many(wait_s) if wait_s else _no_key(headers)


def _is_too_long(path: str) -> bool:
    """Whether nothing here can have it as its name, so that nobody looks for it."""
    return len(path) > _PATH_CHARS or path.count("/") > _PATH_PARTS


def _no_such_name() -> Refusal:
    why = noted(
        "The address is too long: at most {chars} characters and {parts} parts.",
        chars=_PATH_CHARS,
        parts=_PATH_PARTS,
    )
    remedy = noted("Ask for a recording by its job id, or move it up.")
    return refusal(404, "not_found", why, remedy)


def _too_many(wait_s: int) -> Refusal:
    answer = refusal(
        429, "too_many_requests", noted("Too many wrong keys or passwords came from this address."),
        noted("Try again in {wait_s} s with the right one.", wait_s=wait_s),
    )  # fmt: skip
    return replace(answer, headers=(("Retry-After", str(wait_s)),))


def _no_key(headers: Mapping[str, str]) -> Refusal:
    answer = refusal(
        401, "unauthorized", noted("A key is needed, or it is wrong."),
        noted("Send it as X-API-Key, as a Bearer token, or as the password of HTTP Basic."),
    )  # fmt: skip
    if headers.get("x-requested-with") or headers.get("sec-fetch-dest", "document") != "document":
        return answer  # our page asks for the key in its own words, without the browser's window
    asking = ("WWW-Authenticate", 'Basic realm="audio-transcriber"')
    return replace(answer, headers=(asking,))
