"""Every recording, as a page lists and opens it. Changes nothing, and makes nothing go first."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modules.clock import Clock, iso
from modules.config.schema import Config
from modules.errors import StorageError, TranscriberError
from modules.recordings.names import is_recording
from modules.recordings.store import RecordingStore
from modules.service.answers import View
from modules.service.folder_view.report import Reporter
from modules.service.folder_view.rows import Row, State
from modules.service.status import StatusReader

#: A look at the folders holds for so long, however many clients ask.
_LOOK_S = 1.0
#: The order of the groups: what runs, what waits, and what is over, the latest first.
_GROUPS = {State.PROCESSING: 0, State.QUEUED: 1, State.PENDING: 1}
_OVER = 2
#: What may be asked for as a state: the groups in words, and each state.
FILTERS: Mapping[str, frozenset[State]] = {
    "open": frozenset(_GROUPS),
    "done": frozenset({State.COMPLETED}),
    "failed": frozenset({State.ERROR, State.MANUAL}),
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
        self, config: Config, files: RecordingStore, status: StatusReader, clock: Clock
    ) -> None:
        self._reporter = Reporter(config, files)
        self._files = files
        self._status = status
        self._clock = clock
        self._lock = threading.Lock()
        self._rows: list[Row] = []
        self._names: set[str] = set()
        self._seen_at = -math.inf

    def page(
        self, state: str | None = None, contains: str = "", start: int = 0, most: int = 200
    ) -> TaskPage:
        """Those that are being done or wait in their order, then the others, the latest first.

        ``state``: a key of FILTERS. ``contains``: a part of the name, in any case. Raises
        StorageError.
        """
        live = {view.filename: view for view in self._status.queue()}
        rows = self._look(live)
        wanted = FILTERS[state] if state else frozenset(State)
        needle = contains.casefold()
        found = [
            TaskRow(row, live.get(row.name))
            for row in rows
            if row.state in wanted and needle in row.name.casefold()
        ]
        found.sort(key=_place)
        counts = Counter(str(row.state) for row in rows)
        return TaskPage(found[start : start + most], len(found), counts)

    def task(self, name: str) -> TaskRow:
        """One recording. Raises TranscriberError ``file_not_found``, StorageError."""
        for row in self._look([name] if self._is_there(name) else ()):
            if row.name == name:
                live = next((v for v in self._status.queue() if v.filename == name), None)
                return TaskRow(row, live)
        raise self._status.not_found(name)

    def result(self, name: str) -> dict[str, Any]:
        """The ``.result`` of a recording. Raises TranscriberError, StorageError."""
        result = self._files.results.read(name)
        if result is None:
            raise TranscriberError(
                "no_text_yet",
                f"There is no text of {name!r} yet.",
                remedy="Ask again when its state is completed.",
            )
        return result

    def explanation(self, name: str) -> str | None:
        """Why a recording lies in the manual folder, in the words of its ``.error.txt``."""
        failure = self._files.manual.failure(name)
        return failure.explanation if failure else None

    def _look(self, names: Iterable[str]) -> list[Row]:
        """All rows. A look that missed one of these names, which are there, is repeated at once."""
        with self._lock:
            age_s = self._clock.monotonic() - self._seen_at
            if age_s >= _LOOK_S or not self._names.issuperset(names):
                try:
                    self._rows = self._reporter.look().rows
                except OSError as error:
                    raise StorageError(
                        "share_unavailable", f"The shared folder is unavailable. ({error})"
                    ) from error
                self._names = {row.name for row in self._rows}.union(names)
                self._seen_at = self._clock.monotonic()
            return self._rows

    def _is_there(self, name: str) -> bool:
        if not is_recording(name):
            return False
        return self._files.folder.is_there(name) or self._files.manual.has(name)


def _place(task: TaskRow) -> tuple[int, int, float, str]:
    row, live = task.row, task.live
    group = _GROUPS.get(row.state, _OVER)
    ahead = live.queue_position if live and live.queue_position is not None else 10**9
    turn = row.turn[1] if group < _OVER else -(row.when.timestamp() if row.when else 0.0)
    return group, ahead if group < _OVER else 0, turn, row.name


def as_json(task: TaskRow) -> dict[str, Any]:
    """With keys that are always there; what is not known is null."""
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
        "warnings": list(row.warnings),
        "error": row.error,
        "job_id": live.job_id if live else None,
        "stage": live.stage if live else row.stage,
        "percentage": live.percentage if live else row.percentage,
        "position_seconds": row.job.position_s if row.job else None,
        "attempt": live.current_attempt if live else row.attempt,
        "queue_position": live.queue_position if live else None,
        "eta_seconds": live.eta_seconds if live else None,
        "priority": live.priority if live else None,
    }


def segments(result: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The segments of a ``.result`` with what a page needs; what is malformed is left out.

    A word is ``[text, start, end, confidence]``.
    """
    found = result.get("transcription", {}).get("segments")
    for segment in found if isinstance(found, list) else ():
        if not isinstance(segment, dict) or not isinstance(segment.get("text"), str):
            continue
        words = segment.get("words")
        yield {
            "start": segment.get("start"),
            "end": segment.get("end"),
            "text": segment["text"],
            "speaker": segment.get("speaker"),
            "flags": segment.get("flags") or [],
            "words": [
                [word.get("word"), word.get("start"), word.get("end"), word.get("confidence")]
                for word in (words if isinstance(words, list) else ())
                if isinstance(word, dict)
            ],
        }
