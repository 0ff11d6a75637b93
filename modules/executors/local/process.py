"""The WhisperX child as a process: its command, its pipes, its death, and the end of its group."""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from modules.config.loader import ENVIRONMENT
from modules.config.schema import Config
from modules.errors import WorkerError
from modules.executors.protocol import Event, Loaded, Ready, parse_event
from modules.logger import get_logger
from modules.weights.files import ModelSpec

log = get_logger("AudioProcessor")

#: How long a child has between TERM and KILL, in seconds.
TERM_GRACE_S = 2.0
#: How long the rest of a dead child's standard error is waited for, in seconds.
_LAST_WORDS_S = 0.5
#: No event and no complaint is longer; what has no end would fill the daemon's memory.
_EVENT_BYTES, _COMPLAINT_BYTES = 4 * 2**20, 2**16


@dataclass
class Child:
    """A running WhisperX process and what is known of it."""

    process: subprocess.Popen[bytes]
    events: queue.Queue[Event | None]
    scratch: Path
    started_at: float
    ready: Ready | None = None
    loaded: Loaded | None = None
    spec: ModelSpec | None = None
    busy: bool = False
    idle_since: float = 0.0
    #: Resident memory just after its model was loaded.
    rest_mb: int = 0
    memory_peak_mb: int = 0
    oom_kills: int = 0
    complaints: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    readers: tuple[threading.Thread, ...] = ()


def worker_command(config: Config) -> list[str]:
    """The command line of the real child, but for ``--parent``."""
    command = [sys.executable, "-m", "modules.worker.main"]
    command += ["--cpu-threads", str(config.whisperx.cpu_threads)]
    command += ["--models-directory", str(config.models_directory)]
    return [*command, "--online"] if config.whisperx.allow_download else command


def worker_environment(config: Config) -> dict[str, str]:
    """The child's environment: bounded threads and memory, no telemetry or hub, no secrets."""
    environment = {
        # What configures the daemon is not for the child; keys and passwords are among it.
        **{key: value for key, value in os.environ.items() if key not in ENVIRONMENT},
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYANNOTE_METRICS_ENABLED": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONIOENCODING": "utf-8:backslashreplace",
    }
    if not config.whisperx.allow_download:
        environment |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return environment


def scratch_folder(config: Config) -> Path:
    """An empty folder for the child's temporary files, the only one that it may write to.

    Named after the share, whose lock we hold: so what a crash left in it is found by the next.
    """
    share = hashlib.sha256(os.fsencode(config.shared_directory.resolve())).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"transcriber-{os.getuid()}-{share}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:  # somebody else's: anybody can make folders there
        return Path(tempfile.mkdtemp(prefix="transcriber-"))
    return folder


def death_of(child: Child) -> WorkerError:
    """What a dead child's exit status tells, in plain words."""
    try:
        status = child.process.wait(TERM_GRACE_S)
    except subprocess.TimeoutExpired:
        message = "The WhisperX process closed its output and was ended."
        return WorkerError("whisperx_failed", message)
    for reader in child.readers:
        reader.join(_LAST_WORDS_S)
    details = "\n".join(child.complaints) or None
    if status == -signal.SIGKILL and oom_kills() > child.oom_kills:
        return WorkerError(
            "out_of_memory",
            "Memory ran out, and the system ended the WhisperX process.",
            remedy="Give the machine more memory, or use a smaller whisperx.model_size.",
            details=details,
        )
    if status == -signal.SIGKILL:
        return WorkerError(
            "worker_killed",
            "The WhisperX process was ended from outside (SIGKILL).",
            remedy="Look for who does that: a supervisor with a memory limit, or a person.",
            details=details,
        )
    how = f"signal {_signal_name(-status)}" if status < 0 else f"exit code {status}"
    message = f"The WhisperX process ended with {how}."
    return WorkerError("whisperx_failed", message, details=details)


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


def read_events(child: Child) -> None:
    """Put the child's events into its queue; None when it has closed its end."""
    assert child.process.stdout is not None
    with contextlib.suppress(OSError, ValueError), child.process.stdout as lines:
        while line := lines.readline(_EVENT_BYTES):
            event = parse_event(line)
            if event is None:
                log.warning("WhisperX sent a line that makes no sense; it was thrown away")
            else:
                child.events.put(event)
    child.events.put(None)


def read_complaints(child: Child) -> None:
    """Keep the last lines of the child's standard error for the explanation of its death."""
    assert child.process.stderr is not None
    with contextlib.suppress(OSError, ValueError), child.process.stderr as lines:
        while line := lines.readline(_COMPLAINT_BYTES):
            child.complaints.append(line.decode(errors="replace").rstrip())


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def end_group(process: subprocess.Popen[bytes], grace_s: float = TERM_GRACE_S) -> None:
    """TERM, a moment, KILL to the whole group; the child is reaped. Without grace, KILL at once."""
    if grace_s:
        signal_group(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    # Also after a quiet end: what the child started may have outlived it.
    signal_group(process, signal.SIGKILL)
    process.wait()


def resident_mb(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss / 2**20)
    except psutil.Error:
        return 0
