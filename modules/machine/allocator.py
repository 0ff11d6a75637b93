"""The child's memory: what loading a model needs for a moment goes at once, what work needs stays.

With glibc's settings as they come, the encoder's 70 MB go back to the kernel after each layer and
are cleared anew, page by page: a fifth of the time of a short recording. If everything is kept
instead, so are the temporary copies of loading. So each has settings of its own. Another C library
goes without. Sources: mallopt(3), malloc_trim(3), prctl(2), PR_SET_THP_DISABLE(2const).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

_PR_SET_THP_DISABLE = 41
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -2, -3, -4, -8
#: A second arena could not hold a piece of over 64 MB. Before glibc 2.35 the threshold may not be
#: above 32 MB, so it is the number of mappings that is changed.
_ALWAYS = {_ARENA_MAX: 1, _MMAP_THRESHOLD: 2**17}
#: Nothing that work needs is given back.
_WORKING = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**30, _TOP_PAD: 2**26}
#: Every piece above the threshold is a mapping of its own, which ends when it is freed.
_LOADING = {_MMAP_MAX: 2**16, _TRIM_THRESHOLD: 2**17, _TOP_PAD: 2**17}

_loading = threading.Lock()


def configure() -> None:
    """Prepare this process for loading its first model. Call before its first thread starts.

    Room at the end of the heap would take the copies of loading, so there is none before.
    Huge pages are off whatever the machine's default is: MKL allocates 5 to 50 times what a
    packed weight needs and writes to little of it: 0.3 GB of pages of 4 KiB, 1.2 GB of huge ones
    for Whisper base. They gain no speed (docs/decisions/0021).
    """
    libc = _libc()
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)
    _apply(_ALWAYS | _LOADING)


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """While a model is loaded. Threads that work meanwhile are right, only slower."""
    with _loading:
        _apply(_LOADING)
        try:
            yield
        finally:
            _apply(_WORKING)


def give_back() -> None:
    """Give the kernel all that is kept for the next chunk, which takes longer for it."""
    trim = getattr(_libc(), "malloc_trim", None)
    if trim:
        trim(0)


def resident_mb() -> float:
    """What this process takes, in MiB; 0 where the kernel does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def _apply(settings: dict[int, int]) -> None:
    mallopt = getattr(_libc(), "mallopt", None)
    if mallopt:
        for name, value in settings.items():
            mallopt(name, value)


@cache
def _libc() -> Any:
    return ctypes.CDLL(None)
