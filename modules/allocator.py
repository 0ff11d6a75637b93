"""How the child's memory is managed: glibc's settings, and memory given back."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

#: The encoder asks for the same 70 MB again and again. Left alone, glibc gives them back each time,
#: and the kernel clears them anew, page by page: a fifth of the time of a short recording. With an
#: arena for each thread it does so too, as a second arena cannot hold more than 64 MB in one piece.
_SETTINGS = {
    "hugetlb": 1,
    "mmap_threshold": 2**30,
    "trim_threshold": 2**30,
    "top_pad": 2**26,
    "arena_max": 1,
}


def tunables() -> str:
    """``GLIBC_TUNABLES`` for the child."""
    return ":".join(f"glibc.malloc.{name}={value}" for name, value in _SETTINGS.items())


def resident_mb() -> float:
    """What this process takes, in MiB; 0 where the kernel does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def give_back() -> None:
    """Give the kernel all that is kept for the next chunk, which takes half a second longer."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # no other C library has it
    if trim:
        trim(0)
