"""The child's memory: kept while it works, given back when it rests. In a process of its own."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from modules.allocator import tunables

PROJECT = Path(__file__).parents[2]
#: As the encoder does: 70 MB again and again, in a thread that is not the first.
WORKS = """
import json, resource, threading
import numpy as np
from modules.allocator import give_back, resident_mb

def piece():
    np.empty(70 * 2**20, dtype=np.uint8).fill(1)

def work():
    piece()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        piece()
    found["faults"] = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

found = {"before": resident_mb()}
for _ in range(2):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
found["kept"] = resident_mb()
give_back()
found["rest"] = resident_mb()
print(json.dumps(found))
"""

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the settings are those of glibc"
)


def figures(settings: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", WORKS],
        cwd=PROJECT,
        env={**os.environ, "GLIBC_TUNABLES": settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def test_what_was_had_once_is_not_cleared_again() -> None:
    assert figures(tunables())["faults"] < 35
    assert figures("")["faults"] > 300, "nothing is gained by the settings, or this measures wrong"


def test_it_is_given_back() -> None:
    found = figures(tunables())
    assert found["kept"] > found["before"] + 60, "or there is nothing to give back"
    assert found["rest"] < found["before"] + 10
