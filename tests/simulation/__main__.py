"""What a seed does, and what it breaks: ``python -m tests.simulation SEED [STEPS [WORKERS]]``."""

from __future__ import annotations

import sys

from tests.simulation.simulation import simulate
from tests.simulation.violation import SeedError


def main(seed: int, steps: int = 500, workers: int = 1) -> int:
    try:
        report = simulate(seed, steps, workers)
    except SeedError as failure:
        print(failure)
        return 1
    print("\n".join(report.trace))
    print(dict(report.counts))
    print("digest", report.digest)
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:4])))
