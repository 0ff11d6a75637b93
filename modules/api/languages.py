"""In which language a client is answered: that of its ``Accept-Language``, English without one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import has_request_context, request
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from modules.messages import LANGUAGES, restored, translated

#: A header can be long; what a browser sends is far shorter.
_HEADER_CHARS = 500


def language_of(header: str | None) -> str:
    """``en`` or ``ru``, whatever the header holds."""
    accepted = parse_accept_header((header or "")[:_HEADER_CHARS], LanguageAccept)
    return accepted.best_match(LANGUAGES, "en")


def asked() -> str:
    """That of the request that is being answered."""
    if not has_request_context():
        return "en"
    return language_of(request.headers.get("Accept-Language"))


def said(text: str | None, language: str | None = None) -> str | None:
    """A text in the language of the request; ``language``: where its answer outlives it."""
    return None if text is None else translated(text, language or asked())


def said_error(error: Mapping[str, Any] | None, language: str | None = None) -> Any:
    """The same for an error as ``.in_progress`` has it."""
    if not isinstance(error, Mapping) or not isinstance(error.get("message"), str):
        return error
    shown = {key: value for key, value in error.items() if key != "template"}
    message = restored(error["message"], error.get("template"))
    return shown | {"message": said(message, language)}
