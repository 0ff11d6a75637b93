"""The parts of the service, each with its state, since when it has it, and why."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from modules.clock import Clock

#: ``idle``: nothing to do for it. ``degraded``: it works, but not as it should. ``failed``: it does
#: not work. ``off``: switched off in the configuration.
State = Literal["ok", "idle", "degraded", "failed", "off"]


@dataclass(frozen=True)
class PartState:
    """``why`` is None where there is nothing to say."""

    state: State
    why: str | None = None


@dataclass(frozen=True)
class Part:
    """``since``: when the state was first seen, ``why`` aside."""

    name: str
    state: State
    since: datetime
    why: str | None


class PartStates:
    """Remembers since when each part has its state. Thread-safe.

    ``probes`` answer at once. Between two looks a state may come and go unseen, so look often.
    """

    def __init__(self, probes: Mapping[str, Callable[[], PartState]], clock: Clock) -> None:
        self._probes = dict(probes)
        self._clock = clock
        self._lock = threading.Lock()
        self._since: dict[str, tuple[State, datetime]] = {}

    def look(self) -> list[Part]:
        """Ask every part."""
        found = {name: probe() for name, probe in self._probes.items()}
        now = self._clock.utc_now()
        with self._lock:
            return [self._part(name, found[name], now) for name in self._probes]

    def _part(self, name: str, found: PartState, now: datetime) -> Part:
        state, since = self._since.get(name, (None, now))
        if state != found.state:
            self._since[name] = found.state, now
            since = now
        return Part(name, found.state, since, found.why)
