"""Two machines with addresses and mounts of their own: a share elsewhere, none, a lost network."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from modules.executors.ray.token_file import make_token
from tests.builders import until
from tests.cluster.cluster_daemon import ClusterDaemon
from tests.cluster.local_cluster import START_S
from tests.cluster.machines import Machines, machines
from tests.daemon_process import text_of
from tests.scripted_worker import CHUNK_S, full_text

pytest.importorskip("ray", reason="the optional packages for a cluster are not installed")

#: A machine that lost its network is missed after 25 s; the rest is for a busy one here.
NOTICED_S = 45.0
#: Less than a node may be silent.
BLINK_S = 4.0
#: A fifth of a second each.
CHUNKS = 100
_ASK = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=9).read().decode())"


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """One worker fits on each; what lies in a folder here is elsewhere on the second."""
    with machines(tmp_path_factory.mktemp("machines") / "here", cpus=1) as made:
        yield made


@contextmanager
def a_daemon(there: Machines, name: str, **workers: Any) -> Iterator[ClusterDaemon]:
    """On the first machine, with a worker on each."""
    root = there.share / name
    root.mkdir()
    with ClusterDaemon(root, there, 2, prefix=there.first.prefix, **workers) as daemon:
        for machine in ("first", "second"):
            daemon.wait_for_log(rf"The worker {machine}-\d is there, on {machine}", START_S)
        yield daemon


def at_work(there: Machines, daemon: ClusterDaemon) -> dict[str, str]:
    """Which file each machine works on. The API listens where nobody else gets."""
    port = daemon.wait_for_log(r"Listening on http://[^:]+:(\d+)")[1]
    url = f"http://127.0.0.1:{port}/health/detailed"
    workers = json.loads(there.first.run(sys.executable, "-c", _ASK, url))["workers"]
    return {w["node"]: w["filename"] for w in workers if w["filename"]}


def two_at_once(there: Machines, daemon: ClusterDaemon) -> tuple[dict[str, bytes], str]:
    """Two recordings, both begun, with their bytes, and the one on the second machine."""
    contents = {name: daemon.drop(name, CHUNKS, seed=name) for name in ("slow a.mp3", "slow b.mp3")}
    until(lambda: len(at_work(there, daemon)) == 2, "both are transcribed", START_S)
    for name in contents:
        daemon.wait_for_position(name, 2 * CHUNK_S)
    return contents, at_work(there, daemon)["second"]


def copies(there: Machines) -> str:
    """What the second machine has of the recordings."""
    return there.second.run("find", str(there.temporary), "-name", "slow*")


def check(daemon: ClusterDaemon, contents: dict[str, bytes]) -> None:
    """Letter by letter what was said, in one attempt that counts."""
    for name, content in contents.items():
        result = daemon.wait_for_result(name)
        assert text_of(result) == full_text(content)
        assert result["processing_stats"]["total_attempts"] == 1, "the file was blamed for it"


def test_the_share_may_be_mounted_elsewhere_on_another_machine(there: Machines) -> None:
    path_map = {str(there.share): str(there.elsewhere)}
    with a_daemon(there, "mapped", path_map=path_map) as daemon:
        contents, _ = two_at_once(there, daemon)
        check(daemon, contents)


def test_a_machine_without_the_share_is_sent_the_recordings(there: Machines) -> None:
    there.second.run("umount", "--lazy", str(there.elsewhere))
    assert not there.second.run("ls", str(there.share), str(there.elsewhere)).count("mapped")
    with a_daemon(there, "sent", media="stream") as daemon:
        contents, _ = two_at_once(there, daemon)
        assert copies(there)
        check(daemon, contents)
        until(lambda: not copies(there), "the copy is removed")


def test_other_machines_get_in_with_the_token_alone(there: Machines, tmp_path: Path) -> None:
    wrong = tmp_path / "token"
    make_token(wrong)
    refused = there.second.cluster(
        "join", there.address, "--token-file", str(wrong), temporary=there.temporary
    )
    assert refused.wait(START_S) != 0
    daemon = ClusterDaemon(tmp_path, there, token_file=None)
    done = subprocess.run(
        [*there.first.prefix, *daemon.command("run")],
        capture_output=True, text=True, timeout=START_S, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "workers.token_file" in done.stdout + done.stderr


def test_a_machine_that_vanishes_is_missed_and_changes_nothing_when_it_is_back(
    there: Machines,
) -> None:
    with a_daemon(there, "lost", media="stream") as daemon:
        contents, name = two_at_once(there, daemon)
        there.second.join_network(False)
        time.sleep(BLINK_S)
        there.second.join_network()
        before = daemon.in_progress(name)
        assert before is not None
        daemon.wait_for_position(name, before["intermediate"]["position_seconds"] + 2 * CHUNK_S)
        assert "is lost" not in daemon.log
        there.second.join_network(False)
        began = time.monotonic()
        [late] = [p for p in there.second.processes() if "scripted_worker" in " ".join(p.cmdline())]
        daemon.wait_for_log(r"is lost", NOTICED_S)
        print(f"missed after {time.monotonic() - began:.1f} s")
        there.second.join_network()
        check(daemon, contents)
        assert daemon.wait_for_log(rf"{name}: going on from the checkpoint at (\d+)", 1.0)
        until(lambda: late not in there.second.processes(), "it ends by itself", START_S)


def test_a_machine_joins_a_head_that_began_anew_and_ends_when_it_is_asked_to(
    tmp_path: Path,
) -> None:
    """The second head is another one at the same place; it knows nothing of the machine."""
    with machines(tmp_path / "here", cpus=0) as made:
        made.first.end_cluster()
        (again := made.folder / "u").mkdir()
        made.start_head(0, again)
        until(lambda: made.second.log.count(b"block forever") == 2, "it joins again", 2 * START_S)
        assert b"it joins again in 1 s" in made.second.log
        (made.share / "after").mkdir()
        with ClusterDaemon(made.share / "after", made, 1, made.first.prefix) as daemon:
            daemon.wait_for_log(r"The worker second-\d is there, on second", START_S)
        assert made.second.end_cluster() == 0
