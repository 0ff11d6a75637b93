"""The process in which Ray runs, seen from the daemon: start, connect, end."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from modules import PACKAGE, PROJECT_ROOT
from modules.clock import AwakeClock, Clock
from modules.executors.ray.channel import Channel, LinkClosedError
from modules.logger import get_logger

log = get_logger("Cluster")

_END_S = 3.0
_CHANGED = ("localhost", "127.0.0.1", "::1")
_COMPLAINT_CHARS = 500
#: What a client of the cluster gets of the service's environment: where programs, libraries and
#: temporary files are, who runs it, and in which language.
_KEPT = frozenset(
    ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG")
)
_KEPT_PREFIXES = ("LC_", "RAY_")
#: What it writes are lines, which are short.
_LINES_BYTES = 2**16
#: It sends a sign of life each second, busy or not; without one for so long it stands still.
SILENT_S = 20.0


class LinkProcess:
    """One life of that process. For one thread at a time."""

    def __init__(self, address: str, token_file: Path | None, clock: Clock) -> None:
        self._control, its = socket.socketpair()
        self._unread = b""
        self._is_connected = False
        # Only looks count: who stood still himself has not missed anything.
        self._clock = AwakeClock(clock)
        #: The last sign of life; before the first one it may take its time to start.
        self.heard_at: float | None = None
        with its:
            self._process = subprocess.Popen(  # nosec B603 # our own words, no shell
                [sys.executable, "-m", f"{PACKAGE}.executors.ray.link", "--address", address],
                stdin=its.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env=client_environment(os.environ, token_file, address),
                cwd=PROJECT_ROOT,
            )

    @property
    def is_dead(self) -> bool:
        return self._process.poll() is not None

    @property
    def pid(self) -> int:
        return self._process.pid

    def look(self) -> bool:
        """Whether it is connected; False while it tries. Look more than once a second.

        Raises LinkClosedError with the reason if it is of no use: it ended, it did not reach the
        cluster, or it stands still.
        """
        now = self._clock.monotonic()
        while part := self._received():
            self.heard_at = now
            *lines, self._unread = (self._unread + part).split(b"\n")
            for line in filter(None, lines):
                self._take(line)
        if self.is_dead:
            raise LinkClosedError(f"it ended with {self._process.returncode}")
        if self.heard_at is not None and now > self.heard_at + SILENT_S:
            raise LinkClosedError(f"no sign of life from it for {SILENT_S:g} s")
        return self._is_connected

    def _received(self) -> bytes:
        try:
            part = self._control.recv(_LINES_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise LinkClosedError(str(error)) from error
        if not part:
            raise LinkClosedError("it ended")
        return part

    def _take(self, line: bytes) -> None:
        result = json.loads(line)
        if not result["connected"]:
            raise LinkClosedError(str(result.get("details"))[:_COMPLAINT_CHARS])
        self._is_connected = True

    def channel(self) -> Channel:
        """A line to a worker that does not exist yet. Raises LinkClosedError."""
        ours, its = socket.socketpair()
        with its:
            try:
                socket.send_fds(self._control, [b"+"], [its.fileno()])
            except OSError as error:
                ours.close()
                raise LinkClosedError(str(error)) from error
        return Channel(ours)

    def end(self) -> None:
        """End it, and with it all its actors; it is reaped on return."""
        self._control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def is_loopback(address: str) -> bool:
    """Whether ``HOST:PORT``, or a host, is this machine's own, so that nobody else gets there."""
    host = _host(address)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _host(address: str) -> str:
    return address.rsplit(":", 1)[0].strip("[]") if not address.endswith("::1") else address


def client_environment(
    environ: Mapping[str, str], token_file: Path | None, address: str
) -> dict[str, str]:
    """The environment of a process that becomes a client of the cluster: none of our secrets.

    What nodes send is unpickled there, and no setting of ours is read. Proxies are left out: Ray
    uses none, and their addresses may contain passwords.
    """
    kept = {k: v for k, v in environ.items() if k in _KEPT or k.startswith(_KEPT_PREFIXES)}
    return ray_environment(kept, token_file, address)


def ray_environment(
    environ: Mapping[str, str], token_file: Path | None, address: str
) -> dict[str, str]:
    """The environment of whatever belongs to Ray: a token is asked for, nothing is reported.

    A node that does not answer is given up after 24 s at most: four checks of 5 s, and the periods
    between. With tighter ones busy nodes are ended (ray-project/ray#44680). One where nothing
    listens any more refuses each check at once, and is given up after as many periods. Without
    ``token_file`` the token is in Ray's usual place.
    """
    chosen = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        # What a worker did is in the checkpoint: a node that is to end needs no time for it.
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_timeout_ms": "5000",
        "RAY_health_check_failure_threshold": "4",
        # How often a node looks whether the head knows it. One that began anew does not, and has no
        # machines until they have ended and been started again; Ray looks once a minute.
        "RAY_raylet_liveness_self_check_interval_ms": "5000",
        # The head would keep a record of each of the latest 100,000 calls, for a dashboard that is
        # switched off: an hour of one worker is 14,400 of them.
        "RAY_task_events_report_interval_ms": "0",
        # Each process of Ray writes its statistics once a minute: 40 MB a day for the head. Without
        # these, it keeps some GB of that for each.
        "RAY_ROTATION_MAX_BYTES": str(8 * 2**20),
        "RAY_ROTATION_BACKUP_COUNT": "1",
        # Nodes find the program where they were started, and it uses no other place.
        "PYTHONPATH": str(PROJECT_ROOT),
    }
    if _host(address) in _CHANGED:
        # Ray takes these for the address of the network card, unless it believes to be on a system
        # that has no clusters. All others are left as they are.
        chosen["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    if token_file:
        chosen["RAY_AUTH_TOKEN_PATH"] = str(token_file)
    return {**environ, **chosen}
