"""Check the settings file of a recording, key by key."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import ValidationError

from modules.config.messages import Problem, dotted, sentence
from modules.config.schema import WhisperxConfig
from modules.config.settings import TranscriptionSettings
from modules.config.shown import shown
from modules.config.types import MODEL_SIZES, is_blank, nearest
from modules.config.yaml_reader import PlainLoader, no_keys, not_utf8, parse
from modules.messages import joined, noted

#: More than twice the number of keys; a larger file is not a settings file.
_MOST_KEYS = 50


def check_settings(content: bytes) -> tuple[dict[str, Any], list[Problem]]:
    """The valid settings of a file, and every problem in it.

    A problem with the whole file has an empty key; then there are no settings.
    """
    try:
        tree, faults = parse(content.decode("utf-8"), PlainLoader)
    except UnicodeDecodeError as error:
        return {}, [((), not_utf8(error))]
    if not isinstance(tree, dict):
        return {}, [((), no_keys(tree))]
    if len(tree) > _MOST_KEYS:
        known = len(TranscriptionSettings.model_fields)
        return {}, [
            (
                (),
                noted("holds {count} keys; there are {known} in all", count=len(tree), known=known),
            )
        ]
    stated, problems = checked_settings(tree)
    return stated, [((), fault) for fault in faults] + problems


def checked_settings(tree: dict[Any, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The same for keys and values that were read already."""
    fields = TranscriptionSettings.model_fields
    problems: list[Problem] = [
        ((str(key),), joined(": ", _shortened(key), _unknown_setting(str(key))))
        for key in tree
        if key not in fields
    ]
    known = {
        key: value
        for key, value in tree.items()
        if key in fields and not (key == "language" and is_blank(value))
    }
    size = known.get("model_size")
    if isinstance(size, str) and size not in MODEL_SIZES:
        problems.append((("model_size",), joined(": ", "model_size", _no_size(size))))
        del known["model_size"]
    try:
        WhisperxConfig.model_validate(known)
    except ValidationError as failure:
        for error in failure.errors():
            problems.append((error["loc"], joined(": ", dotted(error["loc"]), sentence(error))))
            known.pop(str(error["loc"][0]), None)
    return WhisperxConfig.model_validate(known).model_dump(include=set(known)), problems


def _no_size(size: str) -> str:
    """A path is refused: users of the share must not choose which other files are read."""
    if "/" in size:
        rule = noted("a path can only be set in the configuration")
    else:
        rule = noted("must be one of {allowed}", allowed=", ".join(MODEL_SIZES))
    return joined("", rule, noted(", got {value}", value=shown(size)), nearest(size, MODEL_SIZES))


def _unknown_setting(word: str) -> str:
    if word in WhisperxConfig.model_fields:
        return noted("can only be set in the configuration")
    if word == "whisperx":
        return noted("is not a known key here; write the keys below it without it, at the top")
    near = difflib.get_close_matches(
        word.lower()[:60], list(TranscriptionSettings.model_fields), n=1
    )
    if near:
        return noted("is not a known key; did you mean {key}?", key=near[0])
    keys = ", ".join(TranscriptionSettings.model_fields)
    return noted("is not a known key; known here: {keys}", keys=keys)


def _shortened(key: object) -> str:
    text = str(key)
    return text if len(text) <= 60 and text.isprintable() else shown(text)
