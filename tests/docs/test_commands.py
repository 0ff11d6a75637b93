"""Every command in the documents is run here, or says by what it is run, or why it is not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs import commands, pages
from tests.docs.place import Place

BLOCKS = commands.blocks()
RUN_HERE = [b for b in BLOCKS if commands.is_run_here(b) and not commands.complaint(b)]
BESIDE = [b for b in RUN_HERE if b.mark != commands.STOPPED]
ALONE = [b for b in RUN_HERE if b.mark == commands.STOPPED]
SAMPLE = "please-hold-ru.wav"
SOON_S = 120.0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = _place(tmp_path_factory.mktemp("project"))
    with place:
        yield place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return _place(tmp_path)


def _place(root: Path) -> Place:
    missing = [program for program in ("bash", "curl", "make") if not shutil.which(program)]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"not installed: {', '.join(missing)}")
    assert not missing, f"not installed: {', '.join(missing)}"
    return Place(root)


def _marked(block: pages.Block) -> str:
    return f"{block.place} ({block.text.splitlines()[0]})"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_each_block_is_run_or_says_why_not(block: pages.Block) -> None:
    wrong = commands.complaint(block)
    advice = "Write <!-- run by tests/…::test_… --> or <!-- not run here: reason --> before it."
    assert not wrong, f"{_marked(block)}: {wrong}. {advice}"


def test_make_run_shows_the_text_of_the_sample(service: Place) -> None:
    """The service itself is started with what README tells."""
    scripts = [commands.script(block) for block in BLOCKS if block.page == "README.md"]
    assert "make run\n" in scripts
    service.wait_for_log(rf"{SAMPLE} says:\n\n +\S", SOON_S)
    service.wait_for_result(SAMPLE, SOON_S)


@pytest.mark.parametrize("block", BESIDE, ids=lambda block: block.place)
def test_commands_beside_the_service_work(block: pages.Block, service: Place) -> None:
    _work(block, service)


@pytest.mark.parametrize("block", ALONE, ids=lambda block: block.place)
def test_commands_without_the_service_work(block: pages.Block, place: Place) -> None:
    _work(block, place)


def _work(block: pages.Block, place: Place) -> None:
    text = commands.script(block)
    place.provide(text, seed=block.place)
    done = place.type(text)
    said = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, f"{_marked(block)} ended with {done.returncode}:\n{said}"


@pytest.mark.parametrize(("page", "template"), commands.RECORDED.items())
def test_recorded_pages_show_what_their_template_runs(page: str, template: str) -> None:
    """docs/record_api.py runs each ``$`` line of the template, and writes it with its answer."""
    lines = (pages.PROJECT / template).read_text("utf-8").splitlines()
    shown = [
        line.removeprefix("$ ")
        for block in pages.read(page).blocks
        for line in block.text.splitlines()
        if line.startswith("$ ")
    ]
    assert shown == [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
