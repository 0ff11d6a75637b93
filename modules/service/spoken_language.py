"""The language of a recording while it is being transcribed: that of its first speech."""

from __future__ import annotations

from dataclasses import dataclass

from modules.errors import StorageError
from modules.jobs.scheduler import Scheduler
from modules.recordings.state_store import StateStore


@dataclass(frozen=True)
class Spoken:
    """Whisper's code of a language, and how probable it is."""

    code: str
    probability: float


class SpokenLanguage:
    """Looks for it in the checkpoint of a job each time that has grown. For one thread."""

    def __init__(self, scheduler: Scheduler, states: StateStore, name: str) -> None:
        self._scheduler = scheduler
        self._states = states
        self._name = name
        self._looked_at_s = 0.0
        self._found: Spoken | None = None

    def known(self) -> Spoken | None:
        """None before there was speech, and if the checkpoint cannot be read at the moment."""
        if self._found is None:
            self._look()
        return self._found

    def _look(self) -> None:
        job = self._scheduler.get(self._name)
        if job is None or job.position_s <= self._looked_at_s:
            return
        try:
            chunks = self._states.read_checkpoint(job).chunks
        except StorageError:
            return
        self._looked_at_s = chunks.position_s
        for chunk in chunks:
            if chunk.detected_language:
                probability = chunk.language_probability or 0.0
                self._found = Spoken(chunk.detected_language, probability)
                return
