"""System calls that Python has no functions for."""

from __future__ import annotations

import ctypes
import os

NO_NEW_PRIVILEGES, KEEP_CAPABILITIES, PARENT_DEATH_SIGNAL = 38, 8, 1


def prctl(option: int, value: int) -> None:
    """prctl(2). Raises OSError."""
    checked(libc().prctl(option, value, 0, 0, 0))


def libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def checked(returned: int) -> int:
    """What a C function returned. Raises OSError if it failed."""
    if returned < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return returned
