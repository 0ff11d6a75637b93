"""Who asked about a file hears of it, be it that it is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.watching.arrivals import BATCH, Arrivals
from modules.watching.stability import FileSample, StabilityRule
from tests.fakes import FakeClock


class Witness:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_complete(self, name: str, sample: FileSample) -> None:
        self.told.append(f"whole {name}")

    def on_deleted(self, name: str) -> None:
        self.told.append(f"gone {name}")


@pytest.mark.parametrize(("asked", "told"), [(True, ["gone talk.mp3"]), (False, [])])
def test_a_file_that_nobody_saw_is_told_as_gone_to_who_asked(
    tmp_path: Path, asked: bool, told: list[str]
) -> None:
    """Or a job that waits for its file to be whole would wait for ever."""
    witness, clock = Witness(), FakeClock()
    arrivals = Arrivals(tmp_path, witness, clock, StabilityRule(0.1, 0.2), lambda path: None)
    (arrivals.forget if asked else arrivals.expect)("talk.mp3")
    arrivals.look_at_due(lambda: True)
    assert witness.told == told
    arrivals.expect("talk.mp3")
    arrivals.look_at_due(lambda: True)
    assert witness.told == told, "it is told once"


class SlowClock(FakeClock):
    """Every question for the time takes some, and there are not too many."""

    def monotonic(self) -> float:
        self.advance(0.001)
        assert super().monotonic() < 100, "the files are looked at for ever"
        return super().monotonic()


def test_a_heap_of_files_that_takes_long_to_look_at_is_handed_over_all_the_same(
    tmp_path: Path,
) -> None:
    """A look at all of them takes longer than it takes the first to be due once more."""
    names = [f"{number:04}.mp3" for number in range(4 * BATCH)]
    for name in names:
        (tmp_path / name).write_bytes(b"sound")
    witness, clock = Witness(), SlowClock()
    arrivals = Arrivals(tmp_path, witness, clock, StabilityRule(0.1, 0.2), lambda path: False)
    for name in names:
        arrivals.expect(name)
    calls = 0
    while arrivals.settling:
        assert arrivals.look_at_due(lambda: True)
        calls += 1
        assert calls < 1000, f"{arrivals.settling} of {len(names)} files were not handed over"
    assert sorted(witness.told) == [f"whole {name}" for name in names]


def test_hints_have_their_turn_before_a_heap_of_files_is_looked_at(tmp_path: Path) -> None:
    witness, clock = Witness(), FakeClock()
    arrivals = Arrivals(tmp_path, witness, clock, StabilityRule(0.1, 0.2), lambda path: None)
    for number in range(3 * BATCH):
        arrivals.forget(f"{number:04}.mp3")
    arrivals.look_at_due(lambda: True)
    assert len(witness.told) == BATCH
    assert arrivals.next_due() == clock.monotonic(), "the rest is due at once"


class Choosy(Witness):
    """A sink that cannot take some names."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error: Exception | None = error

    def on_complete(self, name: str, sample: FileSample) -> None:
        if self.error and name.startswith("bad"):
            raise self.error
        super().on_complete(name, sample)


UNENCODABLE = UnicodeEncodeError("latin-1", "Запись", 0, 1, "ordinal not in range")


