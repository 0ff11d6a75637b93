"""Messages between the daemon and the process in which Ray runs: JSON, and bytes beside it."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

#: The lengths of the JSON and of the bytes.
_HEAD = struct.Struct(">II")
#: Ends of many chunks at once are the longest: a child's largest line, and some.
JSON_BYTES_MAX = 16 * 2**20
PAYLOAD_BYTES_MAX = 16 * 2**20

Content = dict[str, Any]


class FrameError(Exception):
    """What came can be no message of ours."""


def send(line: socket.socket, content: Content, payload: bytes = b"") -> None:
    """Send a message. Raises OSError."""
    text = json.dumps(content).encode()
    line.sendall(_HEAD.pack(len(text), len(payload)) + text)
    if payload:
        line.sendall(payload)


def receive(line: socket.socket) -> tuple[Content, bytes] | None:
    """The next message; None at the end. Raises OSError, and FrameError for nonsense."""
    head = _exactly(line, _HEAD.size)
    if head is None:
        return None
    length, payload_length = _HEAD.unpack(head)
    if length > JSON_BYTES_MAX or payload_length > PAYLOAD_BYTES_MAX:
        raise FrameError(f"{length} and {payload_length} bytes")
    text, payload = _exactly(line, length), _exactly(line, payload_length)
    if text is None or payload is None:
        return None
    try:
        content = json.loads(text)
    except ValueError as error:
        raise FrameError(str(error)) from None
    if not isinstance(content, dict):
        raise FrameError("no object")
    return content, payload


def _exactly(line: socket.socket, count: int) -> bytes | None:
    """So many bytes; None if the other end closed before."""
    parts = bytearray()
    while len(parts) < count:
        part = line.recv(min(count - len(parts), 2**20))
        if not part:
            return None
        parts += part
    return bytes(parts)
