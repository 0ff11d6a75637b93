"""The control blueprint: each endpoint, with the models it is checked and documented by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response, redirect, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from modules.api import answers, forms, models
from modules.api.services import Services
from modules.api.stream import stream
from modules.errors import TranscriberError
from modules.intake.intake import Order
from modules.jobs.events import Event
from modules.service.answers import Accepted, Text
from modules.service.waiting import Gone

_ORDERS = Tag(name="orders", description="Ask for a text, and get it")
_QUEUE = Tag(name="queue", description="What is being done, and stopping it")
_MANUAL = Tag(name="manual", description="What could not be transcribed")
_SERVICE = Tag(name="service", description="How the service is")

_ERROR = models.ErrorAnswer
_ACCEPTED_OR_TEXT: dict[Any, Any] = {
    200: models.ResultAnswer,
    202: models.AcceptedAnswer,
    404: _ERROR,
    409: _ERROR,
    410: _ERROR,
    415: _ERROR,
}


def gone_of(environ: dict[str, Any]) -> Gone:
    """Whether the client of this request has left."""
    left: Gone = environ.get("waitress.client_disconnected", lambda: False)
    return left


def request_body(content: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The part of the document that says what a body may be."""
    return {"requestBody": {"required": True, "content": content}}


def form(model: type[models.Request]) -> dict[str, Any]:
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


def control(services: Services) -> APIBlueprint:
    """The blueprint over the services; it words their answers and decides nothing."""
    blueprint = APIBlueprint("control", __name__, abp_responses=models.COMMON)
    _orders(blueprint, services)
    _queue(blueprint, services)
    _manual(blueprint, services)
    _service(blueprint, services)
    return blueprint


def _orders(blueprint: APIBlueprint, services: Services) -> None:
    desk, config = services.control, services.config

    def answer(found: Accepted | Text) -> Response:
        if isinstance(found, Accepted):
            return answers.accepted(found)
        return answers.text(found, None, config)

    def transcribe_upload() -> Response:
        with forms.upload(request, services.uploads) as (file, name):
            asked = forms.checked(models.UploadRequest, forms.fields(request))
            order = _order(name, asked)
            desk.check(order)
            rename = asked.if_exists == "rename"
            landed = services.uploads.land(file, name, rename=rename)
        wait = bool(asked.wait)
        return answer(desk.transcribe(_order(landed, asked), wait, gone_of(request.environ)))

    @blueprint.post(
        "/transcribe",
        summary="Order the text of a file in the shared folder, or upload one",
        tags=[_ORDERS],
        responses=_ACCEPTED_OR_TEXT,
        openapi_extensions=request_body(
            {
                "application/json": {"schema": models.TranscribeRequest.model_json_schema()},
                **form(models.UploadRequest),
            }
        ),
    )
    def transcribe() -> Response:
        if forms.is_form(request):
            return transcribe_upload()
        asked = forms.from_json(request, models.TranscribeRequest)
        order = _order(asked.filename, asked, force=asked.force)
        try:
            return answer(desk.transcribe(order, asked.wait, gone_of(request.environ)))
        except TranscriberError as problem:
            debug = asked.debug if asked.debug is not None else config.whisperx.debug
            return answers.error(problem, asked.filename, config=config, debug=debug)

    @blueprint.delete(
        "/transcribe",
        summary="Delete a recording with all that was made from it, at once",
        tags=[_ORDERS],
        responses={200: models.DeletedAnswer, 404: _ERROR},
        openapi_extensions={
            "requestBody": {
                "content": {
                    "application/json": {"schema": models.DeleteRequest.model_json_schema()}
                }
            }
        },
    )
    def delete(query: models.DeleteQuery) -> Response:
        name = query.filename
        if name is None or request.get_data():
            name = forms.from_json(request, models.DeleteRequest).filename
            if query.filename not in (None, name):
                raise forms.invalid(
                    f"filename: must be one name, got {forms.shortened(query.filename)}"
                    f" in the query and {forms.shortened(name)} in the body"
                )
        removed = desk.delete(name)
        return answers.as_json(
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
        responses={200: models.StatusAnswer, 404: models.StatusAnswer},
    )
    def status(path: models.KeyPath) -> Response:
        view = desk.status(path.key)
        return answers.as_json(answers.view(view), 404 if view.status == "not_found" else 200)

    @blueprint.get(
        "/result/<path:key>",
        summary="The text of a file or a job; one that waits is done sooner for it",
        tags=[_ORDERS],
        responses={
            **_ACCEPTED_OR_TEXT,
            200: {
                "description": "the .result, or the text in the format that was asked for",
                "content": {
                    "application/json": {"schema": {"type": "object"}},
                    **{
                        kind: {"schema": {"type": "string"}}
                        for kind in (
                            "text/plain",
                            "application/x-subrip",
                            "text/vtt",
                            "text/tab-separated-values",
                        )
                    },
                    answers.MEDIA_TYPES["docx"]: {"schema": {"type": "string", "format": "binary"}},
                },
            },
        },
    )
    def result(path: models.KeyPath, query: models.ResultQuery) -> Response:
        found = desk.result(path.key)
        if isinstance(found, Accepted):
            return answers.accepted(found)
        return answers.text(found, query.format, config)


