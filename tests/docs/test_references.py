"""What the documents refer to is there: pages, headings, files, keys, commands, make targets."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from modules.cli.parser import build_parser
from modules.config.schema import Config
from tests.docs import pages

#: Folders of the repository; a piece of code that begins with one names a file of it.
OUR_PATH = re.compile(
    r"(?:benchmarks|deploy|docs|modules|samples|tests|\.ci|\.github)/[\w./-]*[\w/-](?:::\w+)?"
)
#: A key of the configuration in full.
OUR_KEY = re.compile(r"(?:api|whisperx|processing|watch|output|callbacks|logging)\.(?!py$)[a-z_]+")
#: Names in Python that look like keys.
NO_KEY = {"whisperx.align", "whisperx.asr"}
OUR_TARGET = re.compile(r"^ *make (?:-C \S+ )?([a-z][a-z-]*)", re.MULTILINE)
MAKEFILE = (pages.PROJECT / "Makefile").read_text("utf-8")
#: Where every command has its row, in English; the Russian page is held against it elsewhere.
README = "README.md"
GUIDE = "docs/guide.md"


@pytest.mark.parametrize("name", pages.names())
def test_links_lead_somewhere(name: str) -> None:
    page = pages.read(name)
    wrong = [f"{link.place}: {why}" for link in page.links if (why := _broken(link))]
    assert not wrong, "\n".join(wrong)


def _broken(link: pages.Link) -> str:
    if re.match(r"[a-z][a-z0-9+.-]*:", link.target):
        return ""  # another site, or a mail address
    path, _, anchor = link.target.partition("#")
    target = (pages.PROJECT / link.page).parent / path if path else None
    if target is not None and not target.exists():
        return f"{link.target} is not there"
    if target is not None and not target.resolve().is_relative_to(pages.PROJECT):
        return f"{link.target} leads out of the project"
    if anchor and anchor not in _anchors(link, target):
        return f"{link.target}: there is no such heading"
    return ""


def _anchors(link: pages.Link, target: Path | None) -> list[str]:
    if target is None:
        return pages.read(link.page).anchors
    name = target.resolve().relative_to(pages.PROJECT).as_posix()
    return pages.read(name).anchors if name.endswith(".md") else []


@pytest.mark.parametrize("name", pages.names())
def test_files_that_are_named_are_there(name: str) -> None:
    named = [(line, code) for line, code in pages.read(name).code if OUR_PATH.fullmatch(code)]
    wrong = [f"{name}:{line}: {code}" for line, code in named if not _is_there(code)]
    assert not wrong, "not in the project:\n" + "\n".join(wrong)


def test_every_benchmark_that_is_run_alone_is_named_for_contributors() -> None:
    files = (pages.PROJECT / "benchmarks").glob("*.py")
    alone = [file.stem for file in files if '__name__ == "__main__"' in file.read_text("utf-8")]
    text = (pages.PROJECT / "CONTRIBUTING.md").read_text("utf-8")
    table = text.partition("| benchmark |")[2].partition("\n\n")[0]
    names = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)[^`]*`", " ".join(names))) == sorted(alone)


def _is_there(path: str) -> bool:
    return (pages.PROJECT / path.partition("::")[0]).exists()


@pytest.mark.parametrize("name", pages.names())
def test_keys_that_are_named_exist(name: str) -> None:
    named = [(line, code) for line, code in pages.read(name).code if OUR_KEY.fullmatch(code)]
    wrong = [f"{name}:{line}: {code}" for line, code in named if not _is_key(code)]
    assert not wrong, "no keys of the configuration:\n" + "\n".join(wrong)


def _is_key(code: str) -> bool:
    section, key = code.split(".")
    model = Config.model_fields[section].annotation
    return code in NO_KEY or key in getattr(model, "model_fields", {})


@pytest.mark.parametrize("name", pages.names())
def test_make_targets_that_are_named_exist(name: str) -> None:
    page = pages.read(name)
    named = [(line, code) for line, code in page.code]
    named += [(block.line, block.text) for block in page.blocks]
    wrong = [
        f"{name}:{line}: make {target}"
        for line, code in named
        for target in OUR_TARGET.findall(code)
        if not re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)
    ]
    assert not wrong, "not in the Makefile:\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    "picture", sorted(pages.PROJECT.glob("docs/**/*.svg")), ids=lambda p: p.name
)
def test_pictures_fetch_nothing(picture: Path) -> None:
    drawn = picture.read_text("utf-8")
    assert not re.findall(r"@font-face|@import|url\([^#)]*:|href=.[^#]*?:|<script|<image", drawn)


# --- the tables -------------------------------------------------------------------------------


def test_the_table_of_commands_has_every_command_and_no_other() -> None:
    listed = {
        code.split()[0]
        for row in _section(README, "Commands").rows
        for code in row
        if not code.startswith("-")
    }
    assert listed == set(_commands())


def _commands() -> list[str]:
    parser = build_parser()
    (choices,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return list(choices.choices)


def test_the_table_of_exit_codes_is_the_one_of_the_help() -> None:
    helped = re.findall(r"^  (\d+) +|(?<=  )(\d+) +\S", _exit_codes(), re.MULTILINE)
    told = {first or second for first, second in helped}
    section = _section(GUIDE, "Exit codes")
    assert set(re.findall(r"^\| (\d+) \|", section.source, re.MULTILINE)) == told


def _exit_codes() -> str:
    return build_parser().format_help().split("exit codes:\n")[1]


def test_the_figures_in_the_comparison_are_those_that_were_measured() -> None:
    section = _section(README, "Why not the whisperx command in a loop?")
    measured = (pages.PROJECT / "docs" / "performance.md").read_text("utf-8")
    rows = [line for line in section.source.splitlines() if re.match(r"\| .*\d", line)]
    figures = [figure for row in rows for figure in re.findall(r"\d+(?:\.\d+)?", row)]
    assert len(figures) > 10
    assert not [figure for figure in figures if not re.search(rf"\b{figure}\b", measured)]


def _section(page: str, title: str) -> pages.Section:
    found = [section for section in pages.read(page).sections if section.title == title]
    assert found, f"{page} has no section {title!r}"
    return found[0]
