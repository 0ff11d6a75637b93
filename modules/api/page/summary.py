"""The summary of a text, for the page."""

from __future__ import annotations

from typing import Literal

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from modules.api.page.tasks import TAG, unless_known
from modules.api.responses import as_json
from modules.api.schemas import answers, requests
from modules.api.services import Services
from modules.service.summary_view import SummaryState


class EntryAnswer(BaseModel):
    """Something that was said; ``time`` in seconds, null if the model gave none."""

    text: str
    time: float | None
    who: str


class SummaryAnswer(BaseModel):
    """``none``: none was asked for. ``failed``: ``error`` says why, and the rest is empty."""

    state: Literal["none", "waiting", "making", "done", "failed"]
    outdated: bool = Field(description="the text was corrected after this was made")
    can_be_made: bool = Field(description="POST makes one, or a new one")
    error: str | None = Field(
        description="a code, such as summary_truncated; with done, of the last try to renew it"
    )
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

    @blueprint.post(
        "/api/summary/<path:filename>",
        summary="Have a summary made where there is none, it failed, or the text was corrected",
        tags=[TAG],
        responses={200: SummaryAnswer, 404: answers.ErrorAnswer, 409: answers.ErrorAnswer},
    )
    def make(path: requests.NamePath) -> Response:
        return as_json(_answer(services.summaries.make(path.filename)))


def _answer(state: SummaryState) -> dict[str, object]:
    view, found = state.view, state.view.summary
    failure = found.error if found else None
    lists = {
        kind: [each.model_dump() for each in getattr(found, kind)] if found else []
        for kind in ("points", "decisions", "tasks", "questions")
    }
    return {
        "state": view.state,
        "outdated": state.outdated,
        "can_be_made": state.can_be_made,
        "error": failure.code if failure else None,
        "message": failure.message if failure else view.problem,
        "model": found.made_from.model if found else None,
        "language": found.made_from.language if found else None,
        "summary": found.summary if found else "",
        **lists,
    }
