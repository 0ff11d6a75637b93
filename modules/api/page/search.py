"""Words in the texts of all recordings."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from modules.api import responses
from modules.api.page.tasks import TAG
from modules.api.schemas import requests
from modules.api.services import Services
from modules.search.index import FOUND_MAX, OF_ONE_MAX

#: So many segments are answered at most.
HITS_MAX = 200


class SearchQuery(requests.Request):
    """What to look for."""

    q: str = Field(
        max_length=200,
        description="words in any form, all in one segment; in quotes in their order; "
        "the last one may be unfinished",
        json_schema_extra={"example": "договор"},
    )
    limit: requests.Count = Field(50, ge=1, le=HITS_MAX)


class HitAnswer(BaseModel):
    """A segment in which all words are."""

    filename: str
    start: float = Field(description="seconds from the beginning of the recording")
    text: str
    marks: list[list[int]] = Field(
        description="[from, to] of what matches, in characters (code points) of the text"
    )
    speaker: str | None


class SearchAnswer(BaseModel):
    hits: list[HitAnswer] = Field(
        description=f"those of one recording together, {OF_ONE_MAX} at most; where words are as "
        "typed first, of equals the newest"
    )
    total: int = Field(description=f"how many segments there are; {FOUND_MAX} stands for more too")
    pending: int = Field(description="how many recordings are not indexed yet")


def add_search(blueprint: APIBlueprint, services: Services) -> None:
    @blueprint.get(
        "/search",
        summary="Words in the texts of all recordings, in any form",
        tags=[TAG],
        responses={200: SearchAnswer},
    )
    def search(query: SearchQuery) -> Response:
        page = services.search.find(query.q, query.limit)
        hits = [
            {
                "filename": hit.name,
                "start": hit.start,
                "text": hit.text,
                "marks": [list(mark) for mark in hit.marks],
                "speaker": hit.speaker,
            }
            for hit in page.hits
        ]
        return responses.as_json({"hits": hits, "total": page.total, "pending": page.pending})
