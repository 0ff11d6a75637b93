"""Messages about wrong values: they name the key, the value and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from modules.config.schema import Config
from modules.config.shown import shown
from modules.config.types import nearest
from modules.messages import Message, joined, noted

#: Keys whose values no message may show.
SECRETS = frozenset({"key", "password", "secret"})

#: Sections with an address in which somebody may have written one.
_RECEIVERS = (("handover",), ("summary",), ("callbacks",))

Key = tuple[str | int, ...]

#: The key, and the message about it.
Problem = tuple[Key, str]

_KINDS = {
    "int_type": noted("must be a whole number"),
    "int_from_float": noted("must be a whole number"),
    "float_type": noted("must be a number"),
    "finite_number": noted("must be a finite number"),
    "bool_type": noted("must be true or false"),
    "string_type": noted("must be text"),
    "tuple_type": noted("must be a list, such as [txt, srt]"),
    "list_type": noted("must be a list"),
    "string_unicode": noted("must be text; half of a character is in it"),
    "int_parsing_size": noted("must be a smaller number"),
    "string_too_short": noted("must not be empty"),
}

#: Rules with a limit, by the name that pydantic gives to it.
_LIMITS = {
    "ge": noted("must be at least {limit}"),
    "gt": noted("must be more than {limit}"),
    "le": noted("must be at most {limit}"),
    "lt": noted("must be less than {limit}"),
    "min_length": noted("must have at least {limit} of them"),
    "max_length": noted("must have at most {limit} of them"),
    "pattern": noted("must be spelled as {limit} says"),
}

#: What to do about a key without a value.
_LEFT_EMPTY = noted("has no value; give it one, or remove the line to use the default")


def dotted(key: Key) -> str:
    return ".".join(str(part) for part in key)


def _fields(section: str | None = None) -> Mapping[str, Any]:
    """The keys at the top, or those of a section; empty if there is no such section."""
    if section is None:
        return Config.model_fields
    model = Config.model_fields[section].annotation if section in Config.model_fields else None
    return getattr(model, "model_fields", {})


def _unknown(key: Key) -> str:
    """The message about an unknown key; it suggests the closest key or the right section."""
    section, word = (str(key[0]) if len(key) > 1 else None), str(key[-1])
    homes: list[Key] = [(name, word) for name in _fields() if word in _fields(name)]
    if section and word in _fields():
        homes.append((word,))
    near = difflib.get_close_matches(word.lower(), list(_fields(section)), n=1)
    meant = homes or [(*key[:-1], name) for name in near]
    if meant:
        return noted("is not a known key; did you mean {key}?", key=dotted(meant[0]))
    return noted("is not a known key; known here: {keys}", keys=", ".join(_fields(section)))


def _is_secret(key: Key, value: object) -> bool:
    """Whether a value may hold a password; that of an address stands before an @, or after ?."""
    if key and key[-1] in SECRETS:
        return True
    return key[:1] in _RECEIVERS and any(sign in str(value) for sign in "@?")


def sentence(
    error: Mapping[str, Any],
    unknown: Callable[[Key], str] = _unknown,
    left_empty: str = _LEFT_EMPTY,
) -> str:
    """One pydantic error as ``must be …, got …`` and, where there is one, a remedy.

    ``unknown``: the message about a key that is not known; ``left_empty``: about one without value.
    """
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    secret = _is_secret(tuple(error["loc"]), value)
    got = None if secret else noted(", got {value}", value=shown(value))
    if kind in ("extra_forbidden", "invalid_key"):
        return unknown(error["loc"])
    if kind == "missing":
        return noted("is missing; it must be given")
    if value is None:
        return left_empty
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return joined("", noted("must be a section with keys of its own"), got)
    if kind == "literal_error":
        allowed = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        rule = noted("must be one of {allowed}", allowed=allowed)
        return joined("", rule, got, nearest(str(value), allowed.split(", ")))
    if kind == "value_error":
        rule, *hint = context["error"].args
        return joined("", rule, got, *hint)
    if kind == "string_type":
        return joined("", noted("must be text"), got, noted("; put it in quotes"))
    if kind == "string_too_long":
        most = context["max_length"]
        return joined("", noted("must have at most {most} characters", most=most), got)
    return joined("", _rule(kind, context), got)


def first_problem(failure: ValidationError) -> Message:
    """The first of pydantic's errors about one of our own files."""
    error = failure.errors(include_url=False)[0]
    rule = sentence(error, lambda key: noted("is not a known key"))
    return joined(": ", dotted(error["loc"]), rule)


def _rule(kind: str, context: Mapping[str, Any]) -> Message:
    """What pydantic says of a value, by its kind of error; it never speaks for itself."""
    if kind in _KINDS:
        return _KINDS[kind]
    for limit, template in _LIMITS.items():
        if limit in context:
            return noted(template, limit=context[limit])
    return noted("is not a possible value")
