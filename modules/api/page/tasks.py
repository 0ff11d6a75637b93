"""The list of recordings, and one recording with its text."""

from __future__ import annotations

from typing import Any, Literal

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field, RootModel

from modules.api import responses
from modules.api.languages import asked
from modules.api.schemas import answers, requests
from modules.api.services import Services
from modules.config.elsewhere import stays_here, texts_go_to
from modules.machine import collection
from modules.service.editing import Editing
from modules.service.folder_view.rows import State
from modules.service.task_list import GROUPS, TaskList, TaskRow, as_json, texts
from modules.transcript.model import Segment, Word
from modules.transcript.operations import Operation, effective
from modules.transcript.timed_words import timed_words

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
    state: Literal[
        "completed", "manual", "error", "ignored", "skipped", "pending", "queued", "processing"
    ]
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
    sent_to: list[str] = Field(description="other machines that finished texts are sent to")
    stays_here: bool = Field(description="nothing at all is sent to another machine")
    workers: list[answers.WorkerAnswer] | None = Field(
        description="as in /stats/workers; null where there is only the one of this machine"
    )


class TextAnswer(BaseModel):
    """A finished recording and its text, with the corrections that people made."""

    task: TaskAnswer
    duration_seconds: float
    outputs: list[str]
    version: str = Field(description="of the text; for PATCH /edits")
    segments: list[dict[str, Any]] = Field(
        description="id, start, end, text, speaker, flags, and words: [text, start, end, "
        "confidence, what a person did: confirmed, edited or null]"
    )
    dropped: list[dict[str, Any]] = Field(description="text that nobody said, left out")
    notes: list[str]
    corrections: int = Field(description="how many there are")
    not_applied: list[dict[str, Any]] = Field(
        description="corrections of an earlier transcript that do not fit this one"
    )
    unreadable: bool = Field(description="the file with the corrections cannot be read")


class NoTextAnswer(BaseModel):
    """A recording without a text."""

    task: TaskAnswer
    explanation: str | None = Field(description="why it failed")


class TaskWithText(RootModel[TextAnswer | NoTextAnswer]):
    """The text, if there is one."""


def add_tasks(blueprint: APIBlueprint, services: Services) -> None:
    tasks, editing = services.tasks, services.editing
    several = services.workers if services.workers and services.workers.are_several else None
    leaving = {"sent_to": texts_go_to(services.config), "stays_here": stays_here(services.config)}

    @blueprint.get(
        "/api/tasks",
        summary="All recordings by group: being done or waiting, failed, done, ignored",
        tags=[TAG],
        responses={200: TasksAnswer, 304: None},
    )
    def listed(query: TasksQuery) -> Response:
        page = tasks.page(query.state, query.contains, query.start, query.limit)
        return unless_known(
            {
                "tasks": [as_json(task, asked()) for task in page.tasks],
                "total": page.total,
                "counts": dict(page.counts),
                "paused": services.service.paused,
                "workers": several and responses.as_workers(several),
            }
            | leaving
        )

    @blueprint.get(
        "/api/tasks/<path:filename>",
        summary="One recording, with its text if that is there; changes nothing",
        tags=[TAG],
        responses={200: TaskWithText, 304: None, 404: answers.ErrorAnswer},
    )
    def task(path: requests.NamePath) -> Response:
        with collection.paused():
            return unless_known(_with_text(tasks, editing, tasks.task(path.filename)))


def _with_text(tasks: TaskList, editing: Editing, task: TaskRow) -> dict[str, Any]:
    name = task.row.name
    content: dict[str, Any] = {"task": as_json(task, asked())}
    if task.row.state is not State.COMPLETED:
        failed = task.row.state in GROUPS["failed"]
        return content | {"explanation": tasks.explanation(name, asked()) if failed else None}
    result = tasks.result(name)
    metadata = result.get("metadata") or {}
    found = editing.corrected(name, result)
    return content | {
        "duration_seconds": result.get("duration_seconds") or 0.0,
        "outputs": texts(result.get("outputs")),
        "version": found.log.version,
        "segments": [segment_as_json(key, segment) for key, segment in found.text],
        "dropped": [
            {"id": number, "start": each.start, "end": each.end, "text": each.text}
            for number, each in found.text.dropped
        ],
        "notes": texts(metadata.get("notes")),
        "corrections": len(effective(found.log.ops)),
        "not_applied": [
            operation_as_json(each) for each in (*found.log.not_applied, *found.text.skipped)
        ],
        "unreadable": found.unreadable,
    }


def segment_as_json(key: str, segment: Segment) -> dict[str, Any]:
    """A segment as the page has it; the numbers of its words are those of operations."""
    return {
        "id": key,
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "speaker": segment.speaker,
        "flags": list(segment.flags),
        "words": [_word_as_json(word) for word in timed_words(segment)],
    }


def _word_as_json(word: Word) -> list[Any]:
    facts = [word.word, word.start, word.end, word.confidence]
    return [*facts, word.checked] if word.checked else facts


def operation_as_json(operation: Operation) -> dict[str, Any]:
    """As it is stored."""
    return operation.model_dump(mode="json", exclude_none=True)


def unless_known(content: dict[str, Any]) -> Response:
    """304 without a body where the client has it already."""
    response = responses.as_json(content)
    response.add_etag()
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response
