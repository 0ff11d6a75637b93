"""Speech to text as OpenAI defines it, so that the tools people have already work."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from flask import Response
from flask import request as http_request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel

from modules.api import forms, responses
from modules.api.forms import disconnected_of, form, request_body
from modules.api.languages import said
from modules.api.openai.fields import SpeechRequest, asked
from modules.api.openai.format import PREFIX, body, error
from modules.api.openai.models import Models
from modules.api.openai.stream import Events, status_of, too_late
from modules.api.schemas import requests
from modules.api.services import Services
from modules.clock import SystemClock
from modules.errors import TranscriberError
from modules.intake.request import TranscriptionRequest
from modules.service.answers import Accepted

_TAG = Tag(name="openai", description="As OpenAI defines them")
_AUDIO: dict[str, Any] = {
    "description": "the text in the format that was asked for",
    "content": {
        "application/json": {"schema": {"type": "object"}},
        "text/plain": {"schema": {"type": "string"}},
        # Of each event.
        "text/event-stream": {
            "schema": {
                "type": "object",
                "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
            }
        },
    },
}
_ERROR: dict[str, Any] = {
    "description": "an error as OpenAI words it",
    "content": {"application/json": {"schema": {"type": "object", "required": ["error"]}}},
}


_MODEL: dict[str, Any] = {
    "type": "object",
    "required": ["id", "object", "created", "owned_by"],
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "model"},
        "created": {"type": "integer"},
        "owned_by": {"type": "string"},
    },
}
_MODELS: dict[str, Any] = {
    "type": "object",
    "required": ["object", "data"],
    "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": _MODEL}},
}


class ModelPath(BaseModel):
    model: requests.Name


def openai(services: Services) -> APIBlueprint:
    """What is below ``/v1``."""
    blueprint = APIBlueprint("openai", __name__)
    models = Models(services.config)
    for path, task in (("transcriptions", "transcribe"), ("translations", "translate")):
        _add_speech(blueprint, services, models, path, task)
    _add_models(blueprint, models)
    return blueprint


def _add_speech(
    blueprint: APIBlueprint, services: Services, models: Models, path: str, task: str
) -> None:
    """The upload waits for its text, and is removed for it."""

    def handle() -> Response:
        language = services.config.whisperx.language
        with forms.upload(http_request, services.uploads, language) as (file, chosen):
            fields = asked(http_request)
            wishes = fields.wishes(models.meant(fields.model), task)
            request = TranscriptionRequest(chosen.name, wishes, client=responses.new_client())
            services.service.check(request)
            landed = services.uploads.land(file, chosen.name, rename=True)
        request = replace(request, name=landed, uploaded=True)
        if fields.stream:
            return _stream(services, fields, request)
        return _answer(services, fields, request, task)

    # Each endpoint goes by the name of its function.
    handle.__name__ = f"openai_{task}"
    blueprint.post(
        f"{PREFIX}audio/{path}",
        summary=f"{task.capitalize()} an upload",
        tags=[_TAG],
        responses={
            200: _AUDIO,
            **_errors(400, 401, 403, 413, 415, 422, 429, 431, 503, 507),
        },
        openapi_extensions=request_body(form(SpeechRequest)),
    )(handle)


def _answer(
    services: Services, fields: SpeechRequest, request: TranscriptionRequest, task: str
) -> Response:
    found = services.one_time.text(request, disconnected_of(http_request.environ))
    if isinstance(found, Accepted):
        raise too_late(found)
    settings = found.result.get("settings") or {}
    temperature = float(settings.get("temperature") or 0.0)
    # OpenAI's translations know none.
    granularities = fields.timestamp_granularities if task == "transcribe" else ()
    content, kind = body(
        found.result, fields.response_format, granularities, task, temperature,
        fields.with_logprobs,
    )  # fmt: skip
    if isinstance(content, dict):
        return responses.as_json(content)
    return Response(content.encode("utf-8", errors="replace"), content_type=kind)


def _stream(services: Services, fields: SpeechRequest, request: TranscriptionRequest) -> Response:
    parts = services.one_time.stream(request, disconnected_of(http_request.environ))
    # What cannot be carried out is refused before the stream begins.
    first = next(parts)
    if isinstance(first, Accepted):
        raise too_late(first)
    diarized = fields.response_format == "diarized_json"
    events = Events(SystemClock(), diarized, fields.with_logprobs)
    response = Response(events.of(first, parts), content_type="text/event-stream")
    # Also if the client left before anything was sent.
    response.call_on_close(parts.close)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _add_models(blueprint: APIBlueprint, models: Models) -> None:
    @blueprint.get(
        f"{PREFIX}models",
        summary="The models that are here",
        tags=[_TAG],
        responses={200: _in_json("the list", _MODELS), **_errors(400, 401, 403, 422, 429, 431)},
    )
    def openai_models() -> Response:
        return responses.as_json({"object": "list", "data": models.listed()})

    @blueprint.get(
        f"{PREFIX}models/<path:model>",
        summary="One of the models that are here",
        tags=[_TAG],
        responses={
            200: _in_json("the model", _MODEL),
            **_errors(400, 401, 403, 404, 422, 429, 431),
        },
    )
    def openai_model(path: ModelPath) -> Response:
        return responses.as_json(models.one(path.model))


def _errors(*statuses: int) -> dict[Any, Any]:
    return {status: dict(_ERROR) for status in statuses}


def _in_json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def openai_error(problem: TranscriberError, status: int | None = None) -> Response:
    """An error in OpenAI's form."""
    if status is None:
        status = status_of(problem)
    param = problem.message.partition(":")[0] if ": " in problem.message else None
    param = param if param and param.isidentifier() else None
    content = error(said(problem.text) or "", status, param=param, code=problem.code)
    return Response(json.dumps(content), status, content_type="application/json")
