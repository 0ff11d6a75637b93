"""The checks on documents find what they are there to find."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import commands, pages
from tests.docs.pages import Block, anchor_of


def a_block(text: str, mark: str = "", language: str = "sh") -> Block:
    return Block("docs/page.md", 1, language, text, mark)


@pytest.mark.parametrize(
    "text",
    [
        "sudo systemctl restart transcriber",
        "cat talk.txt | tee copy.txt",
        "ls && rm -r shared",
        "ls  # to see\nsudo reboot",
        "# to see\nsudo reboot",
        "cat /etc/passwd",
        "cat ../secret",
        "ls ~",
        'cat "$HOME"/secret',
        "curl https://example.org/",
        "echo 'never ends",
    ],
)
def test_what_may_do_harm_or_cannot_be_read_is_not_run(text: str) -> None:
    assert commands.complaint(a_block(text))


@pytest.mark.parametrize(
    "text",
    [
        ".venv/bin/python transcriber.py status",
        "# said to the reader\ncurl http://localhost:8000/health > /dev/null",
        "cp 'Board meeting.mp4' shared/ && \\\n    ls shared",
        "$ echo hello\nhello /anything at all\n",
    ],
)
def test_what_stays_in_its_place_is_run(text: str) -> None:
    assert not commands.complaint(a_block(text))
    assert commands.is_run_here(a_block(text))


@pytest.mark.parametrize(
    ("mark", "is_right"),
    [
        ("not run here: it needs root", True),
        ("not run here:", False),
        ("run by tests/docs/test_checks.py::test_code_with_a_prompt_is_what_is_typed", True),
        ("run by tests/docs/test_checks.py::test_that_nobody_wrote", False),
        ("run by tests/docs/test_that_nobody_wrote.py", False),
        ("run by .ci/run", False),  # it runs something else
    ],
)
def test_a_mark_must_name_a_reason_or_a_test_that_is_there(mark: str, is_right: bool) -> None:
    assert (not commands.complaint(a_block("sudo reboot\n", mark))) is is_right


@pytest.mark.parametrize(
    ("language", "text", "is_one"),
    [
        ("sh", "anything", True),
        ("", "$ anything", True),
        ("", "curl http://localhost:8000/health", True),
        ("", "[2026-11-22 10:41:22] [INFO] a line of the log", False),
        ("yaml", "make: yes", False),
    ],
)
def test_blocks_of_commands_are_known(language: str, text: str, is_one: bool) -> None:
    assert commands.is_command(a_block(text, language=language)) is is_one


def test_code_with_a_prompt_is_what_is_typed() -> None:
    block = a_block("$ ls \\\n>   shared\ntalk.txt\n$ pwd\n/srv\n", language="console")
    assert commands.script(block) == "ls \\\n  shared\npwd\n"


def test_anchors_are_those_of_github() -> None:
    assert anchor_of("What `nobody` said, ever?", []) == "what-nobody-said-ever"
    assert anchor_of("Другая модель", []) == "другая-модель"
    assert anchor_of("Limits", ["limits", "limits-1"]) == "limits-2"


def test_a_section_changes_its_digest_with_its_words_alone() -> None:
    one, other, changed = (
        pages.Section(2, "Use", "use", 1, text).digest
        for text in ("Copy it\nthere.", "Copy it there.", "Move it there.")
    )
    assert one == other != changed


def test_make_soak_runs_every_test_that_does_more_there() -> None:
    root = Path(__file__).resolve().parents[2]
    recipe = (root / "Makefile").read_text("utf-8").partition("\nsoak:")[2].partition("\n\n")[0]
    words = recipe.split()
    for path in (root / "tests").rglob("*.py"):
        if "import soak" in path.read_text("utf-8") and path != Path(__file__):
            places = [path, *path.parents]
            assert any(
                str(p.relative_to(root)) in words for p in places if p.is_relative_to(root)
            ), f"{path.relative_to(root)} is not in make soak"
