"""The short-lived process that makes a listening copy of a recording or its peaks.

It is apart from the WhisperX process, which must not be disturbed, and trusted as little: what it
sends is counted, and every wait for it has a deadline.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from modules import PACKAGE, PROJECT_ROOT
from modules.clock import AwakeClock, Clock
from modules.config.schema import Config
from modules.errors import MediaError, StorageError, TranscriberError, WorkerError, noted
from modules.executors.listen_protocol import (
    HEAD_BYTES,
    PEAKS_PER_S,
    SOUND_BYTES_PER_S,
    Failure,
    Kind,
    MalformedError,
    Piece,
    Pieces,
    Wish,
)
from modules.executors.local.process import end_group, worker_environment
from modules.logger import get_logger

log = get_logger("Listening")

#: How often the one who waits is asked whether to go on, in seconds.
_TICK_S = 0.25
#: It sends a piece for ten seconds of sound, which take a tenth of a second of a free processor;
#: beside a transcription it gets a few hundredths of one.
SILENT_MAX_S = 300.0
_READ_BYTES, _COMPLAINT_BYTES = 2**16, 2**12
#: An encoder adds some frames, and the last of everything may be longer.
_SLACK_S = 60.0


class ListeningProcess:
    """One run. ``recording``: a descriptor open for reading, which stays the caller's.

    The kernel kills the process when the thread that made this object ends.
    """

    def __init__(self, config: Config, clock: Clock, recording: int, wish: Wish) -> None:
        self._clock = AwakeClock(clock)
        self._wish = wish
        self._longest_s = config.processing.max_duration_hours * 3600 + _SLACK_S
        self._left = {
            Kind.SOUND: int(self._longest_s * SOUND_BYTES_PER_S) if wish.sound else 0,
            Kind.PEAKS: int(self._longest_s * PEAKS_PER_S),
        }
        self._complaint = b""
        self.process = subprocess.Popen(  # nosec B603 # our own words, no shell
            command(config, wish),
            stdin=recording,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=worker_environment(Path(os.devnull)),
            cwd=PROJECT_ROOT,
        )

    def pieces(self, go_on: Callable[[], bool]) -> Iterator[Piece]:
        """What it sends, up to and with DONE; ends early if ``go_on`` says so, asked often.

        Raises MediaError if the recording cannot be heard, StorageError, WorkerError.
        """
        pieces, heard_at = Pieces(), self._clock.monotonic()
        while go_on():
            data = self._read()
            now = self._clock.monotonic()
            if data is None:
                if now - heard_at > SILENT_MAX_S:
                    raise WorkerError(
                        "listening_hung", noted("Making the sound came to a standstill.")
                    )
                continue
            if not data:
                raise self._death()
            heard_at = now
            try:
                for piece in pieces.add(data):
                    yield self._checked(*piece)
                    if piece[0] is Kind.DONE:
                        return
            except (MalformedError, ValueError) as error:
                raise WorkerError(
                    "implausible_output",
                    noted("The process that makes the sound sent nonsense."),
                    details=str(error),
                ) from error

    def end(self) -> None:
        """End it, whatever it does; it is reaped on return."""
        end_group(self.process, 0)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()

    def _read(self) -> bytes | None:
        """What comes next of the pieces; None if nothing does for a while, empty at their end."""
        out, complaints = self.process.stdout, self.process.stderr
        assert out is not None
        assert complaints is not None
        poll = select.poll()  # select() knows no descriptors from 1024 on
        for pipe in (out, complaints):
            poll.register(pipe, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(1000 * _TICK_S)}
        if complaints.fileno() in ready and out.fileno() not in ready:
            said = os.read(complaints.fileno(), _COMPLAINT_BYTES)
            self._complaint = (self._complaint + said)[-_COMPLAINT_BYTES:]
            if not said:
                time.sleep(_TICK_S)
        return os.read(out.fileno(), _READ_BYTES) if out.fileno() in ready else None

    def _checked(self, kind: Kind, content: bytes) -> Piece:
        """Raises MalformedError for more than the longest recording can be the reason for."""
        if kind is Kind.FAILED:
            raise _error(Failure.model_validate_json(content))
        if kind in (Kind.SAMPLES, Kind.READ):
            raise MalformedError(f"{kind.name} of a recording")
        if kind in self._left:
            self._left[kind] -= len(content)
            if self._left[kind] < 0:
                raise MalformedError(f"too much {kind.name}")
        expected = {Kind.HEAD: HEAD_BYTES, Kind.PROGRESS: 1, Kind.DONE: 0}.get(kind, len(content))
        if len(content) != expected or (kind is Kind.HEAD and not self._wish.sound):
            raise MalformedError(f"{kind.name} of {len(content)} bytes")
        return kind, content

    def _death(self) -> WorkerError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_TICK_S)
        assert self.process.stderr is not None
        os.set_blocking(self.process.stderr.fileno(), False)
        with contextlib.suppress(BlockingIOError):
            self._complaint += os.read(self.process.stderr.fileno(), _COMPLAINT_BYTES)
        status = self.process.poll()
        how = {
            -signal.SIGXCPU: noted("The process that makes the sound took too much time."),
            -signal.SIGKILL: noted("The process that makes the sound was killed."),
        }
        ended = noted("The process that makes the sound ended with {status}.", status=status)
        message = how.get(status or 0, ended)
        said = self._complaint.decode(errors="replace")
        log.debug("%s It said: %s", message, said)
        return WorkerError("listening_failed", message, details=said)


def command(config: Config, wish: Wish) -> list[str]:
    """The command line of the process."""
    words = [sys.executable, "-m", f"{PACKAGE}.worker.listen", "--parent", str(os.getpid())]
    for folder in (config.shared_directory, config.manual_directory):
        words += ["--private", str(folder)]
    words += ["--max-duration-s", str(config.processing.max_duration_hours * 3600)]
    return [*words, "--wish", wish.model_dump_json()]


_KINDS: dict[str, type[TranscriberError]] = {"media": MediaError, "storage": StorageError}


def _error(failure: Failure) -> TranscriberError:
    return _KINDS.get(failure.fault, WorkerError)(failure.code, failure.message)
