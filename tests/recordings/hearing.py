"""What the child makes of a recording, in this process; and what of that is not right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from modules.engines.base import Engine
from modules.executors.protocol import Done, Event
from modules.executors.tasks import task_for
from modules.outputs.result import result_json
from modules.transcript.model import Chunk, RunFacts, Segment
from modules.transcript.transcript import Transcript
from modules.worker.transcription import Transcription
from tests.builders import NOON, SETTINGS, a_config, a_job, assigned
from tests.recordings.row import Row
from tests.speech import normalised, word_error_rate

#: Speech that has words in the text, as a share of all, where the text is right.
_WITH_WORDS = 0.85


@dataclass
class _Line:
    """The lines to and from the parent."""

    next_up: None = None
    events: list[Event] = field(default_factory=list)

    def send(self, event: Event) -> None:
        self.events.append(event)

    def stopped(self, task_id: int) -> bool:
        return False


@dataclass(frozen=True)
class Heard:
    """``metadata``: as in ``.result``."""

    chunks: tuple[Chunk, ...]
    metadata: dict[str, Any]

    @property
    def segments(self) -> list[Segment]:
        return list(Transcript(self.chunks))

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)

    @property
    def languages(self) -> tuple[str, ...]:
        """Of the segments, in order, each once in a row."""
        found = (s.language or c.language for c in self.chunks for s in c.segments)
        return tuple(str(language) for language, _ in groupby(found))


def heard(path: Path, row: Row, engine: Engine) -> Heard:
    """The text of a file, by the code that the child runs. Raises TranscriberError."""
    settings = SETTINGS.model_copy(update=dict(row.settings))
    command = task_for(path, settings, engine.spec, a_config(path.parent)).command
    line = _Line()
    nobody: Any = lambda *_: None  # noqa: E731
    Transcription(assigned(command), engine, nobody, line, line).run()  # type: ignore[arg-type]
    chunks = tuple(event for event in line.events if isinstance(event, Chunk))
    done = line.events[-1]
    assert isinstance(done, Done)
    facts = RunFacts(
        duration_s=done.duration_s,
        notes=done.notes,
        whisperx_version="",
        model_name=engine.spec.name,
        model_size_mb=0,
        model_load_s=0,
        memory_peak_mb=0,
        cpu_s=done.cpu_seconds,
        left_out=done.left_out,
    )
    job = a_job(path.name, settings=settings)
    result = result_json(job, Transcript(chunks), facts, [], NOON)
    return Heard(chunks, result["metadata"])


def complaints(row: Row, found: Heard) -> Iterator[str]:
    """What is not as the row says; nothing if all is."""
    yield from _of_text(row, found)
    yield from _of_times(row, found)
    yield from _of_metadata(row, found)


def _of_text(row: Row, found: Heard) -> Iterator[str]:
    if not row.text:
        if found.text:
            yield f"nobody said {found.text!r}"
    elif (wrong := word_error_rate(row.text, found.text)) > row.wrong:
        yield f"{wrong:.0%} of the words are wrong in {found.text!r}"
    if found.languages != row.languages:
        yield f"the languages are {found.languages}"


def _of_times(row: Row, found: Heard) -> Iterator[str]:
    words = [word for segment in found.segments for word in segment.words]
    for wanted, at_s, within_s in row.times:
        starts = [w.start for w in words if normalised(w.word).startswith(wanted) and w.start]
        if not any(abs(start - at_s) <= within_s for start in starts):
            yield f"{wanted!r} begins at {starts} and not at {at_s:.2f} ± {within_s} s"
    times = [time for word in words for time in (word.start, word.end)]
    if times != sorted(times, key=lambda time: time or 0.0):
        yield f"words run backwards: {times}"


def _of_metadata(row: Row, found: Heard) -> Iterator[str]:
    metadata, account = found.metadata, found.metadata["account"]
    notes = metadata["notes"]
    yield from (f"no note says {each!r}: {notes}" for each in row.notes if each not in str(notes))
    yield from (f"a note says {each!r}: {notes}" for each in row.absent if each in str(notes))
    codes = tuple(each["code"] for each in metadata.get("warnings", ()))
    if codes != row.warnings:
        yield f"the warnings are {codes}: {notes}"
    left_out = [(each["what"], each["label"], each["why"]) for each in account["left_out"]]
    alike = [
        what == whats and why == whys and label.startswith(labels)
        for (what, label, why), (whats, labels, whys) in zip(left_out, row.left_out, strict=False)
    ]
    if len(left_out) != len(row.left_out) or not all(alike):
        yield f"left out is {left_out}"
    if row.duration_s is not None and abs(account["sound_seconds"] - row.duration_s) > 0.1:
        yield f"it is {account['sound_seconds']} s long"
    if row.text and account["speech_with_words_seconds"] < _WITH_WORDS * account["speech_seconds"]:
        yield f"speech has no words: {account}"
