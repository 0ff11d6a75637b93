"""The sound of a recording, for a browser's player: whole, or the part that it asks for."""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Iterable
from pathlib import Path

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from werkzeug.wsgi import wrap_file

from modules.api.page.tasks import TAG
from modules.api.schemas import answers, requests
from modules.api.services import Services
from modules.errors import StorageError, TranscriberError
from modules.storage.recording_file import open_recording_file

#: What browsers play, by the ending of the name.
TYPES = {
    "aac": "audio/aac", "flac": "audio/flac", "m4a": "audio/mp4", "m4b": "audio/mp4",
    "m4v": "video/mp4", "mka": "audio/webm", "mkv": "video/webm", "mov": "video/mp4",
    "mp3": "audio/mpeg", "mp4": "video/mp4", "oga": "audio/ogg", "ogg": "audio/ogg",
    "ogv": "video/ogg", "opus": "audio/ogg", "wav": "audio/wav", "wave": "audio/wav",
    "weba": "audio/webm", "webm": "video/webm",
}  # fmt: skip
_BLOCK = 2**17
#: One range of bytes. Of others, several at once too, the whole file is sent (RFC 9110, 14.2).
_RANGE = re.compile(r"bytes=(?:([0-9]{1,15})-([0-9]{1,15})?|-([0-9]{1,15}))")
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_CONTENT = dict.fromkeys(sorted(set(TYPES.values())), _BINARY)


def add_sound(blueprint: APIBlueprint, services: Services) -> None:
    @blueprint.get(
        "/audio/<path:filename>",
        summary="The recording itself, for a player; ranges are understood",
        tags=[TAG],
        responses={
            200: {"description": "the file", "content": _CONTENT},
            206: {"description": "a part of the file", "content": _CONTENT},
            404: answers.ErrorAnswer,
            415: answers.ErrorAnswer,
            416: None,
        },
    )
    def sound(path: requests.NamePath) -> Response:
        found = services.tasks.task(path.filename)
        ending = path.filename.rpartition(".")[2].lower()
        if ending not in TYPES:
            raise TranscriberError(
                "not_playable",
                f"Browsers do not play .{ending} files.",
                remedy="Open the recording with a player on the computer.",
            )
        folders = (services.config.shared_directory, services.config.manual_directory)
        order = reversed(folders) if found.in_manual else folders
        return _sent(_opened(path.filename, order), TYPES[ending])


def _opened(name: str, folders: Iterable[Path]) -> int:
    """A descriptor of the recording, which may be moved from one to the other at this moment."""
    for folder in folders:
        try:
            return open_recording_file(folder / name)
        except StorageError as error:
            if error.code != "file_vanished":
                raise
    raise TranscriberError("file_not_found", f"The recording {name!r} is no longer there.")


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


def _sent(descriptor: int, media_type: str) -> Response:
    """The server sends the file by itself, so that a player that pauses holds no thread."""
    file = _Whole(descriptor, "rb")
    facts = os.fstat(descriptor)
    tag, size = f"{facts.st_size:x}-{facts.st_mtime_ns:x}", facts.st_size
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
