"""Jobs over HTTP: transcribe, status, result, delete."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Response
from flask import request as http_request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from modules.api import forms, responses
from modules.api.forms import disconnected_of, form, request_body
from modules.api.languages import said
from modules.api.schemas import answers, requests
from modules.api.services import Services
from modules.config.shown import shown
from modules.errors import TranscriberError, noted
from modules.intake.request import TranscriptionRequest
from modules.outputs.base import OutputFormat
from modules.outputs.formats import OUTPUT_FORMATS
from modules.service.answers import Accepted, Text

_TAG = Tag(name="orders", description="Ask for a text, and get it")

_ACCEPTED_OR_TEXT: dict[Any, Any] = {
    200: answers.ResultAnswer,
    202: answers.AcceptedAnswer,
    404: answers.ErrorAnswer,
    409: answers.ErrorAnswer,
    410: answers.ErrorAnswer,
    415: answers.ErrorAnswer,
}


def add_jobs(blueprint: APIBlueprint, services: Services) -> None:
    """``/transcribe``, ``/status`` and ``/result``."""
    _add_transcribe(blueprint, services)
    _add_delete(blueprint, services)
    _add_status(blueprint, services)
    _add_result(blueprint, services)


def _add_transcribe(blueprint: APIBlueprint, services: Services) -> None:
    service, config = services.service, services.config

    @blueprint.post(
        "/transcribe",
        summary="Order the text of a file in the shared folder, or upload one",
        tags=[_TAG],
        responses=_ACCEPTED_OR_TEXT,
        openapi_extensions=request_body(
            {
                "application/json": {"schema": requests.TranscribeRequest.model_json_schema()},
                **form(requests.UploadRequest),
            }
        ),
    )
    def transcribe() -> Response:
        if forms.is_form(http_request):
            return _transcribe_upload(services)
        asked = forms.from_json(http_request, requests.TranscribeRequest)
        request = _request(asked.filename, asked, force=asked.force)
        try:
            disconnected = disconnected_of(http_request.environ)
            return _answer(service.transcribe(request, asked.wait, disconnected), services)
        except TranscriberError as problem:
            debug = asked.debug if asked.debug is not None else config.whisperx.debug
            return responses.error(problem, asked.filename, config=config, debug=debug)


def _transcribe_upload(services: Services) -> Response:
    language = services.config.whisperx.language
    with forms.upload(http_request, services.uploads, language) as (file, chosen):
        asked = forms.checked(requests.UploadRequest, forms.fields(http_request))
        services.service.check(_request(chosen.name, asked))
        rename = chosen.is_ours or asked.if_exists == "rename"
        landed = services.uploads.land(file, chosen.name, rename=rename)
    # The file may have another name now, and other settings beside it.
    request = replace(_request(landed, asked), uploaded=True)
    disconnected = disconnected_of(http_request.environ)
    return _answer(services.service.transcribe(request, bool(asked.wait), disconnected), services)


def _answer(found: Accepted | Text, services: Services) -> Response:
    if isinstance(found, Accepted):
        return responses.accepted(found)
    return responses.result(found)


def _add_delete(blueprint: APIBlueprint, services: Services) -> None:
    @blueprint.delete(
        "/transcribe",
        summary="Delete a recording with all that was made from it, at once",
        tags=[_TAG],
        responses={200: answers.DeletedAnswer, 404: answers.ErrorAnswer},
        openapi_extensions={
            "requestBody": {
                "content": {
                    "application/json": {"schema": requests.DeleteRequest.model_json_schema()}
                }
            }
        },
    )
    def delete(query: requests.DeleteQuery) -> Response:
        name = query.filename
        if name is None or http_request.get_data():
            name = forms.from_json(http_request, requests.DeleteRequest).filename
            if query.filename not in (None, name):
                raise forms.invalid(
                    noted(
                        "filename: must be one name, got {filename} in the query and {name} in the "
                        "body",
                        filename=shown(query.filename),
                        name=shown(name),
                    )
                )
        removed = services.service.delete(name)
        return responses.as_json(
            {
                "status": "deleted",
                "message": said(noted("Files deleted successfully")),
                "deleted_files": list(removed.deleted),
                "processing_interrupted": removed.interrupted,
                "removed_from_queue": removed.dequeued,
            }
        )


def _add_status(blueprint: APIBlueprint, services: Services) -> None:
    @blueprint.get(
        "/status/<path:key>",
        summary="Where a file or a job stands",
        tags=[_TAG],
        responses={200: answers.StatusAnswer, 404: answers.NoStatusAnswer},
    )
    def status(path: requests.KeyPath) -> Response:
        view = services.service.status(path.key)
        return responses.as_json(responses.view(view), 404 if view.status == "not_found" else 200)


def _add_result(blueprint: APIBlueprint, services: Services) -> None:
    @blueprint.get(
        "/result/<path:key>",
        summary="The text of a file or a job; one that waits is done sooner for it",
        tags=[_TAG],
        responses={
            **_ACCEPTED_OR_TEXT,
            200: {
                "description": "the .result, or the text in the format that was asked for",
                "content": {
                    row.media_type.partition(";")[0]: {"schema": _schema_of(row)}
                    for row in OUTPUT_FORMATS.values()
                },
            },
        },
    )
    def result(path: requests.KeyPath, query: requests.ResultQuery) -> Response:
        found = services.service.result(path.key)
        if isinstance(found, Accepted):
            return responses.accepted(found)
        if query.format is None:
            return responses.result(found)
        whole = services.editing.corrected(found.name, found.result)
        segments = whole.segments if query.original else whole.text.segments
        return responses.text(found, query.format, segments, services.config)


def _schema_of(form: OutputFormat) -> dict[str, str]:
    if form.media_type == "application/json":
        return {"type": "object"}
    is_text = "charset=" in form.media_type
    return {"type": "string"} if is_text else {"type": "string", "format": "binary"}


def _request(name: str, asked: requests.JobFields, force: bool = False) -> TranscriptionRequest:
    return TranscriptionRequest(
        name,
        wishes=asked.wishes(),
        client=responses.new_client(),
        job_id=asked.job_id,
        callback_urls=(asked.callback_url,) if asked.callback_url else (),
        force=force,
    )
