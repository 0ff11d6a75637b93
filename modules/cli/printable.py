"""What the terminal is given: nothing that anybody wrote into a file may steer it.

Only the standard library is needed: ``doctor`` must work where packages are missing.
"""

from __future__ import annotations

import json
import re
from typing import Any

from modules.logger import UNSAFE, one_line


def printable(text: str) -> str:
    """Text of one line, with control characters spelled out."""
    return one_line(text)


def printable_lines(text: str) -> str:
    """The same for a text of our own that has several lines."""
    return "\n".join(one_line(line) for line in text.split("\n"))


def printable_json(content: Any) -> str:
    """JSON for people and programs: unsafe characters are escapes, which mean the same."""
    return UNSAFE.sub(_escape, json.dumps(content, ensure_ascii=False, indent=2))


def _escape(match: re.Match[str]) -> str:
    return match.group() if match.group() == "\n" else f"\\u{ord(match.group()):04x}"
