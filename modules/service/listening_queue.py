"""Which listening copies are wanted, in which order, and which could not be made. Pure."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from modules.clock import Clock
from modules.errors import MediaError, StorageError, TranscriberError
from modules.executors.listen_protocol import Wish

#: Who waits asks every second; an order that nobody asks for any more is dropped.
ASKED_S = 30.0
#: A failure is not tried again for so long: of a file, of a disk, of the process.
_HELD_S: dict[type[TranscriberError], float] = {MediaError: 3600.0, StorageError: 10.0}
_HELD_OTHERWISE_S = 300.0
_WAITING_MAX, _FAILURES_MAX = 200, 1000


@dataclass(frozen=True)
class Order:
    """A copy that is wanted. ``key``: see ``ListeningCopies``; ``path``: of the recording."""

    key: str
    path: Path
    wish: Wish


@dataclass
class _Waiting:
    order: Order
    asked_at: float


class ListeningQueue:
    """Thread-safe. One order at a time is in hand; sound goes before peaks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: OrderedDict[tuple[str, bool], _Waiting] = OrderedDict()
        self._failures: OrderedDict[tuple[str, bool], tuple[TranscriberError, float]] = (
            OrderedDict()
        )
        self._current: Order | None = None
        self._percentage = 0

    def ask(self, order: Order) -> int:
        """How far an order is, in per cent; it is put in if it is new.

        Raises the error with which it failed a short while ago.
        """
        now = self._clock.monotonic()
        with self._lock:
            if failure := self._failed(order, now):
                raise _again(failure)
            if self._current and self._serves(self._current, order):
                return self._percentage
            place = order.key, order.wish.sound
            if place in self._waiting:
                self._waiting[place].asked_at = now
            else:
                self._waiting[place] = _Waiting(order, now)
                if len(self._waiting) > _WAITING_MAX:
                    self._waiting.popitem(last=False)  # whoever still wants it will ask again
        return 0

    @staticmethod
    def _serves(current: Order, order: Order) -> bool:
        return current.key == order.key and (current.wish.sound or not order.wish.sound)

    def _failed(self, order: Order, now: float) -> TranscriberError | None:
        """What kept the sound from being made is no reason not to try the peaks, but for a file
        that cannot be heard at all."""
        for sound in (order.wish.sound, not order.wish.sound):
            error, until = self._failures.get((order.key, sound), (None, now))
            is_own = sound == order.wish.sound
            if error and now < until and (is_own or isinstance(error, MediaError)):
                return error
        return None

    def take(self) -> Order | None:
        """The next order, which is then in hand; None if there is none."""
        now = self._clock.monotonic()
        with self._lock:
            for place, waiting in list(self._waiting.items()):
                if now - waiting.asked_at > ASKED_S:
                    del self._waiting[place]
            if not self._waiting:
                return None
            place = next((p for p in self._waiting if p[1]), next(iter(self._waiting)))
            self._current, self._percentage = self._waiting.pop(place).order, 0
            if place[1]:
                self._waiting.pop((place[0], False), None)  # the peaks come with the sound
            return self._current

    def advance(self, percentage: int) -> None:
        self._percentage = percentage

    @property
    def must_yield(self) -> bool:
        """Whether somebody waits for sound while only peaks are being made."""
        current = self._current
        if current is None or current.wish.sound:
            return False
        with self._lock:
            return any(sound for _, sound in self._waiting)

    def put_back(self) -> None:
        """The order in hand waits again."""
        with self._lock:
            if self._current:
                place = self._current.key, self._current.wish.sound
                self._waiting[place] = _Waiting(self._current, self._clock.monotonic())
            self._current = None

    def finish(self, error: TranscriberError | None = None) -> None:
        """The order in hand is done, or could not be."""
        with self._lock:
            if self._current and error:
                held_s = next(
                    (s for kind, s in _HELD_S.items() if isinstance(error, kind)),
                    _HELD_OTHERWISE_S,
                )
                place = self._current.key, self._current.wish.sound
                # Not as it was raised: its traceback holds what was in hand.
                self._failures[place] = _again(error), self._clock.monotonic() + held_s
                self._failures.move_to_end(place)
                if len(self._failures) > _FAILURES_MAX:
                    self._failures.popitem(last=False)
            self._current = None


def _again(error: TranscriberError) -> TranscriberError:
    """Without a traceback, to which each raising would add."""
    return type(error)(error.code, error.message, details=error.details, remedy=error.remedy)
