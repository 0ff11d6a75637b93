"""``config.yaml`` and the environment to one frozen object, or every complaint at once.

``load_config`` is the door for the configuration, ``check_settings`` the one for settings that lie
beside recordings; the tree that they fill stands in ``config.py``.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from modules import PROJECT_ROOT
from modules.config import (
    MODEL_SIZES,
    Config,
    Conflict,
    WhisperxConfig,
    access_conflicts,
    directory_conflicts,
    nearest,
    settings_conflicts,
)
from modules.errors import ConfigError
from modules.job import Settings

__all__ = ["ENVIRONMENT", "Config", "check_settings", "config_path", "load_config"]


ENVIRONMENT: dict[str, tuple[str, ...]] = {
    "LOG_LEVEL": ("logging", "level"),
    "WHISPERX_MODEL_SIZE": ("whisperx", "model_size"),
    "WHISPERX_LANGUAGE": ("whisperx", "language"),
    "WHISPERX_DEVICE": ("whisperx", "device"),
    "WHISPERX_COMPUTE_TYPE": ("whisperx", "compute_type"),
    "SHARED_DIRECTORY": ("shared_directory",),
    "MANUAL_DIRECTORY": ("manual_directory",),
    "API_HOST": ("api", "host"),
    "API_PORT": ("api", "port"),
    "API_KEY": ("api", "key"),
    "API_USER": ("api", "user"),
    "API_PASSWORD": ("api", "password"),
    "CALLBACK_SECRET": ("callbacks", "secret"),
}

#: Keys whose values no message may show.
SECRETS = frozenset({"key", "password", "secret"})

Key = tuple[str | int, ...]
#: Where a complaint is about, and the line that says it.
Problem = tuple[Key, str]


# --- from validation errors to lines for people -----------------------------------------------

_KINDS = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list, such as [txt, srt]",
}


def _dotted(key: Key) -> str:
    return ".".join(str(part) for part in key)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()  # as it stands in the file
    try:
        text = repr(value)
    except ValueError:
        return "a number with thousands of digits"
    return text if len(text) <= 60 else text[:57] + "..."


def _fields(section: str | None = None) -> Mapping[str, Any]:
    """The keys at the top, or those of a section; empty if there is no such section."""
    if section is None:
        return Config.model_fields
    model = Config.model_fields[section].annotation if section in Config.model_fields else None
    return getattr(model, "model_fields", {})


def _unknown(key: Key) -> str:
    """What to say of a key that does not exist: the closest one here, or its right section."""
    section, word = (str(key[0]) if len(key) > 1 else None), str(key[-1])
    homes: list[Key] = [(name, word) for name in _fields() if word in _fields(name)]
    if section and word in _fields():
        homes.append((word,))
    near = difflib.get_close_matches(word.lower(), list(_fields(section)), n=1)
    meant = homes or [(*key[:-1], name) for name in near]
    if meant:
        return f"is not a known key; did you mean {_dotted(meant[0])}?"
    return f"is not a known key; known here: {', '.join(_fields(section))}"


def _sentence(error: Mapping[str, Any]) -> str:
    """One pydantic error as ``must be …, got …`` and, where there is one, a remedy."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    secret = bool(error["loc"]) and error["loc"][-1] in SECRETS
    got = "" if secret else f", got {_shown(value)}"
    if kind in ("extra_forbidden", "invalid_key"):
        return _unknown(error["loc"])
    if value is None:
        return "has no value; give it one, or remove the line to use the default"
    if kind == "model_type":
        return f"must be a section with keys of its own{got}"
    if kind == "literal_error":
        allowed = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        return f"must be one of {allowed}{got}{nearest(str(value), allowed.split(', '))}"
    if kind == "value_error":
        rule, *hint = context["error"].args
        return f"{rule}{got}{''.join(hint)}"
    if kind == "string_type":
        return f"must be text{got}; put it in quotes"
    return f"{_KINDS.get(kind, error['msg'])}{got}"


