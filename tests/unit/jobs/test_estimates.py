"""How long things take: learned from what was done, and never nonsense."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.jobs.estimates import Estimates
from modules.jobs.job import Status
from modules.jobs.source import FileIdentity
from tests.builders import SETTINGS, SOURCE, a_job

NUMBERS = st.floats() | st.sampled_from([0.0, 1e-300, 5.0, 60.0, 1e300])
SIZES = st.integers(-1, 2**63) | st.just(10**400)
HOUR_S = 3600.0


def learned(speed: float = 4.0, byte_rate: int = 16_000) -> Estimates:
    """After one hour of audio in an ``.mp3``."""
    estimates = Estimates(None)
    estimates.learn(SETTINGS, HOUR_S, HOUR_S / speed, "old.mp3", int(byte_rate * HOUR_S))
    return estimates


def of_size(size: int) -> FileIdentity:
    return SOURCE.model_copy(update={"size": size})


def test_nothing_is_known_at_first() -> None:
    estimates = Estimates(None)
    assert estimates.speed(SETTINGS) is None
    assert estimates.duration_s("talk.mp3", 1000) is None
    assert estimates.remaining_s(a_job(duration_s=60.0)) is None
    assert estimates.eta_s([a_job(duration_s=60.0)], "talk.mp3") is None


def test_what_one_job_teaches() -> None:
    estimates = learned(speed=4.0, byte_rate=16_000)
    assert estimates.speed(SETTINGS) == pytest.approx(4.0)
    assert estimates.duration_s("2024/NEW.MP3", 960_000) == pytest.approx(60.0)


def test_a_kind_that_was_never_done_is_estimated_from_all_others() -> None:
    estimates = Estimates(None)
    estimates.learn(SETTINGS, 100.0, 10.0, "a.mp3", 100_000)
    estimates.learn(SETTINGS, 100.0, 10.0, "a.wav", 10_000_000)
    assert estimates.duration_s("new.ogg", 100_000) == pytest.approx(10.0)
    estimates.learn(SETTINGS, 100.0, 10.0, "a.ogg", 50_000)
    assert estimates.duration_s("new.ogg", 100_000) == pytest.approx(200.0)


@pytest.mark.parametrize(
    "other",
    [{"model_size": "small"}, {"device": "cuda"}, {"compute_type": "int8"}, {"task": "translate"}],
)
def test_other_settings_have_a_speed_of_their_own(other: dict[str, Any]) -> None:
    settings = SETTINGS.model_copy(update={"compute_type": "float32"})
    estimates = Estimates(None)
    estimates.learn(settings, 100.0, 10.0, "talk.mp3", 1)
    assert estimates.speed(settings.model_copy(update=other)) is None
    alike = settings.model_copy(update={"language": "en", "debug": True, "temperature": 0.5})
    assert estimates.speed(alike) == pytest.approx(10.0)


def test_a_short_job_hardly_moves_what_a_long_one_taught() -> None:
    estimates = learned(speed=4.0)
    estimates.learn(SETTINGS, 3.0, 6.0, "short.mp3", 48_000)
    assert estimates.speed(SETTINGS) == pytest.approx(4.0, rel=0.02)


def test_a_machine_that_became_slower_is_believed_in_time() -> None:
    estimates = learned(speed=10.0)
    for _ in range(10):
        estimates.learn(SETTINGS, 600.0, 300.0, "talk.mp3", 1)
    assert estimates.speed(SETTINGS) == pytest.approx(2.0, rel=0.1)


def test_what_is_left_of_a_job() -> None:
    estimates = learned(speed=4.0, byte_rate=16_000)
    assert estimates.remaining_s(a_job(duration_s=400.0)) == pytest.approx(100.0)
    assert estimates.remaining_s(a_job(duration_s=400.0, position_s=300.0)) == pytest.approx(25.0)
    guessed = a_job(source=of_size(16_000 * 400), position_s=200.0)
    assert estimates.remaining_s(guessed) == pytest.approx(50.0)
    assert estimates.remaining_s(a_job(duration_s=400.0, position_s=500.0)) == 0.0
    assert estimates.remaining_s(a_job(source=None)) is None


def test_a_run_is_believed_more_the_longer_it_goes_on() -> None:
    estimates, job = learned(speed=4.0), a_job(duration_s=400.0)
    assert estimates.remaining_s(job, ran_s=4.9, gained_s=4.9) == pytest.approx(100.0)
    assert estimates.remaining_s(job, ran_s=60.0, gained_s=0.0) == pytest.approx(100.0)
    assert estimates.remaining_s(job, ran_s=60.0, gained_s=120.0) == pytest.approx(400.0 / 3)
    assert estimates.remaining_s(job, ran_s=6e6, gained_s=12e6) == pytest.approx(200.0, rel=0.01)
    unheard_of = a_job(duration_s=400.0, settings=SETTINGS.model_copy(update={"device": "cuda"}))
    assert estimates.remaining_s(unheard_of, ran_s=10.0, gained_s=40.0) == pytest.approx(100.0)


def test_the_jobs_ahead_count_and_those_behind_do_not() -> None:
    estimates = learned(speed=4.0)
    jobs = [
        a_job("running.mp3", status=Status.RUNNING, duration_s=80.0, position_s=40.0),
        a_job("first.mp3", duration_s=400.0),
        a_job("second.mp3", duration_s=40.0),
        a_job("unknown.wav", source=None),
    ]
    assert estimates.eta_s(jobs, "running.mp3") == pytest.approx(10.0)
    assert estimates.eta_s(jobs, "second.mp3") == pytest.approx(120.0)
    assert estimates.eta_s(jobs, "second.mp3", 60.0, 120.0) == pytest.approx(110 + 40 / 3)
    assert estimates.eta_s(jobs, "unknown.wav") is None
    assert estimates.eta_s(jobs, "not there.mp3") is None
    assert estimates.eta_s([jobs[3], *jobs], "second.mp3") is None


def test_a_file_that_still_arrives_holds_nobody_up() -> None:
    arriving = a_job("arriving.mp3", status=Status.ARRIVING, source=None)
    jobs = [arriving, a_job(duration_s=400.0)]
    assert learned(speed=4.0).eta_s(jobs, "talk.mp3") == pytest.approx(100.0)
    assert learned(speed=4.0).eta_s(jobs, "arriving.mp3") is None


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    path = tmp_path / "estimates.json"
    estimates = Estimates(path)
    estimates.learn(SETTINGS, 100.0, 10.0, "talk.mp3", 1000)
    estimates.learn(SETTINGS, 100.0, 20.0, "odd.\udcff", 2000)
    again = Estimates(path)
    assert again.speed(SETTINGS) == estimates.speed(SETTINGS)
    assert again.duration_s("a.mp3", 77) == estimates.duration_s("a.mp3", 77)
    assert again.duration_s("b.\udcff", 77) == estimates.duration_s("b.\udcff", 77) is not None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{",
        b"[" * 100_000,
        b'{"speeds": {"base/cpu/int8/transcribe": {"value": NaN, "weight": 1}}}',
        b'{"speeds": {"base/cpu/int8/transcribe": {"value": 0, "weight": 1}}}',
        b'{"speeds": {"base/cpu/int8/transcribe": {"value": 1e999, "weight": 1}}}',
        b'{"speeds": {"base/cpu/int8/transcribe": {"value": 1, "weight": -1}}}',
        b'{"speeds": {"base/cpu/int8/transcribe": 4}}',
    ],
)
def test_a_corrupt_file_is_ignored_and_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "estimates.json"
    path.write_bytes(content)
    estimates = Estimates(path)
    assert estimates.speed(SETTINGS) is None
    estimates.learn(SETTINGS, 100.0, 10.0, "talk.mp3", 1000)
    assert Estimates(path).speed(SETTINGS) == pytest.approx(10.0)


def test_it_learns_without_a_place_to_write(tmp_path: Path) -> None:
    estimates = Estimates(tmp_path / "away" / "estimates.json")
    estimates.learn(SETTINGS, 100.0, 10.0, "talk.mp3", 1000)
    assert estimates.speed(SETTINGS) == pytest.approx(10.0)
    assert not (tmp_path / "away").exists()


@given(
    lessons=st.lists(st.tuples(NUMBERS, NUMBERS, SIZES), max_size=5),
    size=SIZES,
    duration=st.none() | NUMBERS,
    position=NUMBERS,
    ran=st.none() | NUMBERS,
    gained=st.none() | NUMBERS,
)
def test_whatever_comes_in_nothing_absurd_goes_out(
    lessons: list[tuple[float, float, int]],
    size: int,
    duration: float | None,
    position: float,
    ran: float | None,
    gained: float | None,
) -> None:
    estimates = Estimates(None)
    for audio_s, work_s, bytes_ in lessons:
        estimates.learn(SETTINGS, audio_s, work_s, "talk.mp3", bytes_)
    job = a_job(
        source=of_size(size), duration_s=duration, position_s=position, status=Status.RUNNING
    )
    told = [
        estimates.speed(SETTINGS),
        estimates.duration_s("talk.mp3", size),
        estimates.remaining_s(job, ran, gained),
        estimates.eta_s([job, a_job("b.mp3", source=of_size(size))], "b.mp3", ran, gained),
    ]
    assert all(value is None or (math.isfinite(value) and value >= 0) for value in told)


@given(
    st.lists(st.tuples(st.floats(1, 1e5), st.floats(0.1, 1e5)), min_size=1, max_size=10),
)
def test_the_speed_stays_between_the_slowest_and_the_fastest(
    lessons: list[tuple[float, float]],
) -> None:
    estimates = Estimates(None)
    for audio_s, work_s in lessons:
        estimates.learn(SETTINGS, audio_s, work_s, "talk.mp3", 1000)
    speeds = [audio_s / work_s for audio_s, work_s in lessons]
    speed = estimates.speed(SETTINGS)
    assert speed is not None
    assert min(speeds) * (1 - 1e-9) <= speed <= max(speeds) * (1 + 1e-9)
