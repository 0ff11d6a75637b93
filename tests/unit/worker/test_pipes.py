"""What the child hears of its parent."""

from __future__ import annotations

import os
import subprocess
import sys

from modules.executors.protocol import Prefetch, Transcribe
from modules.weights.files import ModelSpec
from tests.builders import SETTINGS
from tests.daemon_process import PROJECT

ORDER = Transcribe(
    task_id=1,
    path=b"/one.mp3",
    model=ModelSpec(name="base", path="/base", device="cpu", compute_type="int8"),
    settings=SETTINGS,
    batch_size=1,
    max_duration_s=60,
)
#: The end of its input ends the process, so it is one of its own that listens.
LISTENS = """
from modules.worker.pipes import Inbox
inbox = Inbox(0)
while inbox.next() is not None:
    print(inbox.next_up and inbox.next_up.path.decode(), flush=True)
"""


def test_what_was_next_is_forgotten_once_anything_is_ordered() -> None:
    following = ORDER.model_copy(update={"task_id": 0, "path": b"/two.mp3"})
    with subprocess.Popen(
        [sys.executable, "-c", LISTENS], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for order, told in (
            (ORDER, "None"),
            (ORDER.model_copy(update={"task_id": 2, "path": b"/two.mp3"}), "None"),
        ):
            process.stdin.write(order.model_dump_json().encode() + b"\n")
            process.stdin.flush()
            assert process.stdout.readline().decode().strip() == told
            prepare = Prefetch(next=following)
            process.stdin.write(prepare.model_dump_json().encode() + b"\n")
            process.stdin.flush()
        process.stdin.close()
        assert process.wait(10) == os.EX_OK
