"""How much the long tests do: their usual share in ``make test``, all of it in ``make soak``."""

from __future__ import annotations

import os

SOAKING = os.environ.get("TRANSCRIBER_SOAK") == "1"


def soak(usual: int, long: int) -> int:
    """``usual`` in ``make test``, ``long`` in ``make soak``."""
    return long if SOAKING else usual
