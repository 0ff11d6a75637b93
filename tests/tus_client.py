"""A client of tus 1.0 as plain as can be, which also breaks off where it should not."""

from __future__ import annotations

import base64
import http.client
import socket
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import unquote

from tests.http_reply import Reply

VERSION = {"Tus-Resumable": "1.0.0"}
BODY = {"Content-Type": "application/offset+octet-stream"}


def metadata(**fields: str | bytes) -> str:
    def encoded(value: str | bytes) -> str:
        raw = value.encode() if isinstance(value, str) else value
        return base64.b64encode(raw).decode()

    return ",".join(f"{key} {encoded(value)}" for key, value in fields.items())


def name_in(reply: Reply) -> str:
    """The name in the share that an answer tells."""
    return unquote(reply.headers["upload-filename"])


@dataclass
class Tus:
    """Asks one daemon. ``headers`` go with each request."""

    port: int
    headers: dict[str, str] | None = None

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str | None
    ) -> Reply:
        """``headers``: with ``_`` for ``-``; None leaves one out."""
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        merged: dict[str, str | None] = {**VERSION, **(self.headers or {}), **given}
        sent = {key: value for key, value in merged.items() if value is not None}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with closing(connection):
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            answered = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, answered, answer.read())

    def begin(self, length: int, **fields: str | bytes) -> Reply:
        return self.ask(
            "POST", "/files", Upload_Length=str(length), Upload_Metadata=metadata(**fields)
        )

    def create(self, length: int, **fields: str | bytes) -> str:
        """Returns the address of the new upload."""
        reply = self.begin(length, **fields)
        assert reply.status == 201, reply.text
        return reply.headers["location"]

    def offset(self, path: str) -> int:
        reply = self.ask("HEAD", path)
        assert reply.status == 200, reply.status
        return int(reply.headers["upload-offset"])

    def patch(self, path: str, offset: int, data: bytes, **headers: str | None) -> Reply:
        sent = {"Content_Type": BODY["Content-Type"], "Upload_Offset": str(offset), **headers}
        return self.ask("PATCH", path, data, **sent)

    def half_patch(self, path: str, offset: int, announced: int, data: bytes) -> socket.socket:
        """A connection on which only ``data`` of a longer body was sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        headers = {**VERSION, **BODY, **(self.headers or {}), "Upload-Offset": str(offset)}
        lines = [f"PATCH {path} HTTP/1.1", "Host: localhost", f"Content-Length: {announced}"]
        lines += [f"{key}: {value}" for key, value in headers.items()]
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + data)
        return connection
