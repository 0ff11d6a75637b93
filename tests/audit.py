"""Has a pinned package a known weakness? ``python -m tests.audit`` asks pip-audit about every lock.

pip-audit alone finds "no known vulnerabilities" where nobody could be asked, and passes over what
is pinned for other systems. Here the exit code is 0 if there is nothing, 1 if there is something or
an answer is missing, 75 if nobody could be asked. Arguments go to pip-audit, such as ``-s osv``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
#: The shortest first: if nothing is known of that, nobody is there to be asked about the others.
LOCKS = (
    *(f"requirements{name}.lock" for name in ("-uv", "-handover", "-ray", "", "-onnx", "-dev")),
    *(f"tests/clients/{name}.lock" for name in ("python", "bridge")),
)
EXCEPTIONS = PROJECT / "audit-exceptions.txt"
NOT_ASKED = 75  # EX_TEMPFAIL
_MINUTES = 10

Answers = Sequence[Mapping[str, Any]]


class NotAskedError(Exception):
    """Nobody could be asked; the text says why."""


def pins(lock: str) -> Iterator[tuple[str, str]]:
    """Each requirement of a lock: its name, and its line, for whatever system it is."""
    for line in lock.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            requirement, *hashes = line.split(" --hash=")
            bare = requirement.split(";")[0].strip()
            yield bare.split("==")[0], " --hash=".join([bare, *(h.strip() for h in hashes)])


def rounds(locks: Sequence[str]) -> list[dict[str, str]]:
    """What to ask in one go: the first lock alone, then the rest, a package in one version each."""
    asked: list[dict[str, str]] = []
    known: set[str] = set()
    for number, lock in enumerate(locks):
        for name, line in pins(lock):
            if line in known:
                continue
            known.add(line)
            fitting = (r for i, r in enumerate(asked) if i >= min(number, 1) and name not in r)
            place = next(fitting, None)
            if place is None:
                asked.append(place := {})
            place[name] = line
    return asked


def exceptions(text: str) -> dict[str, str]:
    """Ids and names to their reasons. Raises ValueError for one without a reason."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found = {line.split()[0]: line.partition(" ")[2].strip() for line in lines}
    for name, reason in found.items():
        if len(reason.split()) < 3:
            raise ValueError(f"{EXCEPTIONS.name}: {name} is passed over without a reason")
    return found


def complaints(answers: Answers, excepted: Mapping[str, str]) -> list[str]:
    """A line for each weakness, unknown package and exception that is not needed any more."""
    found: list[tuple[set[str], str]] = []
    for answer in answers:
        if "skip_reason" in answer:
            found.append(({answer["name"]}, f"{answer['name']}: {answer['skip_reason']}"))
        for weakness in answer.get("vulns", ()):
            names = {weakness["id"], *weakness["aliases"]}
            mended = ", ".join(weakness["fix_versions"]) or "no version yet"
            what = f"{answer['name']} {answer['version']}: {' '.join(sorted(names))}"
            found.append((names, f"{what}, mended in {mended}"))
    needed = {name for names, _ in found for name in names}
    stale = [f"{EXCEPTIONS.name}: nothing needs {name} now" for name in excepted.keys() - needed]
    return [line for names, line in found if not names & excepted.keys()] + sorted(stale)


def ask(lines: Sequence[str], arguments: Sequence[str]) -> Answers:
    """What pip-audit knows of these requirements, one answer each. Raises NotAskedError."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        options = ["--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json"]
        command = [sys.executable, "-m", "pip_audit", *options, *arguments, "-r", file.name]
        try:
            done = subprocess.run(  # nosec B603 # our own words and the caller's, no shell
                command, capture_output=True, text=True, check=False, timeout=_MINUTES * 60
            )
        except subprocess.TimeoutExpired:
            raise NotAskedError(f"no answer within {_MINUTES} minutes") from None
    try:
        answers: Answers = json.loads(done.stdout)["dependencies"]
    except ValueError:
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        raise NotAskedError("".join(last) or f"pip-audit ended with {done.returncode}") from None
    if len(answers) != len(lines):
        raise ValueError(f"pip-audit was asked for {len(lines)} packages and told {len(answers)}")
    return answers


def ask_all(arguments: Sequence[str]) -> Answers:
    """The answers about every lock. Raises NotAskedError, also if not one package is known."""
    answers: list[Mapping[str, Any]] = []
    for batch in rounds([(PROJECT / lock).read_text(encoding="utf-8") for lock in LOCKS]):
        answers += ask(list(batch.values()), arguments)
        if all("skip_reason" in answer for answer in answers):
            raise NotAskedError(re.sub(r"\s+", " ", answers[-1]["skip_reason"]))
    return answers


def main(arguments: Sequence[str]) -> int:
    try:
        excepted = exceptions(EXCEPTIONS.read_text(encoding="utf-8"))
        answers = ask_all(arguments)
    except NotAskedError as reason:
        print(f"NOT AUDITED: whether pinned packages have known weaknesses is unknown. {reason}")
        return NOT_ASKED
    except ValueError as mistake:
        print(mistake)
        return 1
    found = complaints(answers, excepted)
    print("\n".join(found) or f"No known weakness in {len(answers)} pinned packages.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
