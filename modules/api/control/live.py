"""Live sessions over HTTP: which there are, and ending them."""

from __future__ import annotations

from typing import Any, Literal

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from modules.api import responses
from modules.api.languages import said
from modules.api.schemas import answers, requests
from modules.api.services import Services
from modules.errors import TranscriberError
from modules.live.leftovers import not_found
from modules.live.offered import why_not
from modules.live.session import Session

_TAG = Tag(name="live", description="Text while people speak; the sessions begin at /live")


class SessionPath(BaseModel):
    session_id: str = Field(max_length=64, json_schema_extra={"example": "0" * 32})


class EndQuery(requests.Request):
    discard: requests.Flag = Field(default=False, description="forget what was said, too")


class SessionAnswer(answers.Answer):
    """A live session; ``step_seconds``: null means that only whole utterances are told."""

    session: str
    name: str | None
    state: Literal["open", "closing", "finishing", "over"]
    connected: bool = Field(description="false while its client may still come back")
    created: str
    rate: int
    language: str | None
    received_samples: int
    received_seconds: float
    seq: int
    word_count: int
    lag_seconds: float
    step_seconds: float | None


class SessionsAnswer(answers.Answer):
    """``enabled``: whether there are live sessions here; ``free``: whether one more may begin."""

    enabled: bool
    free: bool
    error_code: str | None = Field(description="why there are none here; null where there are")
    message: str | None = Field(description="the same in words")
    sessions: list[SessionAnswer]


class EndedAnswer(answers.Answer):
    """``ending``: the recording appears in the shared folder soon."""

    status: Literal["ending", "discarded"]
    session: str


def add_live(blueprint: APIBlueprint, services: Services) -> None:
    live = services.live

    @blueprint.get(
        "/sessions",
        summary="Live sessions that are open",
        tags=[_TAG],
        responses={200: SessionsAnswer},
    )
    def sessions() -> Response:
        problem = why_not(services.config)
        content = {
            "enabled": problem is None,
            "free": problem is None and _is_free(services),
            "error_code": problem and problem.code,
            "message": problem and said(problem.text),
            "sessions": [_view(session) for session in live.all()],
        }
        return responses.as_json(content)

    _add_session(blueprint, services)


def _add_session(blueprint: APIBlueprint, services: Services) -> None:
    live = services.live

    @blueprint.get(
        "/sessions/<string:session_id>",
        summary="One live session",
        tags=[_TAG],
        responses={200: SessionAnswer, 404: answers.ErrorAnswer},
    )
    def session(path: SessionPath) -> Response:
        found = live.find(path.session_id)
        if found is None:
            raise not_found()
        return responses.as_json(_view(found))

    @blueprint.delete(
        "/sessions/<string:session_id>",
        summary="End a live session: it is stored, unless it is to be discarded",
        tags=[_TAG],
        responses={200: EndedAnswer, 404: answers.ErrorAnswer},
    )
    def end(path: SessionPath, query: EndQuery) -> Response:
        live.end(path.session_id, query.discard)
        status = "discarded" if query.discard else "ending"
        return responses.as_json({"status": status, "session": path.session_id})


def _is_free(services: Services) -> bool:
    try:
        services.live.check_room()
    except TranscriberError:
        return False
    return True


def _view(session: Session) -> dict[str, Any]:
    return {
        "session": session.session_id,
        "name": session.note.name,
        "state": session.state,
        "connected": session.presence.is_connected,
        "created": session.note.created,
        "rate": session.note.rate,
        "language": session.utterances.language,
        "received_samples": session.samples,
        "received_seconds": round(session.received_s, 2),
        "seq": session.seq,
        "word_count": session.utterances.words,
        "lag_seconds": round(session.lag_s, 1),
        "step_seconds": session.step_s,
    }
