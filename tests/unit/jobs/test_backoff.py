"""One policy for retries."""

from __future__ import annotations

import pytest

from modules.config.schema import ProcessingConfig
from modules.jobs.backoff import Backoff, between_attempts


@pytest.mark.parametrize(
    ("failures", "expected_s"), [(0, 5.0), (1, 5.0), (2, 10.0), (3, 20.0), (10**6, 3600.0)]
)
def test_each_pause_is_twice_as_long_up_to_the_longest(failures: int, expected_s: float) -> None:
    assert Backoff(5.0, 3600.0).pause_s(failures) == expected_s


def test_no_count_of_failures_overflows() -> None:
    assert Backoff(1.0).pause_s(10**9) == 2.0**16


def test_a_count_that_is_out_of_range_waits_no_longer_than_the_last_attempt() -> None:
    pauses = between_attempts(ProcessingConfig(retry_backoff_seconds=30, max_retry_attempts=3))
    assert [pauses.pause_s(n) for n in (1, 2, 3, 10**6)] == [30, 60, 120, 120]
