"""The daemon's end of the live channel, for tests and benchmarks: feeds sound, keeps events."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

from modules.executors.live_protocol import (
    LIVE_LINE_BYTES_MAX,
    Closed,
    CloseSession,
    Commit,
    Final,
    Flush,
    Flushed,
    LiveCommand,
    LiveEvent,
    OpenSession,
    Reading,
    Sound,
    parse_live_event,
)
from modules.transcript.model import Word
from tests.builders import SETTINGS, until

E = TypeVar("E", bound=LiveEvent)
#: What is sent at once, in seconds.
FRAME_S = 0.1


@dataclass(frozen=True)
class Arrived:
    """An event, and when it came by the monotonic clock."""

    at: float
    event: LiveEvent


class LiveLine:
    """One end of the channel; the other is ``its`` until it was handed over."""

    def __init__(self) -> None:
        self._socket, self.its = socket.socketpair()
        #: All events but the signs that commands are read, which come by the clock.
        self.arrived: list[Arrived] = []
        self.readings = 0
        self.torn: list[bytes] = []
        self.is_over = threading.Event()
        self.files = contextlib.ExitStack()
        self._reader = threading.Thread(target=self._read, name="live-reader")
        self._reader.start()

    def _read(self) -> None:
        with self._socket.makefile("rb") as lines, contextlib.suppress(OSError):
            while line := lines.readline(LIVE_LINE_BYTES_MAX):
                event = parse_live_event(line)
                if event is None:
                    self.torn.append(line)
                else:
                    self._take(event)
        self.is_over.set()

    def _take(self, event: LiveEvent) -> None:
        if isinstance(event, Reading):
            self.readings += 1
        else:
            self.arrived.append(Arrived(time.monotonic(), event))

    def send(self, command: LiveCommand, descriptor: int | None = None) -> None:
        line = command.model_dump_json().encode() + b"\n"
        if descriptor is not None:
            line = line[socket.send_fds(self._socket, [line], [descriptor]) :]
        if line:
            self._socket.sendall(line)

    def of(self, kind: type[E], session: int | None = None) -> list[E]:
        """The events of a kind that have come so far."""
        events = [arrived.event for arrived in list(self.arrived)]
        return [
            event
            for event in events
            if isinstance(event, kind) and session in (None, event.session)
        ]

    def wait(self, kind: type[E], session: int, timeout_s: float = 30, count: int = 1) -> E:
        """The event of a kind, or the last of ``count``."""
        what = f"{count} {kind.__name__} of session {session}"
        return until(
            lambda: self.of(kind, session)[count - 1 :],
            f"{what} did not come: {[a.event for a in self.arrived][-5:]}",
            timeout_s,
        )[0]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(10)
        self._socket.close()
        self.its.close()
        self.files.close()

    def __enter__(self) -> LiveLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self.close()


class FedSession:
    """A session whose sound lies in a file without a name."""

    def __init__(self, line: LiveLine, number: int, rate: int = 16_000, **more: Any) -> None:
        self.line = line
        self.number = number
        self.rate = rate
        self.samples = 0
        #: When the first sample was spoken, by the monotonic clock, and the worst delay of a frame.
        self.began_at = 0.0
        self.late_s = 0.0
        settings = SETTINGS.model_copy(update=more.pop("changes", {}))
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the line
        self._file = line.files.enter_context(file)
        open_session = OpenSession(session=number, rate=rate, settings=settings, **more)
        line.send(open_session, self._file.fileno())

    def give(self, sound: bytes) -> None:
        """Append sound at once."""
        os.write(self._file.fileno(), sound)
        self.samples += len(sound) // 2
        self.line.send(Sound(session=self.number, samples=self.samples))

    def speak(self, sound: bytes, should_go_on: Callable[[], bool] = lambda: True) -> None:
        """Append sound at the pace at which it is spoken."""
        size = 2 * round(self.rate * FRAME_S)
        begin = time.monotonic()
        self.began_at = begin - self.samples / self.rate
        for count, at in enumerate(range(0, len(sound), size), start=1):
            due = begin + count * FRAME_S
            time.sleep(max(0.0, due - time.monotonic()))
            self.give(sound[at : at + size])
            self.late_s = max(self.late_s, time.monotonic() - due)
            if not should_go_on():
                return

    def flush(self) -> None:
        self.line.send(Flush(session=self.number))

    def close(self, discard: bool = False, timeout_s: float = 60) -> None:
        self.line.send(CloseSession(session=self.number, discard=discard))
        self.line.wait(Closed, self.number, timeout_s)

    def flushed(self, count: int = 1, timeout_s: float = 60) -> None:
        self.line.wait(Flushed, self.number, timeout_s, count)

    @property
    def committed(self) -> list[Word]:
        """All words that were committed, by commits or by finals."""
        words: list[Word] = []
        mine: list[Word] = []
        for arrived in list(self.line.arrived):
            event = arrived.event
            if event.session != self.number:
                continue
            if isinstance(event, Commit):
                mine += event.words
            elif isinstance(event, Final):
                assert list(event.words[: len(mine)]) == mine, "a committed word was changed"
                words += event.words
                mine = []
        return words + mine
