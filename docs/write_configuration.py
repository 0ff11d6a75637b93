"""Writes docs/configuration.md and docs/config.schema.json: ``python -m docs.write_configuration``.

Keys, types, limits and defaults come from the models that check the configuration, what a key
means from its comment in ``config.yaml``, the words around the tables from
``configuration.template.md``, where a line ``[[api]]`` stands for the table of that section.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from modules.api.schemas.requests import SettingsFields
from modules.config.languages import LANGUAGES
from modules.config.loader import ENVIRONMENT
from modules.config.schema import Config
from modules.config.settings import TranscriptionSettings

PROJECT = Path(__file__).resolve().parent.parent
TEMPLATE = PROJECT / "docs" / "configuration.template.md"
PAGE = PROJECT / "docs" / "configuration.md"
SCHEMA = PROJECT / "docs" / "config.schema.json"

#: A key with the names of its sections before it.
Key = tuple[str, ...]
#: The keys that stand in no section.
TOP = "top"
_HEAD = ("key", "value", "default", "also set by", "meaning")
_VARIABLES = {key: name for name, key in ENVIRONMENT.items()}


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")
    SCHEMA.write_text(schema(), encoding="utf-8")


def page() -> str:
    """The page, made anew."""
    text = TEMPLATE.read_text(encoding="utf-8")
    for section in (TOP, *_sections()):
        text = text.replace(f"[[{section}]]", table(section))
    return text.replace("[[codes]]", ", ".join(f"`{code}`" for code in LANGUAGES))


def schema() -> str:
    """What an editor needs to complete and check a ``config.yaml``."""
    tree = Config.model_json_schema()
    for section, key, facts in _walk(tree):
        facts["description"] = meanings()[_key(section, key)]
        facts.pop("title")
    tree |= {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The configuration of audio-transcriber",
    }
    return json.dumps(tree, ensure_ascii=False, indent=1) + "\n"


# --- one section ------------------------------------------------------------------------------


def table(section: str) -> str:
    """The keys of a section, a row each."""
    rows = [_HEAD, ("---",) * len(_HEAD)]
    rows += [
        _row(_key(section, key), facts)
        for home, key, facts in _walk(Config.model_json_schema())
        if home == section
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(key: Key, facts: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f"`{'.'.join(key)}`",
        _value(facts),
        f"`{json.dumps(facts['default'], ensure_ascii=False)}`",
        ", ".join(_also_set_by(key)),
        meanings()[key],
    )


def _also_set_by(key: Key) -> Iterator[str]:
    if key in _VARIABLES:
        yield f"`{_VARIABLES[key]}`"
    if key[0] == "whisperx" and key[-1] in SettingsFields.model_fields:
        yield "request"
    if key[0] == "whisperx" and key[-1] in TranscriptionSettings.model_fields:
        yield "settings file"


def _value(facts: Mapping[str, Any]) -> str:
    """What may stand there, in words, as the JSON schema has it."""
    if "const" in facts:
        return f"only {facts['const']}"
    if "enum" in facts:
        return ", ".join(f"`{word}`" for word in facts["enum"])
    if facts.get("type") == "array":
        return f"list of {_value(facts['items'])}"
    if facts.get("type") == "object":
        return "paths by path"
    if "anyOf" in facts and "type" not in facts:
        return " or ".join(_value(one) for one in facts["anyOf"])
    if "anyOf" in facts:
        return _words(facts)
    kinds = {"integer": "whole number", "number": "number", "boolean": "`true` or `false`"}
    kinds |= {"null": "`null`", "string": "path" if facts.get("format") == "path" else "text"}
    limits = f", {facts['minimum']:,} to {facts['maximum']:,}" if "minimum" in facts else ""
    return kinds[facts["type"]] + limits


def _words(facts: Mapping[str, Any]) -> str:
    """A text that is one of many words; a long list of them stands below its table."""
    words = facts["anyOf"][0]["enum"]
    if len(words) > 30:
        return f"`{words[0]}`, `{words[1]}` or one of {len(words) - 2} codes"
    path = ", or a path with a slash in it" if facts["anyOf"][1]["pattern"] == "/" else ""
    return ", ".join(f"`{word}`" for word in words) + path


# --- what both are made of --------------------------------------------------------------------


def _sections() -> list[str]:
    return [name for name, field in Config.model_fields.items() if _is_section(field.annotation)]


def _is_section(annotation: object) -> bool:
    return hasattr(annotation, "model_fields")


def _key(section: str, key: str) -> Key:
    return (key,) if section == TOP else (section, key)


def _walk(tree: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(section, key, facts) of every key in the JSON schema of the configuration."""
    for name, facts in tree["properties"].items():
        if name not in _sections():
            yield TOP, name, facts
            continue
        for key, inner in tree["$defs"][facts["$ref"].rpartition("/")[2]]["properties"].items():
            yield name, key, inner


def meanings(file: Path = PROJECT / "config.yaml") -> dict[Key, str]:
    """The comment behind every key, without the variable in brackets at its end."""
    text = file.read_text(encoding="utf-8")
    tree = yaml.compose(text, yaml.SafeLoader)
    assert isinstance(tree, yaml.MappingNode)
    return dict(_comments(tree, text.splitlines(), ()))


def _comments(node: yaml.MappingNode, lines: list[str], above: Key) -> Iterator[tuple[Key, str]]:
    for name, value in node.value:
        key = (*above, name.value)
        if isinstance(value, yaml.MappingNode) and value.value:
            yield from _comments(value, lines, key)
        else:
            rest = lines[value.end_mark.line][value.end_mark.column :]
            yield key, re.sub(r"\s*\[[A-Z_]+\]$", "", rest.strip().removeprefix("#").strip())


if __name__ == "__main__":
    main()
