"""deploy/kubernetes/cluster.yaml: what can be checked without a cluster.

The whole file was checked once against the schema of KubeRay's resource at v1.7.0-rc.0, with no
field allowed that is not in it; here are the fields of that schema that it may use.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from modules.cli.parser import build_parser
from modules.config.loader import load_config
from modules.executors.ray.link_process import ray_environment
from modules.executors.ray.node_worker import MODELS_VARIABLE
from tests.daemon_process import PROJECT

TEXT = (PROJECT / "deploy" / "kubernetes" / "cluster.yaml").read_text(encoding="utf-8")
DOCUMENTS: dict[str, dict[str, Any]] = {each["kind"]: each for each in yaml.safe_load_all(TEXT)}
SPEC = DOCUMENTS["RayCluster"]["spec"]
HEAD, [WORKERS] = SPEC["headGroupSpec"], SPEC["workerGroupSpecs"]
PODS = {"head": HEAD["template"]["spec"], "workers": WORKERS["template"]["spec"]}
CONTAINERS = [container for pod in PODS.values() for container in pod["containers"]]

_FIELDS = {
    "cluster": {
        "authOptions", "autoscalerOptions", "enableInTreeAutoscaling", "gcsFaultToleranceOptions",
        "headGroupSpec", "headServiceAnnotations", "managedBy", "networkPolicy", "rayVersion",
        "suspend", "tlsOptions", "upgradeStrategy", "workerGroupSpecs",
    },
    "head": {
        "enableIngress", "headService", "labels", "rayStartParams", "resources", "serviceType",
        "template",
    },
    "workers": {
        "groupName", "idleTimeoutSeconds", "labels", "maxReplicas", "minReplicas", "numOfHosts",
        "priority", "rayStartParams", "replicas", "resources", "scaleStrategy", "suspend",
        "template",
    },
}  # fmt: skip


def test_it_uses_fields_that_the_operator_knows() -> None:
    assert DOCUMENTS["RayCluster"]["apiVersion"] == "ray.io/v1"
    for name, found in (("cluster", SPEC), ("head", HEAD), ("workers", WORKERS)):
        assert set(found) <= _FIELDS[name]
    for group in (HEAD, WORKERS):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


@pytest.mark.parametrize("pod", PODS)
def test_what_is_mounted_is_there(pod: str) -> None:
    volumes = {volume["name"]: volume for volume in PODS[pod]["volumes"]}
    for container in PODS[pod]["containers"]:
        assert {mount["name"] for mount in container["volumeMounts"]} <= set(volumes)
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == name_of("PersistentVolumeClaim")
    assert volumes["configuration"]["configMap"]["name"] == name_of("ConfigMap")
    assert f"secret generic {volumes['token']['secret']['secretName']}" in TEXT


def name_of(kind: str) -> str:
    return str(DOCUMENTS[kind]["metadata"]["name"])


def test_the_workers_can_only_read_the_recordings() -> None:
    [worker] = PODS["workers"]["containers"]
    assert all(m.get("readOnly") for m in worker["volumeMounts"] if m["name"] == "data")


def test_its_configuration_is_valid_and_fits_to_the_cluster(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(DOCUMENTS["ConfigMap"]["data"]["config.yaml"])
    config = load_config(file, {})
    workers = config.workers
    assert workers.kind == "ray"
    assert workers.address == f"{name_of('RayCluster')}-head-svc:6379"
    assert workers.max == WORKERS["maxReplicas"]
    assert str(workers.cpus_per_worker) == WORKERS["rayStartParams"]["num-cpus"]
    mounts = {m["mountPath"] for m in CONTAINERS[1]["volumeMounts"]}
    assert str(config.shared_directory.parent) in mounts
    assert workers.token_file is not None
    assert str(workers.token_file.parent) in mounts
    assert config.models_directory == Path("/app/models")


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda c: str(c["name"]))
def test_every_container_asks_for_the_token_and_reports_nothing(container: dict[str, Any]) -> None:
    environment = {each["name"]: each["value"] for each in container["env"]}
    own = {"PYTHONPATH": "/app", MODELS_VARIABLE: "/app/models"}
    assert environment == ray_environment({}, Path("/run/cluster/auth_token"), "10.0.0.1:1") | own
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert "limits" in container["resources"]


def test_the_service_is_started_by_a_command_that_there_is() -> None:
    options = build_parser().parse_args(CONTAINERS[1]["args"])
    assert str(options.config.parent) in {m["mountPath"] for m in CONTAINERS[1]["volumeMounts"]}


def test_its_ray_is_the_one_that_is_installed() -> None:
    lock = (PROJECT / "requirements-ray.lock").read_text(encoding="utf-8")
    found = re.search(r"^ray==([\d.]+)", lock, re.MULTILINE)
    assert found
    assert SPEC["rayVersion"] == found[1]
