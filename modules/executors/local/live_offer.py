"""Connects each child that has its model with the live sessions."""

from __future__ import annotations

import socket

from modules.clock import Clock
from modules.executors.base import LiveSessionsPort
from modules.executors.local.process import Child

#: A child that closed its channel gets another one at most this often.
_GAP_S = 3.0


class LiveOffer:
    """``port`` is None where there are no live sessions. For the executor's thread."""

    def __init__(self, port: LiveSessionsPort | None, clock: Clock) -> None:
        self._port = port
        self._clock = clock
        self._offered_at = float("-inf")

    @property
    def is_wanted(self) -> bool:
        """Whether somebody speaks, so that a child must be there."""
        return self._port is not None and self._port.is_wanted

    def make(self, child: Child) -> None:
        """To a child that has its model, once."""
        if self._port is None or child.has_live:
            return
        child.has_live = True
        self._offered_at = self._clock.monotonic()
        ours, its = socket.socketpair()
        with its:
            child.connection.send_live(its)
        self._port.attach(ours)

    def trouble(self, child: Child) -> str | None:
        """Why the child must be replaced. One that only closed its channel gets another."""
        if self._port is None or not child.has_live:
            return None
        if self._port.complaint:
            return "hung" if self._port.hangs else "implausible_output"
        waited = self._clock.monotonic() - self._offered_at > _GAP_S
        if child.loaded and self._port.is_wanted and not self._port.has_channel and waited:
            child.has_live = False
            self.make(child)
        return None
