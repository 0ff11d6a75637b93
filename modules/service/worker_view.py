"""The workers that transcribe, as everybody is shown them: in the API, the page, the terminal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from modules.clock import Clock, iso
from modules.errors import noted
from modules.executors.base import (
    Executor,
    ExecutorStatus,
    WorkerPool,
    WorkerStatus,
    combined,
)
from modules.messages import restored, template_of
from modules.runner.seat import Seat

#: ``held``: something keeps it from every recording. ``lost``: it is gone, and nothing has taken
#: its place. ``off``: there is no process, as none is needed or none could be started.
State = Literal["off", "starting", "loading", "waiting", "transcribing", "live", "held", "lost"]
#: A lost one is remembered for so long.
_LOST_KEPT = timedelta(days=1)
_LOST = noted("Its machine, or the network to it, was lost.")


@dataclass(frozen=True)
class WorkerView:
    """A worker; what is not known is None. ``since``: when its state began.

    ``filename`` and ``job_id``: what it transcribes. ``problem``: why it does nothing.
    """

    name: str
    node: str
    device: str | None
    state: State
    since: AwareDatetime
    model: str | None = None
    compute_type: str | None = None
    encoder: str | None = None
    pid: int | None = None
    memory_mb: int = 0
    filename: str | None = None
    job_id: str | None = None
    live_sessions: int = 0
    problem: str | None = None

    def as_json(self) -> dict[str, object]:
        """With keys that are always there."""
        return {**vars(self), "since": iso(self.since)}

    def to_message(self) -> dict[str, object]:
        """The same for another process, which may speak another language: ``from_message``."""
        return self.as_json() | {"problem_template": template_of(self.problem)}

    @classmethod
    def from_message(cls, content: object) -> WorkerView | None:
        """What ``to_message`` gave, or None: anybody may have written it."""
        if not isinstance(content, Mapping):
            return None
        try:
            view = _VIEW.validate_python(content)
        except ValidationError:
            return None
        if view.problem is None:
            return view
        return replace(view, problem=restored(view.problem, content.get("problem_template")))


_VIEW = TypeAdapter(WorkerView)


class Workers:
    """Remembers since when each is as it is, and which were lost. Thread-safe.

    ``live_sessions()``: how many the worker with the live channel serves. Between two looks a state
    may come and go unseen, so look often.
    """

    def __init__(
        self,
        pool: WorkerPool,
        seats: Callable[[], Iterable[Seat]],
        live_sessions: Callable[[], int],
        clock: Clock,
    ) -> None:
        self._pool = pool
        self._seats = seats
        self._live_sessions = live_sessions
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, WorkerView] = {}
        self._executors: dict[str, Executor] = {}
        self._lost: dict[str, WorkerView] = {}

    @property
    def restarts(self) -> Mapping[str, int]:
        """How often a worker was replaced, by reason."""
        return combined([each.executor.status for each in self._pool.workers()]).restarts

    @property
    def are_several(self) -> bool:
        """Whether a person is to be shown them at all times: not where there is this machine's
        alone."""
        return not self._pool.is_fixed or self._pool.limit > 1

    def views(self) -> Sequence[WorkerView]:
        """Those that there are, then those that were lost and not replaced."""
        with self._lock:
            now = self._clock.utc_now()
            seats = list(self._seats())
            looked = [self._view(seat, now) for seat in seats]
            found = [view if is_dated else self._dated(view) for view, is_dated in looked]
            self._note_lost({view.name for view in found}, now)
            self._seen = {view.name: view for view in found}
            self._executors = {seat.worker.name: seat.worker.executor for seat in seats}
            return [*found, *self._lost.values()]

    def _dated(self, view: WorkerView) -> WorkerView:
        """With the beginning of a state that does not say it itself."""
        before = self._seen.get(view.name)
        if before and before.state == view.state:
            return replace(view, since=before.since)
        return view

    def _note_lost(self, there: set[str], now: datetime) -> None:
        gone = [view for name, view in self._seen.items() if name not in there]
        for view in gone:
            self._lost[view.name] = WorkerView(
                view.name, view.node, view.device, "lost", now, view.model,
                problem=self._why_lost(view.name),
            )  # fmt: skip
        places = max(0, self._pool.limit - len(there))
        kept = [
            view
            for view in self._lost.values()
            if view.name not in there and now - view.since < _LOST_KEPT
        ]
        kept.sort(key=lambda view: view.since, reverse=True)
        self._lost = {view.name: view for view in kept[:places]}

    def _why_lost(self, name: str) -> str:
        """Its own reason; what keeps others from coming is not why this one is gone."""
        return self._executors[name].status.lost or _LOST

    def _view(self, seat: Seat, now: datetime) -> tuple[WorkerView, bool]:
        """And whether its beginning is known, or has only been seen now."""
        status = seat.worker.executor.status
        near = status.workers[0] if status.workers else None
        state, since = self._near(seat, near, now) if near else _far(seat, status)
        view = WorkerView(
            seat.worker.name,
            near.node if near else seat.worker.node,
            (near and near.device) or seat.worker.device,
            state,
            since or now,
            near.model if near else status.model_loaded,
            near.compute_type if near else None,
            near.encoder if near else None,
            near.pid if near else None,
            near.memory_mb if near else status.memory_mb,
            seat.hand.name if seat.hand else None,
            seat.hand.job_id if seat.hand else None,
            self._live_sessions() if near and near.serves_live else 0,
            seat.problem,
        )
        return view, since is not None

    def _near(self, seat: Seat, near: WorkerStatus, now: datetime) -> tuple[State, datetime | None]:
        """One of this machine, which knows itself what it does and since when."""
        began = now - timedelta(seconds=max(0.0, self._clock.monotonic() - near.since))
        if seat.hand and near.state == "waiting":
            return "transcribing", seat.hand.since
        if seat.problem and not seat.hand:
            return "held", None
        if near.state == "waiting" and near.serves_live and self._live_sessions():
            return "live", began
        return near.state, began


def _far(seat: Seat, status: ExecutorStatus) -> tuple[State, datetime | None]:
    """One on another machine, which says less of itself."""
    if seat.hand:
        return "transcribing", seat.hand.since
    if seat.problem:
        return "held", None
    return ("waiting" if status.is_running or status.is_idle else "off"), None
