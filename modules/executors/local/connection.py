"""What connects the daemon with the child: commands and open recordings go in by a socket, events
come out by a pipe, complaints are kept."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from modules.executors.local.event_queue import ClosedError, EventQueue, ImplausibleError
from modules.executors.protocol import (
    LINE_BYTES_MAX,
    Alive,
    Command,
    Event,
    Live,
    Load,
    OversizedError,
    Prefetch,
    Stop,
    Transcribe,
    parse_event,
)
from modules.logger import get_logger
from modules.storage.recording_file import open_recording_file
from modules.transcript.model import Chunk

log = get_logger("AudioProcessor")

#: No complaint is longer; one without an end would fill the daemon's memory.
_COMPLAINT_BYTES = 2**12
#: So much of them is read at once, then nothing for a while: a flood of them waits in its pipe.
_COMPLAINTS_BYTES, _COMPLAINTS_PAUSE_S = 2**16, 0.05
#: Lines that make no sense. What libraries print goes elsewhere, so one is rare already.
_NONSENSE_MAX = 100
#: Signs of life at the start, and in a second; ours sends one.
_ALIVE_AT_ONCE, _ALIVE_PER_S = 1000, 100
#: Other events than chunks and signs of life, at the start and for each command: a task has five.
_OTHERS_AT_ONCE, _OTHERS_PER_COMMAND = 20, 10
#: A child without a task says that it is ready and has loaded its model, and nothing else.
_EVENTS_WITHOUT_A_TASK = 100
#: How long the child may leave a command in its socket, which holds dozens.
_SEND_S = 10.0


class Connection:
    """One child's pipes, read by two threads of their own. Everything else is for one thread.

    ``commands``: the daemon's end of the socket that is the child's standard input.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        commands: socket.socket,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._process = process
        self._socket = commands
        self._socket.settimeout(_SEND_S)
        self._socket.shutdown(socket.SHUT_RD)  # what the child would send there is refused
        self._monotonic = monotonic
        self._events = EventQueue()
        self._began = monotonic()
        self._commands = self._alive = self._others = self._nonsense = 0
        self._closing = threading.Event()
        #: The last lines of the child's standard error.
        self.complaints: deque[str] = deque(maxlen=20)
        self._readers = tuple(
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in (
                (self._read_events, "worker-events"),
                (self._read_complaints, "worker-stderr"),
            )
        )
        for reader in self._readers:
            reader.start()

    def send(self, command: Load | Stop) -> None:
        """That the child has died is noticed, and reported, by ``receive``; so is one that does not
        read its commands."""
        self._send(command)

    def send_recording(self, command: Transcribe | Prefetch) -> None:
        """Send a command with the recording that it is about, open.

        Raises MediaError and StorageError if it cannot be opened; then nothing is sent.
        """
        about = command.next if isinstance(command, Prefetch) else command
        recording = open_recording_file(Path(os.fsdecode(about.path)))
        try:
            self._send(command, recording)
        finally:
            os.close(recording)

    def send_live(self, channel: socket.socket) -> None:
        """Hand over the child's end of its live channel; the caller closes it here."""
        self._send(Live(), channel.fileno())

    def _send(self, command: Command, recording: int | None = None) -> None:
        self._commands += 1
        if self._events.is_over:
            return
        try:
            send_command(self._socket, command, recording)
        except TimeoutError:
            self._events.put_end(ImplausibleError("it does not read its commands"))
        except OSError:
            self._socket.close()  # half a command may be under way

    def receive(self, timeout_s: float) -> Event | None:
        """The next event, or None after the time-out. Raises ClosedError or ImplausibleError."""
        return self._events.get(timeout_s)

    def waiting(self) -> Iterator[Event]:
        """The events that are there, of a child without a task. Raises as ``receive``."""
        for _ in range(_EVENTS_WITHOUT_A_TASK):
            event = self.receive(0)
            if event is None:
                return
            yield event
        raise ImplausibleError("more events than there can be without a task")

    def close_input(self) -> None:
        """Send no more commands, and take no more events."""
        self._closing.set()
        self._events.close()
        self._socket.close()

    def join(self, timeout_s: float) -> bool:
        """Wait for the readers of a dead child; False if another process holds a pipe open."""
        for reader in self._readers:
            reader.join(timeout_s)
        return not any(reader.is_alive() for reader in self._readers)

    def _read_events(self) -> None:
        """Put the child's events into the queue until it closes its end, or sends too much."""
        assert self._process.stdout is not None
        end: Exception = ClosedError()
        with contextlib.suppress(OSError, ValueError), self._process.stdout as lines:
            try:
                while line := lines.readline(LINE_BYTES_MAX):
                    if len(line) == LINE_BYTES_MAX and not line.endswith(b"\n"):
                        raise ImplausibleError("a line without an end")
                    event = parse_event(line)
                    self._count(event)
                    if event and not self._events.put(event, len(line)):
                        break
            except (ImplausibleError, OversizedError) as error:
                end = ImplausibleError(str(error))
                self._events.put_end(end)
                self._closing.wait()  # with the pipe open, or the child would die of it first
        self._events.put_end(end)

    def _count(self, event: Event | None) -> None:
        """Raises ImplausibleError for more lines than a recording can be the reason for."""
        if event is None:
            self._nonsense += 1
            log.warning("WhisperX sent a line that makes no sense; it was thrown away")
        elif isinstance(event, Alive):
            self._alive += 1
        elif not isinstance(event, Chunk):
            self._others += 1
        seconds = self._monotonic() - self._began
        if self._nonsense > _NONSENSE_MAX:
            raise ImplausibleError(f"{self._nonsense} lines that make no sense")
        if self._alive > _ALIVE_AT_ONCE + _ALIVE_PER_S * seconds:
            raise ImplausibleError(f"{self._alive} signs of life within {seconds:.0f} s")
        if self._others > _OTHERS_AT_ONCE + _OTHERS_PER_COMMAND * self._commands:
            raise ImplausibleError(f"{self._others} reports on {self._commands} commands")

    def _read_complaints(self) -> None:
        assert self._process.stderr is not None
        size = 0
        with contextlib.suppress(OSError, ValueError), self._process.stderr as lines:
            while line := lines.readline(_COMPLAINT_BYTES):
                self.complaints.append(line.decode(errors="replace").rstrip())
                size += len(line)
                if size >= _COMPLAINTS_BYTES:
                    size = 0
                    if self._closing.wait(_COMPLAINTS_PAUSE_S):
                        break


def send_command(commands: socket.socket, command: Command, recording: int | None = None) -> None:
    """Write a command, and the descriptor that comes with it. Raises OSError."""
    line = command.model_dump_json().encode() + b"\n"
    if recording is not None:
        # The descriptor travels with the first byte.
        line = line[socket.send_fds(commands, [line], [recording]) :]
    commands.sendall(line)
