"""Health and figures over HTTP."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from modules.api import responses
from modules.api.schemas import answers
from modules.api.services import Services
from modules.clock import iso

_SERVICE = Tag(name="service", description="How the service is")


def add_health(blueprint: APIBlueprint, services: Services) -> None:
    @blueprint.get(
        "/health",
        summary="healthy, degraded or unhealthy, and why",
        tags=[_SERVICE],
        responses={200: answers.HealthAnswer, 503: answers.HealthAnswer},
        # flask_openapi3 takes an empty security= for none at all.
        openapi_extensions={"security": []},
    )
    def health() -> Response:
        report = services.report_health()
        return responses.as_json(report, 503 if report["status"] == "unhealthy" else 200)

    _add_parts(blueprint, services)
    _add_metrics(blueprint, services)


def _add_parts(blueprint: APIBlueprint, services: Services) -> None:
    @blueprint.get(
        "/health/detailed",
        summary="The same, and how each part and each worker is",
        tags=[_SERVICE],
        responses={200: answers.DetailedHealthAnswer, 503: answers.DetailedHealthAnswer},
    )
    def detailed() -> Response:
        report = services.report_health()
        report["parts"] = [
            {"name": each.name, "state": each.state, "since": iso(each.since), "why": each.why}
            for each in services.parts.look()
        ]
        report["workers"] = responses.as_workers(services.workers)
        return responses.as_json(report, 503 if report["status"] == "unhealthy" else 200)


def _add_metrics(blueprint: APIBlueprint, services: Services) -> None:
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
