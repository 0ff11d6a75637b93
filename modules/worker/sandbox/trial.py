"""Enters the sandbox and prints what of it this machine lacks: a JSON list, a line each.

``doctor`` runs it as a program.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from modules.worker.sandbox import confine


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--private", type=Path, action="append", default=[])
    options = parser.parse_args()
    places = confine.Places((options.weights,), options.scratch, tuple(options.private))
    print(json.dumps(confine.apply(places)))


if __name__ == "__main__":
    main()
