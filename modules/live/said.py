"""The lines in which a session's commits and utterances are kept, for clients that come back."""

from __future__ import annotations

import contextlib
from typing import IO, Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from modules.config.settings import Frozen
from modules.live.events import Committed, SessionEvent, Utterance
from modules.transcript.model import Word


class _CommitLine(Frozen):
    kind: Literal["commit"] = "commit"
    seq: int
    words: tuple[Word, ...]


class _FinalLine(Frozen):
    kind: Literal["final"] = "final"
    seq: int
    start_s: float
    end_s: float
    text: str
    language: str | None = None


_LINES: TypeAdapter[_CommitLine | _FinalLine] = TypeAdapter(
    Annotated[_CommitLine | _FinalLine, Field(discriminator="kind")]
)


def line_of(event: SessionEvent) -> bytes:
    """With its line end; empty for what is not kept."""
    kept: _CommitLine | _FinalLine
    if isinstance(event, Committed):
        kept = _CommitLine(seq=event.seq, words=event.words)
    elif isinstance(event, Utterance):
        kept = _FinalLine(
            seq=event.seq, start_s=event.start_s, end_s=event.end_s, text=event.text,
            language=event.language,
        )  # fmt: skip
    else:
        return b""
    return kept.model_dump_json(exclude_none=True).encode() + b"\n"


def keep(file: IO[bytes], event: SessionEvent) -> None:
    """Add its line, if it is kept. What cannot be written, only clients that come back miss."""
    line = line_of(event)
    if line:
        with contextlib.suppress(OSError):
            file.write(line)


def event_of(line: bytes) -> Committed | Utterance | None:
    """None for a line that is not ours."""
    try:
        kept = _LINES.validate_json(line)
    except ValidationError:
        return None
    if isinstance(kept, _CommitLine):
        return Committed(kept.seq, kept.words)
    return Utterance(kept.seq, kept.start_s, kept.end_s, kept.text, language=kept.language)
