"""The Russian documents say what the English ones say, as far as a program can tell."""

from __future__ import annotations

import posixpath
import re

import pytest

from tests.docs import pages
from tests.docs.translations import RUSSIAN, mark_of

PAIRS = pytest.mark.parametrize(("english", "russian"), RUSSIAN.items())


@PAIRS
def test_headings_are_the_same_in_number_level_and_order(english: str, russian: str) -> None:
    theirs = [section.level for section in pages.read(english).sections]
    ours = [section.level for section in pages.read(russian).sections]
    assert ours == theirs


@PAIRS
def test_a_changed_section_is_looked_at_in_russian_too(english: str, russian: str) -> None:
    stale = [
        f'section "{theirs.title}" of {english} has changed: bring "{ours.title}" of {russian} up '
        f"to date, then write <!-- en: {theirs.digest} --> below its heading"
        for theirs, ours in _sections(english, russian)
        if mark_of(ours) != theirs.digest
    ]
    advice = "\n(`python -m tests.docs.translations` writes all of these marks.)"
    assert not stale, "\n".join(stale) + advice


@PAIRS
def test_the_code_is_the_same(english: str, russian: str) -> None:
    theirs = [(block.language, block.text) for block in pages.read(english).blocks]
    assert [(block.language, block.text) for block in pages.read(russian).blocks] == theirs


@PAIRS
def test_tables_have_the_same_keys_in_the_same_order(english: str, russian: str) -> None:
    for theirs, ours in _sections(english, russian):
        assert ours.rows == theirs.rows, f"{russian}, {ours.title!r}"


@PAIRS
def test_tables_have_the_same_figures(english: str, russian: str) -> None:
    for theirs, ours in _sections(english, russian):
        assert _figures(ours) == _figures(theirs), f"{russian}, {ours.title!r}"


@PAIRS
def test_links_lead_to_the_same_places(english: str, russian: str) -> None:
    """To the Russian page where there is one."""
    theirs = [_translated(link) for link in pages.read(english).links]
    ours = [_place(link) for link in pages.read(russian).links]
    # The two pages name each other at the top.
    assert sorted(set(ours) - {(english, "")}) == sorted(set(theirs) - {(russian, "")})


def test_english_and_russian_pages_lead_to_each_other() -> None:
    for english, russian in RUSSIAN.items():
        assert (russian, "") in [_place(link) for link in pages.read(english).links]
        assert (english, "") in [_place(link) for link in pages.read(russian).links]


def _sections(english: str, russian: str) -> list[tuple[pages.Section, pages.Section]]:
    theirs, ours = pages.read(english).sections, pages.read(russian).sections
    assert len(theirs) == len(ours), f"{english} and {russian} differ in their headings"
    return list(zip(theirs, ours, strict=True))


def _figures(section: pages.Section) -> list[str]:
    """The numbers in its tables; Russian has a comma where English has a point."""
    rows = [line for line in section.source.splitlines() if line.startswith("|")]
    return re.findall(r"\d+(?:\.\d+)?", re.sub(r"(\d),(\d)", r"\1.\2", "\n".join(rows)))


def _place(link: pages.Link) -> tuple[str, str]:
    """A page or file of the project, or the whole address; and the heading."""
    if ":" in link.target:
        return link.target, ""
    path, _, anchor = link.target.partition("#")
    folder = posixpath.dirname(link.page)
    return (posixpath.normpath(posixpath.join(folder, path)) if path else link.page), anchor


def _translated(link: pages.Link) -> tuple[str, str]:
    """Where the Russian page has to lead: headings there are Russian, in the same order."""
    name, anchor = _place(link)
    if name not in RUSSIAN:
        return name, anchor
    if not anchor:
        return RUSSIAN[name], ""
    number = pages.read(name).anchors.index(anchor)
    return RUSSIAN[name], pages.read(RUSSIAN[name]).anchors[number]
