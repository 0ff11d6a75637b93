"""JSON objects from clients of live protocols. Pure."""

from __future__ import annotations

import json
from typing import Any

from modules.storage.atomic import JSON_DEPTH_MAX, is_deeper

#: A start with a long prompt is the largest text that is not sound.
TEXT_CHARS = 16_000


def parsed(text: str | bytes, most: int = TEXT_CHARS) -> dict[str, Any] | None:
    """None for what is too long, nested too deep, no JSON, or no object."""
    try:
        message = json.loads(text) if len(text) <= most else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or is_deeper(message, JSON_DEPTH_MAX):
        return None
    return message


def wire(content: dict[str, Any]) -> bytes:
    """As it is sent; names that are not UTF-8 hold lone surrogates."""
    return json.dumps(content, ensure_ascii=False).encode(errors="replace")
