"""What an attacker in the decoder would try, tried inside the process that decodes live sound.

The attempts are those of ``tests/sandbox_probe.py``; what came of them is sent as samples.
"""

from __future__ import annotations

import json
import os
import sys

from modules.executors.listen_protocol import Kind
from modules.worker import live_decoder
from modules.worker.listen import PiecePipe
from modules.worker.parent import die_with_parent
from tests import sandbox_probe
from tests.sandbox_probe import VARIABLE, Targets


def report(kind: str, max_duration_s: float, out: PiecePipe) -> None:
    """Try everything, in place of decoding."""
    targets = Targets(**json.loads(os.environ[VARIABLE]))
    sandbox_probe._scratch_file = lambda: os.devnull
    groups = {
        "resources": sandbox_probe._resource_attempts(targets.victim),
        "signals": sandbox_probe._signal_attempts(targets.victim),
        "files": sandbox_probe._file_attempts(targets)
        | {
            "a temporary file": lambda: sandbox_probe._write("/tmp/decoder-probe"),
            "beside the program": lambda: sandbox_probe._write(f"{live_decoder.__file__}.new"),
        },
        "processes": sandbox_probe._process_attempts(),
        "kernel": sandbox_probe._kernel_attempts(),
        "network": sandbox_probe._network_attempts(targets),
        "usual": sandbox_probe._usual_attempts(),
    }
    found = {name: sandbox_probe._tried(group) for name, group in groups.items()}
    said = json.dumps(found).encode()
    out.send(Kind.SAMPLES, said + b" " * (len(said) % 2))
    out.send(Kind.DONE)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[sys.argv.index("--parent") + 1]))
    live_decoder.decode = report
    live_decoder.main()
