"""Every recording, as a page lists and opens it. Changes nothing, and makes nothing go first."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modules.clock import Clock, iso
from modules.config.schema import Config
from modules.errors import StorageError, noted, reason_of
from modules.jobs.queue_reader import QueueReader
from modules.messages import translated
from modules.outputs.notes import sentence
from modules.recordings.names import is_recording
from modules.recordings.store import RecordingStore
from modules.service.answers import View
from modules.service.folder_view.report import Reporter
from modules.service.folder_view.rows import Row, State
from modules.service.status import StatusReader

#: A look at the folders holds for so long, however many clients ask, and for so many times as long
#: as it took.
_LOOK_S, _LOOK_SHARE = 1.0, 10.0
#: The groups of the list in their order, and what may be asked for.
GROUPS: Mapping[str, frozenset[State]] = {
    "open": frozenset({State.PROCESSING, State.QUEUED, State.PENDING}),
    "failed": frozenset({State.ERROR, State.MANUAL}),
    "done": frozenset({State.COMPLETED}),
    "ignored": frozenset({State.IGNORED, State.SKIPPED}),
}


@dataclass(frozen=True)
class TaskRow:
    """A recording in the list. ``live``: what the queue says of it, if it is there.

    ``in_manual``: it lies in the manual folder.
    """

    row: Row
    live: View | None = None

    @property
    def in_manual(self) -> bool:
        return self.row.state is State.MANUAL


@dataclass(frozen=True)
class TaskPage:
    """A part of the list. ``total``: how many the filters let through; ``counts``: of all, by
    state."""

    tasks: Sequence[TaskRow]
    total: int
    counts: Mapping[str, int]


class TaskList:
    """The list of all recordings. Thread-safe."""

    def __init__(
        self,
        config: Config,
        files: RecordingStore,
        scheduler: QueueReader,
        status: StatusReader,
        clock: Clock,
    ) -> None:
        self._reporter = Reporter(config, files)
        self._files = files
        self._scheduler = scheduler
        self._status = status
        self._clock = clock
        self._lock = threading.Lock()
        self._rows: list[Row] = []
        self._names: set[str] = set()
        self._look_at = -math.inf

    def page(
        self, group: str | None = None, contains: str = "", start: int = 0, most: int = 200
    ) -> TaskPage:
        """Up to ``most`` of each group, or from ``start`` on of one.

        Those that are open stand in the order of their turn, the others from the latest on.
        ``contains``: a part of the name, in any case. Raises StorageError.
        """
        places = {job.name: place for place, job in enumerate(self._scheduler.jobs())}
        rows = self._look(places)
        needle = contains.casefold()
        found = [row for row in rows if needle in row.name.casefold()]
        shown: list[TaskRow] = []
        for name in [group] if group else GROUPS:
            members = [row for row in found if row.state in GROUPS[name]]
            members.sort(key=lambda row: _place(row, places))
            first = start if group else 0
            shown += [self._with_queue(row, places) for row in members[first : first + most]]
        wanted = GROUPS[group] if group else frozenset(State)
        total = sum(row.state in wanted for row in found)
        return TaskPage(shown, total, Counter(str(row.state) for row in rows))

    def task(self, name: str) -> TaskRow:
        """One recording, in the shared folder before the manual one.

        Raises TranscriberError ``file_not_found``, StorageError.
        """
        found = [
            row for row in self._look([name] if self._is_there(name) else ()) if row.name == name
        ]
        if not found:
            raise self._status.not_found(name)
        found.sort(key=lambda row: row.state is State.MANUAL)
        return self._with_queue(found[0], {name: 0})

    def _with_queue(self, row: Row, places: Container[str]) -> TaskRow:
        job = self._scheduler.get(row.name) if row.name in places else None
        waits = job is not None and row.state is not State.MANUAL
        return TaskRow(row, self._status.view(job) if job and waits else None)

    def result(self, name: str) -> dict[str, Any]:
        """The ``.result`` of a recording. Raises TranscriberError, StorageError."""
        return self._files.results.require(name)

    def explanation(self, name: str, language: str = "en") -> str | None:
        """Why a recording failed, in the words of its ``.error.txt``."""
        failure = self._files.manual.failure(name) or self._files.left.of(name)
        return failure.explained(language) if failure else None

    def _look(self, names: Iterable[str]) -> list[Row]:
        """All rows. A look that missed one of these names, which are there, is repeated at once."""
        with self._lock:
            began = self._clock.monotonic()
            if began >= self._look_at or not self._names.issuperset(names):
                try:
                    self._rows = self._reporter.look().rows
                except OSError as error:
                    raise StorageError(
                        "share_unavailable",
                        noted("The shared folder is unavailable. ({path})", path=reason_of(error)),
                    ) from error
                self._names = {row.name for row in self._rows}.union(names)
                now = self._clock.monotonic()
                self._look_at = now + max(_LOOK_S, _LOOK_SHARE * (now - began))
            return self._rows

    def _is_there(self, name: str) -> bool:
        if not is_recording(name):
            return False
        return self._files.folder.is_there(name) or self._files.manual.has(name)


def _place(row: Row, places: Mapping[str, int]) -> tuple[int, float, str]:
    if row.state in GROUPS["open"]:
        return places.get(row.name, len(places)), row.turn[1], row.name
    return 0, -(row.when.timestamp() if row.when else 0.0), row.name


def as_json(task: TaskRow, language: str = "en") -> dict[str, Any]:
    """For a reader of ``language``, with keys that are always there; what is not known is null."""
    row, live = task.row, task.live
    return {
        "filename": row.name,
        "state": str(row.state),
        "when": iso(row.when) if row.when else None,
        "duration_seconds": row.duration_s,
        "language": row.language,
        "word_count": row.words,
        "speaker_count": row.speakers,
        "flagged_seconds": row.flagged_s,
        "warnings": [
            {language: sentence(each, language) for language in ("en", "ru")}
            for each in row.warnings
        ],
        "error": translated(row.error, language) if row.error else None,
        "job_id": live.job_id if live else None,
        "stage": live.stage if live else row.stage,
        "percentage": live.percentage if live else row.percentage,
        "position_seconds": row.job.position_s if row.job else None,
        "attempt": live.current_attempt if live else row.attempt,
        "queue_position": live.queue_position if live else None,
        "eta_seconds": live.eta_seconds if live else None,
        "priority": live.priority if live else None,
    }


def texts(found: object) -> list[str]:
    """What of a list is text."""
    return [each for each in _items(found) if isinstance(each, str)]


def _items(found: object) -> list[Any]:
    return found if isinstance(found, list) else []
