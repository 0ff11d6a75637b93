"""A text as server-sent events, while it is made."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

from modules.api import responses
from modules.api.openai.format import error, logprobs, speaker_segments, text
from modules.api.sse import KEEP_ALIVE_S
from modules.clock import Clock
from modules.errors import TranscriberError, noted
from modules.service.answers import Accepted, Text
from modules.service.text_stream import Piece, Stream


class Events:
    """The events of one text; ``diarized`` with who speaks, ``with_logprobs`` at the end."""

    def __init__(self, clock: Clock, diarized: bool, with_logprobs: bool) -> None:
        self._clock = clock
        self._diarized = diarized
        self._with_logprobs = with_logprobs
        self._sent: list[str] = []

    def of(self, first: Piece | Text, others: Stream) -> Iterator[bytes]:
        """A delta for each piece, then the whole text; an ``error`` if there is none."""
        with closing(others):
            try:
                yield from self._of(itertools.chain((first,), others))
            except TranscriberError as problem:
                yield _failed(problem)

    def _of(self, parts: Iterable[Piece | Accepted | Text]) -> Iterator[bytes]:
        spoke = self._clock.monotonic()
        yield b": accepted\n\n"
        for part in parts:
            if isinstance(part, Text):
                yield from self._end(part.result)
            elif isinstance(part, Accepted):
                raise too_late(part)
            elif part.text:
                spoke = self._clock.monotonic()
                yield self._delta(part.text)
            elif self._clock.monotonic() - spoke >= KEEP_ALIVE_S:
                spoke = self._clock.monotonic()
                yield b": still here\n\n"

    def _delta(self, piece: str) -> bytes:
        self._sent.append(piece)
        return _event({"type": "transcript.text.delta", "delta": piece})

    def _end(self, result: dict[str, Any]) -> Iterator[bytes]:
        sent, whole = "".join(self._sent), text(result)
        rest = remaining(sent, whole)
        if rest:
            yield self._delta(rest)
        if self._diarized:
            yield from map(_event, speaker_segments(result))
        scores = {"logprobs": logprobs(result)} if self._with_logprobs else {}
        done = whole if rest is None else sent + rest
        yield _event({"type": "transcript.text.done", "text": done} | scores)


def remaining(sent: str, whole: str) -> str | None:
    """What of the whole text was not sent; None if something else was sent.

    Where sentences were joined across chunks and cut again, a space may have come or gone.
    """
    if whole.startswith(sent):
        return whole[len(sent) :]
    count = sum(not sign.isspace() for sign in sent)
    end = 0
    while count and end < len(whole):
        count -= not whole[end].isspace()
        end += 1
    return whole[end:] if "".join(sent.split()) == "".join(whole[:end].split()) else None


def too_late(found: Accepted) -> TranscriberError:
    return TranscriberError(
        "timeout",
        noted("The text was not there in time."),
        remedy=noted("It is going on: GET /result/{job_id} has it later.", job_id=found.job.job_id),
    )


def status_of(problem: TranscriberError) -> int:
    return 503 if problem.code == "timeout" else responses.error_status(problem)


def _failed(problem: TranscriberError) -> bytes:
    content = error(str(problem), status_of(problem), code=problem.code)
    return _event({"type": "error"} | content, "error")


def _event(content: dict[str, Any], name: str | None = None) -> bytes:
    data = json.dumps(content, ensure_ascii=False, allow_nan=False)
    return f"event: {name or content['type']}\ndata: {data}\n\n".encode(errors="backslashreplace")
