"""A child whose lines cannot be trusted: torn where a chunk was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon_process import text_of
from tests.integration.test_fault_worker import OtherDaemon, with_worker
from tests.scripted_daemon import SOON_S
from tests.scripted_worker import full_text

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
