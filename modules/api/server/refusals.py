"""Answers of the server itself, before the application sees a request."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from waitress.utilities import Error

from modules.api import responses
from modules.api.languages import said
from modules.api.openai import format
from modules.errors import TranscriberError, joined, noted
from modules.logger import get_logger
from modules.messages import LANGUAGES
from modules.storage.atomic import to_json

log = get_logger("Api")

#: A file may also be larger than its file system, or a limit, lets any file be.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True)
class Refusal:
    """The answer that ends a request before its body is taken; ``body`` is JSON."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    #: The bodies in other languages.
    others: Mapping[str, bytes] = field(default_factory=dict)

    def said_in(self, language: str) -> Refusal:
        """The same in a language, if its body is there in it."""
        return replace(self, body=self.others.get(language, self.body))


class Body(Protocol):
    """Takes a body as it comes, in place of a spooled file; the application finds ``getfile``.

    ``append`` raises OSError or TranscriberError, which ends the request. ``close`` may be called
    more than once.
    """

    @property
    def limit(self) -> int:
        """The most bytes that may come."""

    def append(self, data: bytes) -> None: ...
    def __len__(self) -> int: ...
    def getfile(self) -> Any: ...
    def close(self) -> None: ...


#: ``admit(method, path, headers, content_length, client)``: a refusal, or the most bytes that the
#: body may have, or what takes it. The path is decoded, without the query; header names are in
#: lower case; the length is None where the client does not state it (chunked coding); ``client`` is
#: the address at the other end of the connection, behind a proxy the proxy's. Called in the network
#: thread: it must not wait for anything but the share. If it raises, the connection is closed.
Admit: TypeAlias = Callable[[str, str, Mapping[str, str], int | None, str], Refusal | int | Body]


@dataclass(frozen=True)
class Upgraded:
    """A connection that speaks HTTP no more; its socket does not block.

    ``client``: as for ``Admit``. ``early``: what came behind the request. Who has it closes it,
    and then calls ``release``.
    """

    socket: socket.socket
    client: str
    early: bytes
    release: Callable[[], None]


#: ``admit(path, query, headers)`` of a GET: a refusal, what takes the connection over, or None for
#: an ordinary request. Called in the network thread, once ``Admit`` had no objection.
AdmitUpgrade: TypeAlias = Callable[
    [str, str, Mapping[str, str]], Refusal | Callable[[Upgraded], None] | None
]


@dataclass(frozen=True)
class RequestPolicy:
    """Which requests are accepted, the folder where large bodies are kept, what is said to
    browsers with every refusal, by the ``Origin`` of the request, and what is no request."""

    admit: Admit
    spool: Path
    cors: Callable[[str | None], tuple[tuple[str, str], ...]] = lambda origin: ()
    admit_upgrade: AdmitUpgrade = lambda path, query, headers: None


def refusal(status: int, code: str, message: str, suggestion: str | None = None) -> Refusal:
    """A refusal in the form of all our errors."""

    def body(language: str) -> bytes:
        answer = {
            "status": "error",
            "error_code": code,
            "message": said(message, language),
            "filename": None,
            "suggestion": said(suggestion, language),
        }
        return to_json(answer)

    others = {language: body(language) for language in LANGUAGES if language != "en"}
    return Refusal(status, body("en"), others=others)


def refusal_of(problem: TranscriberError, headers: tuple[tuple[str, str], ...] = ()) -> Refusal:
    """The same for one of our errors."""
    answer = refusal(responses.error_status(problem), problem.code, problem.message, problem.remedy)
    return replace(answer, headers=headers)


def body_not_kept(error: OSError) -> Refusal:
    """507 if there is no room for it: what is sent again would fail again. All else may pass."""
    if error.errno in _NO_ROOM:
        why = noted("The disk has no room for the body of the request.")
        return refusal(507, "no_room", why, noted("Make room, or send less."))
    why = noted("The body of the request cannot be kept at the moment.")
    answer = refusal(503, "storage_error", why, noted("Try again later."))
    return replace(answer, headers=(("Retry-After", str(responses.STORAGE_RETRY_S)),))


class RefusedError(Error):
    """waitress takes an error to answer from a request's ``error``; this one holds ours."""

    def __init__(self, answer: Refusal) -> None:
        super().__init__("")
        self.code = answer.status
        self.answer = answer


_OWN_ERRORS = {
    400: ("bad_request", noted("The request is not proper HTTP"), noted("Check the client.")),
    413: ("body_too_large", noted("The body is too large"), noted("Send less.")),
    431: (
        "headers_too_large",
        noted("The headers are too large"),
        noted("Send fewer or shorter headers."),
    ),
    501: (
        "not_implemented",
        noted("The request asks for what is not supported"),
        noted("Check the client."),
    ),
}


def answer_to(error: Error) -> Refusal:
    """What to answer for an error of ours, or of waitress's own."""
    if isinstance(error, RefusedError):
        return error.answer
    if error.code not in _OWN_ERRORS:
        return refusal(
            500, "internal_error", noted("Something went wrong here."), noted("The log says what.")
        )
    code, message, suggestion = _OWN_ERRORS[error.code]
    return refusal(error.code, code, joined("", message, f": {error.body}."), suggestion)


def as_openai(answer: Refusal) -> bytes:
    content = json.loads(answer.body)
    message = " ".join(filter(None, (content["message"], content["suggestion"])))
    return to_json(format.error(message, answer.status, code=content["error_code"]))
