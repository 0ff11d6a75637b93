"""A file that cannot be read is not given up on while it may still be growing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modules.errors import MediaError, TranscriberError
from modules.jobs.job import MAY_BE_GROWING, Status
from modules.runner import runner as runner_module
from modules.runner.growth import Growth
from tests.builders import a_job
from tests.fakes import FakeClock, Plan
from tests.unit.runner.test_runner import BROKEN, DONE, NOT_MEDIA, Bench

WAIT_S = 60.0
EMPTY = MediaError("empty_file", "The file is empty.")
TORN = Plan(error=MediaError("unfinished_file", "The index at its end is missing."))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(runner_module, "_IDLE_TICK_S", 0)
    return Bench(tmp_path, processing={"growth_wait_seconds": WAIT_S})


def waits(bench: Bench) -> bool:
    job = bench.job()
    return job.status is Status.WAITING and job.waits_for_growth


@pytest.mark.parametrize("code", ["empty_file", "not_media", "no_sound_decoded", "no_audio"])
def test_what_more_bytes_may_mend_waits_and_says_why(bench: Bench, code: str) -> None:
    bench.submit()
    bench.plan(Plan(error=MediaError(code, "It is broken.")))
    bench.tick()
    assert waits(bench)
    state = bench.state()
    assert state["error"]["code"] == MAY_BE_GROWING
    assert state["error"]["message"].startswith("Waiting: the file may still be growing.")
    assert "It is broken." in state["error"]["message"]
    assert state["error"]["retry_after"] == WAIT_S
    assert [a["status"] for a in state["attempts"]] == ["interrupted"], "nothing is counted"
    assert state["current_attempt"] == 1
    assert (bench.shared / "talk.mp3").exists()


@pytest.mark.parametrize("code", ["encrypted", "too_long", "unsupported_codec"])
def test_what_no_byte_can_mend_is_final_at_once(bench: Bench, code: str) -> None:
    bench.submit()
    bench.plan(Plan(error=MediaError(code, "It is broken.")))
    bench.tick()
    assert bench.names() == []
    assert (bench.manual / "talk.mp3").exists()


def test_an_unchanged_file_fails_for_good_after_its_rest(bench: Bench) -> None:
    bench.submit()
    bench.plan(Plan(error=NOT_MEDIA), Plan(error=NOT_MEDIA))
    bench.tick()
    bench.clock.advance(WAIT_S - 1)
    bench.tick()
    assert waits(bench), "it was tried again too early"
    bench.clock.advance(1)
    bench.tick()
    assert bench.names() == []
    where = bench.files.manual.failure("talk.mp3")
    assert where is not None
    assert where.state["error"]["code"] == "not_media"
    assert [a["status"] for a in where.state["attempts"]] == ["failed"]


def test_a_file_that_changed_rests_anew_and_is_done_whole(bench: Bench) -> None:
    bench.submit()
    bench.plan(Plan(error=EMPTY), TORN)
    bench.tick()
    bench.clock.advance(WAIT_S)
    bench.put(content=b"\0sound, the first part")
    bench.tick()
    assert bench.job().status is Status.ARRIVING
    assert bench.looked_again == ["talk.mp3"]
    bench.scheduler.arrived("talk.mp3")
    bench.tick()
    assert waits(bench), "a file that has just grown may grow further"
    bench.put(content=b"\0sound, the first part and the second")
    bench.clock.advance(WAIT_S)
    bench.tick()
    bench.scheduler.arrived("talk.mp3")
    bench.tick()
    assert bench.names() == DONE
    assert bench.result()["processing_stats"]["total_attempts"] == 1


def test_a_broken_file_that_came_with_a_request_cannot_grow(bench: Bench) -> None:
    bench.submit(uploaded=True)
    bench.plan(Plan(error=EMPTY))
    bench.tick()
    assert (bench.manual / "talk.mp3").exists()


def test_a_failure_of_the_process_is_counted_as_ever(bench: Bench) -> None:
    bench.submit()
    bench.plan(Plan(error=BROKEN))
    bench.tick()
    assert [a.status for a in bench.job().attempts] == ["failed"]


# --- incomplete recordings ---

CUT_OFF = Plan(chunks=2, notes=("partial: The recording is incomplete: it is cut off.",))


def test_the_text_of_an_incomplete_file_waits_for_its_rest(bench: Bench) -> None:
    bench.submit()
    bench.plan(CUT_OFF, CUT_OFF)
    bench.tick()
    assert waits(bench)
    assert bench.names() == [
        ".talk.mp3.checkpoint", "talk.mp3", "talk.mp3.in_progress"
    ], "nothing is published"  # fmt: skip
    state = bench.state()
    assert state["error"]["message"].endswith("The recording is incomplete.")
    assert state["error"]["details"] == "The recording is incomplete: it is cut off."
    assert [a["status"] for a in state["attempts"]] == ["interrupted"], "nothing is counted"
    bench.clock.advance(WAIT_S)
    bench.tick()
    assert bench.names() == DONE
    assert bench.result()["processing_stats"]["total_attempts"] == 1
    assert "partial: " in bench.result()["metadata"]["notes"][0]
    assert len(bench.processor.chunks_made) == 2, "no chunk is transcribed twice"


def test_the_rest_of_an_incomplete_file_makes_one_text_of_the_whole(bench: Bench) -> None:
    bench.submit()
    bench.plan(CUT_OFF, Plan(chunks=3))
    bench.tick()
    bench.put(content=b"\0sound, the first part and the second")
    bench.clock.advance(WAIT_S)
    bench.tick()
    assert bench.job().status is Status.ARRIVING
    bench.scheduler.arrived("talk.mp3")
    bench.tick()
    assert bench.names() == DONE
    assert bench.result()["duration_seconds"] == 30
    assert [status for _, status in bench.told].count(Status.COMPLETED) == 1


@pytest.mark.parametrize("why", ["uploaded", "at rest", "no wait"])
def test_an_incomplete_file_that_does_not_grow_is_done_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(runner_module, "_IDLE_TICK_S", 0)
    wait_s = 0 if why == "no wait" else WAIT_S
    bench = Bench(tmp_path, processing={"growth_wait_seconds": wait_s})
    bench.submit(uploaded=why == "uploaded")
    if why == "at rest":
        changed_s = (bench.shared / "talk.mp3").stat().st_ctime
        bench.clock.advance(changed_s + WAIT_S + 1 - bench.clock.utc_now().timestamp())
    bench.plan(CUT_OFF)
    bench.tick()
    assert bench.names() == DONE


# --- how long ---


class Scene:
    """A file of a given age, by the clock of the machine."""

    def __init__(self, bench: Bench, age_s: float) -> None:
        self.clock = FakeClock()
        path = bench.put()
        changed_s = path.stat().st_ctime
        self.clock.advance(changed_s + age_s - self.clock.utc_now().timestamp())
        self.is_open = False
        self.growth = Growth(
            bench.files.folder, WAIT_S, self.clock, ask_writer=lambda path: self.is_open
        )

    def left_s(self, error: TranscriberError = EMPTY) -> float:
        return self.growth.left_s(a_job(), error)


def test_the_age_of_a_file_counts(bench: Bench) -> None:
    assert Scene(bench, age_s=3600).left_s() == 0
    assert Scene(bench, age_s=20).left_s() == pytest.approx(40, abs=0.1)


def test_a_copy_that_keeps_its_file_time_is_as_old_as_its_arrival(bench: Bench) -> None:
    scene = Scene(bench, age_s=0.0)
    os.utime(bench.shared / "talk.mp3", (1, 1))
    assert scene.left_s() == pytest.approx(WAIT_S, abs=1)


def test_a_file_time_in_the_future_does_not_hold_a_file_for_ever(bench: Bench) -> None:
    scene = Scene(bench, age_s=10)
    os.utime(bench.shared / "talk.mp3", (4e9, 4e9))
    assert scene.left_s() <= WAIT_S
    scene.clock.advance(WAIT_S)
    assert scene.left_s() == 0


def test_a_server_whose_clock_is_ahead_does_not_hold_a_file_for_ever(bench: Bench) -> None:
    scene = Scene(bench, age_s=-7200)
    assert scene.left_s() == WAIT_S
    scene.clock.advance(WAIT_S)
    assert scene.left_s() == 0


def test_a_file_that_somebody_has_open_is_not_given_up_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modules.runner.growth.leases_tell", lambda folder: True)
    scene = Scene(bench, age_s=3600)
    scene.is_open = True
    assert scene.left_s() == WAIT_S
    scene.is_open = False
    assert scene.left_s() == 0
