"""What an attacker in the decoder would try, tried inside the process that makes listening copies.

The attempts are those of ``tests/sandbox_probe.py``; what came of them is sent as peaks.
"""

from __future__ import annotations

import json
import os
import sys

from modules.executors.listen_protocol import Kind, Wish
from modules.worker import listen
from tests import sandbox_probe
from tests.sandbox_probe import VARIABLE, Targets


def report(recording: int, wish: Wish, max_duration_s: float, pipe: listen.PiecePipe) -> None:
    """Try everything, in place of decoding."""
    targets = Targets(**json.loads(os.environ[VARIABLE]))
    sandbox_probe._scratch_file = lambda: os.devnull
    groups = {
        "resources": sandbox_probe._resource_attempts(targets.victim),
        "signals": sandbox_probe._signal_attempts(targets.victim),
        "files": sandbox_probe._file_attempts(targets)
        | {
            "a temporary file": lambda: sandbox_probe._write("/tmp/listen-probe"),
            "beside the program": lambda: sandbox_probe._write(f"{listen.__file__}.new"),
        },
        "descriptor": sandbox_probe._descriptor_attempts(recording),
        "processes": sandbox_probe._process_attempts(),
        "kernel": sandbox_probe._kernel_attempts(),
        "network": sandbox_probe._network_attempts(targets),
        "usual": sandbox_probe._usual_attempts(),
    }
    found = {name: sandbox_probe._tried(group) for name, group in groups.items()}
    pipe.send(Kind.PEAKS, json.dumps(found).encode())
    pipe.send(Kind.DONE)


if __name__ == "__main__":
    listen.die_with_parent(int(sys.argv[sys.argv.index("--parent") + 1]))
    listen.listen = report
    listen.main()