def _problems(tree: object, base: Path, variables: Mapping[Key, str]) -> list[Problem]:
    """Every complaint about a tree; ``variables`` names the environment's part of it."""
    try:
        Config.model_validate(tree, context={"base": base})
    except ValidationError as failure:
        return [
            (error["loc"], f"{variables.get(error['loc']) or _dotted(error['loc'])}: "
             f"{_sentence(error)}")
            for error in failure.errors()
        ]  # fmt: skip
    return []


# --- reading ----------------------------------------------------------------------------------


#: Settings are one mapping of plain values; a list or a section in it gets its own complaint.
_DEEPEST = 5


class _Loader(yaml.SafeLoader):
    """Safe YAML that also notes keys which stand twice in one mapping."""

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


class _PlainLoader(_Loader):
    """Without what lets a short text stand for an endless one: aliases, and nesting without end."""

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


def _parse(text: str, kind: type[_Loader] = _Loader) -> tuple[object, list[str]]:
    """The tree in a YAML text (an empty one where it has none) and what is wrong with the text."""
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
        # PyYAML lets these through, for a date like 2020-99-99 or a tag like "!!bool x".
        return {}, [f"holds a value that YAML cannot read ({error}); put it in quotes"]
    return ({} if tree is None else tree), loader.duplicates


