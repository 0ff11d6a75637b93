"""The lines in which a session's commits and utterances are kept, for clients that come back."""

from __future__ import annotations

import contextlib
import errno
import threading
from typing import IO, Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from modules.config.settings import Frozen
from modules.live.events import Committed, SessionEvent, Utterance
from modules.transcript.model import Word

#: No more is kept in memory for a disk that takes nothing.
_WAITING_BYTES = 2**20


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
    speaker: str | None = None
    language: str | None = None


_LINES: TypeAdapter[_CommitLine | _FinalLine] = TypeAdapter(
    Annotated[_CommitLine | _FinalLine, Field(discriminator="kind")]
)


class SaidFile:
    """The lines of one session: in a file, and in memory what the disk has no room for.

    Thread-safe. A line that was not written whole is taken away again, or the next one would be
    lost with it.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._bytes = 0
        self._waiting = bytearray()
        self._lock = threading.Lock()

    def add(self, line: bytes) -> None:
        with self._lock:
            self._waiting += line
            if self._file.closed:
                return
            try:
                self._write(bytes(self._waiting))
            except OSError:
                with contextlib.suppress(OSError):
                    self._file.truncate(self._bytes)
                if len(self._waiting) > _WAITING_BYTES:
                    self._waiting.clear()
            else:
                self._waiting.clear()

    def _write(self, lines: bytes) -> None:
        if self._file.write(lines) != len(lines):
            raise OSError(errno.ENOSPC, "not all of it was written")
        self._bytes += len(lines)

    def waiting(self) -> list[bytes]:
        """The lines that are not in the file."""
        with self._lock:
            return bytes(self._waiting).splitlines(keepends=True)

    def close(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._file.close()


def line_of(event: SessionEvent) -> bytes:
    """With its line end; empty for what is not kept."""
    kept: _CommitLine | _FinalLine
    if isinstance(event, Committed):
        kept = _CommitLine(seq=event.seq, words=event.words)
    elif isinstance(event, Utterance):
        kept = _FinalLine(
            seq=event.seq, start_s=event.start_s, end_s=event.end_s, text=event.text,
            speaker=event.speaker, language=event.language,
        )  # fmt: skip
    else:
        return b""
    return kept.model_dump_json(exclude_none=True).encode() + b"\n"


def event_of(line: bytes) -> Committed | Utterance | None:
    """None for a line that is not ours."""
    try:
        kept = _LINES.validate_json(line)
    except ValidationError:
        return None
    if isinstance(kept, _CommitLine):
        return Committed(kept.seq, kept.words)
    return Utterance(kept.seq, kept.start_s, kept.end_s, kept.text, kept.speaker, kept.language)
