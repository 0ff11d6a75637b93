"""The whole program, driven by seeds; and the simulation itself, put to the test.

Elsewhere than in CI the seeds are new in every run: that is where they find something.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulation.seeded_bugs import BUGS, Bug
from tests.simulation.simulation import simulate
from tests.simulation.violation import SeedError
from tests.soak import soak

STEPS = 500
#: Together 12,500 steps, and a million in ``make soak``. A part has a test of its own.
PARTS = soak(5, 8)
SEEDS_OF_A_PART = soak(5, 250)
#: A bug must be found within so many.
USUAL_STEPS = 20_000
PROJECT = Path(__file__).parents[2]


def fresh_seeds() -> Iterator[int]:
    """The same in CI, so that what is red there is red here; new ones everywhere else."""
    dice = random.Random(0 if os.environ.get("CI") == "true" else None)
    while True:
        yield dice.randrange(10**9)


SEEDS = fresh_seeds()


@pytest.mark.parametrize("part", range(1, PARTS + 1))
@pytest.mark.timeout(3600)
def test_whatever_happens_nothing_is_lost_doubled_torn_or_out_of_turn(part: int) -> None:
    seen: Counter[str] = Counter()
    for _ in range(SEEDS_OF_A_PART):
        seen += simulate(next(SEEDS), STEPS).counts
    # Or it would have proved nothing.
    missing = {"completed", "failed", "cancelled", "faults", "starts"} - set(seen)
    assert not missing, f"in all of these runs there was no {missing}"


@pytest.mark.parametrize("part", range(1, PARTS + 1))
@pytest.mark.timeout(3600)
def test_nor_with_three_workers_on_machines_that_come_and_go(part: int) -> None:
    seen: Counter[str] = Counter()
    for _ in range(SEEDS_OF_A_PART):
        seen += simulate(next(SEEDS), STEPS, 3).counts
    missing = {"completed", "failed", "lost", "late", "together", "starts"} - set(seen)
    assert not missing, f"in all of these runs there was no {missing}"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_put_in_on_purpose_is_found(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug.put_in(monkeypatch)
    failures = (failure_of(seed, bug.workers) for seed in range(USUAL_STEPS // STEPS))
    found = next(filter(None, failures), None)
    assert found is not None, "the simulation did not notice it"
    assert found.invariant in bug.invariants, str(found)


def failure_of(seed: int, workers: int) -> SeedError | None:
    try:
        simulate(seed, STEPS, workers)
    except SeedError as failure:
        return failure
    return None


def test_a_seed_replays_to_the_same_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    bug = next(bug for bug in BUGS if bug.name == "takes_the_last_first")
    bug.put_in(monkeypatch)
    with pytest.raises(SeedError) as first:
        simulate(0, STEPS)
    with pytest.raises(SeedError) as second:
        simulate(0, STEPS)
    assert str(first.value) == str(second.value)
    assert f"python -m tests.simulation 0 {STEPS}" in str(first.value)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_seed_is_the_same_run_in_every_process(workers: int) -> None:
    """Also where sets are in another order."""
    digests = {replayed(3, 200, workers, hash_seed=each) for each in ("1", "2")}
    assert digests == {simulate(3, 200, workers).digest}


def replayed(seed: int, steps: int, workers: int, hash_seed: str) -> str:
    """The digest of the trace, made in a process of its own."""
    command = [sys.executable, "-m", "tests.simulation", str(seed), str(steps), str(workers)]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.rsplit(maxsplit=1)[-1]
