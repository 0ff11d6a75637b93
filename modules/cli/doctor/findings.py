"""What a check of ``doctor`` finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  #: it works, but not as well as it might
    PROBLEM = "problem"  #: it does not work


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what was seen there, and what to do about it."""

    level: Level
    subject: str
    seen: str
    remedy: str = ""


def ok(subject: str, seen: str) -> Finding:
    return Finding(Level.OK, subject, seen)


def warning(subject: str, seen: str, remedy: str = "") -> Finding:
    return Finding(Level.WARNING, subject, seen, remedy)


def problem(subject: str, seen: str, remedy: str = "") -> Finding:
    return Finding(Level.PROBLEM, subject, seen, remedy)
