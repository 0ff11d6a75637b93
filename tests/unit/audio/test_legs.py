"""Two channels that are two speakers, told from those that are not, and pulled apart."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from modules.audio.chunking import SAMPLE_RATE, AudioChunk, Samples
from modules.audio.legs import apart, in_turns, why_not_apart
from modules.audio.recording import Hearing, Limits, open_recording

LIMITS = Limits(max_duration_s=600)


def noise(seconds: float, seed: int, level: float = 0.1) -> Samples:
    made = np.random.default_rng(seed).normal(0, level, round(seconds * SAMPLE_RATE))
    return made.astype(np.float32)


def everywhere(line: Samples) -> list[tuple[int, int]]:
    """A detector for which all that is not silent is speech."""
    loud = np.flatnonzero(np.abs(line) > 1e-3)
    return [(int(loud[0]), int(loud[-1]) + 1)] if len(loud) else []


def stereo(*channels: Samples) -> Samples:
    return np.stack(channels)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32)


def test_two_voices_are_told_apart_and_no_more_is_read_than_that_takes() -> None:
    read: list[int] = []

    def pieces() -> Iterator[Samples]:
        for number in range(10):
            read.append(number)
            yield stereo(noise(60, 2 * number), noise(60, 2 * number + 1))

    assert why_not_apart(pieces(), everywhere) is None
    assert read == [0]


def test_a_second_voice_that_begins_late_counts() -> None:
    early = stereo(noise(60, 1), silence(60))
    late = stereo(silence(60), noise(60, 2))
    assert why_not_apart([early, late], everywhere) is None


@pytest.mark.parametrize("sign", [1, -1], ids=["the same", "turned over"])
def test_one_sound_in_both_channels_is_no_call(sign: int) -> None:
    sound = noise(30, 1)
    why = why_not_apart([stereo(sound, np.float32(sign * 0.5) * sound)], everywhere)
    assert why == "both channels have the same sound"


@pytest.mark.parametrize(
    ("lines", "silent"),
    [
        ((noise(30, 1), silence(30)), "right"),
        ((silence(30), noise(30, 1)), "left"),
        ((silence(30), silence(30)), "left and the right"),
    ],
)
def test_a_channel_without_speech_is_named(lines: tuple[Samples, Samples], silent: str) -> None:
    why = why_not_apart([stereo(*lines)], everywhere)
    assert why is not None
    assert silent in why.replace("and the right channel", "and the right")


def test_each_side_has_all_of_its_channel_whichever_is_asked_first() -> None:
    pieces = [stereo(noise(1, n), noise(1, 100 + n)) for n in range(5)]
    left, right = apart(iter(pieces))
    mixed = [next(right), next(left), next(left), next(left)]
    assert np.array_equal(mixed[0], pieces[0][1])
    lefts = [*mixed[1:], *left]
    rights = [mixed[0], *right]
    assert np.array_equal(np.concatenate(lefts), np.concatenate([p[0] for p in pieces]))
    assert np.array_equal(np.concatenate(rights), np.concatenate([p[1] for p in pieces]))


def chunk(start_s: float, position_s: float) -> AudioChunk:
    return AudioChunk(start_s, position_s, silence(0))


def test_the_leg_that_is_least_far_is_next_and_a_short_one_ends_alone() -> None:
    left = [chunk(0, 10), chunk(10, 30), chunk(30, 31)]
    right = [chunk(0, 25), chunk(25, 26), chunk(26, 50)]
    order = [(c.leg, c.position_s) for c in in_turns([iter(left), iter(right)], (0.0, 0.0))]
    assert order == [(0, 10), (1, 25), (0, 30), (1, 26), (1, 50), (0, 31)]


def a_wav(path: Path, *channels: Samples) -> Path:
    data = (np.stack(channels, axis=1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(data.tobytes())
    return path


def test_the_samples_of_a_leg_are_the_same_wherever_it_begins(tmp_path: Path) -> None:
    path = a_wav(tmp_path / "call.wav", noise(70, 1, 0.01), noise(70, 2))
    with open_recording(path, LIMITS) as recording:
        whole = [np.concatenate(list(leg)) for leg in recording.legs((0.0, 0.0))]
    with open_recording(path, LIMITS) as recording:
        later = [np.concatenate(list(leg)) for leg in recording.legs((40.0, 12.5))]
        assert recording.decoded_s == pytest.approx(70, abs=0.1)
    for start_s, all_of_it, rest in zip((40.0, 12.5), whole, later, strict=True):
        assert np.array_equal(all_of_it[round(start_s * SAMPLE_RATE) :], rest)
    assert len(whole[0]) == len(whole[1]) == 70 * SAMPLE_RATE


def test_mono_and_stereo_that_is_mono_have_one_leg(tmp_path: Path) -> None:
    sound = noise(5, 1)
    for name, channels, why in (
        ("mono.wav", (sound,), "the recording has 1 channel"),
        ("twice.wav", (sound, sound), "both channels have the same sound"),
        ("call.wav", (sound, noise(5, 2)), None),
        ("six.wav", (sound,) * 6, "the recording has 6 channels"),
    ):
        path = a_wav(tmp_path / name, *channels)
        with open_recording(path, LIMITS, Hearing(everywhere)) as recording:
            assert recording.why_one_leg() == why, name


def test_mixed_as_they_are_nothing_is_left_out(tmp_path: Path) -> None:
    """With ``auto`` a channel that only has noise is left out; see test_mixing.py."""
    speech, hiss = noise(5, 1, 0.2), noise(5, 2, 0.2)
    path = a_wav(tmp_path / "talk.wav", speech, hiss)

    def only_the_first(line: Samples) -> list[tuple[int, int]]:
        alike = float(np.corrcoef(line[: len(speech)], speech)[0, 1])
        return [(0, len(line))] if alike > 0.9 else []

    found = {}
    for as_they_are in (False, True):
        hearing = Hearing(only_the_first, as_they_are=as_they_are)
        with open_recording(path, LIMITS, hearing) as recording:
            found[as_they_are] = np.concatenate(list(recording.blocks()))
            assert bool(recording.left_out) is not as_they_are
    assert np.allclose(found[False], speech, atol=1e-3)
    assert np.allclose(found[True], (speech + hiss) / 2, atol=1e-3)
