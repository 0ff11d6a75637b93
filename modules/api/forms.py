"""Request bodies: JSON or a form, checked against a model; files go straight to the share."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, TypeVar

from flask import Request as FlaskRequest
from flask import g
from pydantic import BaseModel, ValidationError
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from modules.api.schemas import requests
from modules.errors import TranscriberError
from modules.recordings.names import is_recording
from modules.recordings.uploads import Uploads
from modules.service.waiting import Disconnected
from modules.storage.transfer import NAME_MAX

Model = TypeVar("Model", bound=BaseModel)


class UploadingRequest(FlaskRequest):
    """Writes the files of a form into the uploads' folder, once and as they come."""

    uploads: Uploads
    max_form_memory_size = 1_000_000
    max_form_parts = 100

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        file = self.uploads.open()
        g.setdefault("uploaded", []).append(file)
        return file


def invalid(message: str) -> TranscriberError:
    return TranscriberError("invalid_request", message, remedy="See /docs for what is understood.")


def describe(failure: ValidationError) -> str:
    """Every error in one line: the field, what it must be, what was given."""
    lines = []
    for error in failure.errors(include_url=False, include_context=False):
        field = ".".join(str(part) for part in error["loc"]) or "the body"
        given = shortened(error["input"])
        lines.append(f"{field}: {error['msg'].removeprefix('Value error, ')}, got {given}")
    return "; ".join(lines)


def shortened(value: object) -> str:
    """A value as errors show it."""
    given = repr(value)
    return given if len(given) <= 60 else given[:57] + "..."


def checked(model: type[Model], content: object) -> Model:
    """Raises TranscriberError ``invalid_request``."""
    try:
        return model.model_validate(content)
    except ValidationError as failure:
        raise invalid(describe(failure)) from failure


def from_json(request: FlaskRequest, model: type[Model]) -> Model:
    """A JSON body; a wrong Content-Type is accepted, as curl sends one."""
    content = request.get_json(force=True, silent=True)
    if not isinstance(content, dict):
        given = shortened(request.get_data())
        raise invalid(f"the body: must be a JSON object, got {given}")
    return checked(model, content)


def is_form(request: FlaskRequest) -> bool:
    return request.mimetype == "multipart/form-data"


def fields(request: FlaskRequest, lists: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The fields of a form; those in ``lists`` may come several times and get another name."""
    try:
        form = request.form
    except (RequestEntityTooLarge, BadRequest) as error:
        raise TranscriberError("bad_request", f"The form cannot be read: {error}.") from error
    found: dict[str, Any] = {}
    for key in form:
        values = form.getlist(key)
        if lists and key in lists:
            found[lists[key]] = values
        elif len(values) > 1:
            raise invalid(f"{key}: is there {len(values)} times.")
        else:
            found[key] = values[0]
    return found


@contextmanager
def upload(request: FlaskRequest, uploads: Uploads) -> Iterator[tuple[IO[bytes], str]]:
    """(file, name) of the one file of a form; discarded at the end unless it was landed.

    Raises TranscriberError if there is none, or if its name is not that of a recording.
    """
    try:
        yield _only_file(request)
    finally:
        for file in g.pop("uploaded", []):
            uploads.discard(file)


def _only_file(request: FlaskRequest) -> tuple[IO[bytes], str]:
    sent = [(key, one) for key in request.files for one in request.files.getlist(key)]
    if len(sent) != 1 or sent[0][0] != "file":
        raise invalid("file: one file must be sent in the field of this name.")
    name = _name_of(sent[0][1])
    if not is_recording(name):
        raise TranscriberError(
            "unsupported_media_type",
            f"{name!r} is not the name of a recording.",
            remedy="Give the file a name with an ending such as .mp3, .wav or .mp4.",
        )
    if len(os.fsencode(name)) > NAME_MAX:
        raise invalid(f"file: its name has more than {NAME_MAX} bytes.")
    stream: IO[bytes] = sent[0][1].stream
    return stream, name


def _name_of(file: FileStorage) -> str:
    """The last part of the name: some clients send a whole path, of their own system."""
    return (file.filename or "").replace("\\", "/").rpartition("/")[2].strip()


def disconnected_of(environ: dict[str, Any]) -> Disconnected:
    """Whether the client of this request has left."""
    left: Disconnected = environ.get("waitress.client_disconnected", lambda: False)
    return left


def request_body(content: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The part of the document that says what a body may be."""
    return {"requestBody": {"required": True, "content": content}}


def form(model: type[requests.Request]) -> dict[str, Any]:
    """A body of a model's fields with the file that comes with them. Forms know no null."""
    schema = model.model_json_schema()
    for name, field in schema["properties"].items():
        kinds = [kind for kind in field.get("anyOf", []) if kind != {"type": "null"}]
        if len(kinds) == 1:
            said = {key: field[key] for key in ("title", "description") if key in field}
            schema["properties"][name] = said | kinds[0]
    schema["properties"] = {"file": {"type": "string", "format": "binary"}, **schema["properties"]}
    schema["required"] = ["file", *schema.get("required", [])]
    # The name decides what the file is taken for.
    head = {"schema": {"type": "string"}, "example": 'form-data; name="file"; filename="talk.mp3"'}
    encoding = {"file": {"headers": {"Content-Disposition": head}}}
    return {"multipart/form-data": {"schema": schema, "encoding": encoding}}
