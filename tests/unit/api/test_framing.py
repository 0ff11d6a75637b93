"""Requests whose end could be seen in two places are refused, and end their connection."""

from __future__ import annotations

from pathlib import Path

import pytest
from waitress.adjustments import Adjustments

from modules.api.server.parser import RequestParser
from modules.api.server.refusals import RequestPolicy

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
REFUSED = {
    "both lengths": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both, turned round": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "twice the same length": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "plus": POST + b"Content-Length: +5\r\n\r\nabcde",
    "list": POST + b"Content-Length: 5,5\r\n\r\nabcde",
    "no length": POST + b"Content-Length: \r\n\r\n",
    "hexadecimal": POST + b"Content-Length: 0x5\r\n\r\nabcde",
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked in two headers": POST + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "chunked and more": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "empty coding": POST + b"Transfer-Encoding: \r\n\r\n",
    "chunked in 1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "folded": GET + b"X: a\r\n b\r\n\r\n",
    "folded with a tab": GET + b"X: a\r\n\tContent-Length: 5\r\n\r\n",
    "bare LF": GET + b"X: a\nContent-Length: 5\r\n\r\n",
    "bare CR": GET + b"X: a\rContent-Length: 5\r\n\r\n",
    "LF ends the first line": b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    "space before the colon": GET + b"Content-Length : 5\r\n\r\nabcde",
    "NUL in a header": GET + b"X: a\0b\r\n\r\n",
    "NUL in the path": b"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n",
    "NUL in a name": GET + b"X\0: a\r\n\r\n",
    "tabs in the first line": b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "a space too many": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a space at the end": b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
    "a space before": b" GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "an LF before": b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "no version": b"GET /\r\nHost: a\r\n\r\n",
    "version 1.2": b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "empty host": b"GET / HTTP/1.1\r\nHost: \r\n\r\n",
    "chunk with LF": CHUNKED + b"3\n\r\nabc\r\n0\r\n\r\n",
    "chunk with a sign": CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n",
    "chunk with 0x": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "chunk with a space before": CHUNKED + b" 3\r\nabc\r\n0\r\n\r\n",
    "empty line for a chunk": CHUNKED + b"\r\n3\r\nabc\r\n0\r\n\r\n",
    "LF in an extension": CHUNKED + b"3;a\n\r\nabc\r\n0\r\n\r\n",
    "chunk longer than said": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
}
ACCEPTED = {
    "plain": (GET + b"\r\n", b""),
    "empty lines before": (b"\r\n" + GET + b"\r\n", b""),
    "1.0 without a host": (b"GET / HTTP/1.0\r\n\r\n", b""),
    "a length": (POST + b"Content-Length: 3\r\n\r\nabc", b"abc"),
    "zeros before": (POST + b"Content-Length: 003\r\n\r\nabc", b"abc"),
    "chunks": (CHUNKED + b"3\r\nabc\r\n1;x=y\r\nd\r\n000\r\nX: y\r\n\r\n", b"abcd"),
    "capitals": (POST + b"TRANSFER-ENCODING:\tChunked \r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
                 b"0123456789"),
}  # fmt: skip


def parsed(data: bytes, spool: Path, step: int) -> tuple[RequestParser, bytes]:
    """A request as far as it was taken, ``step`` bytes at a time, and what is left of a step."""
    policy = RequestPolicy(lambda *_: 1000, spool)
    request = RequestParser(Adjustments(), policy)
    while data and not request.completed:
        piece = data[:step]
        taken = request.received(piece)
        if request.empty:
            request = RequestParser(Adjustments(), policy)
        if request.completed:
            return request, piece[taken:]
        data = data[taken:]
    return request, b""


@pytest.mark.parametrize("step", [1, 7, 100_000])
@pytest.mark.parametrize("name", REFUSED)
def test_what_can_be_read_in_two_ways_is_refused(tmp_path: Path, name: str, step: int) -> None:
    request, left = parsed(REFUSED[name], tmp_path, step)
    assert not left, "what follows would be taken for another request"
    assert request.error is not None
    assert request.error.code == 400
    assert request.completed


@pytest.mark.parametrize("step", [1, 7, 100_000])
@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_proper_is_taken_whole(tmp_path: Path, name: str, step: int) -> None:
    data, body = ACCEPTED[name]
    request, left = parsed(data, tmp_path, step)
    assert not left
    assert request.error is None
    assert request.completed
    assert request.get_body_stream().read() == body
    request.close()
