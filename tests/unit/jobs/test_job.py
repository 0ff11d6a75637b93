"""A job's life: only the legal steps, and how attempts are counted."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.clock import iso
from modules.jobs.job import TRANSITIONS, Attempt, ErrorInfo, Job, Priority, Status
from modules.jobs.source import FileIdentity
from tests.builders import NOON, SETTINGS, SOURCE, a_job

LEGAL = {
    ("arriving", "queued"),
    ("arriving", "cancelled"),
    ("queued", "running"),
    ("queued", "cancelled"),
    ("waiting", "queued"),
    ("waiting", "cancelled"),
    ("running", "arriving"),
    ("running", "queued"),
    ("running", "waiting"),
    ("running", "completed"),
    ("running", "failed"),
    ("running", "cancelled"),
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(Status, Status)))
def test_only_the_legal_steps_are_taken(before: Status, after: Status) -> None:
    job = a_job(status=before)
    if (before, after) in LEGAL:
        assert job.to(after).status is after
    else:
        with pytest.raises(ValueError, match=f"{before} cannot become {after}"):
            job.to(after)


def test_every_status_has_its_steps() -> None:
    assert set(TRANSITIONS) == set(Status)
    assert {s for s in Status if a_job(status=s).finished} == {
        Status.COMPLETED,
        Status.FAILED,
        Status.CANCELLED,
    }


def test_details_change_without_the_status() -> None:
    assert a_job().evolve(position_s=3.0).position_s == 3.0
    with pytest.raises(ValueError, match="to change the status"):
        a_job().evolve(status=Status.RUNNING)


def test_the_words_for_priorities() -> None:
    assert [p.label for p in Priority] == ["api_request", "auto_scan"]
    assert [Priority.from_label(p.label) for p in Priority] == list(Priority)
    assert Priority.API < Priority.SCAN


def test_debug_changes_no_transcript() -> None:
    assert SETTINGS.matches(SETTINGS.model_copy(update={"debug": True}))
    for key, value in {"language": "en", "temperature": 0.5, "model_size": "small"}.items():
        assert not SETTINGS.matches(SETTINGS.model_copy(update={key: value})), key


def test_a_file_is_the_same_by_size_and_time_or_by_its_content() -> None:
    def source(size: int = 1, mtime_ns: int = 2, fingerprint: str = "a") -> FileIdentity:
        return FileIdentity(size=size, mtime_ns=mtime_ns, fingerprint=fingerprint)

    assert source().same_as(source())
    assert source().same_as(source(mtime_ns=3)), "restored from a backup"
    assert not source().same_as(source(mtime_ns=3, fingerprint="b"))
    assert not source().same_as(source(size=2))


def error(retry_after: float | None) -> ErrorInfo:
    return ErrorInfo(
        code="x", message="It broke.", timestamp=iso(NOON), attempt=1, retry_after=retry_after
    )


def test_an_interrupted_attempt_is_reopened_under_its_number() -> None:
    job = a_job().open_attempt(NOON).close_attempt("interrupted", NOON, 5.0)
    assert job.attempt_number == 1
    again = job.evolve(position_s=30.0).open_attempt(NOON + timedelta(hours=1))
    assert len(again.attempts) == 1
    opened = again.attempts[0]
    assert (opened.attempt_number, opened.status, opened.end_time) == (1, "processing", None)
    assert opened.start_time == iso(NOON), "an attempt begins once"
    assert (opened.running_seconds, opened.start_position_seconds) == (5.0, 30.0)


def test_a_failed_attempt_is_counted() -> None:
    job = a_job().open_attempt(NOON).close_attempt("failed", NOON, 5.0, error(30.0))
    assert (job.attempt_number, job.given_up) == (2, False)
    second = job.open_attempt(NOON)
    assert [a.attempt_number for a in second.attempts] == [1, 2]
    last = second.close_attempt("failed", NOON, 1.0, error(None))
    assert (last.attempt_number, last.given_up) == (2, True), "there is no third one"


def test_closing_without_an_open_attempt_changes_nothing() -> None:
    assert a_job().close_attempt("interrupted", NOON) == a_job()
    closed = a_job().open_attempt(NOON).close_attempt("completed", NOON)
    assert closed.close_attempt("failed", NOON) is closed


@given(st.lists(st.sampled_from(["failed", "interrupted"]), max_size=12))
def test_attempts_are_numbered_by_failures_alone(ends: list[str]) -> None:
    job: Job = a_job()
    for end in ends:
        job = job.open_attempt(NOON).close_attempt(end, NOON, 1.0, error(1.0))  # type: ignore[arg-type]
    failures = ends.count("failed")
    assert job.attempt_number == failures + 1
    numbers = [a.attempt_number for a in job.attempts]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) == failures + (bool(ends) and ends[-1] == "interrupted")
    assert sum(a.running_seconds for a in job.attempts) == len(ends)


def test_numbers_are_finite() -> None:
    with pytest.raises(ValueError, match="finite"):
        Attempt(attempt_number=1, start_time=iso(NOON), running_seconds=float("nan"))
    assert SOURCE.size == 100
