"""What a hostile file is: its name, its bytes, and how it has to end."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Ending(Enum):
    """How the transcriber has to end with a file."""

    TEXT = "a result with words in it"
    RESULT = "a result, whose text may be empty"
    REFUSED = "in manual/, with the reason, or left alone as it is no recording"
    EITHER = "a result, or refused"


@dataclass(frozen=True)
class Case:
    """One file to drop into the folder.

    ``code``: the error code that a refusal must have; ``partial``: whether the result has to say
    that something is missing; ``sparse_size``: it is made so long with a hole at its end.
    """

    name: str
    data: bytes
    ending: Ending = Ending.EITHER
    code: str | None = None
    partial: bool = False
    sparse_size: int = 0

    def write(self, folder: Path) -> Path:
        """Put it into a folder, whole at once as a move does."""
        path = folder / self.name
        hidden = folder / ".arriving"
        hidden.write_bytes(self.data)
        if self.sparse_size:
            os.truncate(hidden, self.sparse_size)
        return hidden.rename(path)


def result(name: str, data: bytes, **more: object) -> Case:
    """A file that must give a result, be there words in it or not."""
    return Case(name, data, Ending.RESULT, **more)  # type: ignore[arg-type]


def text(name: str, data: bytes, **more: object) -> Case:
    """A file in which words must be found."""
    return Case(name, data, Ending.TEXT, **more)  # type: ignore[arg-type]


def refused(name: str, data: bytes, code: str | None = None, **more: object) -> Case:
    """A file that must not become a text."""
    return Case(name, data, Ending.REFUSED, code, **more)  # type: ignore[arg-type]


def either(name: str, data: bytes, **more: object) -> Case:
    """A file of which FFmpeg may make what it likes, as long as it ends."""
    return Case(name, data, **more)  # type: ignore[arg-type]
