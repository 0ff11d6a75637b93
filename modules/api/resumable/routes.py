"""``/files``: an upload is begun, asked for, sent in pieces, and cancelled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from modules.api import responses
from modules.api.forms import request_body
from modules.api.resumable import protocol
from modules.api.schemas import answers
from modules.api.services import Services
from modules.errors import TranscriberError, noted
from modules.recordings.part_writer import PartWriter
from modules.service.resumable_uploads import UploadState

_TAG = Tag(name="uploads", description="Uploads that go on after an interruption, by tus 1.0")
_FILES, _FILE = "/files", "/files/<string:upload_id>"

_ERRORS: dict[Any, Any] = dict.fromkeys((404, 409, 410, 412, 415, 423), answers.ErrorAnswer)


def _header(
    name: str, schema: dict[str, Any], example: object, required: bool = True
) -> dict[str, Any]:
    facts = {"name": name, "in": "header", "required": required}
    return {**facts, "schema": schema, "example": example}


#: The library would put a model of the path in the place of all parameters.
_ID = {"name": "upload_id", "in": "path", "required": True, "schema": {"type": "string"}}
_VERSION = _header(
    "Tus-Resumable", {"type": "string", "enum": [protocol.VERSION]}, protocol.VERSION
)
_METADATA = {
    "type": "string",
    "description": "filename, filetype, and the fields of an upload to /transcribe: each its name,"
    " a blank and its value in base64, with commas between",
}


def _number(name: str, most_bytes: int, example: int) -> dict[str, Any]:
    return _header(name, {"type": "integer", "minimum": 0, "maximum": most_bytes}, example)


def _new(most_bytes: int) -> list[dict[str, Any]]:
    metadata = "filename dGFsay5tcDM=,if_exists cmVuYW1l"
    return [
        _VERSION,
        _number("Upload-Length", most_bytes, 1000),
        _header("Upload-Metadata", _METADATA, metadata, required=False),
    ]


def resumable(services: Services) -> APIBlueprint:
    """What a server of tus 1.0 must answer, with creation, expiration and termination."""
    blueprint = APIBlueprint("resumable", __name__, abp_responses=answers.COMMON)
    _add_creation(blueprint, services)
    _add_piece(blueprint, services)
    _add_question_and_end(blueprint, services)
    _add_options(blueprint, services)

    @blueprint.after_request
    def say_version(response: Response) -> Response:
        response.headers["Tus-Resumable"] = protocol.VERSION
        if response.status_code < 300:
            response.headers.pop("Content-Type", None)  # none of these has a body
        if response.status_code == 412:
            response.headers["Tus-Version"] = protocol.VERSION
        return response

    return blueprint


def _add_creation(blueprint: APIBlueprint, services: Services) -> None:
    @blueprint.post(
        _FILES,
        summary="Begin an upload; its address comes in Location",
        tags=[_TAG],
        responses={201: None, **_ERRORS, 507: answers.ErrorAnswer},
        openapi_extensions={"parameters": _new(_most_bytes(services))},
        provide_automatic_options=False,  # there is a rule for OPTIONS
    )
    def create() -> Response:
        headers = _headers()
        protocol.check_version(headers)
        length = protocol.upload_length(headers, _most_bytes(services))
        sent = headers.get("upload-metadata", "")
        state = services.resumable.begin(length, sent, responses.new_client())
        response = _answer(state, 201)
        response.headers["Location"] = f"{_FILES}/{state.upload_id}"
        return response


def _add_piece(blueprint: APIBlueprint, services: Services) -> None:
    uploads = services.resumable

    @blueprint.patch(
        _FILE,
        summary="Send what follows; with the last byte it becomes a recording, and is queued",
        tags=[_TAG],
        responses={204: None, **_ERRORS, 507: answers.ErrorAnswer},
        openapi_extensions={
            "parameters": [_ID, _VERSION, _number("Upload-Offset", _most_bytes(services), 0)],
            **request_body(
                {protocol.BODY_TYPE: {"schema": {"type": "string", "format": "binary"}}}
            ),
        },
        provide_automatic_options=False,  # there is a rule for OPTIONS
    )
    def send() -> Response:
        # The server has taken the body at its headers, or has refused it.
        writer = request.environ["wsgi.input"]
        if not isinstance(writer, PartWriter):
            raise TranscriberError("upload_not_found", noted("There is no such upload."))
        return _answer(uploads.received(writer), 204)


def _add_question_and_end(blueprint: APIBlueprint, services: Services) -> None:
    uploads = services.resumable

    @blueprint.delete(
        _FILE,
        summary="Cancel an upload",
        tags=[_TAG],
        responses={204: None, **_ERRORS},
        openapi_extensions={"parameters": [_ID, _VERSION]},
        provide_automatic_options=False,  # there is a rule for OPTIONS
    )
    def cancel() -> Response:
        protocol.check_version(_headers())
        uploads.cancel((request.view_args or {})["upload_id"])
        return Response(status=204)

    def ask(upload_id: str) -> Response:
        """How far an upload is, in Upload-Offset."""
        protocol.check_version(_headers())
        return _answer(uploads.state(upload_id), 200)

    _add(blueprint, "HEAD", _FILE, ask, [_ID, _VERSION], {200: None, **_ERRORS})


def _add_options(blueprint: APIBlueprint, services: Services) -> None:
    def understood(upload_id: str = "") -> Response:
        """Which version and extensions of tus are understood."""
        response = Response(status=204)
        response.headers["Tus-Version"] = protocol.VERSION
        response.headers["Tus-Extension"] = protocol.EXTENSIONS
        response.headers["Tus-Max-Size"] = str(_most_bytes(services))
        return response

    _add(blueprint, "OPTIONS", _FILES, understood, [], {204: None})
    _add(blueprint, "OPTIONS", _FILE, understood, [_ID], {204: None})


def _add(
    blueprint: APIBlueprint,
    method: str,
    rule: str,
    view: Callable[..., Response],
    parameters: list[dict[str, Any]],
    found: dict[Any, Any],
) -> None:
    """A rule for a method for which the library has no decorator; its document is moved over."""
    name = f"{method.lower()}_{view.__name__}_{'one' if rule == _FILE else 'all'}"
    blueprint.add_url_rule(rule, name, view, methods=[method], provide_automatic_options=False)
    scratch = APIBlueprint("scratch", __name__, abp_responses=answers.COMMON)
    describe = scratch.get(
        rule,
        summary=view.__doc__,
        tags=[_TAG],
        operation_id=name,
        responses=found,
        openapi_extensions={"parameters": parameters} if parameters else None,
    )

    def described() -> None: ...

    describe(described)
    [(address, item)] = scratch.paths.items()
    setattr(blueprint.paths[address], method.lower(), item.get)


def _headers() -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _answer(state: UploadState, status: int) -> Response:
    response = Response(status=status)
    response.headers.update(protocol.headers_of(state))
    return response


def _most_bytes(services: Services) -> int:
    return services.config.api.max_upload_mb * 2**20
