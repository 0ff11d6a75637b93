"""The child's ends of what connects it with its parent: events out, commands and recordings in."""

from __future__ import annotations

import os
import queue
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from modules.executors.protocol import COMMANDS, Event, Live, Load, Prefetch, Stop, Transcribe

_PIECE_BYTES = 64 * 1024
#: More descriptors than a piece can bring: the kernel ends a piece after those of one message.
_DESCRIPTORS = 8


class OpenFile:
    """A descriptor that is closed with the last reference to it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._is_ours = True

    def release(self) -> int:
        """The descriptor, for the caller to close."""
        self._is_ours = False
        return self.descriptor

    def __del__(self) -> None:
        if self._is_ours:
            os.close(self.descriptor)


@dataclass(frozen=True)
class Assignment:
    """A recording to transcribe, which the parent has opened."""

    command: Transcribe
    recording: OpenFile


class Outbox:
    """Events to the parent, one line each, from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "wb")
        self._lock = threading.Lock()

    def send(self, event: Event) -> None:
        line = event.model_dump_json(exclude_none=True).encode() + b"\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()


class Inbox:
    """Commands from the parent. A stop overtakes its task; the end of input ends the process.

    ``descriptor``: a Unix socket. With each command about a recording comes the open file.
    ``serve_live`` is called with the socket for live sessions, also while a recording is
    transcribed.
    """

    def __init__(
        self, descriptor: int, serve_live: Callable[[socket.socket], None] = socket.socket.close
    ) -> None:
        self._serve_live = serve_live
        self._commands: queue.Queue[Assignment | Load | Prefetch] = queue.Queue()
        self._stopped = 0
        #: What is likely to come next, as the parent said since its last command.
        self.next_up: Assignment | None = None
        threading.Thread(
            target=self._read, args=(descriptor,), name="commands", daemon=True
        ).start()

    def next(self, timeout_s: float | None = None) -> Assignment | Load | Prefetch | None:
        """The next command; None if none comes in time. For a prefetch see ``next_up``."""
        try:
            return self._commands.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def forget_next(self) -> None:
        """Close what was to come next: nothing came for a while."""
        self.next_up = None

    def stopped(self, task_id: int) -> bool:
        """True once the parent asked to stop this task."""
        return task_id <= self._stopped

    def _read(self, descriptor: int) -> None:
        files: deque[OpenFile] = deque()
        with socket.socket(fileno=descriptor) as connection:
            for line in lines(connection, files):
                command = COMMANDS.validate_json(line)
                if isinstance(command, Stop):
                    self._stopped = max(self._stopped, command.task_id)
                elif isinstance(command, Live):
                    self._serve_live(socket.socket(fileno=files.popleft().release()))
                elif isinstance(command, Prefetch):
                    self.next_up = Assignment(command.next, files.popleft())
                    self._commands.put(command)
                else:
                    self.next_up = None  # or the command itself would be prefetched again
                    self._commands.put(
                        command
                        if isinstance(command, Load)
                        else Assignment(command, files.popleft())
                    )
        # The parent closed the socket or is dead.
        os._exit(0)


def lines(connection: socket.socket, files: deque[OpenFile]) -> Iterator[bytes]:
    """Whole lines; the files that came with them are in ``files`` before, in the same order."""
    rest = b""
    while True:
        piece, descriptors, _, _ = socket.recv_fds(connection, _PIECE_BYTES, _DESCRIPTORS)
        files.extend(map(OpenFile, descriptors))
        if not piece:
            return
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