def _order(name: str, asked: models.OrderFields, force: bool = False) -> Order:
    return Order(
        name,
        wishes=asked.wishes(),
        client=answers.new_client(),
        job_id=asked.job_id,
        callback_urls=(asked.callback_url,) if asked.callback_url else (),
        force=force,
    )


def _queue(blueprint: APIBlueprint, services: Services) -> None:
    desk = services.control

    @blueprint.get(
        "/queue",
        summary="What is being done, and what waits",
        tags=[_QUEUE],
        responses={200: models.QueueAnswer},
    )
    def queue() -> Response:
        jobs = [answers.view(view) for view in desk.queue()]
        return answers.as_json({"paused": desk.paused, "queue_length": len(jobs), "jobs": jobs})

    @blueprint.post(
        "/pause",
        summary="Start nothing more; survives a restart",
        tags=[_QUEUE],
        responses={200: models.PausedAnswer},
    )
    def pause() -> Response:
        desk.pause()
        return answers.as_json({"status": "paused", "message": "Nothing more is started"})

    @blueprint.post("/resume", summary="Go on", tags=[_QUEUE], responses={200: models.PausedAnswer})
    def resume() -> Response:
        desk.resume()
        return answers.as_json({"status": "running", "message": "The queue is going on"})

    @blueprint.get(
        "/events",
        summary="Server-sent events: every transition and every step of progress",
        tags=[_QUEUE],
        responses={
            200: {
                "description": "a stream; each event's data is a status and when it was",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            429: _ERROR,
        },
    )
    def events(query: models.EventsQuery) -> Response:
        if services.events.listeners >= services.config.api.max_listeners:
            raise TranscriberError(
                "too_many_listeners",
                f"{services.events.listeners} clients listen already.",
                remedy="Ask again later, or raise api.max_listeners.",
            )
        gone = gone_of(request.environ)
        last = request.headers.get("Last-Event-ID", "")
        after = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else None

        def over() -> bool:
            return gone() or services.waiting.closing

        def words(event: Event) -> dict[str, Any]:
            return answers.view(desk.view(event.job)) | {"event": event.kind}

        body: Iterator[bytes] = stream(services.events, after, query.filename, words, over)
        response = Response(body, content_type="text/event-stream")
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"
        return response


def _manual(blueprint: APIBlueprint, services: Services) -> None:
    desk = services.control

    @blueprint.get(
        "/manual",
        summary="What could not be transcribed, and why",
        tags=[_MANUAL],
        responses={200: models.ManualAnswer},
    )
    def manual() -> Response:
        files = [
            {
                "filename": failure.name,
                "size": failure.size,
                "job_id": view.job_id,
                "error": view.error,
                "explanation": failure.explanation,
            }
            for view, failure in desk.failures()
        ]
        return answers.as_json({"files": files})

    @blueprint.post(
        "/manual/<path:filename>/retry",
        summary="Take a file back into the shared folder and try again",
        tags=[_MANUAL],
        responses={202: models.AcceptedAnswer, 404: _ERROR, 409: _ERROR},
    )
    def retry(path: models.NamePath) -> Response:
        return answers.accepted(desk.retry(path.filename, answers.new_client()))


def _service(blueprint: APIBlueprint, services: Services) -> None:
    @blueprint.get(
        "/health",
        summary="healthy, degraded or unhealthy, and why",
        tags=[_SERVICE],
        responses={200: models.HealthAnswer, 503: models.HealthAnswer},
        # flask_openapi3 takes an empty security= for none at all.
        openapi_extensions={"security": []},
    )
    def health() -> Response:
        report = services.report_health()
        return answers.as_json(report, 503 if report["status"] == "unhealthy" else 200)

    @blueprint.get(
        "/metrics",
        summary="Figures for Prometheus",
        tags=[_SERVICE],
        responses={
            200: {
                "description": "Prometheus text",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }
        },
    )
    def metrics() -> Response:
        content, kind = services.metrics.render()
        return Response(content, content_type=kind)

    @blueprint.get("/", doc_ui=False)
    def home() -> Any:
        return redirect("/docs")
