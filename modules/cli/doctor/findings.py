"""What a check of ``doctor`` finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from gettext import gettext as _

from modules import IS_INSTALLED


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


def install_again() -> str:
    """What to do where a package is missing or wrong."""
    if IS_INSTALLED:
        return _("Install the program again, as you installed it.")
    return _("Run `make venv`, or `pip install -r requirements.lock`.")


def problem(subject: str, seen: str, remedy: str = "") -> Finding:
    return Finding(Level.PROBLEM, subject, seen, remedy)
