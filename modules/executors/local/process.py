"""The WhisperX child as a process: its command, its start, its death, the end of its group."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from modules import PACKAGE, PROJECT_ROOT
from modules.clock import Clock
from modules.config.loader import ENVIRONMENT
from modules.config.schema import Config
from modules.errors import WorkerError, noted
from modules.executors.local.connection import Connection
from modules.executors.local.event_queue import ClosedError, ImplausibleError
from modules.executors.local.output_bounds import implausible
from modules.executors.protocol import Event, Loaded, Ready
from modules.logger import get_logger
from modules.weights.files import ModelSpec

log = get_logger("AudioProcessor")

#: How long a child has between TERM and KILL, in seconds.
TERM_GRACE_S = 2.0
#: How much larger than just after loading its model a child may be between jobs: a long recording
#: takes up to 2.2 times as much (decision 21), and it is only given back a few seconds later.
_GROWTH = 2.5
#: How long the rest of a dead child's standard error is waited for, in seconds.
_LAST_WORDS_S = 0.5


#: How often the parent looks at clocks while the child is busy, in seconds.
_TICK_S = 0.25


@dataclass
class Child:
    """A running WhisperX process and what is known of it."""

    process: subprocess.Popen[bytes]
    connection: Connection
    scratch: Path
    #: The folder of weights that it may read besides those in ``models_directory``.
    weights: str
    started_at: float
    oom_kills: int
    ready: Ready | None = None
    loaded: Loaded | None = None
    spec: ModelSpec | None = None
    #: Whether it was given a channel for live sessions.
    has_live: bool = False
    #: Since when it has a recording, or has none, by the monotonic clock.
    busy_since: float | None = None
    idle_since: float = 0.0
    #: Resident memory just after its model was loaded.
    rest_mb: int = 0
    memory_peak_mb: int = 0

    @property
    def busy(self) -> bool:
        return self.busy_since is not None

    @property
    def is_dead(self) -> bool:
        return self.process.poll() is not None

    @property
    def memory_mb(self) -> int:
        """Resident memory in MiB."""
        return resident_mb(self.process.pid)

    def may_read(self, spec: ModelSpec, config: Config) -> bool:
        """Whether its sandbox lets it read these weights."""
        inside = Path(spec.path).is_relative_to(config.models_directory)
        return inside or spec.path == self.weights

    def allowance_mb(self, config: Config) -> float:
        """What it may hold between jobs; a large model needs more from the beginning."""
        return max(config.processing.worker_memory_mb, _GROWTH * self.rest_mb)

    def next_event(self) -> Event | None:
        """The next event; None after a tick. Raises WorkerError if the child died or floods us."""
        was_dead = self.is_dead
        try:
            event = self.connection.receive(_TICK_S)
        except ClosedError:
            raise self.death() from None
        except ImplausibleError as error:
            raise implausible(str(error)) from None
        if event is None and was_dead:
            raise self.death()  # a process that it started holds its pipe open
        return event

    def death(self) -> WorkerError:
        """What a dead child's exit status tells, in plain words."""
        try:
            status = self.process.wait(TERM_GRACE_S)
        except subprocess.TimeoutExpired:
            message = noted("The WhisperX process closed its output and was ended.")
            return WorkerError("whisperx_failed", message)
        self.connection.join(_LAST_WORDS_S)
        details = "\n".join(self.connection.complaints) or None
        if status == -signal.SIGKILL and oom_kills() > self.oom_kills:
            return WorkerError(
                "out_of_memory",
                noted("Memory ran out, and the system ended the WhisperX process."),
                remedy=noted("Give the machine more memory, or use a smaller whisperx.model_size."),
                details=details,
            )
        if status == -signal.SIGKILL:
            return WorkerError(
                "worker_killed",
                noted("The WhisperX process was ended from outside (SIGKILL)."),
                remedy=noted(
                    "Look for who does that: a supervisor with a memory limit, or a person."
                ),
                details=details,
            )
        if status < 0:
            name = _signal_name(-status)
            message = noted("The WhisperX process ended with signal {name}.", name=name)
        else:
            message = noted("The WhisperX process ended with exit code {code}.", code=status)
        return WorkerError("whisperx_failed", message, details=details)

    def end(self, grace_s: float) -> None:
        """End the process and everything that it started; all is reaped on return."""
        self.connection.close_input()
        end_group(self.process, grace_s)
        shutil.rmtree(self.scratch, ignore_errors=True)
        if not self.connection.join(TERM_GRACE_S):
            # It left the group and holds a pipe open; the reader waits for it in our stead.
            log.warning("A process that WhisperX started has outlived it")


