"""The list of recordings, and one recording with its text."""

from __future__ import annotations

from typing import Any, Literal

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field, RootModel

from modules.api import responses
from modules.api.schemas import answers, requests
from modules.api.services import Services
from modules.service.folder_view.rows import State
from modules.service.task_list import TaskList, TaskRow, as_json, dropped, segments, texts

TAG = Tag(name="page", description="What the page at / asks for")
#: So many recordings are listed at once at most.
PAGE_MAX = 500


class TasksQuery(requests.Request):
    """Which recordings to list."""

    state: Literal["open", "failed", "done", "ignored"] | None = None
    contains: str = Field("", max_length=200)
    start: requests.Count = Field(0, ge=0, le=10**7)
    limit: requests.Count = Field(200, ge=1, le=PAGE_MAX)


class TaskAnswer(BaseModel):
    """A recording in the list; what is not known is null."""

    filename: str
    state: Literal["completed", "manual", "error", "ignored", "pending", "queued", "processing"]
    when: str | None = Field(description="when it was finished, begun, or changed")
    duration_seconds: float | None
    language: str | None
    word_count: int | None
    speaker_count: int | None
    flagged_seconds: float | None = Field(description="how much of the text is doubtful")
    warnings: list[dict[str, str]] = Field(description="sentences in en and ru")
    error: str | None
    job_id: str | None
    stage: str | None
    percentage: int | None
    position_seconds: float | None
    attempt: int | None
    queue_position: int | None
    eta_seconds: float | None
    priority: str | None


class TasksAnswer(BaseModel):
    tasks: list[TaskAnswer]
    total: int = Field(description="how many there are that the query asks for")
    counts: dict[str, int] = Field(description="how many there are of each state")
    paused: bool


class TextAnswer(BaseModel):
    """A finished recording and its text."""

    task: TaskAnswer
    duration_seconds: float
    outputs: list[str]
    segments: list[dict[str, Any]] = Field(
        description="start, end, text, speaker, flags, and words: [text, start, end, confidence]"
    )
    dropped: list[dict[str, Any]] = Field(description="text that nobody said, left out")
    notes: list[str]


class NoTextAnswer(BaseModel):
    """A recording without a text."""

    task: TaskAnswer
    explanation: str | None = Field(description="why it lies in the manual folder")


class TaskWithText(RootModel[TextAnswer | NoTextAnswer]):
    """The text, if there is one."""


def add_tasks(blueprint: APIBlueprint, services: Services) -> None:
    tasks = services.tasks

    @blueprint.get(
        "/api/tasks",
        summary="All recordings by group: being done or waiting, failed, done, ignored",
        tags=[TAG],
        responses={200: TasksAnswer, 304: None},
    )
    def listed(query: TasksQuery) -> Response:
        page = tasks.page(query.state, query.contains, query.start, query.limit)
        return _unless_known(
            {
                "tasks": [as_json(task) for task in page.tasks],
                "total": page.total,
                "counts": dict(page.counts),
                "paused": services.service.paused,
            }
        )

    @blueprint.get(
        "/api/tasks/<path:filename>",
        summary="One recording, with its text if that is there; changes nothing",
        tags=[TAG],
        responses={200: TaskWithText, 304: None, 404: answers.ErrorAnswer},
    )
    def task(path: requests.NamePath) -> Response:
        return _unless_known(_with_text(tasks, tasks.task(path.filename)))


def _with_text(tasks: TaskList, task: TaskRow) -> dict[str, Any]:
    name = task.row.name
    content: dict[str, Any] = {"task": as_json(task)}
    if task.row.state is not State.COMPLETED:
        return content | {"explanation": tasks.explanation(name) if task.in_manual else None}
    result = tasks.result(name)
    metadata = result.get("metadata") or {}
    return content | {
        "duration_seconds": result.get("duration_seconds") or 0.0,
        "outputs": texts(result.get("outputs")),
        "segments": list(segments(result)),
        "dropped": list(dropped(result)),
        "notes": texts(metadata.get("notes")),
    }


def _unless_known(content: dict[str, Any]) -> Response:
    """304 without a body where the client has it already."""
    response = responses.as_json(content)
    response.add_etag()
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response
