"""Ctrl-C and TERM as a question that can be asked, so that nothing is left half done."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any


class Interruption:
    """While entered, the first signal only sets ``number``; a second one is KeyboardInterrupt."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._previous: dict[signal.Signals, Any] = {}

    @property
    def exit_code(self) -> int:
        """What shells expect of a program that a signal ended: 130 for Ctrl-C."""
        return 128 + (self.number or 0)

    def __enter__(self) -> Interruption:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            raise KeyboardInterrupt
        self.number = number
