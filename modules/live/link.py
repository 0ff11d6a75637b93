"""The daemon's end of the live socket of one child: commands out, events in, both bounded."""

from __future__ import annotations

import array
import contextlib
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from modules.executors.live_protocol import (
    LIVE_LINE_BYTES_MAX,
    LiveCommand,
    LiveEvent,
    Sound,
    parse_live_event,
)
from modules.live.signs import Signs
from modules.logger import get_logger

log = get_logger("Live")

_PIECE_BYTES = 64 * 1024
#: What the child may leave in its socket before it counts as stuck.
_UNSENT_MAX, _UNSENT_FEW = 1000, 20
_NONSENSE_MAX = 20
#: Events at once, and in a second: six sessions with a pass a second send two dozen.
_EVENTS_AT_ONCE, _EVENTS_PER_S = 2000, 400


class LiveLink:
    """One child's socket. ``send`` never blocks and may come from any thread.

    ``on_event(link, event)`` and ``on_end(link)`` are called by the reader's thread. The child is
    not trusted: a flood, or lines that make no sense, end the link.
    """

    def __init__(
        self,
        channel: socket.socket,
        on_event: Callable[[LiveLink, LiveEvent], None],
        on_end: Callable[[LiveLink], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._socket = channel
        self._on_event = on_event
        self._on_end = on_end
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._unsent: deque[tuple[bytes, int | None]] = deque()
        self._is_open = True
        #: Why it was ended by this side; None while it was not.
        self.complaint: str | None = None
        self.hangs = False
        self.signs = Signs()
        self._allowed: float = _EVENTS_AT_ONCE
        self._allowed_at = monotonic()
        self._nonsense = 0
        self._reader = threading.Thread(target=self._read, name="live-events", daemon=True)
        self._reader.start()

    @property
    def is_open(self) -> bool:
        return self._is_open

    def send(self, command: LiveCommand, descriptor: int | None = None) -> bool:
        """Send a command, and a descriptor with it, which this takes over.

        While much waits to be sent, a ``Sound`` is left out, and the answer is False.
        """
        line = command.model_dump_json().encode() + b"\n"
        self.signs.note_sent()
        with self._lock:
            self._flush()
            is_late = len(self._unsent) > _UNSENT_FEW and isinstance(command, Sound)
            if is_late or not self._is_open:
                if descriptor is not None:
                    os.close(descriptor)
                return False
            self._unsent.append((line, descriptor))
            self._flush()
            stuck = len(self._unsent) > _UNSENT_MAX
        if stuck:
            self.end("it does not read its commands")
        return True

    def _flush(self) -> None:
        """Send what the socket takes; under the lock."""
        while self._unsent and self._is_open:
            line, descriptor = self._unsent[0]
            try:
                sent = self._send_some(line, descriptor)
            except BlockingIOError:
                return
            except OSError:
                break  # the reader finds out
            if descriptor is not None:
                os.close(descriptor)
            if sent < len(line):
                self._unsent[0] = (line[sent:], None)
            else:
                self._unsent.popleft()

    def _send_some(self, line: bytes, descriptor: int | None) -> int:
        if descriptor is None:
            return self._socket.send(line, socket.MSG_DONTWAIT)
        # The descriptor travels with the first byte. socket.send_fds ignores its flags (3.11).
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))
        return self._socket.sendmsg([line], [rights], socket.MSG_DONTWAIT)

    def end(self, complaint: str | None = None, *, hangs: bool = False) -> None:
        """Close it, and say why if the child is to blame. Safe from any thread."""
        if complaint and self._is_open:
            self.complaint, self.hangs = complaint, hangs
            log.warning("The live channel of WhisperX is closed: %s", complaint)
        self._is_open = False
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def join(self, timeout_s: float) -> None:
        self._reader.join(timeout_s)

    # --- the reader's thread ---

    def _read(self) -> None:
        rest = b""
        try:
            while piece := self._socket.recv(_PIECE_BYTES):
                *lines, rest = (rest + piece).split(b"\n")
                if len(rest) > LIVE_LINE_BYTES_MAX:
                    self.end("a line without an end")
                    break
                if not all(self._take(line) for line in lines):
                    break
        except OSError:
            pass  # it was ended, or the child is dead
        finally:
            self._close()
            self._on_end(self)

    def _take(self, line: bytes) -> bool:
        """Pass on the event in a line; False if the link is over."""
        if not self._is_open:
            return False
        event = parse_live_event(line)
        if event is None:
            self._nonsense += 1
        if self._nonsense > _NONSENSE_MAX or not self._is_allowed():
            self.end("more events, or less sense, than sound can be the reason for")
            return False
        if event is not None:
            self.signs.note(event)
            self._on_event(self, event)
        return True

    def _is_allowed(self) -> bool:
        now = self._monotonic()
        gained = _EVENTS_PER_S * (now - self._allowed_at)
        self._allowed = min(_EVENTS_AT_ONCE, self._allowed + gained) - 1
        self._allowed_at = now
        return self._allowed >= 0

    def _close(self) -> None:
        with self._lock:
            self._is_open = False
            for _, descriptor in self._unsent:
                if descriptor is not None:
                    os.close(descriptor)
            self._unsent.clear()
            self._socket.close()
