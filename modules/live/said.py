"""The lines in which a session's commits and utterances are kept, for clients that come back."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
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
    """The lines of one session: in memory until they are written, then in a file.

    Thread-safe. ``add`` and ``waiting`` never wait for the disk; ``save`` and ``close`` do. A line
    is in one of the two places at any moment, so who asks ``waiting`` before reading the file
    misses none, and may find some twice.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._bytes = 0
        self._is_torn = False
        #: Held while the file is written.
        self._disk = threading.Lock()
        self._lock = threading.Lock()
        self._unwritten: deque[bytes] = deque()
        self._unwritten_bytes = 0
        self._being_written: list[bytes] = []

    def add(self, line: bytes) -> None:
        """Keep it; where the disk takes nothing for very long, in the place of the oldest."""
        if not line:
            return
        with self._lock:
            self._unwritten.append(line)
            self._unwritten_bytes += len(line)
            while self._unwritten_bytes > _WAITING_BYTES:
                self._unwritten_bytes -= len(self._unwritten.popleft())

    def save(self) -> None:
        """Write what waits; what cannot be written waits on."""
        with self._disk:
            with self._lock:
                if self._file.closed or not self._unwritten:
                    return
                lines = self._being_written = list(self._unwritten)
                self._unwritten.clear()
                self._unwritten_bytes = 0
            is_written = False
            try:
                is_written = self._write(b"".join(lines))
            finally:
                with self._lock:
                    self._being_written = []
                    if not is_written:
                        self._unwritten.extendleft(reversed(lines))
                        self._unwritten_bytes += sum(map(len, lines))

    def _write(self, lines: bytes) -> bool:
        """Whether all of it is in the file; what is not whole is taken away before the next."""
        try:
            if self._is_torn:
                self._file.truncate(self._bytes)
            self._is_torn = True
            self._is_torn = self._file.write(lines) != len(lines)
        except OSError:
            return False
        self._bytes += 0 if self._is_torn else len(lines)
        return not self._is_torn

    def waiting(self) -> list[bytes]:
        """The lines that may not be in the file."""
        with self._lock:
            return [*self._being_written, *self._unwritten]

    def close(self) -> None:
        with self._disk, contextlib.suppress(OSError):
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
