"""Which requests are told apart from the next one by everybody alike (RFC 9112).

Where a proxy and this server could see another end of a request, the rest of it would pass as a
request of its own. What can be read in two ways is therefore refused, and the connection closed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from waitress.parser import ParsingError
from waitress.receiver import ChunkedReceiver
from waitress.utilities import BadRequest

_REQUEST_LINE = re.compile(rb"[!-~]+ [!-~]+ HTTP/1\.[01]")
#: All but CR LF as the end of a line, and the tab.
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n")
_FOLDED = re.compile(rb"\r\n[ \t]")
_LENGTH = re.compile(rb"\r\n(content-length|transfer-encoding)[ \t]*:", re.IGNORECASE)
_CODING = re.compile(rb"\r\ntransfer-encoding[ \t]*:([^\r]*)", re.IGNORECASE)
#: Empty lines before a request are skipped (RFC 9112, 2.2), nothing else is.
_BEGINNING = re.compile(rb"(?:\r\n)*(?:\r?\Z|[!-~])")
#: The line of a chunk's size, as far as it goes.
_CHUNK_LINE = re.compile(rb"[0-9A-Fa-f]{1,16}(?:[ \t]*;[\t -~\x80-\xff]*)?")


def check_beginning(data: bytes) -> None:
    """The first bytes of a connection or after a request. Raises ParsingError."""
    if not _BEGINNING.match(data):
        raise ParsingError("A request begins with something other than a method")


def check_head(head: bytes) -> None:
    """The lines of a request up to the empty one, as they came. Raises ParsingError."""
    if _CONTROLS.search(head):
        raise ParsingError("Control character, or a bare CR or LF, in the head of the request")
    if _FOLDED.search(head):
        raise ParsingError("A header is continued on a second line")
    if not _REQUEST_LINE.fullmatch(head.partition(b"\r\n")[0]):
        raise ParsingError("The first line is not METHOD TARGET HTTP/1.1")
    if len(_LENGTH.findall(head)) > 1:
        raise ParsingError("The length of the body is given twice")
    if found := _CODING.search(head):
        _check_codings(found[1].lower(), head.partition(b"\r\n")[0].endswith(b"1.0"))


def _check_codings(value: bytes, is_old: bool) -> None:
    codings = [coding.strip(b" \t") for coding in value.split(b",")]
    if is_old or b"" in codings or (b"chunked" in codings and len(codings) > 1):
        raise ParsingError("Transfer-Encoding may only be chunked, once, and not in HTTP/1.0")


def check_host(version: str, headers: Mapping[str, str]) -> None:
    """Raises ParsingError. Only programs that speak HTTP/1.0 may leave Host out; no browser does.

    ``headers``: with names as in WSGI.
    """
    if version == "1.1" and not headers.get("HOST"):
        raise ParsingError("HTTP/1.1 needs a Host header")


class StrictChunks(ChunkedReceiver):
    """A chunked body whose lines are exactly those of RFC 9112, 7.1; the base takes others too."""

    chunk_remainder: int
    validate_chunk_end: bool
    chunk_end: bytes
    control_line: bytes
    all_chunks_received: bool
    completed: bool
    error: Any

    def received(self, data: bytes) -> int:
        left = data
        while left and not (self.completed or self.error):
            piece = self._piece(left)
            consumed = int(super().received(piece)) if piece else len(left)
            left = left[consumed:]
        return len(data) - len(left)

    def _piece(self, data: bytes) -> bytes:
        """The part that belongs to one chunk, one line or the end; nothing after an error."""
        if self.chunk_remainder:
            return data[: self.chunk_remainder]
        if self.validate_chunk_end:
            return data[: 2 - len(self.chunk_end)]
        if self.all_chunks_received:
            return data
        line, end, _ = (self.control_line + data).partition(b"\r\n")
        if end and not _CHUNK_LINE.fullmatch(line):
            self.error = BadRequest("Invalid chunk size")
            return b""
        return data[: len(line) + len(end) - len(self.control_line)]
