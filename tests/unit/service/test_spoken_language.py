"""The language of a recording while it is being transcribed, from its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modules.errors import StorageError
from modules.jobs.job import Job
from modules.recordings.checkpoint import Checkpoint
from modules.recordings.names import STATE_FOLDER
from modules.recordings.shared_folder import SharedFolder
from modules.recordings.state_store import StateStore
from modules.service.spoken_language import Spoken, SpokenLanguage
from tests.builders import a_chunk, a_job

HEARD: dict[str, Any] = {"detected_language": "uk", "language_probability": 0.75}


class Queue:
    """A scheduler with one job."""

    def __init__(self, job: Job | None = None) -> None:
        self.job = job

    def get(self, name: str) -> Job | None:
        return self.job


@pytest.fixture
def states(tmp_path: Path) -> StateStore:
    (tmp_path / STATE_FOLDER).mkdir()
    return StateStore(SharedFolder(tmp_path))


def test_it_is_that_of_the_first_speech(states: StateStore) -> None:
    queue = Queue()
    spoken = SpokenLanguage(queue, states, "talk.mp3")  # type: ignore[arg-type]
    assert spoken.known() is None  # no job yet
    queue.job = a_job()
    assert spoken.known() is None  # not begun
    writer = states.open_checkpoint(queue.job, states.read_checkpoint(queue.job))
    for index, facts in enumerate([{"language": None}, HEARD, {"detected_language": "ru"}]):
        writer.append(a_chunk(index, **facts))
        queue.job = queue.job.evolve(position_s=10.0 * (index + 1))
        assert spoken.known() == (Spoken("uk", 0.75) if index else None)
    writer.close()
    queue.job = None
    assert spoken.known() == Spoken("uk", 0.75), "it is known also once the job is gone"


def test_it_is_read_only_once_the_job_went_on(
    states: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []

    def read(job: Job) -> Checkpoint:
        reads.append(job.name)
        if len(reads) == 1:
            raise StorageError("share_unavailable", "The share is away.")
        found = Checkpoint()
        found.chunks.append(a_chunk(0))
        return found

    monkeypatch.setattr(states, "read_checkpoint", read)
    queue = Queue(a_job().evolve(position_s=10.0))
    spoken = SpokenLanguage(queue, states, "talk.mp3")  # type: ignore[arg-type]
    assert [spoken.known() for _ in range(4)] == [None] * 4
    assert len(reads) == 2, "once more after the error, then not before the job goes on"
