"""Jobs over HTTP: transcribe, status, result, delete."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from modules.api import forms, responses
from modules.api.forms import disconnected_of, form, request_body
from modules.api.schemas import answers, requests
from modules.api.services import Services
from modules.errors import TranscriberError
from modules.intake.request import TranscriptionRequest
from modules.outputs.format import OutputFormat
from modules.outputs.render import OUTPUT_FORMATS
from modules.service.answers import Accepted, Text

_ORDERS = Tag(name="orders", description="Ask for a text, and get it")

_ACCEPTED_OR_TEXT: dict[Any, Any] = {
    200: answers.ResultAnswer,
    202: answers.AcceptedAnswer,
    404: answers.ErrorAnswer,
    409: answers.ErrorAnswer,
    410: answers.ErrorAnswer,
    415: answers.ErrorAnswer,
}


def add_jobs(blueprint: APIBlueprint, services: Services) -> None:
    service, config = services.service, services.config

    def answer(found: Accepted | Text) -> Response:
        if isinstance(found, Accepted):
            return responses.accepted(found)
        return responses.text(found, None, config)

    def transcribe_upload() -> Response:
        with forms.upload(request, services.uploads) as (file, name):
            asked = forms.checked(requests.UploadRequest, forms.fields(request))
            order = _order(name, asked)
            service.check(order)
            rename = asked.if_exists == "rename"
            landed = services.uploads.land(file, name, rename=rename)
        wait = bool(asked.wait)
        return answer(
            service.transcribe(_order(landed, asked), wait, disconnected_of(request.environ))
        )

    @blueprint.post(
        "/transcribe",
        summary="Order the text of a file in the shared folder, or upload one",
        tags=[_ORDERS],
        responses=_ACCEPTED_OR_TEXT,
        openapi_extensions=request_body(
            {
                "application/json": {"schema": requests.TranscribeRequest.model_json_schema()},
                **form(requests.UploadRequest),
            }
        ),
    )
    def transcribe() -> Response:
        if forms.is_form(request):
            return transcribe_upload()
        asked = forms.from_json(request, requests.TranscribeRequest)
        order = _order(asked.filename, asked, force=asked.force)
        try:
            return answer(service.transcribe(order, asked.wait, disconnected_of(request.environ)))
        except TranscriberError as problem:
            debug = asked.debug if asked.debug is not None else config.whisperx.debug
            return responses.error(problem, asked.filename, config=config, debug=debug)

    @blueprint.delete(
        "/transcribe",
        summary="Delete a recording with all that was made from it, at once",
        tags=[_ORDERS],
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
        if name is None or request.get_data():
            name = forms.from_json(request, requests.DeleteRequest).filename
            if query.filename not in (None, name):
                raise forms.invalid(
                    f"filename: must be one name, got {forms.shortened(query.filename)}"
                    f" in the query and {forms.shortened(name)} in the body"
                )
        removed = service.delete(name)
        return responses.as_json(
            {
                "status": "deleted",
                "message": "Files deleted successfully",
                "deleted_files": list(removed.deleted),
                "processing_interrupted": removed.interrupted,
                "removed_from_queue": removed.dequeued,
            }
        )

    @blueprint.get(
        "/status/<path:key>",
        summary="Where a file or a job stands",
        tags=[_ORDERS],
        responses={200: answers.StatusAnswer, 404: answers.StatusAnswer},
    )
    def status(path: requests.KeyPath) -> Response:
        view = service.status(path.key)
        return responses.as_json(responses.view(view), 404 if view.status == "not_found" else 200)

    @blueprint.get(
        "/result/<path:key>",
        summary="The text of a file or a job; one that waits is done sooner for it",
        tags=[_ORDERS],
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
        found = service.result(path.key)
        if isinstance(found, Accepted):
            return responses.accepted(found)
        return responses.text(found, query.format, config)


def _schema_of(form: OutputFormat) -> dict[str, str]:
    if form.media_type == "application/json":
        return {"type": "object"}
    is_text = "charset=" in form.media_type
    return {"type": "string"} if is_text else {"type": "string", "format": "binary"}


def _order(name: str, asked: requests.JobFields, force: bool = False) -> TranscriptionRequest:
    return TranscriptionRequest(
        name,
        wishes=asked.wishes(),
        client=responses.new_client(),
        job_id=asked.job_id,
        callback_urls=(asked.callback_url,) if asked.callback_url else (),
        force=force,
    )
