"""What a cluster would gather over days if it were not told otherwise."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.builders import until
from tests.cluster.local_cluster import START_S, LocalCluster
from tests.cluster.workers import a_pool, closing, config_in, ready

pytest.importorskip("ray", reason="the optional packages for a cluster are not installed")

_KEPT_NOWHERE = "Task Event Buffer is disabled"


def test_no_call_is_recorded_by_the_head(cluster: LocalCluster, tmp_path: Path) -> None:
    """Who calls, and who is called, reports nothing of it: the head would keep it in its memory."""
    config = config_in(tmp_path, cluster)
    with closing(a_pool(cluster, config)) as pool:
        [executor] = ready(pool)
        logs = cluster.folder / "r" / "session_latest" / "logs"
        for pid in (pool.link_pid, executor.hello.pid):
            [log] = logs.glob(f"python-core-*_{pid}.log")
            until(partial(_says, log), "it says that it keeps nothing", START_S)


def _says(log: Path) -> bool:
    return _KEPT_NOWHERE in log.read_text(encoding="utf-8")
