"""Signs of life to the parent: long work goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from modules.executors.protocol import Alive
from modules.worker.pipes import Outbox

#: The least time between two, in seconds.
_EVERY_S = 1.0

_Item = TypeVar("_Item")


class Heartbeat:
    """``beat`` may be called as often as there is progress."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._last = time.monotonic()

    def beat(self) -> None:
        now = time.monotonic()
        if now - self._last > _EVERY_S:
            self._last = now
            self._outbox.send(Alive())


def beating(items: Iterator[_Item], beat: Callable[[], None]) -> Iterator[_Item]:
    """The same items; each is progress."""
    for item in items:
        beat()
        yield item
