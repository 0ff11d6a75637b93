"""Markdown, as a renderer shows it: markdown-it, which does what CommonMark says."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from modules.outputs.markdown import escaped, markdown
from modules.transcript.model import Segment
from tests.unit.outputs.test_documents import by

#: Signs that mean something in Markdown, and letters to put between them.
SIGNS = st.text(st.sampled_from("\\`*_{}[]()#+-.!<>|~&$=%:;\"'/1aя 。\t"), max_size=30)
LINES = st.one_of(SIGNS, st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30))


def said(text: str, start: float = 0.0, **more: object) -> Segment:
    return Segment.model_validate({"start": start, "end": start + 1.0, "text": text} | more)


def blocks(content: str) -> list[tuple[str, str, list[Token]]]:
    """Tag, shown text and inline tokens of each block, which must be a heading or a paragraph."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(content)
    assert {token.type.removesuffix("_open").removesuffix("_close") for token in tokens} <= {
        "heading", "paragraph", "inline"
    }  # fmt: skip
    inline = [(tokens[at - 1].tag, token) for at, token in enumerate(tokens) if token.children]
    return [(tag, shown(token.children or []), token.children or []) for tag, token in inline]


def shown(tokens: list[Token]) -> str:
    assert {t.type for t in tokens} <= {
        "text", "text_special", "em_open", "em_close", "strong_open", "strong_close", "html_inline"
    }  # fmt: skip
    return "".join(t.content for t in tokens if t.type != "html_inline")


def marked(tokens: list[Token], tag: str) -> list[str]:
    """What stands between the tags."""
    found: list[list[Token]] = []
    inside = False
    for token in tokens:
        if token.type == f"{tag}_open" or token.content == f"<{tag}>":
            inside = True
            found.append([])
        elif token.type == f"{tag}_close" or token.content == f"</{tag}>":
            inside = False
        elif inside:
            found[-1].append(token)
    return [shown(each) for each in found]


def plain(text: str) -> str:
    return " ".join(text.split())


def test_a_conversation() -> None:
    talk = [
        by("SPEAKER_00", said("Алло?")),
        by("SPEAKER_01", said("Да.", 62.0)),
        by("SPEAKER_01", said("Номер 5*5_5?", 63.0, flags=["low_probability"])),
        by("SPEAKER_01", said("Точно.", 64.0)),
    ]
    assert markdown(talk, "Звонок #7", "[Дорожка 2]") == (
        "# Звонок \\#7\n\n"
        "[00:00:00] **Speaker 1:** Алло?\n\n"
        "[00:01:02] **Speaker 2:** Да. *Номер 5\\*5\\_5?* Точно.\n\n"
        "\\[Дорожка 2\\]\n"
    )


def test_nothing_is_an_empty_file() -> None:
    assert markdown([]) == ""
    assert markdown([], "talk") == "# talk\n"


@given(LINES)
@example("# a #")
@example("[x]: http://a.b")
@example("&amp; <b> ==a== %%b%% ~~c~~ $d$ `e` **f** __g__ ![h](i) a\\")
def test_speech_is_shown_as_it_was_spoken(text: str) -> None:
    content = markdown([said(text)], text or "talk")
    title, (_, found, _) = blocks(content)[:-1], blocks(content)[-1]
    assert found == f"[00:00:00] {plain(text)}".rstrip()
    assert [shown for _, shown, _ in title] == ([plain(text)] if plain(text) else []) or not text


@given(st.lists(st.tuples(LINES, st.booleans()), min_size=1, max_size=5))
@example([("你好。", True), ("世界", False)])
@example([("世界", False), ("「你好」", True), ("abc", False)])
@example([("*", True), ("*", False), ("_", True)])
def test_what_is_doubtful_is_in_italics_and_nothing_else(parts: list[tuple[str, bool]]) -> None:
    talk = [
        said(text, float(index), flags=["repetition"] if doubtful else [])
        for index, (text, doubtful) in enumerate(parts)
    ]
    found = blocks(markdown(talk))
    doubtful = "".join(plain(text) for text, is_doubtful in parts if is_doubtful)
    in_italics = "".join(text for _, _, inner in found for text in marked(inner, "em"))
    assert in_italics.replace(" ", "") == doubtful.replace(" ", "")
    everything = "".join(shown.partition("]")[2] for _, shown, _ in found)
    assert everything.replace(" ", "") == "".join(plain(t) for t, _ in parts).replace(" ", "")


@pytest.mark.parametrize("name", ["SPEAKER_03", "Анна *Б*", "[x]", "李"])
def test_names_are_bold(name: str) -> None:
    [(_, shown_text, inner)] = blocks(markdown([by(name, said("Да."))]))
    [bold] = marked(inner, "strong")
    assert shown_text == f"[00:00:00] {bold} Да."


def test_half_a_line_of_control_characters_is_left_out() -> None:
    assert escaped("a\0b\x1b[0m\u2028c") == "ab\\[0m c"
