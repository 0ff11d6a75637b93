"""What goes wrong with the disk: single errors, bursts of them, deaths, and hands in between."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable

from modules.clock import Clock
from modules.storage.atomic import TEMPORARY_PREFIX
from tests.disk import CHANGES, Call, Fault

_FULL = frozenset({"write", "mkdir", "sendfile", "link"})
_SINGLE = (errno.EIO, errno.ESTALE, errno.EACCES)
_LONGEST_S = 60.0


class Weather:
    """The plan of a ``Disk``. Rates are probabilities for each call.

    ``between``: called now and then just before a call, for what others do at that moment.
    """

    def __init__(
        self, dice: random.Random, clock: Clock, errors: float, deaths: float, acts: float,
        between: Callable[[Call], None],
    ) -> None:  # fmt: skip
        self._dice = dice
        self._clock = clock
        self._errors = errors
        self._deaths = deaths
        self._acts = acts
        self._between = between
        self._until = 0.0
        self._kind = "full"
        self.is_fine = False

    def worsen(self) -> str:
        """From now on, for a while, a whole class of calls fails."""
        self._kind = self._dice.choice(("full", "read-only", "denied", "stale", "manual"))
        length_s = self._dice.uniform(1.0, _LONGEST_S)
        self._until = self._clock.monotonic() + length_s
        return f"the disk is {self._kind} for {length_s:.0f} s"

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self.is_fine = True

    def plan(self, call: Call) -> Fault | None:
        if self.is_fine:
            return None
        if self._clock.monotonic() < self._until:
            number = self._lasting(call)
            if number:
                return Fault(error=number, torn=self._dice.random() < 0.5)
        roll = self._dice.random()
        if roll < self._deaths:
            return Fault(dies=self._dice.choice(("before", "within", "after")))
        if roll < self._deaths + self._errors:
            return Fault(error=self._single(call), torn=self._dice.random() < 0.5)
        if roll > 1 - self._acts:
            self._between(call)
        return None

    def _lasting(self, call: Call) -> int | None:
        changes = call.function in CHANGES or TEMPORARY_PREFIX in call.path
        if self._kind == "full":
            return errno.ENOSPC if call.function in _FULL else None
        if self._kind == "read-only":
            return errno.EROFS if changes else None
        if self._kind == "denied":
            return errno.EACCES if changes else None
        if self._kind == "manual":
            return errno.EACCES if "/manual" in call.path + call.target and changes else None
        return errno.ESTALE

    def _single(self, call: Call) -> int:
        full = call.function in _FULL and self._dice.random() < 0.5
        return errno.ENOSPC if full else self._dice.choice(_SINGLE)
