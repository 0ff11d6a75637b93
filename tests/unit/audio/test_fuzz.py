"""The door under fire: one header field is changed, and nothing but an answer may come of it.

In a process of its own, since a codec that crashes takes its process with it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from modules.audio import recording
from modules.errors import MediaError
from tests.hostile.fields import HANGS_S, change
from tests.soak import soak

ROOT = Path(__file__).parents[3]
CASES = soak(500, 20_000)
#: After so many crashes the rest is not worth trying.
CRASHES_MAX = 20


def tried(first: int, count: int) -> list[str]:
    """What went wrong in so many cases; after a crash a new process goes on with the next."""
    found: list[str] = []
    end = first + count
    for _ in range(CRASHES_MAX):
        command = [sys.executable, "-m", "tests.hostile.fields", str(first), str(end - first)]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=HANGS_S + count, check=False
        )
        lines = [line.split("\t") for line in done.stdout.splitlines()]
        found += [f"case {case}, {change(int(case))[0]}: {what}" for case, kind, what, *_ in lines
                  if kind == "bad"]  # fmt: skip
        if not done.returncode:
            return found
        first = int(lines[-1][0]) + 1 if lines else end
        last = change(first - 1)[0] if lines else "before the first case"
        found.append(f"case {first - 1}, {last}: died, {done.returncode}: {done.stderr[-3000:]}")
        if first >= end:
            break
    return found


def test_the_cases_are_the_same_in_every_run() -> None:
    assert [change(case) for case in range(20)] == [change(case) for case in range(20)]
    changes = {str(change(case)[0]) for case in range(200)}
    assert len(changes) > 190


def test_a_changed_header_field_ends_in_nothing_but_an_answer() -> None:
    found = tried(0, CASES)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "error",
    [UnicodeDecodeError("ascii", b"\xff", 0, 1, "no"), IndexError(), ValueError(), OSError()],
)
def test_whatever_a_library_raises_is_an_error_of_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(recording, "probe", fail)
    (tmp_path / "talk.wav").write_bytes(b"RIFF")
    with pytest.raises(MediaError) as caught:
        recording.open_recording(tmp_path / "talk.wav", recording.Limits())
    assert caught.value.code == "not_media"
