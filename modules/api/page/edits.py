"""Corrections of a text: what was done, and further operations."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from modules.api import forms, responses
from modules.api.page.tasks import TAG, operation_as_json, segment_as_json, unless_known
from modules.api.schemas import answers, requests
from modules.api.services import Services
from modules.transcript.operations import Operation

#: In one request.
_MOST = 500


class EditsRequest(requests.Request):
    """Operations on a text, in their order."""

    version: Annotated[str, Field(min_length=1, max_length=40)] = Field(
        description="of the text that they were made for"
    )
    ops: Annotated[list[Operation], Field(min_length=1, max_length=_MOST)]


def _schema() -> dict[str, Any]:
    """That of a request, in one piece: elsewhere its references lead nowhere."""
    whole = EditsRequest.model_json_schema()
    parts = whole.pop("$defs")
    for part in parts.values():  # by it the kind is known, so it has to be there
        part["required"] = sorted({*part.get("required", ()), "op"})

    def resolved(value: Any) -> Any:
        if isinstance(value, list):
            return [resolved(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return resolved(parts[value["$ref"].rpartition("/")[2]])
        return {key: resolved(each) for key, each in value.items() if key != "discriminator"}

    found: dict[str, Any] = resolved(whole)
    return found


class EditsAnswer(BaseModel):
    """All operations on a text, and those of an earlier transcript that do not fit this one."""

    filename: str
    version: str
    ops: list[dict[str, Any]]
    not_applied: list[dict[str, Any]]


class ChangeAnswer(BaseModel):
    """What is different now from the version that the request names."""

    version: str
    segments: dict[str, dict[str, Any] | None] = Field(
        description="changed ones by id; null where nothing is left of one"
    )
    reload: bool = Field(description="more than these is different: read the text again")


def add_edits(blueprint: APIBlueprint, services: Services) -> None:
    _add_log(blueprint, services)
    _add_change(blueprint, services)


def _add_log(blueprint: APIBlueprint, services: Services) -> None:
    @blueprint.get(
        "/edits/<path:filename>",
        summary="The corrections of a text",
        tags=[TAG],
        responses={200: EditsAnswer, 304: None, 404: answers.ErrorAnswer},
    )
    def edits(path: requests.NamePath) -> Response:
        found = services.editing.corrections(path.filename)
        return unless_known(
            {
                "filename": path.filename,
                "version": found.version,
                "ops": [operation_as_json(each) for each in found.ops],
                "not_applied": [operation_as_json(each) for each in found.not_applied],
            }
        )


def _add_change(blueprint: APIBlueprint, services: Services) -> None:
    @blueprint.patch(
        "/edits/<path:filename>",
        summary="Correct a text; what was answered with 200 is on the disk",
        tags=[TAG],
        responses={
            200: ChangeAnswer,
            404: answers.ErrorAnswer,
            409: answers.ErrorAnswer,
            422: answers.ErrorAnswer,
        },
        openapi_extensions={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": _schema()}},
            }
        },
    )
    def change(path: requests.NamePath) -> Response:
        asked = forms.from_json(request, EditsRequest)
        changed = services.editing.change(path.filename, asked.version, asked.ops)
        return responses.as_json(
            {
                "version": changed.version,
                "segments": {
                    key: segment_as_json(key, segment) if segment else None
                    for key, segment in changed.segments.items()
                },
                "reload": changed.reload,
            }
        )
