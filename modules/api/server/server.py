"""Which requests waitress accepts, how large they may be, and where bodies are kept.

waitress takes a whole body before any handler sees the request. Here the policy is applied when
the headers are there, a body is counted while it arrives, and a large one is kept on the share.
"""

from __future__ import annotations

import functools
import heapq
import threading
import time
from collections.abc import Callable
from typing import Any

from waitress.server import TcpWSGIServer

from modules.api.server.channel import RequestChannel
from modules.api.server.refusals import RequestPolicy, Upgraded
from modules.logger import get_logger

log = get_logger("Api")

_ACCEPT_AT_ONCE = 64


class RequestServer(TcpWSGIServer):
    """waitress's server with such connections. Other threads may call what needs no loop:
    ``pull_trigger``, ``close_port``, ``end``, ``flushed``.
    """

    active_channels: Any
    accepting: bool
    adj: Any
    trigger: Any
    socket: Any
    asyncore: Any
    _map: Any

    channel_class = RequestChannel

    def __init__(self, policy: RequestPolicy, *args: Any, places: int, **kwargs: Any) -> None:
        self.policy = policy
        self._places = places
        # A few of the places: what those who came just before have sent must be read in between.
        self._accept_at_once = max(1, min(_ACCEPT_AT_ONCE, places // 8))
        self._closing_port = threading.Event()
        self._ending = threading.Event()
        self._pulling = threading.Lock()
        self._closed = False
        #: Sockets that were handed over and are open, each in the place of a connection.
        self._upgraded: set[Any] = set()
        super().__init__(*args, **kwargs)

    def maintenance(self, now: Any) -> None:
        """Close stalled connections, which waitress does not while a request runs."""
        super().maintenance(now)
        limit_s = self.adj.channel_timeout
        for channel in list(self.active_channels.values()):
            waiting = channel.unfinished(now)
            trickles = waiting and waiting.is_overdue(now, limit_s)
            # The client reads no answer. waitress would wait until the socket can be written to.
            stuck = channel.total_outbufs_len and channel.last_activity < now - limit_s
            if trickles or stuck:
                channel.handle_close()

    def readable(self) -> bool:
        """Whether to accept. At the limit of connections an unfinished one makes way."""
        super().readable()  # for its maintenance; its own limit is never reached
        return bool(self.accepting) and (self._places_left() > 0 or bool(self._giving_way(1)))

    def handle_accept(self) -> None:
        """Accept what waits; waitress takes one each time it has looked at all connections."""
        left, most = self._places_left(), self._accept_at_once
        giving_way = self._giving_way(most) if left < most else []
        for number in range(min(most, left + len(giving_way))):
            before = len(self.active_channels)
            super().handle_accept()
            if len(self.active_channels) == before:
                return
            if number >= left:
                giving_way[number - left].handle_close()

    def _places_left(self) -> int:
        return max(0, self._places - len(self.active_channels) - len(self._upgraded))

    def _giving_way(self, count: int) -> list[Any]:
        """Connections to close for new ones, the first first; none if all are served.

        Of those that wait for a head and of those that wait for a body, the more numerous give way,
        so that neither kind can take all places from the other.
        """
        now = time.time()
        kinds: dict[str, list[tuple[float, int, Any]]] = {"head": [], "body": []}
        for number, channel in self.active_channels.items():
            if waiting := channel.unfinished(now):
                kinds[waiting.waits_for].append((waiting.worth(now), number, channel))
        most = max(kinds.values(), key=len)
        return [channel for _, _, channel in heapq.nsmallest(count, most)]

    def add_task(self, task: Any) -> None:
        """A request is there. One that is an upgrade ends the connection as one of HTTP."""
        request = task.requests[0]
        if request.error or request.upgrade is None:
            super().add_task(task)
        else:
            self.pull_trigger(lambda: self._hand_over(task))

    def _hand_over(self, channel: Any) -> None:
        """In the network thread, so that nothing else happens to the connection."""
        if channel.socket is None:
            return  # the client has left
        request = channel.requests[0]
        if channel.request or len(channel.requests) > 1 or channel.total_outbufs_len:
            channel.handle_close()  # it went on before it was answered
            return
        taken = channel.detach()
        self._upgraded.add(taken)
        client, release = str(channel.addr[0]), functools.partial(self._upgraded.discard, taken)
        request.upgrade(Upgraded(taken, client, request.early, release))

    def run(self) -> None:
        """Serve until ``end`` is asked for, then close everything."""
        while not self._ending.is_set():
            if self._closing_port.is_set() and self.accepting:
                self._close_port()
            self.asyncore.loop(
                self.adj.asyncore_loop_timeout, self.adj.asyncore_use_poll, self._map, count=1
            )
        self.close_all()

    def pull_trigger(self, thunk: Callable[[], None] | None = None) -> None:
        with self._pulling:
            # The descriptor of a closed pipe may belong to another file by now.
            if not self._closed:
                self.trigger.pull_trigger(thunk)

    def close_port(self) -> None:
        """Accept no more connections; open ones go on."""
        self._closing_port.set()
        self.pull_trigger()

    def end(self) -> None:
        """Let ``run`` return."""
        self._ending.set()
        self.pull_trigger()

    def flushed(self) -> bool:
        """Whether every answer was sent."""
        return not any(c.total_outbufs_len for c in list(self.active_channels.values()))

    def close_all(self) -> None:
        """Close everything; for the network thread, or where there is none."""
        with self._pulling:
            self._closed = True
        for channel in list(self.active_channels.values()):
            channel.handle_close()
        self.close()

    def _close_port(self) -> None:
        self.del_channel()
        self.accepting = False
        self.socket.close()
