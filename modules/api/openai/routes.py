"""Speech to text as OpenAI defines it, so that the tools people have already work."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Any, Literal

from flask import Response
from flask import request as http_request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field, WithJsonSchema

from modules.api import forms, responses
from modules.api.forms import disconnected_of, form, request_body
from modules.api.openai.format import (
    GRANULARITIES,
    PREFIX,
    RESPONSE_FORMATS,
    body,
    error,
    model_size,
)
from modules.api.schemas import requests
from modules.api.services import Services
from modules.errors import TranscriberError
from modules.intake.request import TranscriptionRequest
from modules.service.answers import Accepted

_TAG = Tag(name="openai", description="As OpenAI defines them")
_AUDIO: dict[str, Any] = {
    "description": "the text in the format that was asked for",
    "content": {
        "application/json": {"schema": {"type": "object"}},
        "text/plain": {"schema": {"type": "string"}},
    },
}
_ERROR: dict[str, Any] = {
    "description": "an error as OpenAI words it",
    "content": {"application/json": {"schema": {"type": "object", "required": ["error"]}}},
}


class SpeechRequest(requests.Request):
    """The fields beside ``file``. What only other models of OpenAI know is let pass."""

    model: Annotated[str, Field(max_length=200)] = "whisper-1"
    language: requests.GivenLanguage = None
    prompt: Annotated[str, Field(max_length=requests.PROMPT_CHARS)] | None = None
    response_format: Literal[RESPONSE_FORMATS] = "json"  # type: ignore[valid-type]
    temperature: requests.ZeroToOne | None = None
    timestamp_granularities: list[Literal[GRANULARITIES]] = Field(  # type: ignore[valid-type]
        default_factory=list
    )
    stream: Annotated[requests.Flag, WithJsonSchema({"type": "boolean", "enum": [False]})] = False


def speech(services: Services) -> APIBlueprint:
    """``/v1/audio``: the upload waits for its text, and is removed for it."""
    blueprint = APIBlueprint("openai", __name__)
    for path, task in (("transcriptions", "transcribe"), ("translations", "translate")):
        _endpoint(blueprint, services, path, task)
    return blueprint


def _endpoint(blueprint: APIBlueprint, services: Services, path: str, task: str) -> None:
    def handle() -> Response:
        language = services.config.whisperx.language
        with forms.upload(http_request, services.uploads, language) as (file, chosen):
            asked = _asked()
            request = TranscriptionRequest(
                chosen.name, _wishes(asked, task, services), client=responses.new_client()
            )
            services.service.check(request)
            landed = services.uploads.land(file, chosen.name, rename=True)
        return _answer(services, asked, replace(request, name=landed, uploaded=True), task)

    # Each endpoint goes by the name of its function.
    handle.__name__ = f"openai_{task}"
    blueprint.post(
        f"{PREFIX}audio/{path}",
        summary=f"{task.capitalize()} an upload",
        tags=[_TAG],
        responses={
            200: _AUDIO,
            **{s: dict(_ERROR) for s in (400, 401, 403, 413, 415, 422, 429, 431, 503, 507)},
        },
        openapi_extensions=request_body(form(SpeechRequest)),
    )(handle)


def _asked() -> SpeechRequest:
    lists = {
        "timestamp_granularities[]": "timestamp_granularities",
        "timestamp_granularities": "timestamp_granularities",
    }
    asked = forms.checked(SpeechRequest, forms.fields(http_request, lists))
    if asked.stream:
        raise TranscriberError(
            "streaming_unavailable",
            "stream: texts cannot be streamed by this version, got true.",
            remedy="Leave it out: the answer is the whole text.",
        )
    return asked


def _wishes(asked: SpeechRequest, task: str, services: Services) -> dict[str, Any]:
    default = services.config.whisperx.model_size
    try:
        size = model_size(asked.model, default)
    except ValueError as problem:
        raise TranscriberError("invalid_settings", str(problem)) from problem
    stated = {
        "model_size": size,
        "task": task,
        # OpenAI detects the language of what comes without one.
        "language": asked.language or ("en" if size.endswith(".en") else "auto"),
        "initial_prompt": (asked.prompt or "").strip() or None,
        "temperature": asked.temperature,
    }
    return {
        key: value for key, value in stated.items() if value is not None or key == "initial_prompt"
    }


def _answer(
    services: Services, asked: SpeechRequest, request: TranscriptionRequest, task: str
) -> Response:
    found = services.one_time.text(request, disconnected_of(http_request.environ))
    if isinstance(found, Accepted):
        raise _too_late(found)
    settings = found.result.get("settings") or {}
    temperature = float(settings.get("temperature") or 0.0)
    # OpenAI's translations know none.
    granularities = asked.timestamp_granularities if task == "transcribe" else ()
    content, kind = body(found.result, asked.response_format, granularities, task, temperature)
    if isinstance(content, dict):
        return responses.as_json(content)
    return Response(content.encode("utf-8", errors="replace"), content_type=kind)


def _too_late(found: Accepted) -> TranscriberError:
    return TranscriberError(
        "timeout",
        "The text was not there in time.",
        remedy=f"It is going on: GET /result/{found.job.job_id} has it later.",
    )


def openai_error(problem: TranscriberError, status: int | None = None) -> Response:
    """An error in OpenAI's form."""
    if status is None:
        status = 503 if problem.code == "timeout" else responses.error_status(problem)
    param = problem.message.partition(":")[0] if ": " in problem.message else None
    param = param if param and param.isidentifier() else None
    content = error(str(problem), status, param=param, code=problem.code)
    return Response(json.dumps(content), status, content_type="application/json")
