"""The daemon with its workers in a cluster: two files at once, a machine that is lost, the head."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders import until
from tests.cluster.cluster_daemon import ClusterDaemon
from tests.cluster.local_cluster import START_S, LocalCluster
from tests.daemon_process import PROJECT
from tests.daemon_process import text_of as written
from tests.scripted_worker import CHUNK_S, full_text

#: A fifth of a second a chunk; long enough to be looked at and disturbed.
CHUNKS = 40


def workers_of(daemon: ClusterDaemon) -> list[dict[str, Any]]:
    """Those that are there."""
    found = json.loads(daemon._get("/health/detailed"))["workers"]
    return [worker for worker in found if worker["state"] != "lost"]


@pytest.fixture
def daemon(tmp_path: Path, cluster: LocalCluster) -> Iterator[ClusterDaemon]:
    with ClusterDaemon(tmp_path, cluster) as started:
        until(lambda: len(workers_of(started)) == 2, "two workers are there", START_S)
        yield started


def text_of(daemon: ClusterDaemon, name: str) -> str:
    return written(daemon.wait_for_result(name, timeout_s=START_S))


def busy(daemon: ClusterDaemon) -> dict[str, str]:
    """Which worker does which file."""
    workers = workers_of(daemon)
    return {w["filename"]: w["name"] for w in workers if w["filename"]}


def test_two_files_at_once_and_one_goes_on_elsewhere_when_its_machine_is_lost(
    daemon: ClusterDaemon, cluster: LocalCluster
) -> None:
    """Letter by letter the text of an undisturbed run, in one attempt that counts."""
    names = ("slow one.mp3", "slow two.mp3")
    contents = {name: daemon.drop(name, CHUNKS, seed=name) for name in names}
    until(lambda: len(busy(daemon)) == 2, "both are transcribed at once", START_S)
    for name in names:
        daemon.wait_for_position(name, 3 * CHUNK_S)
    cluster.kill(cluster.nodes[-1])
    for name, content in contents.items():
        assert text_of(daemon, name) == full_text(content)
        result = daemon.wait_for_result(name, timeout_s=START_S)
        assert result["processing_stats"]["total_attempts"] == 1, "the file was blamed for it"
    assert "is lost" in daemon.log
    cluster.add()
    until(lambda: len(workers_of(daemon)) == 2, "another worker comes", START_S)


@contextlib.contextmanager
def watching(daemon: ClusterDaemon, output: Path) -> Iterator[Path]:
    """What ``status --watch`` writes."""
    with output.open("wb") as file:
        watch = subprocess.Popen(
            daemon.command("status", "--watch"), cwd=PROJECT, env=daemon.environment(),
            stdin=subprocess.DEVNULL, stdout=file, stderr=file,
        )  # fmt: skip
    try:
        yield output
    finally:
        watch.terminate()
        watch.wait(START_S)


def test_without_the_link_all_waits_and_goes_on_by_itself(
    daemon: ClusterDaemon, tmp_path: Path
) -> None:
    with watching(daemon, tmp_path / "watch") as watched:
        until(lambda: watched.read_text().count("Worker ") >= 2, "the workers are told", START_S)
    content = daemon.drop("slow talk.mp3", CHUNKS)
    daemon.wait_for_position("slow talk.mp3", 2 * CHUNK_S)
    [link] = daemon.links()
    os.kill(link, signal.SIGKILL)
    until(lambda: "worker" in daemon.health()["troubles"], "it is reported", START_S)
    assert text_of(daemon, "slow talk.mp3") == full_text(content)
    assert daemon.health()["status"] == "healthy"


def test_a_killed_daemon_leaves_no_worker_behind_and_goes_on(
    daemon: ClusterDaemon, cluster: LocalCluster
) -> None:
    content = daemon.drop("slow talk.mp3", CHUNKS)
    daemon.wait_for_position("slow talk.mp3", 2 * CHUNK_S)
    assert cluster.actors()
    daemon.kill()
    until(lambda: not cluster.actors(), "its workers end with it", START_S)
    daemon.start()
    assert text_of(daemon, "slow talk.mp3") == full_text(content)


def test_a_head_that_is_lost_and_begins_anew_costs_no_recording_anything(
    daemon: ClusterDaemon, cluster: LocalCluster
) -> None:
    """Two are transcribed and two wait; the machines come back as their supervisors see to it."""
    names = ("slow one.mp3", "slow two.mp3", "three.mp3", "urgent.mp3")
    contents = {name: daemon.drop(name, CHUNKS, seed=name) for name in names}
    daemon.order("urgent.mp3")
    until(lambda: len(busy(daemon)) == 2, "two are transcribed at once", START_S)
    cluster.kill_head()
    until(lambda: "worker" in daemon.health()["troubles"], "it is reported", START_S)
    cluster.start_head()
    cluster.replace_machines()
    for name, content in contents.items():
        assert text_of(daemon, name) == full_text(content)
        result = daemon.wait_for_result(name, timeout_s=START_S)
        assert result["processing_stats"]["total_attempts"] == 1, "the file was blamed for it"
    until(lambda: daemon.health()["status"] == "healthy", "nothing of it is left", START_S)
    assert "failed:" not in daemon.log
