"""Read YAML strictly: duplicate keys are reported, deep nesting and aliases are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from modules.config.messages import shown

#: Settings are one mapping of plain values; a list or a section in it is reported separately.
_DEEPEST = 5


class _Loader(yaml.SafeLoader):
    """A safe loader that also notes duplicate keys of a mapping."""

    duplicates: list[str]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        scalars = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in scalars:
            if key.value in seen:
                line = key.start_mark.line + 1
                self.duplicates.append(f"line {line}: the key {key.value} is there twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class PlainLoader(_Loader):
    """Refuses aliases and deep nesting, by which a short text can expand without limit."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        problem = None
        if getattr(event, "anchor", None) is not None:
            problem = "anchors and aliases (& and *) are not allowed in a settings file"
        elif self._depth >= _DEEPEST:
            problem = "too much inside each other for a settings file"
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
        where = f"line {mark.line + 1}: " if mark else ""
        return {}, [f"{where}{error.problem or error.context}; this is not valid YAML"]
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return {}, [f"line {line}: a character that YAML does not allow"]
    except (ValueError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        # PyYAML raises these for a date like 2020-99-99 or a tag like "!!bool x".
        return {}, [f"holds a value that YAML cannot read ({error}); put it in quotes"]
    return ({} if tree is None else tree), loader.duplicates


def read(path: Path) -> tuple[object, list[str]]:
    try:
        tree, problems = parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        return {}, [f"{path}: cannot be read ({error.strerror}); check --config and CONFIG_PATH"]
    except UnicodeDecodeError as error:
        return {}, [f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8"]
    if not isinstance(tree, dict):
        return {}, [f"{path}: must hold keys and values, got {shown(tree)}"]
    return tree, [f"{path}: {problem}" for problem in problems]
