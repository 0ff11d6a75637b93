"""The sound of a recording for a browser's player, and how loud it is when, for a picture of it."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from pydantic import Field

from modules.api import responses
from modules.api.page.ranges import sent
from modules.api.page.tasks import TAG
from modules.api.schemas import answers, requests
from modules.api.services import Services
from modules.errors import StorageError, TranscriberError, noted
from modules.executors.listen_protocol import PEAKS_PER_S
from modules.service.listening import Copy, Listening, Preparing
from modules.storage.recording_file import open_recording_file

#: What browsers play, by the ending of the name.
TYPES = {
    "aac": "audio/aac", "flac": "audio/flac", "m4a": "audio/mp4", "m4b": "audio/mp4",
    "m4v": "video/mp4", "mka": "audio/webm", "mkv": "video/webm", "mov": "video/mp4",
    "mp3": "audio/mpeg", "mp4": "video/mp4", "oga": "audio/ogg", "ogg": "audio/ogg",
    "ogv": "video/ogg", "opus": "audio/ogg", "wav": "audio/wav", "wave": "audio/wav",
    "weba": "audio/webm", "webm": "video/webm",
}  # fmt: skip
#: Of listening copies, and of what no browser plays.
_COPY, _OTHER = "audio/mpeg", "application/octet-stream"
#: When to ask again, in seconds.
_AGAIN_S = 1
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_CONTENT = dict.fromkeys(sorted({*TYPES.values(), _OTHER}), _BINARY)


class SoundQuery(requests.Request):
    """Which sound."""

    copy_: Literal["true", "false"] | None = Field(
        None,
        alias="copy",
        description="true: a copy that every browser plays; false: the recording as it is; "
        "without it, the recording if browsers play its kind, else a copy",
    )


class PeaksQuery(requests.Request):
    """How many peaks."""

    points: requests.PointCount | None = Field(
        None, description="at most so many, each the largest of a stretch"
    )


class PreparingAnswer(answers.Answer):
    """It is being made; ask again after ``Retry-After`` seconds."""

    status: Literal["preparing"]
    percentage: int


def add_sound(blueprint: APIBlueprint, services: Services) -> None:
    listening = services.listening

    @blueprint.get(
        "/audio/<path:filename>",
        summary="The sound of a recording, for a player; ranges are understood",
        tags=[TAG],
        responses={
            200: {"description": "the file", "content": _CONTENT},
            202: PreparingAnswer,
            206: {"description": "a part of the file", "content": _CONTENT},
            304: None,
            404: answers.ErrorAnswer,
            415: answers.ErrorAnswer,
            416: None,
        },
    )
    def sound(path: requests.NamePath, query: SoundQuery) -> Response:
        folders = _folders(services, path.filename)
        return _sound(listening, path.filename, folders, query.copy_)

    @blueprint.get(
        "/peaks/<path:filename>",
        summary="How loud a recording is when: a byte each, X-Peaks-Per-Second of them",
        tags=[TAG],
        responses={
            200: {"description": "the peaks, 255 for the loudest", "content": {_OTHER: _BINARY}},
            202: PreparingAnswer,
            304: None,
            404: answers.ErrorAnswer,
            415: answers.ErrorAnswer,
        },
    )
    def peaks(path: requests.NamePath, query: PeaksQuery) -> Response:
        name = path.filename
        found = listening.peaks(name, _folders(services, name), _ending(name) not in TYPES)
        if isinstance(found, Preparing):
            return _preparing(found)
        return _peaks(found, query.points)


def _folders(services: Services, name: str) -> list[Path]:
    """Where a recording may lie; it may be moved from one to the other at this moment."""
    in_manual = services.tasks.task(name).in_manual
    folders = [services.config.shared_directory, services.config.manual_directory]
    return folders[::-1] if in_manual else folders


def _sound(listening: Listening, name: str, folders: Sequence[Path], copy: str | None) -> Response:
    media_type = TYPES.get(_ending(name))
    if copy == "true" or (copy is None and media_type is None):
        return _copy(listening.copy(name, folders))
    descriptor = _opened(name, folders)
    with contextlib.ExitStack() as on_error:
        on_error.callback(os.close, descriptor)
        if copy is None and media_type == _COPY and not listening.seeks_exactly(descriptor):
            # Where no copy can be made, sound that is a little off is better than none.
            with contextlib.suppress(TranscriberError):
                return _copy(listening.copy(name, folders))
        on_error.pop_all()
    return sent(descriptor, media_type or _OTHER)


def _copy(found: Copy | Preparing) -> Response:
    if isinstance(found, Preparing):
        return _preparing(found)
    return sent(found.descriptor, _COPY, found.tag)


def _preparing(found: Preparing) -> Response:
    response = responses.as_json({"status": "preparing", "percentage": found.percentage}, 202)
    response.headers["Retry-After"] = str(_AGAIN_S)
    response.headers["Cache-Control"] = "no-store"
    return response


def _peaks(found: bytes, points: int | None) -> Response:
    body = reduced(found, points)
    response = Response(body, content_type=_OTHER)
    per_s = PEAKS_PER_S * len(body) / max(1, len(found))
    response.headers["X-Peaks-Per-Second"] = f"{per_s:.9g}"
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


def reduced(peaks: bytes, points: int | None) -> bytes:
    """The same in at most so many: of each stretch the largest."""
    count = len(peaks)
    if points is None or count <= points:
        return peaks
    edges = [number * count // points for number in range(points + 1)]
    return bytes(max(peaks[a:b]) for a, b in itertools.pairwise(edges))


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _opened(name: str, folders: Iterable[Path]) -> int:
    """A descriptor of the recording."""
    for folder in folders:
        try:
            return open_recording_file(folder / name)
        except StorageError as error:
            if error.code != "file_vanished":
                raise
    raise TranscriberError(
        "file_not_found", noted("The recording {name!r} is no longer there.", name=name)
    )
