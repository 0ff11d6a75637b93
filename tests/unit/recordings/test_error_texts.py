"""What stands in ``NAME.error.txt``."""

from __future__ import annotations

import pytest

from modules.clock import iso
from modules.jobs.job import ErrorInfo, Job
from modules.recordings.error_texts import explain
from tests.builders import NOON, a_job


def failed(*messages: str, code: str = "worker_hung", details: str | None = None) -> Job:
    job = a_job()
    for number, message in enumerate(messages, 1):
        error = ErrorInfo(
            code=code, message=message, details=details, timestamp=iso(NOON), attempt=number
        )
        job = job.open_attempt(NOON).close_attempt("failed", NOON, 1.0, error)
    return job


def explained(job: Job) -> str:
    assert job.error is not None
    return explain(job, job.error)


def test_it_says_what_happened_what_to_try_and_what_was_tried() -> None:
    text = explained(failed("It hung once.", "It hung again."))
    assert text.startswith("talk.mp3 could not be turned into text.\n")
    assert "What happened: It hung again." in text
    assert "What to try:" in text
    assert "move the recording back into the shared folder" in text
    assert "attempt 1: It hung once." in text
    assert "attempt 2: It hung again." in text
    assert "Error code: worker_hung" in text


def test_details_are_indented_for_whoever_runs_it() -> None:
    assert "\n  line one\n  line two\n" in explained(failed("x", details="line one\nline two"))
    assert "Details" not in explained(failed("x"))


@pytest.mark.parametrize("code", ["whisperx_failed", "worker_hung", "interrupted_before_progress"])
def test_what_does_not_say_so_itself_gets_something_to_try(code: str) -> None:
    text = explained(failed("x", code=code))
    assert "What to try:   Try again" in text


def test_a_message_that_says_what_to_do_is_not_talked_over() -> None:
    assert "What to try" not in explained(failed("Too long. Cut it.", code="timeout"))
