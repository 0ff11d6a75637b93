"""Answers of the server itself, before the application sees a request."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from waitress.utilities import Error

from modules.api.openai import format
from modules.logger import get_logger
from modules.storage.atomic import to_json

log = get_logger("Api")


@dataclass(frozen=True)
class Refusal:
    """The answer that ends a request before its body is taken; ``body`` is JSON."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


#: ``admit(method, path, headers, content_length, client)``: a refusal, or the most bytes that the
#: body may have. The path is decoded, without the query; header names are in lower case; the length
#: is None where the client does not state it (chunked coding); ``client`` is the address at the
#: other end of the connection, behind a proxy the proxy's. Called in the network thread: it must
#: not wait for anything. If it raises, the connection is closed.
Admit: TypeAlias = Callable[[str, str, Mapping[str, str], int | None, str], Refusal | int]


@dataclass(frozen=True)
class RequestPolicy:
    """Which requests are accepted, and the folder where large bodies are kept."""

    admit: Admit
    spool: Path


def refusal(status: int, code: str, message: str, suggestion: str | None = None) -> Refusal:
    """A refusal in the form of all our errors."""
    answer = {
        "status": "error",
        "error_code": code,
        "message": message,
        "filename": None,
        "suggestion": suggestion,
    }
    return Refusal(status, to_json(answer))


class RefusedError(Error):
    """waitress takes an error to answer from a request's ``error``; this one holds ours."""

    def __init__(self, answer: Refusal) -> None:
        super().__init__("")
        self.code = answer.status
        self.answer = answer


_OWN_ERRORS = {
    400: ("bad_request", "The request is not proper HTTP", "Check the client."),
    413: ("body_too_large", "The body is too large", "Send less."),
    431: ("headers_too_large", "The headers are too large", "Send fewer or shorter headers."),
    501: ("not_implemented", "The request asks for what is not supported", "Check the client."),
}


def answer_to(error: Error) -> Refusal:
    """What to answer for an error of ours, or of waitress's own."""
    if isinstance(error, RefusedError):
        return error.answer
    if error.code not in _OWN_ERRORS:
        return refusal(500, "internal_error", "Something went wrong here.", "The log says what.")
    code, message, suggestion = _OWN_ERRORS[error.code]
    return refusal(error.code, code, f"{message}: {error.body}.", suggestion)


def as_openai(answer: Refusal) -> bytes:
    content = json.loads(answer.body)
    message = " ".join(filter(None, (content["message"], content["suggestion"])))
    return to_json(format.error(message, answer.status, code=content["error_code"]))
