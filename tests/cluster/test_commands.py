"""``cluster head`` and ``cluster join`` as they are typed, and what ``doctor`` finds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from modules.cli.commands import cluster as commands
from modules.cli.doctor.check_cluster import check_cluster
from modules.cli.doctor.findings import Finding, Level
from modules.config.schema import Config
from modules.errors import TranscriberError
from modules.executors.ray.token_file import make_token, token_at
from tests.builders import a_config, until
from tests.cluster.cluster_daemon import sections
from tests.cluster.local_cluster import START_S
from tests.daemon_process import PROJECT
from tests.ports import free_port

pytest.importorskip("ray", reason="the optional packages for a cluster are not installed")


def config_for(root: Path, port: int, token: Path, most: int = 1) -> Config:
    return a_config(root, **sections(f"127.0.0.1:{port}", token, max=most))


def found(config: Config) -> Finding:
    """The worst, and of those the last."""
    findings = list(check_cluster(config))
    return max(reversed(findings), key=lambda each: list(Level).index(each.level))


def test_nothing_is_said_where_there_is_no_cluster(tmp_path: Path) -> None:
    assert list(check_cluster(a_config(tmp_path))) == []


def test_a_missing_token_and_one_that_others_may_read_are_found(tmp_path: Path) -> None:
    token = tmp_path / "token"
    config = config_for(tmp_path, free_port(), token)
    assert found(config).level is Level.PROBLEM
    assert "no token" in found(config).seen
    make_token(token)
    assert token.stat().st_mode & 0o777 == 0o600
    token.chmod(0o644)
    assert "chmod 600" in found(config).remedy


def test_an_address_where_nobody_listens_is_found(tmp_path: Path) -> None:
    token = tmp_path / "token"
    make_token(token)
    finding = found(config_for(tmp_path, free_port(), token))
    assert finding.level is Level.PROBLEM
    assert "does not answer" in finding.seen


def test_a_token_is_made_once(tmp_path: Path) -> None:
    token = tmp_path / "a" / "token"
    assert not token_at(token)
    make_token(token)
    first = token.read_text()
    make_token(token)
    assert token.read_text() == first
    assert token_at(token)


def test_a_token_of_somebody_else_may_be_read_by_a_group_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes mounts a secret as a file of root, for the group of the container."""
    make_token(token := tmp_path / "token")
    token.chmod(0o440)
    with pytest.raises(TranscriberError, match="Others may read"):
        token_at(token)
    monkeypatch.setattr(os, "geteuid", lambda: token.stat().st_uid + 1)
    assert token_at(token)
    token.chmod(0o444)
    with pytest.raises(TranscriberError, match="Others may read"):
        token_at(token)


def test_nobody_joins_without_the_token(tmp_path: Path) -> None:
    options = Namespace(token_file=tmp_path / "token", head="10.0.0.1:6379")
    with pytest.raises(TranscriberError) as caught:
        commands.join(options)
    assert caught.value.code == "token_missing"


@pytest.fixture
def head(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The command ``cluster head``, and its port."""
    port = free_port()
    words = ["cluster", "head", "--port", str(port), "--cpus", "1"]
    words += ["--token-file", str(tmp_path / "token")]
    with (tmp_path / "head.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "transcriber.py", *words],
            cwd=PROJECT, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        yield process, port
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_a_head_runs_until_it_is_ended_and_leaves_nothing(
    head: tuple[subprocess.Popen[bytes], int], tmp_path: Path
) -> None:
    process, port = head
    log = tmp_path / "head.log"
    ready = b"block forever"
    until(lambda: ready in log.read_bytes() or process.poll(), "the head is there", START_S)
    assert process.poll() is None, log.read_text()
    token = tmp_path / "token"
    findings = list(check_cluster(config_for(tmp_path, port, token)))
    assert {each.level for each in findings} == {Level.OK}, findings
    assert "room for 1 workers, 1 are wanted" in str(findings)
    fewer = found(config_for(tmp_path, port, token, most=2))
    assert (fewer.level, fewer.remedy[:13]) == (Level.WARNING, "Add a machine")
    below = psutil.Process(process.pid).children(recursive=True)
    assert below
    assert not [each for each in below if "ray.util.client.server" in each.cmdline()]
    process.send_signal(signal.SIGTERM)
    process.wait(START_S)
    deadline = time.monotonic() + START_S
    _, alive = psutil.wait_procs(below, timeout=deadline - time.monotonic())
    assert alive == []
