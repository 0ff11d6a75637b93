"""``doctor`` on a real cluster: each machine is asked what it has, and says what is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from modules.cli.doctor.check_cluster import check_cluster
from modules.cli.doctor.findings import Finding, Level
from modules.config.schema import Config
from modules.executors.ray.node_look import LookFor
from modules.executors.ray.slot import ClusterPlan
from modules.executors.ray.survey import survey
from tests.builders import until
from tests.cluster.cluster_daemon import sections
from tests.cluster.local_cluster import START_S, LocalCluster
from tests.cluster.workers import a_pool, closing, config_in, ready

pytest.importorskip("ray", reason="the optional packages for a cluster are not installed")


def config_for(root: Path, cluster: LocalCluster, **more: object) -> Config:
    workers = {"max": 2, **more}
    return config_in(root, cluster, **sections(cluster.address, cluster.token, **workers))


def problems(findings: list[Finding]) -> list[str]:
    return [each.seen + each.remedy for each in findings if each.level is Level.PROBLEM]


def test_all_is_well(cluster: LocalCluster, tmp_path: Path) -> None:
    findings = list(check_cluster(config_for(tmp_path, cluster)))
    assert {each.level for each in findings} == {Level.OK}, findings
    nodes = [each.seen for each in findings if each.subject == "node"]
    assert len(nodes) == 3, "the head, and two nodes with a processor each"
    assert sum("has 1 processors, 0 graphics cards" in seen for seen in nodes) == 2
    assert all(f"the shared folder as {tmp_path / 'shared'}" in seen for seen in nodes)
    assert all("the same weights" in seen for seen in nodes)
    all_seen = " ".join(each.seen for each in findings)
    for part in ("for its owner alone", "with Ray 2.", "room for 2 workers", "MB of memory here"):
        assert part in all_seen
    assert list((tmp_path / "shared").iterdir()) == [], "nothing is left there"


def test_what_a_machine_lacks_is_said(cluster: LocalCluster, tmp_path: Path) -> None:
    """The share is not mounted where path_map says, and the weights of the nodes are others."""
    (elsewhere := tmp_path / "models").mkdir()
    shutil.copytree(cluster.models, elsewhere, dirs_exist_ok=True)
    [vocabulary] = elsewhere.glob("*/vocabulary.txt")
    vocabulary.write_text("another\n")
    (empty := tmp_path / "mount").mkdir()  # as where nothing is mounted
    here = str(tmp_path / "shared")
    config = config_for(tmp_path, cluster, path_map={here: str(empty)})
    config = config.model_copy(update={"models_directory": elsewhere})
    found = problems(list(check_cluster(config)))
    assert sum("does not have the shared folder as" in seen for seen in found) == 3
    assert sum("workers.path_map" in seen for seen in found) == 3
    assert sum("has other weights for" in seen for seen in found) == 3


def test_free_processors_are_those_that_no_worker_has(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    config = config_for(tmp_path, cluster)
    plan = ClusterPlan.of(config.workers)
    order = LookFor(setup=plan.setup(config), weights=None, marker=None)

    def free() -> list[float]:
        return sorted(
            node.free_cpus for node in survey(cluster.address, cluster.token, order).nodes
        )

    until(lambda: free() == [0, 1, 1], "all are free", START_S)
    with closing(a_pool(cluster, config)) as pool:
        ready(pool)
        until(lambda: free() == [0, 0, 1], "one is taken", START_S)


def test_a_wrong_token_is_found(cluster: LocalCluster, tmp_path: Path) -> None:
    (token := tmp_path / "token").touch(mode=0o600)
    token.write_text("0" * 64)
    config = config_for(tmp_path, cluster, token_file=str(token))
    [wrong] = problems(list(check_cluster(config)))
    assert "does not let this program in" in wrong
    assert "the token must be the same there" in wrong
