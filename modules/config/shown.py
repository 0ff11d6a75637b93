"""Values in messages."""

from __future__ import annotations

from collections.abc import Mapping

from modules.messages import noted


def shown(value: object) -> str:
    """A value as it is written in a file or a request, never as Python writes its classes."""
    try:
        text = _written(value)
    except (ValueError, RecursionError):
        return noted("a number with thousands of digits")
    return text if len(text) <= 60 else text[:57] + "..."


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return repr(value)
    if isinstance(value, bytes):
        return repr(value.decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_written(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple | set):
        return "[" + ", ".join(map(_written, value)) + "]"
    return "null" if value is None else str(value)  # YAML has dates
