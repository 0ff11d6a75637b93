"""What is in a CTranslate2 file, without reading its numbers.

Source: CTranslate2's ``model_spec.py``, binary version 6, the only one since 2022. All numbers are
little-endian.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_VERSION = 6


class UnknownFormatError(ValueError):
    """The file holds something that is not understood here. CTranslate2 may understand it."""


@dataclass(frozen=True)
class Entry:
    """Where the numbers of a variable are, and what kind they are of."""

    shape: tuple[int, ...]
    kind: int
    offset: int
    size: int


def read_entries(file: BinaryIO, path: Path) -> dict[str, Entry]:
    """All variables by name. Raises UnknownFormatError, which names ``path``, and OSError."""
    try:
        return dict(_entries(file))
    except (struct.error, UnicodeDecodeError) as error:
        raise UnknownFormatError(f"{path} ends early, or is no model: {error}") from error


def count_numbers(path: Path, prefix: str) -> int:
    """How many numbers the variables have whose name begins with ``prefix``.

    Raises UnknownFormatError and OSError.
    """
    with path.open("rb") as file:
        entries = read_entries(file, path)
    return sum(math.prod(it.shape) for name, it in entries.items() if name.startswith(prefix))


def _entries(file: BinaryIO) -> Iterator[tuple[str, Entry]]:
    def numbers(form: str) -> tuple[int, ...]:
        return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))

    (version,) = numbers("I")
    if version != _VERSION:
        raise UnknownFormatError(f"binary version {version}, where {_VERSION} is understood")
    _name(file, numbers)  # of the kind of model
    _, count = numbers("II")
    for _ in range(count):
        name = _name(file, numbers)
        (rank,) = numbers("B")
        shape = numbers(f"{rank}I")
        kind, size = numbers("BI")
        yield name, Entry(shape, kind, file.tell(), size)
        file.seek(size, 1)


def _name(file: BinaryIO, numbers: Callable[[str], tuple[int, ...]]) -> str:
    """A text with its length before it and a zero at its end."""
    (length,) = numbers("H")
    return file.read(length).rstrip(b"\0").decode()
