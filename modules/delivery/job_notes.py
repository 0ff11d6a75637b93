"""Notes in an outbox that something is to be done with a job's text, made when the job ends."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

from modules.delivery.outbox import Item, Kind, Outbox
from modules.errors import StorageError
from modules.logger import get_logger
from modules.storage import beneath

log = get_logger("Outbox")

#: What the key of a note begins with; the id of the job follows.
_PREFIXES = {Kind.HANDOVER: "transcript", Kind.SUMMARY: "summary"}


class JobNotes:
    """Thread-safe. ``target``: where the texts go, by its name."""

    def __init__(self, outbox: Outbox, target: str) -> None:
        self._outbox = outbox
        self._target = target
        self._lock = threading.Lock()
        #: The names of those that could not be written, by job id.
        self._unwritten: dict[str, str] = {}

    def __len__(self) -> int:
        """How many there are, as far as they are known."""
        with self._lock:
            return len(self._outbox) + len(self._unwritten)

    @property
    def are_all_written(self) -> bool:
        with self._lock:
            return not self._unwritten

    def add(self, name: str, job_id: str) -> None:
        """Returns once the note is on disk. Never raises: what cannot be written is kept in memory
        until ``write_rest`` can."""
        if not self._put(name, job_id):
            with self._lock:
                self._unwritten[job_id] = name

    def holds(self, job_id: str) -> bool:
        """Whether there is a note about a job."""
        with self._lock:
            return job_id in self._unwritten or self._outbox.holds(self._key(job_id))

    def write_rest(self) -> None:
        """Write what could not be written before."""
        with self._lock:
            left = dict(self._unwritten)
        for job_id, name in left.items():
            if not self._put(name, job_id):
                return
            with self._lock:
                self._unwritten.pop(job_id, None)

    def _put(self, name: str, job_id: str) -> bool:
        facts = {"filename": name, "job_id": job_id}
        try:
            self._outbox.put(self._target, facts, self._key(job_id))
        except StorageError as error:
            log.warning("%s: a note could not be written yet and is kept: %s", name, error)
            return False
        return True

    def _key(self, job_id: str) -> str:
        return f"{_PREFIXES[self._outbox.kind]}-{job_id}"


def name_in(item: Item) -> str:
    return str(item.payload.get("filename"))


def job_in(item: Item) -> str:
    return str(item.payload.get("job_id"))


def waiting_in(folder: Path) -> int:
    """How many notes are in the folder of an outbox, whoever works on it; 0 if there is none."""
    with contextlib.suppress(OSError):
        return sum(name.endswith(".json") for name in beneath.names_in(folder))
    return 0
