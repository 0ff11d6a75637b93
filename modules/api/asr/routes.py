"""Speech to text as whisper-asr-webservice offers it: one request, one text."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import IO, Any

from flask import Response
from flask import request as http_request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from modules.api import forms, responses
from modules.api.asr import format as asr_format
from modules.api.asr import raw_sound
from modules.api.asr.query import AsrQuery, UploadQuery, detecting
from modules.api.forms import disconnected_of, request_body
from modules.api.schemas import answers
from modules.api.services import Services
from modules.api.uploads.names import name_of_upload
from modules.errors import TranscriberError, noted
from modules.intake.request import TranscriptionRequest
from modules.service.answers import Accepted, Text

FIELD = "audio_file"
_TAG = Tag(name="asr", description="As whisper-asr-webservice has them")
_TEXT: dict[str, Any] = {
    "description": "the text in the form that was asked for, JSON too as plain text",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}
_RESPONSES: dict[Any, Any] = {415: answers.ErrorAnswer, 410: answers.ErrorAnswer}
_FORM: dict[str, Any] = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "properties": {FIELD: {"type": "string", "format": "binary"}},
            "required": [FIELD],
        },
        "encoding": {
            FIELD: {
                "headers": {
                    "Content-Disposition": {
                        "schema": {"type": "string"},
                        "example": f'form-data; name="{FIELD}"; filename="talk.mp3"',
                    }
                }
            }
        },
    }
}


def asr(services: Services) -> APIBlueprint:
    """``/asr`` and ``/detect-language``: the upload waits for its answer, and is removed for it."""
    blueprint = APIBlueprint("asr", __name__, abp_responses=answers.COMMON)
    _add_asr(blueprint, services)
    _add_detect_language(blueprint, services)
    return blueprint


def _add_asr(blueprint: APIBlueprint, services: Services) -> None:
    @blueprint.post(
        "/asr",
        summary="Transcribe an upload",
        tags=[_TAG],
        responses={200: _TEXT, **_RESPONSES},
        openapi_extensions=request_body(_FORM),
    )
    def transcribe(query: AsrQuery) -> Response:
        wishes = query.wishes(services.config.whisperx.model_size)
        request = _landed(services, query, wishes)
        found = services.one_time.text(request, disconnected_of(http_request.environ))
        if isinstance(found, Accepted):
            raise _too_late(found)
        content = asr_format.body(found.result, query.output, bool(query.word_timestamps))
        response = Response(content, content_type=asr_format.TEXT_TYPE)
        response.headers["Asr-Engine"] = "whisperx"
        response.headers["Content-Disposition"] = responses.disposition(
            f"{found.name}.{query.output}"
        )
        return response


def _add_detect_language(blueprint: APIBlueprint, services: Services) -> None:
    @blueprint.post(
        "/detect-language",
        summary="Detect the language of an upload in its first speech",
        tags=[_TAG],
        responses={200: answers.LanguageAnswer, **_RESPONSES},
        openapi_extensions=request_body(_FORM),
    )
    def detect_language(query: UploadQuery) -> Response:
        whisperx = services.config.whisperx
        wishes = {"language": detecting(whisperx.model_size), "task": "transcribe"}
        request = _landed(services, query, wishes | {"initial_prompt": None, "diarize": False})
        found = services.one_time.language(request, disconnected_of(http_request.environ))
        if isinstance(found, Accepted):
            raise _too_late(found)
        if isinstance(found, Text):
            code, probability = asr_format.detected_in(found.result)
        else:
            code, probability = found.code, found.probability
        return responses.as_json(asr_format.language_json(code, probability, whisperx.language))


def _landed(services: Services, query: UploadQuery, wishes: dict[str, Any]) -> TranscriptionRequest:
    """The upload in the share, and what is asked for it. Raises TranscriberError, StorageError."""
    client = responses.new_client()
    with _received(services, query) as (file, name):
        services.service.check(TranscriptionRequest(name, wishes, client=client))
        landed = services.uploads.land(file, name, rename=True)
    return TranscriptionRequest(landed, wishes, client=client, uploaded=True)


@contextlib.contextmanager
def _received(services: Services, query: UploadQuery) -> Iterator[tuple[IO[bytes], str]]:
    """(file, name) of the upload, which is discarded at the end unless it was landed."""
    head = raw_sound.header() if query.is_raw else b""
    language = services.config.whisperx.language
    upload = forms.upload(http_request, services.uploads, language, field=FIELD, head=head)
    with upload as (file, chosen):
        if query.is_raw:
            raw_sound.finish(file)
            yield file, _name_of_raw(query.video_file, chosen.name, language)
        else:
            yield file, chosen.name


def _name_of_raw(film: str, chosen: str, language: str) -> str:
    """Raw sound is a WAV file here, called after the film that it is from, if that is told."""
    if film:
        name = f"{os.path.splitext(film)[0]}.wav"
        with contextlib.suppress(TranscriberError):  # too long or hidden: it is only a name
            return name_of_upload(name, "", raw_sound.header(), None, language).name
    return f"{os.path.splitext(chosen)[0]}.wav"


def _too_late(found: Accepted) -> TranscriberError:
    return TranscriberError(
        "timeout",
        noted("The answer was not there in time."),
        remedy=noted(
            "It is going on: GET /result/{job_id} has the text later.", job_id=found.job.job_id
        ),
    )
