"""docs/troubleshooting.md: every error code leads somewhere, and what it quotes is really said."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from modules.errors import TranscriberError

DOCS = Path(__file__).resolve().parents[2] / "docs"
MODULES = DOCS.parent / "modules"
PAGE = DOCS / "troubleshooting.md"
INDEX = "## By error code"
#: A piece of code on the page that somebody types or writes, not one that the program says.
TYPED = re.compile(
    r"(curl|make|kill|mkdir|cp|sysctl|ss|lsof|free|docker|sudo|transcriber\.py|POST|submit|"
    r"status|proxy_set_header|\.venv|X-API-Key)\b|.*[{\"*]|[a-z_.]+: \S+$"
)
#: What in a quote is put in while it is said, by us or by the system.
CHANGING = re.compile(
    r"…|\b[A-Z]{4,}\b|[\d.:]{4,}|\d+|\b(?:ru|en|daemon)\b|\.transcriber|Address already in use|[()]"
)
CODE = re.compile(r"`([a-z_]+)`")
#: Codes of errors that become a note, a line of the log or a message of a command, without a code.
NEVER_SHOWN = {
    "alignment_mismatch", "callback_failed", "config_exists", "config_not_written", "expired",
    "file_exists", "handover_packages_missing", "handover_unavailable", "listening_failed",
    "listening_hung", "model_in_use", "model_not_removed", "no_answer", "no_recorder", "no_reply",
    "not_a_wav_file", "service_away",
    "no_voice_model", "not_a_file", "not_in_manual", "not_in_share", "subfolder", "unknown_errand",
    "summary_unavailable", "token_is_open", "token_missing", "token_unreadable",
    "voiceprints_broken",
}  # fmt: skip


def page() -> str:
    return PAGE.read_text("utf-8")


def codes_of(text: str) -> set[str]:
    """The codes in the first cells of the tables of a text."""
    cells = re.findall(r"^\| (`[a-z_`, ]+`) \|", text, re.MULTILINE)
    return {code for cell in cells for code in CODE.findall(cell)}


@cache
def said() -> str:
    """All texts in the program, those that are split into lines put together."""
    texts = []
    for file in sorted(MODULES.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


def quotes() -> list[str]:
    text = re.sub(r"```.*?```", "", page(), flags=re.DOTALL)
    spans = re.findall(r"`([^`]+)`", text) + re.findall(r"^\*(.+?)\*:", text, re.MULTILINE)
    return sorted({span for span in spans if " " in span and not TYPED.match(span)})


def test_every_error_code_leads_somewhere_and_no_other() -> None:
    known = codes_of((DOCS / "files.md").read_text("utf-8").partition("## Error codes")[2])
    assert len(known) > 30, "the tables of codes were not found"
    assert codes_of(page().partition(INDEX)[2]) == known


def raised() -> set[str]:
    """The codes of all errors in the program."""
    calls = (
        node
        for file in MODULES.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)
    )
    kinds = {"TranscriberError", *(kind.__name__ for kind in TranscriberError.__subclasses__())}
    return {str(c.args[0].value) for c in calls if getattr(c.func, "id", "") in kinds}  # type: ignore[attr-defined]


def test_every_code_that_is_raised_is_in_a_document() -> None:
    pages = "".join((DOCS / name).read_text("utf-8") for name in ("files.md", "api.md"))
    missing = {code for code in raised() if f"`{code}`" not in pages}
    assert missing == NEVER_SHOWN


def test_there_are_quotes() -> None:
    assert len(quotes()) > 10


@pytest.mark.parametrize("quote", quotes())
def test_what_it_quotes_is_said_by_the_program(quote: str) -> None:
    pieces = [piece.strip(" .:") for piece in CHANGING.split(quote)]
    assert [piece for piece in pieces if len(piece) > 4 and piece not in said()] == []
