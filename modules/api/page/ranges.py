"""A file, for a browser's player: whole, or the part that it asks for."""

from __future__ import annotations

import errno
import io
import os
import re

from flask import Response, request
from werkzeug.wsgi import wrap_file

_BLOCK = 2**17
#: One range of bytes. Of others, several at once too, the whole file is sent (RFC 9110, 14.2).
_RANGE = re.compile(r"bytes=(?:([0-9]{1,15})-([0-9]{1,15})?|-([0-9]{1,15}))")


class _Whole(io.FileIO):
    """A file that ends with an error where it is cut short while it is sent: the server would wait
    for the rest, at full speed."""

    #: Where it ended when it was opened.
    due = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(-1 if size is None else size)
        if not data and size and self.tell() < self.due:
            raise OSError(errno.EIO, "the recording became shorter")
        return data


def sent(descriptor: int, media_type: str, tag: str | None = None) -> Response:
    """A file, or the part of it that is asked for; it is closed in the end.

    The server sends it by itself, so that a player that pauses holds no thread. ``tag``: what tells
    its content from others; without one its size and time do.
    """
    file = _Whole(descriptor, "rb")
    facts = os.fstat(descriptor)
    tag, size = tag or f"{facts.st_size:x}-{facts.st_mtime_ns:x}", facts.st_size
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "no-cache", "ETag": f'"{tag}"'}
    if request.if_none_match.contains_weak(tag):
        file.close()
        return Response(status=304, headers=headers)
    file.due = size
    start, stop, status = 0, size, 200
    asked = request.headers.get("Range", "") if _is_unchanged(tag) else ""
    if found := _RANGE.fullmatch(asked.strip()):
        first, last, suffix = found.groups()
        start = int(first) if first else max(0, size - int(suffix))
        stop = min(size, int(last) + 1) if last else size
        if start >= stop:
            file.close()
            return Response(status=416, headers={"Content-Range": f"bytes */{size}"})
        status = 206
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    file.seek(start)
    headers["Content-Length"] = str(stop - start)
    return Response(
        wrap_file(request.environ, file, _BLOCK),
        status,
        headers,
        content_type=media_type,
        direct_passthrough=True,
    )


def _is_unchanged(tag: str) -> bool:
    """Whether a part may be sent: without ``If-Range``, or with the strong tag of this file."""
    return request.headers.get("If-Range", f'"{tag}"') == f'"{tag}"'
