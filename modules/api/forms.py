"""Request bodies: JSON or a form, checked against a model; files go straight to the share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, TypeVar

from flask import Request as FlaskRequest
from flask import g
from pydantic import BaseModel, ValidationError
from werkzeug.datastructures import FileStorage

from modules.api.schemas import requests
from modules.api.uploads.kinds import HEAD_BYTES
from modules.api.uploads.multipart import UploadParser
from modules.api.uploads.names import UploadName, name_of_upload
from modules.config.languages import language_of
from modules.config.messages import Key, dotted, sentence
from modules.config.shown import shown
from modules.errors import TranscriberError, joined, noted
from modules.recordings.uploads import Uploads
from modules.service.waiting import Disconnected
from modules.storage import file_kind
from modules.storage.atomic import JSON_DEPTH_MAX, is_deeper

Model = TypeVar("Model", bound=BaseModel)

#: No file of any kind holds sound in less; the shortest frame of speech has its head besides.
_SOUND_BYTES_MIN = 8
_LEFT_EMPTY = noted("has no value; give it one, or leave it out")


class UploadingRequest(FlaskRequest):
    """Writes the files of a form into the uploads' folder, once and as they come."""

    uploads: Uploads
    max_form_memory_size = 1_000_000
    max_form_parts = 100
    form_data_parser_class = UploadParser

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        file = self.uploads.open()
        g.setdefault("uploaded", []).append(file)
        file.write(g.get("upload_head", b""))
        return file


def invalid(message: str) -> TranscriberError:
    message = message if message.endswith((".", "?")) else joined("", message, ".")
    return TranscriberError(
        "invalid_request", message, remedy=noted("See /docs for what is understood.")
    )


def describe(failure: ValidationError, known: Iterable[str] = ()) -> str:
    """Every error in one line: the field, what it must be, what was given."""

    def unknown(key: Key) -> str:
        word = str(key[-1])
        near = difflib.get_close_matches(word.lower()[:60], list(known), n=1)
        if near:
            return noted("is not a known field; did you mean {field}?", field=near[0])
        return noted("is not a known field; leave it out")

    complaints = (
        joined(
            ": ",
            dotted(error["loc"])[:60] or noted("the body"),
            sentence(error, unknown, _LEFT_EMPTY),
        )
        for error in failure.errors(include_url=False)
    )
    return joined("; ", *complaints)


def checked(model: type[Model], content: object) -> Model:
    """Raises TranscriberError ``invalid_request``."""
    try:
        return model.model_validate(content)
    except ValidationError as failure:
        raise invalid(describe(failure, model.model_fields)) from failure


def from_json(request: FlaskRequest, model: type[Model]) -> Model:
    """A JSON body; a wrong Content-Type is accepted, as curl sends one."""
    try:
        content = request.get_json(force=True, silent=True)
    except RecursionError:
        content = None
    if is_deeper(content, JSON_DEPTH_MAX):
        raise invalid(
            noted(
                "the body: must be nested at most {most} deep",
                most=JSON_DEPTH_MAX,
            )
        )
    if not isinstance(content, dict):
        raise invalid(
            noted(
                "the body: must be a JSON object, got {body}",
                body=shown(request.get_data()),
            )
        )
    return checked(model, content)


def is_form(request: FlaskRequest) -> bool:
    return request.mimetype == "multipart/form-data"


def fields(request: FlaskRequest) -> dict[str, Any]:
    """The fields of a form, each of which may be there once."""
    return {key: only_value(key, request.form.getlist(key)) for key in request.form}


def only_value(key: str, values: Sequence[str]) -> str:
    """Raises TranscriberError if there are several."""
    if len(values) > 1:
        raise invalid(
            noted("{key}: must be there once, got {count} times.", key=key, count=len(values))
        )
    return values[0]


@contextmanager
def upload(
    request: FlaskRequest,
    uploads: Uploads,
    language: str,
    *,
    field: str = "file",
    head: bytes = b"",
) -> Iterator[tuple[IO[bytes], UploadName]]:
    """(file, name) of the one file of a form; discarded at the end unless it was landed.

    ``language``: the configured one. ``field``: what the documents call the part. ``head``: bytes
    that are written before what comes. Raises TranscriberError if there is no file, or if it is no
    recording by its name and content.
    """
    g.upload_head = head
    try:
        file = _only_file(request, field)
        expected = language_of(request.form.get("language", "")) or language
        yield file.stream, _name_of(file, expected)
    finally:
        for each in g.pop("uploaded", []):
            uploads.discard(each)


def _only_file(request: FlaskRequest, field: str) -> FileStorage:
    """Whatever its field is called: there is nothing else that it could be."""
    sent = [one for key in request.files for one in request.files.getlist(key)]
    if not sent:
        raise invalid(
            noted(
                "{field}: is missing; send the recording as multipart/form-data in this field.",
                field=field,
            )
        )
    if len(sent) > 1:
        raise invalid(
            noted(
                "{field}: must be one file, got {count}; send each in a request of its own.",
                field=field,
                count=len(sent),
            )
        )
    _check_content(sent[0], field)
    return sent[0]


def _check_content(file: FileStorage, field: str) -> None:
    """Raises TranscriberError if this is a text, or next to nothing, as some clients send to find
    out whether anybody answers: it must not be put among the recordings, or fail as one."""
    file.stream.seek(0)
    head = file.stream.read(file_kind.HEAD_BYTES)
    file.stream.seek(0)
    kind = file_kind.kind_of_text(head)
    few = noted("it has only {count} bytes", count=len(head))
    why = noted("it is {kind}", kind=noted(kind)) if kind else few
    if kind or len(head) < _SOUND_BYTES_MIN:
        raise TranscriberError(
            "no_recording",
            noted(
                "{field}: {filename!r} is no recording: {why}.",
                field=field,
                filename=file.filename,
                why=why,
            ),
            remedy=noted("Send the recording itself."),
        )


def _name_of(file: FileStorage, language: str) -> UploadName:
    head = file.stream.read(HEAD_BYTES)
    file.stream.seek(0)
    disposition = file.headers.get("Content-Disposition", "")
    return name_of_upload(file.filename or "", disposition, head, file.content_type, language)


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
        if kinds:
            said = {key: field[key] for key in ("title", "description") if key in field}
            schema["properties"][name] = said | (kinds[0] if len(kinds) == 1 else {"anyOf": kinds})
    schema["properties"] = {"file": {"type": "string", "format": "binary"}, **schema["properties"]}
    schema["required"] = ["file", *schema.get("required", [])]
    # The name decides what the file is taken for.
    head = {"schema": {"type": "string"}, "example": 'form-data; name="file"; filename="talk.mp3"'}
    encoding = {"file": {"headers": {"Content-Disposition": head}}}
    return {"multipart/form-data": {"schema": schema, "encoding": encoding}}
