"""The queue over HTTP: what waits, pause and resume."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from modules.api import responses
from modules.api.forms import disconnected_of
from modules.api.languages import asked, said
from modules.api.schemas import answers, requests
from modules.api.services import Services
from modules.api.sse import stream
from modules.errors import TranscriberError, noted
from modules.jobs.events import Event

_QUEUE = Tag(name="queue", description="What is being done, and stopping it")


def add_queue(blueprint: APIBlueprint, services: Services) -> None:
    service = services.service

    @blueprint.get(
        "/queue",
        summary="What is being done, and what waits",
        tags=[_QUEUE],
        responses={200: answers.QueueAnswer},
    )
    def queue() -> Response:
        jobs = [responses.view(view) for view in service.queue()]
        return responses.as_json(
            {"paused": service.paused, "queue_length": len(jobs), "jobs": jobs}
        )

    @blueprint.post(
        "/pause",
        summary="Start nothing more; survives a restart",
        tags=[_QUEUE],
        responses={200: answers.PausedAnswer},
    )
    def pause() -> Response:
        service.pause()
        return responses.as_json(
            {"status": "paused", "message": said(noted("Nothing more is started"))}
        )

    @blueprint.post(
        "/resume", summary="Go on", tags=[_QUEUE], responses={200: answers.PausedAnswer}
    )
    def resume() -> Response:
        service.resume()
        return responses.as_json(
            {"status": "running", "message": said(noted("The queue is going on"))}
        )


def add_events(blueprint: APIBlueprint, services: Services) -> None:
    """The stream of events."""

    @blueprint.get(
        "/events",
        summary="Server-sent events: every transition and every step of progress",
        tags=[_QUEUE],
        responses={
            200: {
                "description": "a stream; each event's data is a status and when it was",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            429: answers.ErrorAnswer,
        },
    )
    def events(query: requests.EventsQuery) -> Response:
        if services.events.listeners >= services.config.api.max_listeners:
            raise TranscriberError(
                "too_many_listeners",
                noted("{listeners} clients listen already.", listeners=services.events.listeners),
                remedy=noted("Ask again later, or raise api.max_listeners."),
            )
        disconnected = disconnected_of(request.environ)
        last = request.headers.get("Last-Event-ID", "")
        after = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else None

        def over() -> bool:
            return disconnected() or services.waiting.closing

        language = asked()

        def content(event: Event) -> dict[str, Any]:
            found = services.service.view(event.job)
            return responses.view(found, language) | {"event": event.kind}

        body: Iterator[bytes] = stream(services.events, after, query.filename, content, over)
        response = Response(body, content_type="text/event-stream")
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"
        return response