@pytest.mark.parametrize(
    "error", [UNENCODABLE, OSError(36, "File name too long"), KeyError("name"), ValueError("NUL")]
)
def test_a_name_that_cannot_be_taken_in_holds_up_no_other_and_is_said_once(
    tmp_path: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    witness, clock = Choosy(error), FakeClock()
    arrivals = Arrivals(tmp_path, witness, clock, StabilityRule(0.1, 0.2), lambda path: None)
    for name in ("bad.mp3", "bad too.mp3", "good.mp3", "zoo.mp3"):
        (tmp_path / name).write_bytes(b"sound")
        arrivals.expect(name)
    for _ in range(100):
        assert arrivals.look_at_due(lambda: True)
        clock.advance(0.5)
    assert sorted(witness.told) == ["whole good.mp3", "whole zoo.mp3"]
    assert len(caplog.records) == 2, "each file once"
    witness.error = None
    for _ in range(20):
        arrivals.look_at_due(lambda: True)
        clock.advance(0.5)
    assert sorted(witness.told)[:2] == ["whole bad too.mp3", "whole bad.mp3"], "it was tried again"


def test_a_share_that_goes_away_while_files_are_handed_over_ends_the_pass(tmp_path: Path) -> None:
    witness, clock = Choosy(OSError(5, "I/O error")), FakeClock()
    arrivals = Arrivals(tmp_path, witness, clock, StabilityRule(0.0, 0.0), lambda path: None)
    for name in ("bad.mp3", "good.mp3"):
        (tmp_path / name).write_bytes(b"sound")
        arrivals.expect(name)
    answers = iter([True, False])
    for _ in range(2):
        arrivals.look_at_due(lambda: True)
        clock.advance(1.0)
    assert not arrivals.look_at_due(lambda: next(answers))
    assert witness.told == []


def test_a_name_that_no_call_takes_holds_up_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A lone surrogate cannot be encoded, and a NUL ends a name: both raise before any look."""
    witness, clock = Witness(), FakeClock()
    arrivals = Arrivals(tmp_path, witness, clock, StabilityRule(0.1, 0.2), lambda path: None)
    (tmp_path / "good.mp3").write_bytes(b"sound")
    for name in ("\ud800.mp3", "a\0b.mp3", "good.mp3"):
        arrivals.expect(name)
    for _ in range(10):
        assert arrivals.look_at_due(lambda: True)
        clock.advance(0.5)
    assert witness.told == ["whole good.mp3"]
    assert len(caplog.records) == 2


def a_placed_file(
    tmp_path: Path, has_writer: bool | None
) -> tuple[Witness, FakeClock, Arrivals, list[bool | None]]:
    file = tmp_path / "talk.mp3"
    file.write_bytes(b"sound")
    facts, answers = file.stat(), [has_writer]
    witness, clock = Witness(), FakeClock()
    arrivals = Arrivals(tmp_path, witness, clock, StabilityRule(1, 9), lambda path: answers[-1])
    arrivals.lease_device = facts.st_dev
    arrivals.note_placed("talk.mp3", (facts.st_size, facts.st_mtime_ns, facts.st_ino))
    return witness, clock, arrivals, answers


@pytest.mark.parametrize("has_writer", [False, None])
def test_what_we_placed_whole_is_reported_at_once_to_who_asks(
    tmp_path: Path, has_writer: bool | None
) -> None:
    witness, _, arrivals, _ = a_placed_file(tmp_path, has_writer)
    arrivals.forget("talk.mp3")
    arrivals.look_at_due(lambda: True)
    assert witness.told == ["whole talk.mp3"]


def test_what_we_placed_is_not_taken_for_a_dropped_file_before_its_request_comes(
    tmp_path: Path,
) -> None:
    witness, _, arrivals, _ = a_placed_file(tmp_path, False)
    arrivals.expect("talk.mp3")
    arrivals.look_at_due(lambda: True)
    assert witness.told == []


def test_what_we_placed_and_somebody_writes_is_not_reported_until_they_are_done(
    tmp_path: Path,
) -> None:
    witness, clock, arrivals, answers = a_placed_file(tmp_path, True)
    arrivals.forget("talk.mp3")
    arrivals.look_at_due(lambda: True)
    assert witness.told == []
    answers.append(False)
    clock.advance(3)
    arrivals.look_at_due(lambda: True)
    assert witness.told == ["whole talk.mp3"]


@pytest.mark.parametrize("replaced", [True, False])
def test_another_file_in_the_place_of_what_we_placed_has_to_hold_still(
    tmp_path: Path, replaced: bool
) -> None:
    witness, _, arrivals, _ = a_placed_file(tmp_path, False)
    if replaced:
        other = tmp_path / "other"
        other.write_bytes(b"sound")
        other.replace(tmp_path / "talk.mp3")
    else:
        (tmp_path / "talk.mp3").write_bytes(b"more sound")
    arrivals.forget("talk.mp3")
    arrivals.look_at_due(lambda: True)
    assert witness.told == []


def test_what_was_closed_is_announced_once_before_it_is_whole(tmp_path: Path) -> None:
    witness, clock = Witness(), FakeClock()
    announced: list[str] = []
    arrivals = Arrivals(
        tmp_path, witness, clock, StabilityRule(0.4, 3), lambda path: None, announced.append
    )
    for name in ("closed.mp3", "open.mp3", "empty.mp3"):
        (tmp_path / name).write_bytes(b"" if name == "empty.mp3" else b"sound")
    arrivals.expect("closed.mp3", closed=True)
    arrivals.expect("empty.mp3", closed=True)
    arrivals.expect("open.mp3")
    arrivals.look_at_due(lambda: True)
    assert (announced, witness.told) == (["closed.mp3"], [])
    for _ in range(5):
        clock.advance(0.1)
        arrivals.look_at_due(lambda: True)
    assert announced == ["closed.mp3"]
    assert witness.told == ["whole closed.mp3"]
