"""The end of a session whose sound comes in a container: the rest is decoded before it ends."""

from __future__ import annotations

from collections.abc import Callable


class Draining:
    """Of one session. Thread-safe: ``decoding`` and ``over`` are for the thread that decodes,
    ``begin`` for the one that looks after the session. Its decoder bounds the time it takes."""

    def __init__(self) -> None:
        self._finish: Callable[[], None] | None = None
        self._has_begun = False

    def decoding(self, finish: Callable[[], None]) -> None:
        """Somebody decodes; ``finish()`` has them end the session with what came so far."""
        self._finish = finish

    def over(self) -> None:
        """Nobody decodes any more."""
        self._finish = None

    @property
    def is_going_on(self) -> bool:
        return self._has_begun and self._finish is not None

    def begin(self) -> bool:
        """Have the session end once all is decoded; False if nobody decodes, so that it does not
        end by itself."""
        finish = self._finish
        if finish is None:
            return False
        self._has_begun = True
        finish()
        return True
