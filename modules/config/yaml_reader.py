"""Read YAML strictly: duplicate keys are reported, deep nesting and aliases are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from modules.config.shown import shown
from modules.errors import Message, joined, noted, reason_of

#: Settings are one mapping of plain values; a list or a section in it is reported separately.
_DEEPEST = 5


_ALIASES = noted("anchors and aliases (& and *) are not allowed in a settings file")
_TOO_DEEP = noted("too much inside each other for a settings file")
_OWN_RULES: dict[str, Message] = {_ALIASES: _ALIASES, _TOO_DEEP: _TOO_DEEP}
#: What PyYAML says, by how it begins.
_FAULTS = {
    "mapping values are not allowed": noted(
        "a colon where none can be; put the value in quotes, or check the indentation"
    ),
    "could not find expected ':'": noted("a line without a colon after its key"),
    "found character": noted("a character that no value begins with; put it in quotes"),
    "found unexpected end": noted("a quotation mark or a bracket is not closed"),
    "expected ','": noted("a bracket is not closed, or a comma is missing"),
    "expected <block end>": noted("a line that is indented differently from its neighbours"),
    "sequence entries are not": noted("a list item where none can be; check the indentation"),
    "found unknown escape": noted("a backslash that means nothing; use single quotes"),
    "found undefined alias": noted("a word that begins with * ; put it in quotes"),
    "could not determine a constructor": noted("a word that begins with ! ; put it in quotes"),
    "but found another document": noted("a second document after ---; keep one"),
}
_ODD = noted("something that YAML does not know")


class _Loader(yaml.SafeLoader):
    """A safe loader that also notes duplicate keys of a mapping."""

    duplicates: list[str]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        scalars = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in scalars:
            if key.value in seen:
                line = key.start_mark.line + 1
                again = noted("line {line}: the key {key} is there twice", line=line, key=key.value)
                self.duplicates.append(again)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class PlainLoader(_Loader):
    """Refuses aliases and deep nesting, by which a short text can expand without limit."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        problem = None
        if getattr(event, "anchor", None) is not None:
            problem = _ALIASES
        elif self._depth >= _DEEPEST:
            problem = _TOO_DEEP
        if problem:
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def parse(text: str, kind: type[_Loader] = _Loader) -> tuple[object, list[str]]:
    """The tree of a YAML text, empty if there is none, and the problems of the text."""
    try:
        loader = kind(text)
        loader.duplicates = []
        tree = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = noted("line {line}: ", line=mark.line + 1) if mark else None
        return {}, [joined("", where, _fault(error), noted("; this is not valid YAML"))]
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return {}, [noted("line {line}: a character that YAML does not allow", line=line)]
    except (ValueError, KeyError, AttributeError, OverflowError, RecursionError):
        # PyYAML raises these for a date like 2020-99-99 or a tag like "!!bool x".
        odd = noted("holds a value that YAML cannot read, such as a wrong date; put it in quotes")
        return {}, [odd]
    return ({} if tree is None else tree), loader.duplicates


def read(path: Path) -> tuple[object, list[str]]:
    try:
        tree, problems = parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        why = noted(
            "cannot be read ({reason}); check --config and CONFIG_PATH", reason=reason_of(error)
        )
        return {}, [joined(": ", str(path), why)]
    except UnicodeDecodeError as error:
        return {}, [joined(": ", str(path), not_utf8(error))]
    if not isinstance(tree, dict):
        return {}, [joined(": ", str(path), no_keys(tree))]
    return tree, [joined(": ", str(path), problem) for problem in problems]


def not_utf8(error: UnicodeDecodeError) -> Message:
    return noted("is not UTF-8 text (byte {byte}); save it as UTF-8", byte=error.start)


def no_keys(tree: object) -> Message:
    return noted("must hold keys and values, got {value}", value=shown(tree))


def _fault(error: yaml.MarkedYAMLError) -> Message:
    """What PyYAML complains of, in plain words: it speaks of its own tokens."""
    problem = str(error.problem or error.context)
    if problem in _OWN_RULES:
        return _OWN_RULES[problem]
    return next((said for begin, said in _FAULTS.items() if problem.startswith(begin)), _ODD)
