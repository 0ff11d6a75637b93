"""Load ``config.yaml`` and the environment into one frozen object, or report every problem.

``load_config`` loads the configuration, ``check_settings`` the settings of a recording. The tree is
defined in ``schema.py``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from modules.config.messages import SECRETS, Key, Problem, dotted, sentence
from modules.config.recording_settings import check_settings
from modules.config.rules import (
    Conflict,
    access_conflicts,
    directory_conflicts,
    settings_conflicts,
    standby_conflicts,
    summary_conflicts,
    worker_conflicts,
)
from modules.config.schema import Config
from modules.config.user_folders import config_file, data_folder
from modules.config.yaml_reader import read
from modules.errors import ConfigError, joined

__all__ = ["ENVIRONMENT", "Config", "base_folder", "check_settings", "config_path", "load_config"]


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
    "HANDOVER_URL": ("handover", "url"),
}


def _problems(tree: object, base: Path, variables: Mapping[Key, str]) -> list[Problem]:
    """Every problem in a tree; ``variables`` names the variables that keys come from."""
    try:
        Config.model_validate(tree, context={"base": base})
    except ValidationError as failure:
        return [
            (error["loc"], joined(": ", variables.get(error["loc"]) or dotted(error["loc"]),
             sentence(error)))
            for error in failure.errors()
        ]  # fmt: skip
    return []


def _from_environment(environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[Key, str]]:
    """The overrides as a tree, and the variable of each key. An empty one counts as not set."""
    tree: dict[str, Any] = {}
    variables: dict[Key, str] = {}
    for variable, key in ENVIRONMENT.items():
        text = environ.get(variable, "").strip()
        # An empty secret is a mistake that would leave the API open, so it is reported.
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
    """The tree without the keys that have problems, so that the rest can be checked together."""
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
    """The file to read, and whether it was named explicitly; then it must exist."""
    named = path or environ.get("CONFIG_PATH", "").strip()
    return Path(os.path.abspath(named or config_file(environ))), bool(named)


def base_folder(file: Path, environ: Mapping[str, str]) -> Path:
    """Where relative paths in a configuration count from."""
    return data_folder(environ) if file == config_file(environ) else file.parent


def _conflicts(config: Config, bad: set[str], variables: Mapping[Key, str]) -> list[str]:
    """Conflicts between keys, without those of keys that already have a problem."""
    prefixed: list[tuple[str, Conflict]] = [("", c) for c in directory_conflicts(config)]
    prefixed += [("", c) for c in (*access_conflicts(config), *summary_conflicts(config))]
    prefixed += [("", c) for c in (*standby_conflicts(config), *worker_conflicts(config))]
    prefixed += [("whisperx.", c) for c in settings_conflicts(config.whisperx)]
    lines: list[str] = []
    for prefix, (names, line) in prefixed:
        keys = [prefix + name for name in names]
        if bad.isdisjoint(keys):
            variable = variables.get(tuple(keys[0].split(".")))
            lines.append(joined(": ", variable or keys[0], line))
    return lines


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """``path`` (``--config``), else CONFIG_PATH, else ``config.yaml`` in its usual place.

    The environment goes before the file. Without a file the defaults hold. Raises ConfigError with
    every problem in both.
    """
    file, named = config_path(path, environ)
    is_there = named or os.path.lexists(file)
    tree, lines = read(file) if is_there else ({}, [])
    extra, variables = _from_environment(environ)
    base = base_folder(file, environ)
    problems = _problems(tree, base, {}) + _problems(extra, base, variables)
    bad = [key for key, _ in problems]
    merged = _merged(_without(tree, bad), _without(extra, bad))
    config = Config.model_validate(merged, context={"base": base})
    lines += [line for _, line in problems]
    lines += _conflicts(config, {dotted(key[:2]) for key in bad}, variables)
    if lines:
        raise ConfigError(lines)
    return config
