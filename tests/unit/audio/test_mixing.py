"""Which channels and tracks are heard: made-up speech, hum and noise, minute by minute."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from modules.audio.mixing import MINUTE, Stereo, Tracks, _weighted, minutes
from modules.audio.recording import Hearing, Limits, open_recording
from modules.audio.resampler import SAMPLE_RATE, Samples
from modules.audio.tracks import Unheard
from tests.unit.audio.test_recording import joined, pcm, wav, written

FRAME = SAMPLE_RATE // 10


def detect(samples: Samples) -> list[tuple[int, int]]:
    """Takes for speech what has the spectrum of ``speech``, at any level."""
    found = []
    for start in range(0, len(samples) - FRAME + 1, FRAME):
        part = samples[start : start + FRAME].astype(np.float64)
        energy, steps = float(part @ part), float(np.square(np.diff(part)).sum())
        if energy > FRAME * 1e-8 and 0.25 < steps / energy < 0.6:
            found.append((start, start + FRAME))
    return found


def speech(spans: Sequence[tuple[float, float]], seed: int = 1, level: float = 0.1) -> Samples:
    """A minute with speech, which is noise without high tones here, in these spans of seconds."""
    sound = np.zeros(MINUTE, np.float32)
    rng = np.random.default_rng(seed)
    for start, end in spans:
        count = round((end - start) * SAMPLE_RATE)
        rough = np.convolve(rng.standard_normal(count + 5), np.ones(6) / 6, "valid")
        rough *= np.repeat(rng.uniform(0.2, 1, count // FRAME + 1), FRAME)[:count]
        sound[round(start * SAMPLE_RATE) :][:count] = rough / rough.std() * level
    return sound


def hum(level: float = 0.2, hertz: float = 50.0) -> Samples:
    time = np.arange(MINUTE) / SAMPLE_RATE
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def hiss(level: float, seed: int = 9) -> Samples:
    return (level * np.random.default_rng(seed).standard_normal(MINUTE)).astype(np.float32)


def same(found: Samples, wanted: Samples, within: float = 0.0) -> bool:
    return found.shape == wanted.shape and float(np.abs(found - wanted).max()) <= within


SILENCE: Samples = np.zeros(MINUTE, np.float32)
TALK = speech([(2, 20), (25, 40), (42, 58)])
ANSWER = speech([(20.5, 24.5), (40.2, 41.8)], seed=2)


def mixed(left: Samples, right: Samples) -> tuple[Samples, Stereo]:
    stereo = Stereo(detect)
    return stereo.mixed(np.stack([left, right])), stereo


# Channels


def test_the_same_sound_twice_is_that_sound() -> None:
    found, stereo = mixed(TALK, TALK)
    assert same(found, TALK, 1e-6)
    assert stereo.silenced_s == [0.0, 0.0]


def test_an_inverted_channel_does_not_cancel_the_other() -> None:
    found, stereo = mixed(TALK, -TALK)
    assert same(found, TALK, 1e-6)
    assert stereo.silenced_s == [0.0, 0.0]


def test_channels_that_are_inverted_and_not_quite_the_same_are_heard() -> None:
    found, stereo = mixed(TALK, -0.7 * TALK + hiss(0.01))
    assert np.corrcoef(found, TALK)[0, 1] > 0.95
    assert stereo.silenced_s == [0.0, 0.0]


@pytest.mark.parametrize("level", [0.15, 0.3, 0.9])
@pytest.mark.parametrize("disturbs", [0, 1])
def test_a_channel_with_hum_is_left_out_beside_one_that_speaks(level: float, disturbs: int) -> None:
    lines = [TALK, TALK]
    lines[disturbs] = hum(level)
    found, stereo = mixed(*lines)
    assert same(found, TALK)
    assert stereo.silenced_s[disturbs] == 60.0
    assert stereo.silenced_s[1 - disturbs] == 0.0


def test_hum_in_both_channels_does_not_make_them_alike() -> None:
    found, stereo = mixed(TALK + hum(0.05), hum(0.05))
    assert same(found, TALK + hum(0.05))
    assert stereo.silenced_s == [0.0, 60.0]


@pytest.mark.parametrize("noise", [hum(0.3, 1_000.0), hiss(0.2)], ids=["timecode", "hiss"])
def test_a_channel_with_noise_is_left_out_beside_one_that_speaks(noise: Samples) -> None:
    found, stereo = mixed(noise, TALK)
    assert same(found, TALK)
    assert stereo.silenced_s == [60.0, 0.0]


def test_both_are_heard_if_both_speak() -> None:
    found, stereo = mixed(TALK, ANSWER)
    assert same(found, (TALK + ANSWER) / 2, 1e-6)
    assert stereo.silenced_s == [0.0, 0.0]


def test_a_channel_that_speaks_for_two_seconds_in_a_minute_is_heard() -> None:
    short = speech([(20.6, 23.0)], seed=3)
    found, stereo = mixed(TALK, short + hiss(0.001))
    assert stereo.silenced_s == [0.0, 0.0]
    assert np.corrcoef(found[20 * SAMPLE_RATE : 24 * SAMPLE_RATE],
                       short[20 * SAMPLE_RATE : 24 * SAMPLE_RATE])[0, 1] > 0.9  # fmt: skip


def test_a_quiet_voice_is_heard_beside_noise() -> None:
    found, stereo = mixed(0.01 * TALK, hum(0.3, 1_000.0))
    assert same(found, 0.01 * TALK, 1e-7)
    assert stereo.silenced_s == [0.0, 60.0]


@pytest.mark.parametrize("other", [SILENCE, hiss(0.0005)], ids=["zeros", "quiet"])
def test_a_quiet_channel_does_no_harm(other: Samples) -> None:
    found, stereo = mixed(TALK, other)
    assert same(found, (TALK + other) / 2, 1e-6)
    assert stereo.silenced_s == [0.0, 0.0], "nothing is missing, so nothing is said"


@pytest.mark.parametrize(
    ("left", "right"),
    [(hum(0.3, 1_000.0), hiss(0.1)), (hiss(0.1, 1), hiss(0.1, 2)), (SILENCE, SILENCE)],
)
def test_if_none_speaks_both_are_heard(left: Samples, right: Samples) -> None:
    found, stereo = mixed(left, right)
    assert same(found, (left + right) / 2, 1e-6)
    assert stereo.silenced_s == [0.0, 0.0]


@pytest.mark.parametrize("count", [1, 2, 5, FRAME + 1])
def test_the_last_minute_may_be_of_any_length(count: int) -> None:
    stereo = Stereo(detect)
    stereo.mixed(np.stack([TALK, hum(0.3)]))
    assert stereo.mixed(np.stack([TALK, -TALK])[:, -count:]).shape == (count,)
    tracks = Tracks(detect)
    assert tracks.mixed([TALK[:count], ANSWER[:count]]).shape == (count,)


def test_where_the_choice_changes_there_is_no_click() -> None:
    lines = np.stack([np.full(MINUTE, 0.5, np.float32), np.full(MINUTE, -0.5, np.float32)])
    found = _weighted(lines, [1.0, 0.0], [0.0, 1.0])
    assert (found[0], found[SAMPLE_RATE // 10]) == (0.5, -0.5)
    assert np.abs(np.diff(found)).max() < 0.01


def test_the_change_begins_with_what_was_heard_before() -> None:
    stereo = Stereo(detect)
    tone = hum(0.3, 1_000.0)
    stereo.mixed(np.stack([np.roll(TALK, 2 * SAMPLE_RATE), tone]))
    second = stereo.mixed(np.stack([tone, np.roll(TALK, -2 * SAMPLE_RATE)]))
    assert abs(second[4] - tone[4]) < 0.01
    assert same(second[1_000:], np.roll(TALK, -2 * SAMPLE_RATE)[1_000:], 1e-6)
    assert stereo.silenced_s == [60.0, 60.0]


def test_a_minute_is_mixed_the_same_whatever_came_before() -> None:
    lines = np.stack([hum(0.3, 1_000.0), TALK])
    alone, later = Stereo(detect), Stereo(detect)
    later.mixed(np.stack([TALK, ANSWER]))
    assert np.array_equal(alone.mixed(lines)[1_000:], later.mixed(lines)[1_000:])


def test_a_sum_is_never_over_full_scale() -> None:
    full = np.sign(TALK).astype(np.float32)
    assert np.abs(mixed(full, -full)[0]).max() == 1.0


@pytest.mark.parametrize("size", [1_000, 16_000, MINUTE, MINUTE + 1, 3 * MINUTE])
def test_pieces_become_minutes(size: int) -> None:
    sound = np.arange(2 * (2 * MINUTE + 77), dtype=np.float32).reshape(2, -1)
    pieces = [sound[:, start : start + size] for start in range(0, sound.shape[1], size)]
    found = list(minutes(pieces))
    assert [piece.shape for piece in found] == [(2, MINUTE), (2, MINUTE), (2, 77)]
    assert np.array_equal(np.concatenate(found, axis=1), sound)
    assert list(minutes([])) == []


# Tracks

OTHER = speech([(2.2, 20.1), (25.2, 40.3), (41.8, 57.5)], seed=5)


def heard(*per_minute: Sequence[Samples]) -> tuple[list[Samples], Tracks]:
    tracks = Tracks(detect)
    return [tracks.mixed(lines) for lines in per_minute], tracks


def test_two_microphones_of_one_room_are_mixed() -> None:
    [found], tracks = heard([TALK, 0.4 * np.roll(TALK, 300) + hiss(0.001)])
    assert tracks.left_out_s == 0
    assert np.corrcoef(found, TALK)[0, 1] > 0.8


def test_microphones_of_two_speakers_are_mixed() -> None:
    [found], tracks = heard([TALK, ANSWER])
    assert same(found, (TALK + ANSWER) / 2, 1e-6)
    assert tracks.left_out_s == 0


def test_a_silent_first_track_is_no_choice() -> None:
    [found], tracks = heard([hum(0.3, 1_000.0), TALK])
    assert same(found, TALK)
    assert tracks.left_out_s == 0


def test_of_two_languages_at_once_the_first_is_heard() -> None:
    [found], tracks = heard([TALK, OTHER])
    assert same(found, TALK)
    assert tracks.left_out_s == 60.0


def test_a_minute_with_little_in_it_decides_nothing() -> None:
    [first, second], tracks = heard([TALK, OTHER], [SILENCE, ANSWER])
    assert tracks.left_out_s == 120.0
    assert same(second[1_000:], SILENCE[1_000:]), "still a film in two languages"
    assert same(first, TALK)


def test_the_majority_of_the_minutes_decides() -> None:
    rivals, taking_turns = [TALK, OTHER], [speech([(1, 28)], 6), speech([(30, 58)], 7)]
    found, tracks = heard(taking_turns, taking_turns, rivals, taking_turns)
    assert tracks.left_out_s == 0, "one minute of quarrel makes no film of a meeting"
    assert same(found[2], (TALK + OTHER) / 2, 1e-6)
    _, tracks = heard(rivals, rivals, taking_turns, rivals)
    assert tracks.left_out_s == 240.0


def test_more_than_two_tracks() -> None:
    third = speech([(59, 59.9)], 8)
    [found], _ = heard([TALK, ANSWER, third + hum(0.3, 1_000.0)])
    assert same(found, (TALK + ANSWER) / 2, 1e-6)
    [found], _ = heard([TALK, OTHER, third])
    assert same(found, TALK)


# In a recording


def test_a_recording_says_which_channel_it_did_not_hear(tmp_path: Path) -> None:
    lines = np.concatenate([[hum(0.3, 1_000.0), TALK], [TALK, ANSWER]], axis=1)
    path = written(tmp_path, wav(pcm(lines), channels=2))
    with open_recording(path, Limits(), Hearing(detect)) as recording:
        found = joined(recording)
        assert recording.left_out == (Unheard("channel", "left", 2, "no_speech", 60.0),)
        assert same(found[1_000:MINUTE], TALK[1_000:], 1e-3)
        assert np.array_equal(joined(recording, 70.5), found[round(70.5 * SAMPLE_RATE) :])
        assert recording.left_out == (Unheard("channel", "left", 2, "no_speech", 60.0),)
    with open_recording(path, Limits()) as recording:
        joined(recording)
        assert recording.left_out == ()
