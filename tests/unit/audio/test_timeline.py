"""Where the sound of a frame belongs: made-up frames, and where each begins in what comes out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pytest
from av.audio.frame import AudioFrame
from hypothesis import given
from hypothesis import strategies as st

from modules.audio.resampler import SAMPLE_RATE
from modules.audio.timeline import Timeline, stretch

STEP_S = 0.1


@dataclass
class Frame:
    """A tenth of a second of sound that claims to begin at ``time``."""

    time: float | None
    samples: int = round(STEP_S * SAMPLE_RATE)
    sample_rate: int = SAMPLE_RATE


def a_timeline(declared_s: float | None = 3600.0, origin_s: float = math.inf) -> Timeline:
    most_s = 86_400.0 if declared_s is None else declared_s + 1
    return Timeline(
        lambda first_s: min(first_s, origin_s),
        lambda end_s: end_s <= most_s,
        declared_s is not None,
    )


def starts(timeline: Timeline, times: Sequence[float | None]) -> list[float]:
    """Where each frame begins in what is given out, in seconds; as the decoder does it."""
    frames = [cast(AudioFrame, Frame(time)) for time in times]
    found, given_out = [], 0
    for frame, following in zip(frames, [*frames[1:], None], strict=False):
        place = timeline.place(frame, following)
        given_out += round(place.silence_s * SAMPLE_RATE)
        found.append(given_out / SAMPLE_RATE)
        piece, by_s = stretch(np.zeros((1, frame.samples), np.float32), place.lag_s)
        timeline.stretched(by_s)
        given_out += piece.shape[1]
    assert timeline.samples == pytest.approx(given_out, abs=len(frames))
    return found


def steady(first: int, last: int, start_s: float = 0.0, pace: float = 1.0) -> list[float]:
    return [start_s + number * STEP_S * pace for number in range(first, last)]


def test_frames_in_line_are_left_alone() -> None:
    assert starts(a_timeline(), steady(0, 50)) == pytest.approx(steady(0, 50))


def test_frames_without_a_time_follow_each_other() -> None:
    times: list[float | None] = [None, None, *steady(2, 10), None]
    assert starts(a_timeline(), times) == pytest.approx(steady(0, 11))


def test_a_gap_becomes_silence() -> None:
    times = [*steady(0, 10), *steady(0, 10, 6.0)]
    assert starts(a_timeline(), times) == pytest.approx(times)


def test_a_pause_of_a_packet_that_was_lost_becomes_silence_too() -> None:
    times = [*steady(0, 10), *steady(13, 20)]
    assert starts(a_timeline(), times) == pytest.approx(times)


def test_sound_that_begins_late_begins_late() -> None:
    assert starts(a_timeline(origin_s=0.0), steady(0, 5, 5.0)) == pytest.approx(steady(0, 5, 5.0))
    assert starts(a_timeline(origin_s=0.0), steady(0, 5, 0.4))[0] == pytest.approx(0.4)
    assert starts(a_timeline(), steady(0, 5, 5.0)) == pytest.approx(steady(0, 5)), "the only track"


@pytest.mark.parametrize("pace", [0.93, 0.94, 0.99, 0.999, 1.001, 1.01, 1.06, 1.07])
def test_a_clock_that_differs_is_followed(pace: float) -> None:
    times = steady(0, 3000, pace=pace)
    found = starts(a_timeline(), times)
    assert max(abs(a - b) for a, b in zip(found, times, strict=True)) < 0.15


def test_a_clock_that_differs_makes_no_holes() -> None:
    timeline = a_timeline()
    frames = [cast(AudioFrame, Frame(time)) for time in steady(0, 3000, pace=1.06)]
    for frame in frames:
        place = timeline.place(frame, None)
        assert place.silence_s == 0
        timeline.stretched(stretch(np.zeros((1, frame.samples), np.float32), place.lag_s)[1])


def test_a_buffer_s_jitter_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    times = [time + float(rng.uniform(-0.04, 0.04)) for time in steady(0, 300)]
    found = starts(a_timeline(), times)
    assert found == pytest.approx(steady(0, 300))


@pytest.mark.parametrize("wrong_s", [0.0, 3.0, 100.0, 3000.0, 1e6, -50.0])
@pytest.mark.parametrize("declared_s", [3600.0, None])
def test_one_broken_timestamp_moves_nothing(wrong_s: float, declared_s: float | None) -> None:
    times = steady(0, 400)
    times[200] = wrong_s
    assert starts(a_timeline(declared_s), times) == pytest.approx(steady(0, 400))


@pytest.mark.parametrize("leap_s", [-30.0, -3600.0, 50_000.0])
def test_a_clock_that_is_set_anew_moves_nothing(leap_s: float) -> None:
    times = [*steady(0, 400), *steady(400, 800, leap_s)]
    assert starts(a_timeline(), times) == pytest.approx(steady(0, 800))


def test_after_a_clock_was_set_anew_gaps_are_silence_again() -> None:
    times = [*steady(0, 10), *steady(0, 10, -100.0), *steady(0, 10, -95.0)]
    found = starts(a_timeline(), times)
    assert found[20:] == pytest.approx(steady(0, 10, 6.0))


def test_a_gap_is_believed_as_far_as_the_recording_may_last() -> None:
    times = [*steady(0, 10), *steady(0, 10, 90.0)]
    assert starts(a_timeline(100.0), times)[10] == pytest.approx(90.0)
    assert starts(a_timeline(50.0), times)[10] == pytest.approx(1.0)


def test_without_a_duration_a_gap_is_believed_up_to_an_hour() -> None:
    """A recorder that streams declares none; its mute button is no reason to lose the time."""
    assert starts(a_timeline(None), [*steady(0, 10), *steady(0, 9, 91.0)])[10] == pytest.approx(91)
    assert starts(a_timeline(None), [*steady(0, 10), *steady(0, 9, 3602.0)])[10] == pytest.approx(1)
    assert starts(a_timeline(), [*steady(0, 10), *steady(0, 9, 91.0)])[10] == pytest.approx(91)


@pytest.mark.parametrize("lag_s", [0.0, 0.1, -0.1])
def test_what_a_buffer_explains_is_not_stretched(lag_s: float) -> None:
    piece = np.random.default_rng(1).uniform(-1, 1, (2, 16_000)).astype(np.float32)
    same, by_s = stretch(piece, lag_s)
    assert same is piece
    assert by_s == 0


@pytest.mark.parametrize(("lag_s", "count"), [(0.2, 16_000), (-0.2, 16_000), (0.3, 0), (5.0, 7)])
def test_sound_is_stretched_by_a_tenth_at_most(lag_s: float, count: int) -> None:
    piece = np.random.default_rng(1).uniform(-1, 1, (2, count)).astype(np.float32)
    longer, by_s = stretch(piece, lag_s)
    wanted = count + round(math.copysign(min(abs(lag_s) * SAMPLE_RATE, count // 10), lag_s))
    assert longer.shape == (2, wanted)
    assert longer.dtype == np.float32
    assert by_s == (wanted - count) / SAMPLE_RATE
    assert np.abs(longer).max(initial=0.0) <= np.abs(piece).max(initial=0.0)


@given(st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9)), max_size=30))
def test_no_times_whatever_make_more_sound_than_the_recording_may_have(
    times: list[float | None],
) -> None:
    timeline = a_timeline(60.0)
    found = starts(timeline, times)
    assert found == sorted(found)
    assert timeline.samples <= (60 + 1 + 1.1 * STEP_S * len(times)) * SAMPLE_RATE
