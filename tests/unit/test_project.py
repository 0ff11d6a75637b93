"""One version everywhere, a changelog that keeps its form, one list of checks for two tools."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml

from modules import __version__
from modules.api.app import create_app
from modules.api.services import Services
from tests.builders import a_config

PROJECT = Path(__file__).resolve().parents[2]
CHANGELOG = (PROJECT / "CHANGELOG.md").read_text("utf-8")
HEADING = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - (unreleased|\d{4}-\d\d-\d\d)$", re.MULTILINE)
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
TEMPLATES = sorted((PROJECT / ".github" / "ISSUE_TEMPLATE").glob("[0-9]-*.yml"))
#: Where an image or a package may carry a version of its own.
LABELS = [
    path
    for path in (PROJECT / "Dockerfile", PROJECT / "compose.yaml", *PROJECT.glob("deploy/**/*"))
    if path.is_file()
]


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(PROJECT / "setup.cfg", encoding="utf-8")
    return parser


# --- the version --------------------------------------------------------------------------------


def test_the_package_has_the_version_of_the_program() -> None:
    assert setup()["metadata"]["version"] == "attr: modules.__version__"
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_the_command_tells_it() -> None:
    told = subprocess.run(
        [sys.executable, "transcriber.py", "--version"],
        cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert told.stdout == f"audio-transcriber {__version__}\n"


def test_the_document_of_the_api_tells_it(tmp_path: Path) -> None:
    services = Services(a_config(tmp_path), *(Mock() for _ in range(16)))
    document = create_app(services).test_client().get("/openapi.json").get_json()
    assert document["info"]["version"] == __version__


def test_the_changelog_begins_with_it() -> None:
    newest = HEADING.search(CHANGELOG)
    assert newest, "CHANGELOG.md has no heading such as ## [1.2.3] - unreleased"
    assert newest.group(1) == __version__


def test_no_other_version_is_stuck_to_what_is_built() -> None:
    label = re.compile(r"(?:image\.version|APP_VERSION)[\"']?\s*[:=]\s*[\"']?(\d+\.\d+\.\d+)")
    image = re.compile(r"audio-transcriber:(\d+\.\d+\.\d+)")
    texts = [path.read_text("utf-8", errors="replace") for path in LABELS]
    found = [version for text in texts for rule in (label, image) for version in rule.findall(text)]
    assert set(found) <= {__version__}


# --- the changelog ------------------------------------------------------------------------------


def test_its_versions_come_newest_first_and_only_the_newest_is_unreleased() -> None:
    versions = HEADING.findall(CHANGELOG)
    numbers = [tuple(map(int, version.split("."))) for version, _ in versions]
    assert numbers == sorted(set(numbers), reverse=True)
    assert "unreleased" not in [when for _, when in versions[1:]]
    assert len(versions) == len(re.findall(r"^## ", CHANGELOG, re.MULTILINE)), "a heading is wrong"
    days = [date.fromisoformat(when) for _, when in versions if when != "unreleased"]
    assert days == sorted(days, reverse=True)


def test_its_sections_are_lists_under_known_headings() -> None:
    for version in re.split(r"^## .*$", CHANGELOG, flags=re.MULTILINE)[1:]:
        kinds = re.findall(r"^### (.+)$", version, re.MULTILINE)
        assert set(kinds) <= set(KINDS)
        assert len(set(kinds)) == len(kinds), "a section is there twice"
        for section in re.split(r"^### .*$", version, flags=re.MULTILINE)[1:]:
            lines = section.strip("\n").split("\n")
            assert [line for line in lines if not line.startswith("- ")] == []


# --- the checks ---------------------------------------------------------------------------------


def lint_commands() -> list[str]:
    """The recipe of `make lint`, with the variables of the Makefile put in."""
    makefile = (PROJECT / "Makefile").read_text("utf-8")
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe
    variables = dict(re.findall(r"^([A-Z]+) *:= *(.*)$", makefile, re.MULTILINE))
    lines = [line.strip() for line in recipe.group(1).splitlines()]
    return [re.sub(r"\$\((\w+)\)", lambda name: variables[name.group(1)], line) for line in lines]


def hooks() -> list[dict[str, Any]]:
    tree = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text("utf-8"))
    return [hook for repository in tree["repos"] for hook in repository["hooks"]]


def test_pre_commit_checks_what_make_lint_does() -> None:
    assert len(lint_commands()) >= 5
    assert [hook["entry"] for hook in hooks()] == lint_commands()


def test_pre_commit_fetches_nothing_and_looks_at_everything() -> None:
    tree = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert [repository["repo"] for repository in tree["repos"]] == ["local"]
    for hook in hooks():
        assert (hook["language"], hook["pass_filenames"], hook["always_run"]) == (
            "system", False, True,
        )  # fmt: skip


# --- what a project has -------------------------------------------------------------------------


def test_the_licence_is_the_one_that_is_told() -> None:
    text = (PROJECT / "LICENSE").read_text("utf-8")
    assert text.startswith("MIT License\n\nCopyright (c) 2026 the audio-transcriber authors\n")
    assert setup()["metadata"].get("license", "MIT") == "MIT"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_for_reports_can_be_shown(path: Path) -> None:
    form = yaml.safe_load(path.read_text("utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    fields = [item for item in form["body"] if item["type"] != "markdown"]
    assert {item["type"] for item in fields} <= {"textarea", "input", "dropdown", "checkboxes"}
    assert all(item["attributes"]["label"] for item in fields)
    ids = [item["id"] for item in fields]
    assert len(set(ids)) == len(ids)
    assert any(item.get("validations", {}).get("required") for item in fields)
    for item in fields:
        options = item["attributes"].get("options", [])
        assert all(isinstance(option, str) for option in options), "YAML takes yes and no for bool"


def test_there_are_templates_for_reports() -> None:
    assert len(TEMPLATES) == 3
