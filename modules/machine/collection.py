"""Pauses Python's garbage collector while many objects are made at once.

It looks at all objects again and again while a text of hours is read, which takes longer than the
reading, and no other thread runs meanwhile. What is not part of a cycle is freed all the same.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator

_lock = threading.Lock()
_pauses = 0


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """No cycles are looked for while any thread is in such a block. For seconds, not for ever."""
    global _pauses
    with _lock:
        _pauses += 1
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            _pauses -= 1
            if not _pauses:
                gc.enable()
