"""A machine of a cluster that joins again whenever the cluster has lost it.

A head that began anew does not know its machines: their Ray ends, and would have to be started by
somebody. Run as ``python -m modules.executors.ray.membership TEXT COMMAND…``, so that what stays is
a small process. TEXT is what is said of a loss, with ``{seconds:g}`` in it.
"""

from __future__ import annotations

import contextlib
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

#: Ray writes this once the machine belongs to the cluster.
_JOINED = b"block forever"
#: Before it joins again, each time in vain a longer one, in seconds.
PAUSES_S = (1.0, 2.0, 5.0, 10.0, 30.0)
#: How often it is looked whether to end, in seconds.
_LOOK_S = 0.25
#: What Ray may take to end its processes, in seconds; it is killed after that.
_END_S = 60.0
_READ_BYTES = 2**16


class Membership:
    """Runs Ray's command, again and again, until it is asked to stop.

    ``on_lost``: called with the seconds until it joins again.
    """

    def __init__(self, command: Sequence[str], on_lost: Callable[[float], None]) -> None:
        self._command = command
        self._on_lost = on_lost
        self._is_stopping = False
        self._has_joined = False
        self._tail = b""

    def ask_to_stop(self) -> None:
        """Sets a flag, so a signal may call it."""
        self._is_stopping = True

    def run(self) -> int:
        """The exit code: 0 after a stop, and that of Ray if the machine never got in."""
        was_in, failures, code = False, 0, 0
        while not self._is_stopping:
            code = self._once()
            was_in |= self._has_joined
            if not was_in:
                break  # a wrong token or version: nothing that time mends
            failures = 1 if self._has_joined else failures + 1
            self._pause(PAUSES_S[min(failures, len(PAUSES_S)) - 1])
        return 0 if self._is_stopping else code or 1

    def _pause(self, seconds: float) -> None:
        if not self._is_stopping:
            self._on_lost(seconds)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._is_stopping:
            time.sleep(min(_LOOK_S, left))

    def _once(self) -> int:
        """Run Ray until it ends by itself, or because of a stop; its exit code."""
        self._has_joined, self._tail = False, b""
        with subprocess.Popen(  # nosec B603 # our own words, no shell
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as ray:
            try:
                while ray.poll() is None and not self._is_stopping:
                    self._pass_on(ray, _LOOK_S)
            finally:
                if ray.poll() is None:  # also if nobody reads what we write any more
                    self._end(ray)
            self._pass_on(ray, 0.0)
            return ray.returncode

    def _pass_on(self, ray: subprocess.Popen[bytes], timeout_s: float) -> None:
        """Show what Ray writes, and see whether it is in."""
        assert ray.stdout is not None
        if not select.select([ray.stdout], [], [], timeout_s)[0]:
            return
        part = ray.stdout.read1(_READ_BYTES)  # type: ignore[attr-defined]
        if not part:
            time.sleep(timeout_s)  # it has closed its output, and may take a moment to end
        self._has_joined |= _JOINED in self._tail + part
        self._tail = part[-len(_JOINED) :]
        sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()

    def _end(self, ray: subprocess.Popen[bytes]) -> None:
        ray.terminate()
        until = time.monotonic() + _END_S
        while ray.poll() is None and time.monotonic() < until:
            self._pass_on(ray, _LOOK_S)  # or it waits for somebody who reads
        if ray.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                ray.kill()
            ray.wait()


def main() -> None:
    """Do what the arguments of this process say, until it is ended by a signal."""
    text, *command = sys.argv[1:]
    member = Membership(command, lambda pause_s: print(text.format(seconds=pause_s), flush=True))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: member.ask_to_stop())
    sys.exit(member.run())


if __name__ == "__main__":
    main()
