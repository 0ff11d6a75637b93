"""A child whose lines cannot be trusted: torn where a chunk was, or without an end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon_process import text_of
from tests.integration.test_fault_worker import OtherDaemon, with_worker
from tests.scripted_daemon import SOON_S
from tests.scripted_worker import full_text

MEMORY_MB = 60
TEARS_A_CHUNK = """
hand_over = scripted_worker.Act._hand_over
def torn(act, index):
    if index == {index} and act._command.task_id == 1:
        act._line.write(b'{{"kind": "chunk", "task_id": 1, "start_s": \\n')
        act._sent += 1
    else:
        hand_over(act, index)
scripted_worker.Act._hand_over = torn
"""


@pytest.mark.parametrize("index", [0, 1, 4], ids=["first", "inner", "last"])
def test_a_chunk_whose_line_was_torn_is_done_again(tmp_path: Path, index: int) -> None:
    with OtherDaemon(tmp_path, with_worker(TEARS_A_CHUNK.format(index=index))) as daemon:
        content = daemon.drop("talk.mp3", 5)
        result = daemon.wait_for_result("talk.mp3", SOON_S)
        assert text_of(result) == full_text(content), "what the torn line said is missing"


ENDLESS = """
def flood(line):
    for _ in range(200):
        line.write(b"x" * 1_000_000)
    line.write(b"\\n")
scripted_worker._TRICKS["flood"] = flood
"""


def test_a_line_without_an_end_does_not_fill_the_daemons_memory(tmp_path: Path) -> None:
    with OtherDaemon(tmp_path, with_worker(ENDLESS)) as daemon:
        daemon.wait_until_warm()
        before_mb, most_mb = daemon.memory_mb()[0], 0.0
        content = daemon.drop("flood1.mp3")

        def done() -> bool:
            nonlocal most_mb
            most_mb = max(most_mb, daemon.memory_mb()[0])
            return daemon.result("flood1.mp3") is not None

        daemon.wait_for(done, "the file was done", SOON_S, poll_s=0.01)
        assert most_mb - before_mb < MEMORY_MB
        assert text_of(daemon.wait_for_result("flood1.mp3", SOON_S)) == full_text(content)
