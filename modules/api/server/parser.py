"""A request as it arrives: decided at its headers, its body spooled to disk and bounded."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from waitress.adjustments import Adjustments
from waitress.buffers import OverflowableBuffer, TempfileBasedBuffer
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest

from modules.api.server import framing
from modules.api.server.refusals import (
    Body,
    Refusal,
    RefusedError,
    RequestPolicy,
    Upgraded,
    body_not_kept,
    refusal,
    refusal_of,
)
from modules.errors import TranscriberError, noted
from modules.logger import get_logger
from modules.storage.atomic import TEMPORARY_PREFIX

log = get_logger("Api")

#: Of what came before; the empty lines before a request are fewer.
_BEGINNING_BYTES = 64

#: Bodies from this size on are kept in a file.
SPOOL_FROM_BYTES = 256 * 1024

#: A line of chunked coding, and the headers after the last chunk; waitress itself sets no limit.
FRAMING_BYTES = 16 * 1024


class _SpoolFile(TempfileBasedBuffer):
    """A body in an unnamed file: deleted when it is closed, even by a crash."""

    def __init__(self, folder: Path, from_buffer: Any) -> None:
        self._folder = folder
        super().__init__(from_buffer)

    def newfile(self) -> Any:
        # Where a folder cannot hold unnamed files, it has this name for an instant.
        return tempfile.TemporaryFile("w+b", dir=self._folder, prefix=TEMPORARY_PREFIX)


class _SpooledBuffer(OverflowableBuffer):
    """As its base, but the file is in our folder, not in the system's."""

    buf: Any

    def __init__(self, folder: Path) -> None:
        super().__init__(SPOOL_FROM_BYTES)
        self._folder = folder

    def _set_large_buffer(self) -> None:
        small = self.buf
        self.buf = _SpoolFile(self._folder, small)
        if small is not None:
            small.close()
        self.overflowed = True


class RequestParser(HTTPRequestParser):
    """Applies the policy once the headers are there, and stops a body that outgrows its limit."""

    # What malformed requests lack, and waitress uses all the same.
    command: Any = ""
    path: Any = ""
    query: Any = ""
    body_rcv: Any

    def __init__(self, adj: Adjustments, policy: RequestPolicy, client: str = "") -> None:
        super().__init__(adj)
        self._policy = policy
        self._client = client
        self._limit = 0
        self._body: Body | None = None
        #: Takes the connection over, which is no longer HTTP then; with what came behind this.
        self.upgrade: Callable[[Upgraded], None] | None = None
        self.early = b""
        self.began = time.time()

    def received(self, data: bytes) -> int:
        had_headers = self.headers_finished
        consumed = self._received(data)
        if self.headers_finished and not had_headers and not (self.error or self.empty):
            self._admit()
        elif self.body_rcv is not None and not self.error:
            self._check_body()
        if self.error:
            # What follows belongs to this request; waitress would read it as the next one.
            return len(data)
        if self.upgrade is not None:
            self.early = data[consumed:]
            return len(data)
        if self.body_rcv is None:
            # waitress would wait for ever for the body that it asked for.
            self.expect_continue = False
        return consumed

    def _received(self, data: bytes) -> int:
        try:
            if not self.headers_finished:
                framing.check_beginning(self.header_plus[:_BEGINNING_BYTES] + data)
            return int(super().received(data))
        except ParsingError as error:
            self.error = BadRequest(str(error))
            return len(data)
        except TranscriberError as problem:
            self._refuse(refusal_of(problem))
            return len(data)
        except OSError as error:
            log.error("A request's body could not be kept in %s: %s", self._policy.spool, error)
            self._refuse(body_not_kept(error))
            return len(data)
        finally:
            if self.error:
                self._drop()

    def parse_header(self, header_plus: bytes) -> None:
        framing.check_head(header_plus)
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # a length of 5000 digits, or an address such as http://[
            raise ParsingError(f"{error}") from error
        framing.check_host(self.version, self.headers)
        if self.chunked:
            self.body_rcv = framing.StrictChunks(_SpooledBuffer(self._policy.spool))
        elif self.body_rcv is not None:
            self.body_rcv.buf = _SpooledBuffer(self._policy.spool)

    def _admit(self) -> None:
        # As the application will see it, or a rule on paths could be bypassed.
        path = "/" + self.path.lstrip("/") if self.path.startswith("/") else self.path
        headers = {name.lower().replace("_", "-"): value for name, value in self.headers.items()}
        length = None if self.chunked else self.content_length
        shown = path.encode("latin-1").decode("utf-8", "replace")
        verdict = self._policy.admit(self.command, shown, headers, length, self._client)
        if isinstance(verdict, Refusal):
            self._refuse(verdict)
            return
        if isinstance(verdict, int):
            self._limit = verdict
        else:
            self._take_with(verdict)
        if self.content_length > self._limit:
            self._refuse_size()
        elif self.command == "GET" and self.body_rcv is None:
            upgrade = self._policy.admit_upgrade(shown, str(self.query), headers)
            if isinstance(upgrade, Refusal):
                self._refuse(upgrade)
            else:
                self.upgrade = upgrade

    def _take_with(self, body: Body) -> None:
        self._body, self._limit = body, body.limit
        if self.body_rcv is not None:
            self.body_rcv.buf = body

    def get_body_stream(self) -> Any:
        return super().get_body_stream() if self._body is None else self._body.getfile()

    def _check_body(self) -> None:
        if len(self.body_rcv) > self._limit:
            self._refuse_size()
        elif self.chunked and not self.completed:
            framing = self.body_rcv
            if max(len(framing.control_line), len(framing.trailer)) > FRAMING_BYTES:
                why = noted("The request is not proper HTTP: a chunk's header is too long.")
                self._refuse(refusal(400, "bad_request", why, noted("Check the client.")))

    def _refuse_size(self) -> None:
        why = noted("The body may have at most {limit} bytes here.", limit=self._limit)
        self._refuse(refusal(413, "body_too_large", why, noted("Send less.")))

    def _refuse(self, answer: Refusal) -> None:
        self.error = RefusedError(answer)
        self._drop()

    def _drop(self) -> None:
        self.completed = True
        # Otherwise waitress says "100 Continue", and forgets that the request is complete.
        self.expect_continue = False
        self.close()

    def close(self) -> None:
        # What a full disk did not take is lost in any case; the file is closed all the same.
        with contextlib.suppress(OSError):
            super().close()
        if self._body is not None:
            self._body.close()
