"""The Flask application. No logic lives here: it asks the parts and words their answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, Response, jsonify

ReportHealth = Callable[[], dict[str, Any]]


def create_app(report_health: ReportHealth) -> Flask:
    """The application over a running daemon."""
    app = Flask("audio-transcriber", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.register_blueprint(_control(report_health))
    return app


def _control(report_health: ReportHealth) -> Blueprint:
    control = Blueprint("control", __name__)

    @control.get("/health")
    def health() -> tuple[Response, int]:
        report = report_health()
        return jsonify(report), 503 if report["status"] == "unhealthy" else 200

    return control
