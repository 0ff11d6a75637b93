"""The child's memory: kept while it works, given back when it rests. In a process of its own."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
#: As the encoder does: 70 MB again and again, in a thread that is not the first; and as loading
#: does: the same in copies that are freed out of order.
WORKS = """
import contextlib, json, resource, sys, threading
from modules.machine import allocator
from modules.machine.allocator import give_back, resident_mb

loading = contextlib.nullcontext
if sys.argv[1] == "configured":
    allocator.configure()
    loading = allocator.loading
import numpy as np

def piece(mb=70):
    made = np.empty(mb * 2**20, dtype=np.uint8)
    made.fill(1)
    return made

def work():
    piece()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        piece()
    found["faults"] = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def load():
    copies = [piece(20) for _ in range(10)]
    kept = [piece(1) for _ in range(10)]
    del copies
    return kept

imported = [bytearray(2000) for _ in range(2000)]  # small pieces, as imports make them
found = {"before": resident_mb()}
with loading():
    kept = load()
found["loaded"] = resident_mb()
for _ in range(2):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
found["kept"] = resident_mb()
give_back()
found["rest"] = resident_mb()
found["huge"] = sum(
    int(line.split()[1]) for line in open("/proc/self/smaps") if line.startswith("AnonHugePages:")
)
print(json.dumps(found))
"""

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the settings are those of glibc"
)


def figures(how: str, **environment: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", WORKS, how],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def found() -> dict[str, float]:
    return figures("configured")


def test_what_was_had_once_is_not_cleared_again(found: dict[str, float]) -> None:
    assert found["faults"] < 35
    assert figures("as it comes")["faults"] > 300, "nothing is gained, or this measures wrong"


def test_what_loading_needs_for_a_moment_is_gone_after_it(found: dict[str, float]) -> None:
    # Of 200 MB of copies and 10 MB that stay.
    assert found["before"] + 5 < found["loaded"] < found["before"] + 50


def test_what_work_needs_is_kept_until_it_is_given_back(found: dict[str, float]) -> None:
    assert found["kept"] > found["loaded"] + 60, "or there is nothing to give back"
    assert found["rest"] < found["loaded"] + 10


def test_no_huge_pages_are_used_even_where_they_are_asked_for() -> None:
    """As on a machine whose default is to use them everywhere."""
    asked = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    if figures("as it comes", **asked)["huge"] == 0:
        pytest.skip("this machine has no huge pages to give")
    assert figures("configured", **asked)["huge"] == 0
