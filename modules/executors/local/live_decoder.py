"""The short-lived process that decodes the sound of one live session that comes in a container.

It is apart from the WhisperX process, which a broken container must not harm, and trusted as
little: what it sends is counted, and every wait for it has a deadline.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from modules import PACKAGE, PROJECT_ROOT
from modules.config.schema import Config
from modules.errors import MediaError, TranscriberError, WorkerError, noted
from modules.executors.listen_protocol import Failure, Kind, MalformedError, Piece, Pieces
from modules.executors.local.process import end_group, worker_environment

SAMPLE_RATE, SAMPLE_BYTES = 16_000, 2
#: Fewer bytes a second than any codec needs, silence included; and what may be more.
_BYTES_PER_S_MIN, _SLACK_S = 8, 60.0
_READ_BYTES = 2**16
_COUNT_BYTES = 8


class DecoderProcess:
    """One run. ``kind``: the ending of a recording of that kind.

    The kernel kills the process when the thread that made this object ends.
    """

    def __init__(self, config: Config, kind: str) -> None:
        self._pieces = Pieces()
        self._given = self._samples = 0
        self.process = subprocess.Popen(  # nosec B603 # our own words, no shell
            command(config, kind),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=worker_environment(Path(os.devnull)),
            cwd=PROJECT_ROOT,
            bufsize=0,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._in, self._out = self.process.stdin, self.process.stdout
        os.set_blocking(self._in.fileno(), False)
        os.set_blocking(self._out.fileno(), False)

    def wait(self, has_data: bool, woken: int, timeout_s: float) -> None:
        """Until it sends something, takes something if ``has_data``, or ``woken`` is readable."""
        poll = select.poll()
        poll.register(self._out, select.POLLIN)
        poll.register(woken, select.POLLIN)
        if has_data and not self._in.closed:
            poll.register(self._in, select.POLLOUT)
        poll.poll(1000 * timeout_s)

    def give(self, data: bytes) -> int:
        """How many bytes it took of the container; it may be none."""
        try:
            taken = os.write(self._in.fileno(), data)
        except BlockingIOError:
            return 0
        except BrokenPipeError:  # what it said before it ended says more
            return len(data)
        self._given += taken
        return taken

    def finish(self) -> None:
        """No more bytes come; DONE follows."""
        self._in.close()

    def pieces(self) -> Iterator[Piece]:
        """What it sent: SAMPLES, READ, DONE.

        Raises MediaError if the container cannot be read, WorkerError.
        """
        try:
            data = os.read(self._out.fileno(), _READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            raise self._death()
        try:
            for piece in self._pieces.add(data):
                yield self._checked(*piece)
        except (MalformedError, ValueError) as error:
            raise WorkerError(
                "implausible_output",
                noted("The process that decodes live sound sent nonsense."),
                details=str(error),
            ) from error

    def end(self) -> None:
        """End it, whatever it does; it is reaped on return."""
        end_group(self.process, 0)
        for pipe in (self._in, self._out):
            with contextlib.suppress(OSError):
                pipe.close()

    def _checked(self, kind: Kind, content: bytes) -> Piece:
        """Raises MalformedError for more than so many bytes can be the reason for."""
        if kind is Kind.FAILED:
            raise _error(Failure.model_validate_json(content))
        if kind is Kind.SAMPLES:
            self._samples += len(content) // SAMPLE_BYTES
            longest_s = self._given / _BYTES_PER_S_MIN + _SLACK_S
            if self._samples / SAMPLE_RATE > longest_s or len(content) % SAMPLE_BYTES:
                raise MalformedError(f"{self._samples} samples of {self._given} bytes")
        elif kind is Kind.READ:
            if len(content) != _COUNT_BYTES or int.from_bytes(content, "big") > self._given:
                raise MalformedError("more bytes read than were given")
        elif kind is not Kind.DONE:
            raise MalformedError(f"{kind.name} of live sound")
        return kind, content

    def _death(self) -> WorkerError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
        return WorkerError(
            "live_failed",
            noted(
                "The process that decodes live sound ended with {status}.",
                status=self.process.poll(),
            ),
        )


def command(config: Config, kind: str) -> list[str]:
    """The command line of the process."""
    words = [sys.executable, "-m", f"{PACKAGE}.worker.live_decoder", "--parent", str(os.getpid())]
    for folder in (config.shared_directory, config.manual_directory):
        words += ["--private", str(folder)]
    words += ["--max-duration-s", str(config.processing.max_duration_hours * 3600)]
    return [*words, "--kind", kind]


def _error(failure: Failure) -> TranscriberError:
    kind = MediaError if failure.fault == "media" else WorkerError
    return kind(failure.code, failure.message)
