"""Small things that many tests are made of."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from modules.config.schema import Config
from modules.config.settings import TranscriptionSettings
from modules.executors.protocol import Transcribe
from modules.jobs.job import Job, Priority, Status
from modules.jobs.source import FileIdentity
from modules.storage.recording_file import open_recording_file
from modules.transcript.model import Chunk, Segment, Word
from modules.worker.pipes import Assignment, OpenFile

T = TypeVar("T")
SETTINGS = TranscriptionSettings(
    model_size="base", language="ru", temperature=0.0, compute_type="int8", device="cpu"
)
SOURCE = FileIdentity(size=100, mtime_ns=1_700_000_000_000_000_000, fingerprint="f" * 64)
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


def until(condition: Callable[[], T], sentence: str, timeout_s: float = 30.0) -> T:
    """What ``condition`` returns once it is true; ``sentence`` says what did not happen."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"within {timeout_s:g} s: {sentence}")
        time.sleep(0.01)
    return value


def a_config(root: Path, **sections: Any) -> Config:
    """A configuration with its folders under ``root``; sections go over the defaults."""
    # Only tests of just that wait until a broken file can no longer be growing.
    given = sections.pop("processing", {})
    tree: dict[str, Any] = {
        "processing": {"growth_wait_seconds": 0, **given},
        "shared_directory": str(root / "shared"),
        "manual_directory": str(root / "manual"),
        "models_directory": str(root / "models"),
    }
    return Config.model_validate(tree | sections, context={"base": root})


def a_model(models: Path) -> None:
    """A folder that passes for Whisper base, as long as nobody loads it."""
    folder = models / "faster-whisper-base"
    folder.mkdir(parents=True)
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_bytes(b"{}")


def assigned(command: Transcribe) -> Assignment:
    """A command as the child gets it: with the recording open."""
    path = Path(os.fsdecode(command.path))
    return Assignment(command, OpenFile(open_recording_file(path)))


def a_job(name: str = "talk.mp3", **changes: Any) -> Job:
    facts: dict[str, Any] = {
        "job_id": f"id-{name.encode('ascii', 'replace').hex()[:40]}",
        "priority": Priority.SCAN,
        "settings": SETTINGS,
        "source": SOURCE,
        "created": NOON,
        "status": Status.QUEUED,
    }
    return Job(name=name, **(facts | changes))


def a_word(text: str, start: float | None = None, end: float | None = None) -> Word:
    return Word(word=text, start=start, end=end, confidence=0.5)


def a_segment(start: float, end: float, text: str, words: tuple[Word, ...] = ()) -> Segment:
    return Segment(start=start, end=end, text=text, words=words)


def a_chunk(index: int, text: str = "слово", **changes: Any) -> Chunk:
    """The chunk from ``10 * index`` seconds on, 10 s long, with one segment."""
    start = 10.0 * index
    facts: dict[str, Any] = {
        "task_id": 1,
        "start_s": start,
        "position_s": start + 10,
        "speech_s": 4.0,
        "segments": (a_segment(start, start + 4, f"{text} {index}"),),
        "language": "ru",
    }
    return Chunk(**(facts | changes))
