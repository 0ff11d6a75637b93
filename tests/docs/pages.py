"""The documents of the project, read as Markdown: headings, blocks of code, tables, links."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

PROJECT = Path(__file__).resolve().parents[2]
#: Folders that hold no documents of ours, or not only ours.
_PASSED_BY = {"shared", "manual", "models", "build", "node_modules"}
_COMMENT = re.compile(r"<!--\s*(.*?)\s*-->", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of code. ``mark``: the comment right before it, or an empty string."""

    page: str
    line: int
    language: str
    text: str
    mark: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass
class Section:
    """A heading with what follows up to the next one of any level."""

    level: int
    title: str
    anchor: str
    line: int
    source: str
    comments: list[str] = field(default_factory=list)
    #: For each row of its tables the pieces of code in the first cell.
    rows: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """Changes with the words, not with the white space between them."""
        return hashlib.sha256(" ".join(self.source.split()).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Link:
    """``target`` without percent signs; ``line`` where its paragraph begins."""

    page: str
    line: int
    target: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass
class Page:
    """A document. ``name``: its path in the project. ``code``: code within lines, with the line."""

    name: str
    sections: list[Section] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    code: list[tuple[int, str]] = field(default_factory=list)

    @property
    def anchors(self) -> list[str]:
        return [section.anchor for section in self.sections]


def names() -> list[str]:
    """All Markdown files of the project, templates of others left out."""
    found = (path.relative_to(PROJECT) for path in _markdown(PROJECT))
    return sorted(path.as_posix() for path in found if not path.name.endswith(".template.md"))


def _markdown(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        hidden = path.name.startswith(".") and path.name not in (".github", ".gitlab")
        if path.is_dir() and not hidden and path.name not in _PASSED_BY:
            yield from _markdown(path)
        elif path.suffix == ".md":
            yield path


@cache
def read(name: str) -> Page:
    text = (PROJECT / name).read_text("utf-8")
    return _Reader(name, text).read()


def anchor_of(title: str, taken: list[str]) -> str:
    """As GitHub makes it: small letters, no punctuation, hyphens; a number if it is taken."""
    plain = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
    number = sum(re.fullmatch(re.escape(plain) + r"(-\d+)?", other) is not None for other in taken)
    return f"{plain}-{number}" if number else plain


class _Reader:
    def __init__(self, name: str, text: str) -> None:
        self._page = Page(name)
        self._lines = text.splitlines()
        self._tokens = MarkdownIt("commonmark").enable("table").parse(text)
        self._mark = ""
        self._row: list[str] | None = None

    def read(self) -> Page:
        for i, token in enumerate(self._tokens):
            if token.type == "heading_open":
                self._begin_section(token, self._tokens[i + 1])
            elif token.type == "fence":
                self._add_block(token)
            elif token.type == "inline":
                self._add_inline(token)
            self._follow_table(token, self._tokens[i - 2 : i])
            self._remember_comment(token)
        self._end_sections()
        return self._page

    def _begin_section(self, token: Token, words: Token) -> None:
        title = "".join(
            t.content for t in words.children or () if t.type in ("text", "code_inline")
        )
        anchor = anchor_of(title, self._page.anchors)
        section = Section(int(token.tag[1:]), title, anchor, _line(token), "")
        self._page.sections.append(section)

    def _add_block(self, token: Token) -> None:
        language = token.info.split()[0] if token.info.strip() else ""
        block = Block(self._page.name, _line(token), language, token.content, self._mark)
        self._page.blocks.append(block)

    def _add_inline(self, token: Token) -> None:
        for child in token.children or ():
            target = child.attrGet("href") or child.attrGet("src")
            if target is not None:
                self._page.links.append(Link(self._page.name, _line(token), unquote(str(target))))
            elif child.type == "code_inline":
                self._page.code.append((_line(token), child.content))

    def _follow_table(self, token: Token, before: list[Token]) -> None:
        opened = [t.type for t in before]
        if token.type == "inline" and opened in (["tr_open", "td_open"], ["tr_open", "th_open"]):
            spans = (t.content for t in token.children or () if t.type == "code_inline")
            self._page.sections[-1].rows.append(tuple(spans))

    def _remember_comment(self, token: Token) -> None:
        comment = _COMMENT.fullmatch(token.content.strip()) if token.type == "html_block" else None
        self._mark = comment.group(1) if comment else ""
        if comment and self._page.sections:
            self._page.sections[-1].comments.append(comment.group(1))

    def _end_sections(self) -> None:
        starts = [section.line - 1 for section in self._page.sections] + [len(self._lines)]
        for section, start, end in zip(self._page.sections, starts, starts[1:], strict=False):
            section.source = "\n".join(self._lines[start:end])


def _line(token: Token) -> int:
    return token.map[0] + 1 if token.map else 0