def start_child(config: Config, command: Sequence[str], clock: Clock, weights: str) -> Child:
    """Start the child in a session and with a folder of its own.

    ``weights``: the folder of the model that it will be asked for first.
    """
    scratch = scratch_folder(config)
    ours, its = socket.socketpair()
    with its:
        process = subprocess.Popen(  # nosec B603 # our own words, no shell
            [*command, *sandbox_options(config, scratch, weights), "--parent", str(os.getpid())],
            stdin=its.fileno(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=worker_environment(scratch),
            cwd=PROJECT_ROOT,
        )
    now = clock.monotonic()
    log.info("Started WhisperX (PID %d)", process.pid)
    connection = Connection(process, ours, clock.monotonic)
    return Child(process, connection, scratch, weights, now, oom_kills(), idle_since=now)


def worker_command(config: Config) -> list[str]:
    """The command line of the real child, but for what ``start_child`` adds."""
    command = [sys.executable, "-m", f"{PACKAGE}.worker.main"]
    command += ["--cpu-threads", str(config.whisperx.cpu_threads)]
    return [*command, "--models-directory", str(config.models_directory)]


def sandbox_options(config: Config, scratch: Path, weights: str) -> list[str]:
    """What the child may read and write, and what it must not be able to read."""
    options = ["--scratch", str(scratch), "--weights", weights]
    for folder in (config.shared_directory, config.manual_directory):
        options += ["--private", str(folder)]
    return options


def worker_environment(scratch: Path) -> dict[str, str]:
    """The child's environment: bounded threads and memory, no telemetry or hub, no secrets.

    Models are fetched by the daemon, so the child needs no network in any case.
    """
    return {
        # What configures the daemon is not for the child; keys and passwords are among it. On a
        # node of a cluster, neither is how Ray is reached.
        **{key: value for key, value in os.environ.items() if not _is_secret(key)},
        "HOME": str(scratch),
        "XDG_CACHE_HOME": str(scratch),
        "TMPDIR": str(scratch),
        # For libraries that ask who runs them: the list of users cannot be read.
        "USER": "transcriber",
        # It locks its files, which the sandbox refuses, and would be removed with the folder.
        "CUDA_CACHE_DISABLE": "1",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYANNOTE_METRICS_ENABLED": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONIOENCODING": "utf-8:backslashreplace",
        "PYTHONUTF8": "1",
    }


def _is_secret(key: str) -> bool:
    return key in ENVIRONMENT or key.startswith("RAY_")


def scratch_folder(config: Config) -> Path:
    """An empty folder for the child's temporary files, the only one that it may write to.

    Named after the share, whose lock we hold: so what a crash left in it is found by the next.
    """
    share = hashlib.sha256(os.fsencode(config.shared_directory.resolve())).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"transcriber-{os.getuid()}-{share}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:  # another user's: everyone can make folders there
        return Path(tempfile.mkdtemp(prefix="transcriber-"))
    return folder


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)  # one of the real-time signals


def oom_kills() -> int:
    """How many processes the kernel has ended for want of memory; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def end_group(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """TERM, a moment, KILL to the whole group; the child is reaped. Without grace, KILL at once."""
    if grace_s:
        _signal_group(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    # Also after a quiet end: what the child started may have outlived it.
    _signal_group(process, signal.SIGKILL)
    process.wait()


def resident_mb(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss / 2**20)
    except psutil.Error:
        return 0
