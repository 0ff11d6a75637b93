"""Workers as clients are shown them: this machine's, which says much, and those elsewhere."""

from __future__ import annotations

from pathlib import Path

from modules.service.worker_view import Workers
from tests.fake_pool import FakePool, FarExecutor
from tests.fakes import FakeClock


def test_workers_elsewhere_are_shown_with_what_they_have_in_hand(tmp_path: Path) -> None:
    clock = FakeClock()
    pool = FakePool([FarExecutor(clock), FarExecutor(clock)])
    in_hand = {"node1": ("talk.mp3", "2026-11-30T02:00:00Z")}
    workers = Workers(pool, lambda: in_hand, tmp_path, lambda: 0, clock)
    idle, busy = workers.views()
    assert (idle.worker.node, idle.state, idle.filename, idle.since) == (
        "node0", "waiting", None, None,
    )  # fmt: skip
    assert (busy.worker.node, busy.state) == ("node1", "transcribing")
    assert (busy.filename, busy.since) == in_hand["node1"]
    pool.lose(1)
    assert [view.worker.node for view in workers.views()] == ["node0"]
