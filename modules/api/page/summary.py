"""The summary of a text, for the page."""

from __future__ import annotations

from typing import Literal

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from modules.api.page.tasks import TAG, unless_known
from modules.api.schemas import answers, requests
from modules.api.services import Services
from modules.summaries.summaries import View


class EntryAnswer(BaseModel):
    """Something that was said; ``time`` in seconds, null if the model gave none."""

    text: str
    time: float | None
    who: str


class SummaryAnswer(BaseModel):
    """``none``: none was asked for. ``failed``: ``error`` says why, and the rest is empty."""

    state: Literal["none", "waiting", "making", "done", "failed"]
    error: str | None = Field(description="a code, such as summary_truncated")
    message: str | None = Field(description="why it failed, or waits, in English")
    model: str | None
    language: str | None
    summary: str
    points: list[EntryAnswer]
    decisions: list[EntryAnswer]
    tasks: list[EntryAnswer]
    questions: list[EntryAnswer]


def add_summary(blueprint: APIBlueprint, services: Services) -> None:
    @blueprint.get(
        "/api/summary/<path:filename>",
        summary="The summary of a text that a language model made, or how it stands with it",
        tags=[TAG],
        responses={200: SummaryAnswer, 304: None, 404: answers.ErrorAnswer},
    )
    def summary(path: requests.NamePath) -> Response:
        return unless_known(_answer(services.summaries.view(path.filename)))


def _answer(view: View) -> dict[str, object]:
    found = view.summary
    failure = found.error if found else None
    lists = {
        kind: [each.model_dump() for each in getattr(found, kind)] if found else []
        for kind in ("points", "decisions", "tasks", "questions")
    }
    return {
        "state": view.state,
        "error": failure.code if failure else None,
        "message": failure.message if failure else view.problem,
        "model": found.made_from.model if found else None,
        "language": found.made_from.language if found else None,
        "summary": found.summary if found else "",
        **lists,
    }
