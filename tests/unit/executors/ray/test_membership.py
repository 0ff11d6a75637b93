"""A machine joins again whenever it was lost; the real Ray is in ``tests/cluster``."""

from __future__ import annotations

import io
import sys
import threading
from pathlib import Path

import pytest

from modules.executors.ray import membership
from modules.executors.ray.membership import Membership
from tests.builders import until

#: Says that it is in, unless told not to be, notes its number, and ends or stays.
_RAY = """
import pathlib, sys, time
runs = pathlib.Path(sys.argv[1])
number = len(runs.read_text()) if runs.exists() else 0
with runs.open("a") as file:
    file.write(sys.argv[2][number])
doing = sys.argv[2][number]
if doing in "je":
    print("This command will now block for", end="", flush=True)
    print("ever", flush=True)
if doing == "e":
    time.sleep(600)
sys.exit(3)
"""


class Lost:
    def __init__(self) -> None:
        self.pauses: list[float] = []

    def __call__(self, pause_s: float) -> None:
        self.pauses.append(pause_s)


def a_member(root: Path, doings: str, lost: Lost) -> Membership:
    """``doings``: j joins and ends, f fails, e joins and stays."""
    words = (sys.executable, "-c", _RAY, str(root / "runs"), doings)
    return Membership(words, lost)


def test_one_that_never_got_in_ends_with_the_code_of_ray(tmp_path: Path) -> None:
    lost = Lost()
    assert a_member(tmp_path, "f", lost).run() == 3
    assert lost.pauses == []


def test_it_joins_again_with_a_growing_pause_and_ends_when_it_is_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "PAUSES_S", (0.01, 0.02, 0.03))
    lost = Lost()
    member = a_member(tmp_path, "jffffje", lost)
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(member.run()), name="member")
    thread.start()
    try:
        runs = tmp_path / "runs"
        until(lambda: runs.exists() and runs.read_text() == "jffffje", "it is in again", 60.0)
    finally:
        member.ask_to_stop()
        thread.join(60.0)
    assert codes == [0]
    assert lost.pauses == [0.01, 0.02, 0.03, 0.03, 0.03, 0.01]


def test_ray_ends_also_if_nobody_reads_what_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closed:
        buffer = io.BytesIO()

    Closed.buffer.close()
    monkeypatch.setattr(sys, "stdout", Closed)
    with pytest.raises(ValueError, match="closed"):  # of a pipe it would be BrokenPipeError
        a_member(tmp_path, "e", Lost()).run()


def test_a_stop_ends_a_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "PAUSES_S", (3600.0,))
    member = a_member(tmp_path, "j", Lost())
    member._on_lost = lambda pause_s: member.ask_to_stop()
    assert member.run() == 0
