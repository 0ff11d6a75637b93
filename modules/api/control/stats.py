"""Figures over HTTP: of the service, of its workers, of what live sessions were told."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field

from modules.api import responses
from modules.api.schemas import answers
from modules.api.services import Services
from modules.live.sessions import LiveSessions
from modules.live.statistics import Distribution

_TAG = Tag(name="statistics", description="Figures of this moment, and since the start")


class StatsAnswer(answers.Answer):
    """Figures of this moment, and since the start."""

    uptime_seconds: float
    queue_length: int
    processing: str | None
    sessions_open: int
    sessions_stored: int
    live_busy_ratio: float = Field(description="part of the last 10 s spent on live sessions")
    live_lag_seconds: float
    live_step_seconds: float | None


class WorkersAnswer(answers.Answer):
    """``restarts``: how often a worker was replaced, by reason."""

    workers: list[answers.WorkerAnswer]
    restarts: dict[str, int]


class DelayAnswer(answers.Answer):
    """Estimates from a histogram; null without any."""

    count: int
    median_seconds: float | None
    p95_seconds: float | None


class AggregatorAnswer(answers.Answer):
    """What live sessions were told since the start. ``words_changed``: shown, then replaced."""

    sessions_open: int
    sessions_stored: int
    admissions: dict[str, int]
    sound_seconds: float
    partials: int
    commits: int
    finals: int
    words_shown: int
    words_changed: int
    words_committed: int
    delays: dict[Literal["partial", "commit", "final"], DelayAnswer] = Field(
        description="from the sound of a word to its first partial and to its commit, and from "
        "the end of an utterance to its final"
    )
    passes: DelayAnswer = Field(description="what the model took for a look at the newest sound")
    busy_ratio: float
    lag_seconds: float
    step_seconds: float | None


def add_stats(blueprint: APIBlueprint, services: Services) -> None:
    live, began = services.live, time.monotonic()

    @blueprint.get(
        "/stats",
        summary="Figures of this moment, and since the start",
        tags=[_TAG],
        responses={200: StatsAnswer},
    )
    def stats() -> Response:
        report = services.report_health()
        content = {
            "uptime_seconds": round(time.monotonic() - began, 1),
            "queue_length": report["queue_length"],
            "processing": report["processing"],
            "sessions_open": len(live.all()),
            "sessions_stored": live.finished,
            "live_busy_ratio": round(live.load.busy, 3),
            "live_lag_seconds": round(live.lag_s, 1),
            "live_step_seconds": live.load.step_s,
        }
        return responses.as_json(content)

    _add_workers(blueprint, services)
    _add_aggregator(blueprint, services)


def _add_workers(blueprint: APIBlueprint, services: Services) -> None:
    @blueprint.get(
        "/stats/workers",
        summary="Each worker: where it runs, what it has loaded, what it does",
        tags=[_TAG],
        responses={200: WorkersAnswer},
    )
    def workers() -> Response:
        found = services.workers
        restarts = found.restarts if found else {}
        return responses.as_json({"workers": responses.as_workers(found), "restarts": restarts})


def _add_aggregator(blueprint: APIBlueprint, services: Services) -> None:
    @blueprint.get(
        "/stats/aggregator",
        summary="What live sessions were told, how late, and how often it changed",
        tags=[_TAG],
        responses={200: AggregatorAnswer},
    )
    def aggregator() -> Response:
        return responses.as_json(_aggregator(services.live))


def _aggregator(live: LiveSessions) -> Mapping[str, Any]:
    figures = live.statistics.figures()
    return {
        "sessions_open": len(live.all()),
        "sessions_stored": live.finished,
        "admissions": figures.admissions,
        "sound_seconds": round(figures.sound_s, 1),
        "partials": figures.events["partial"],
        "commits": figures.events["commit"],
        "finals": figures.events["final"],
        "words_shown": figures.words_shown,
        "words_changed": figures.words_changed,
        "words_committed": figures.words_committed,
        "delays": {kind: _delay(found) for kind, found in figures.delays.items()},
        "passes": _delay(figures.passes),
        "busy_ratio": round(live.load.busy, 3),
        "lag_seconds": round(live.lag_s, 1),
        "step_seconds": live.load.step_s,
    }


def _delay(found: Distribution) -> Mapping[str, Any]:
    median, p95 = (_rounded(found.quantile(share)) for share in (0.5, 0.95))
    return {"count": found.count, "median_seconds": median, "p95_seconds": p95}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
