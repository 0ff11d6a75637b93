"""What ``doctor`` says of a cluster from what its machines answered; the real ones are asked in
``tests/cluster``."""

from __future__ import annotations

import importlib.util
import platform
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modules import __version__
from modules.cli.doctor import check_cluster
from modules.cli.doctor.findings import Finding, Level
from modules.config.schema import Config
from modules.executors.ray.node_look import Look, LookFor
from modules.executors.ray.survey import Node, Survey
from modules.executors.ray.token_file import make_token
from tests.builders import a_config, a_model


@pytest.fixture
def address() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as head:
        yield f"127.0.0.1:{head.getsockname()[1]}"


def a_look(**changes: Any) -> Look:
    facts = {
        "node": "node-b", "version": __version__, "python": platform.python_version(),
        "free_mb": 8000, "weights": "same", "share": "same", "folder": "/mnt/shared",
    }  # fmt: skip
    return Look.model_validate(facts | changes)


def a_node(name: str, cpus: float, **changes: Any) -> Node:
    facts = {"name": name, "cpus": cpus, "gpus": 0, "free_cpus": cpus, "free_gpus": 0}
    return Node.model_validate(facts | changes)


def findings(
    root: Path, address: str, monkeypatch: pytest.MonkeyPatch, seen: Survey
) -> list[Finding]:
    make_token(root / "token")
    workers = {"kind": "ray", "address": address, "token_file": str(root / "token"), "max": 2}
    config: Config = a_config(root, workers=workers, live={"enabled": False})
    config.shared_directory.mkdir(exist_ok=True)
    a_model(config.models_directory)
    orders: list[LookFor] = []

    def surveyed(address: str, token: Path, order: LookFor) -> Survey:
        assert order.marker is not None
        assert Path(order.marker).is_file()
        orders.append(order)
        return seen

    monkeypatch.setattr(check_cluster, "survey", surveyed)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    return list(check_cluster.check_cluster(config))


def test_without_the_packages_it_is_said_how_they_are_installed(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = a_config(tmp_path, workers={"kind": "ray", "address": address})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    live, missing = check_cluster.check_cluster(config)
    assert (live.level, live.subject) == (Level.OK, "live text")
    assert missing.level is Level.PROBLEM
    assert "make cluster" in missing.remedy


@pytest.mark.parametrize(
    ("changes", "seen", "remedy"),
    [
        ({"version": "0.0.9"}, "node-b has version 0.0.9", "the same version"),
        ({"python": "3.11.0"}, "node-b has Python 3.11.0", "the same version"),
        ({"share": "other"}, "does not have the shared folder as /mnt/shared", "path_map"),
        (
            {"weights": {"fault": "model", "code": "node_weights_differ", "message":
                         "Others. Copy.", "details": None, "permanent": False}},
            "Others. Copy.", "",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_on_a_machine_is_a_line(
    tmp_path: Path,
    address: str,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    seen: str,
    remedy: str,
) -> None:
    node = a_node("node-b", cpus=4, look=a_look(**changes))
    found = findings(tmp_path, address, monkeypatch, Survey(ray="2.60.0", nodes=(node,)))
    [wrong] = [each for each in found if each.level is Level.PROBLEM]
    assert seen in wrong.seen
    assert remedy in wrong.remedy if remedy else not wrong.remedy


def test_one_that_does_not_answer_and_one_with_too_little_memory(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = (
        a_node("node-a", cpus=4, problem="no answer within 60 s"),
        a_node("node-b", cpus=4, look=a_look(free_mb=100)),
    )
    found = findings(tmp_path, address, monkeypatch, Survey(ray="2.60.0", nodes=nodes))
    levels = {each.seen: each.level for each in found}
    assert levels["node-a could not be looked at: no answer within 60 s"] is Level.PROBLEM
    [scarce] = [seen for seen in levels if "100 MB of memory free, and 2 more workers take" in seen]
    assert levels[scarce] is Level.WARNING
    assert levels["there is room for 4 workers, 2 are wanted; each takes 2 processors"] is Level.OK


@pytest.mark.parametrize(
    ("free_cpus", "elsewhere", "count"),
    [(8, 0, 2), (6, 0, 1), (4, 0, 0), (8, 2, 1), (6, 2, 0)],
)
def test_as_many_workers_as_may_still_come_must_find_memory_there(
    tmp_path: Path,
    address: str,
    monkeypatch: pytest.MonkeyPatch,
    free_cpus: float,
    elsewhere: float,
    count: int,
) -> None:
    """Two are wanted of two processors each, some of which are on this machine or on another."""
    nodes = (
        a_node("node-a", cpus=8, look=a_look(node="node-a", free_mb=1), free_cpus=free_cpus),
        a_node("node-b", cpus=elsewhere, look=a_look(), free_cpus=0),
    )
    found = findings(tmp_path, address, monkeypatch, Survey(ray="2.60.0", nodes=nodes))
    scarce = [each.seen for each in found if "has 1 MB of memory free, and" in each.seen]
    assert [f"and {count} more worker" in seen for seen in scarce] == [True] * bool(count)