def _read(path: Path) -> tuple[object, list[str]]:
    try:
        tree, problems = _parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        return {}, [f"{path}: cannot be read ({error.strerror}); check --config and CONFIG_PATH"]
    except UnicodeDecodeError as error:
        return {}, [f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8"]
    if not isinstance(tree, dict):
        return {}, [f"{path}: must hold keys and values, got {_shown(tree)}"]
    return tree, [f"{path}: {problem}" for problem in problems]


# --- settings beside recordings ---------------------------------------------------------------

#: There are not half as many keys; a file with more is no settings file at all.
_MOST_KEYS = 50


def check_settings(content: bytes) -> tuple[dict[str, Any], list[Problem]]:
    """What a settings file states, key by key, less what is wrong in it; and every complaint.

    A complaint about the file as a whole has the empty key; then nothing is known of the rest.
    """
    try:
        tree, faults = _parse(content.decode("utf-8"), _PlainLoader)
    except UnicodeDecodeError as error:
        return {}, [((), f"is not UTF-8 text (byte {error.start}); save it as UTF-8")]
    if not isinstance(tree, dict):
        return {}, [((), f"must hold keys and values, got {_shown(tree)}")]
    if len(tree) > _MOST_KEYS:
        return {}, [((), f"holds {len(tree)} keys; there are {len(Settings.model_fields)} in all")]
    stated, problems = _checked_settings(tree)
    return stated, [((), fault) for fault in faults] + problems


def _checked_settings(tree: dict[Any, Any]) -> tuple[dict[str, Any], list[Problem]]:
    fields = Settings.model_fields
    problems: list[Problem] = [
        ((str(key),), f"{_shortened(key)}: {_unknown_setting(str(key))}")
        for key in tree
        if key not in fields
    ]
    known = {key: value for key, value in tree.items() if key in fields}
    size = known.get("model_size")
    if isinstance(size, str) and size not in MODEL_SIZES:
        problems.append((("model_size",), f"model_size: {_no_size(size)}"))
        del known["model_size"]
    try:
        WhisperxConfig.model_validate(known)
    except ValidationError as failure:
        for error in failure.errors():
            problems.append((error["loc"], f"{_dotted(error['loc'])}: {_sentence(error)}"))
            known.pop(str(error["loc"][0]), None)
    return WhisperxConfig.model_validate(known).model_dump(include=set(known)), problems


def _no_size(size: str) -> str:
    """A path is refused: who writes to the share must not choose what else is read."""
    if "/" in size:
        return f"a path can only be set in the configuration, got {_shown(size)}"
    return (
        f"must be one of {', '.join(MODEL_SIZES)}, got {_shown(size)}{nearest(size, MODEL_SIZES)}"
    )


def _unknown_setting(word: str) -> str:
    if word in WhisperxConfig.model_fields:
        return "can only be set in the configuration"
    if word == "whisperx":
        return "is not a known key here; write the keys below it without it, at the top"
    near = difflib.get_close_matches(word.lower()[:60], list(Settings.model_fields), n=1)
    if near:
        return f"is not a known key; did you mean {near[0]}?"
    return f"is not a known key; known here: {', '.join(Settings.model_fields)}"


def _shortened(key: object) -> str:
    text = str(key)
    return text if len(text) <= 60 and text.isprintable() else _shown(text)


# --- the environment --------------------------------------------------------------------------


def _from_environment(environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[Key, str]]:
    """The overrides as a tree, and which variable each key came from. Empty means not set."""
    tree: dict[str, Any] = {}
    variables: dict[Key, str] = {}
    for variable, key in ENVIRONMENT.items():
        text = environ.get(variable, "").strip()
        # A secret that is set to nothing is a slip that would leave the door open.
        if text or (variable in environ and key[-1] in SECRETS):
            number = key == ("api", "port") and re.fullmatch(r"[+-]?[0-9]{1,18}", text)
            _put(tree, key, int(text) if number else text)
            variables[key] = variable
    return tree, variables


def _put(tree: dict[str, Any], key: tuple[str, ...], value: object) -> None:
    for part in key[:-1]:
        tree = tree.setdefault(part, {})
    tree[key[-1]] = value


def _without(tree: object, bad: Iterable[Key]) -> dict[str, Any]:
    """The tree less the keys complained about, so that the rest can be judged together."""
    dropped = {key[:2] for key in bad}
    kept: dict[str, Any] = {}
    for name, value in tree.items() if isinstance(tree, dict) else ():
        if (name,) in dropped:
            continue
        if isinstance(value, dict):
            value = {k: v for k, v in value.items() if (name, k) not in dropped}
        kept[name] = value
    return kept


def _merged(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    both = {**low, **high}
    for name in low.keys() & high.keys():
        if isinstance(low[name], dict) and isinstance(high[name], dict):
            both[name] = {**low[name], **high[name]}
    return both


def config_path(path: Path | None, environ: Mapping[str, str]) -> tuple[Path, bool]:
    """The file to read, and whether somebody named it: such a one must exist."""
    named = path or environ.get("CONFIG_PATH", "").strip()
    return Path(os.path.abspath(named or PROJECT_ROOT / "config.yaml")), bool(named)


def _conflicts(config: Config, bad: set[str], variables: Mapping[Key, str]) -> list[str]:
    """What is wrong between keys; silent about keys that were already complained about."""
    prefixed: list[tuple[str, Conflict]] = [("", c) for c in directory_conflicts(config)]
    prefixed += [("", c) for c in access_conflicts(config)]
    prefixed += [("whisperx.", c) for c in settings_conflicts(config.whisperx)]
    lines = []
    for prefix, (names, line) in prefixed:
        keys = [prefix + name for name in names]
        if bad.isdisjoint(keys):
            variable = variables.get(tuple(keys[0].split(".")))
            lines.append(f"{variable or keys[0]}: {line}")
    return lines


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """``path`` (``--config``), else CONFIG_PATH, else ``config.yaml`` beside ``transcriber.py``.

    The environment goes before the file. Raises ConfigError with every problem in both.
    """
    file, named = config_path(path, environ)
    tree, lines = _read(file) if named or os.path.lexists(file) else ({}, [])
    extra, variables = _from_environment(environ)
    problems = _problems(tree, file.parent, {}) + _problems(extra, file.parent, variables)
    bad = [key for key, _ in problems]
    merged = _merged(_without(tree, bad), _without(extra, bad))
    config = Config.model_validate(merged, context={"base": file.parent})
    lines += [line for _, line in problems]
    lines += _conflicts(config, {_dotted(key[:2]) for key in bad}, variables)
    if lines:
        raise ConfigError(lines)
    return config
