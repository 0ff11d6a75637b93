"""Quiet sound made louder: real speech at many levels, noise, clicks, borders."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from modules.audio.level import amplified, frame_levels, gain_db, levelled
from modules.audio.recording import Limits, open_recording
from modules.audio.resampler import SAMPLE_RATE, Samples
from tests.unit.audio.test_recording import joined, pcm, wav, written

SPEECH = Path(__file__).parents[3] / "samples" / "please-hold-ru.wav"


def talk(seconds: int, loud_db: float) -> Samples:
    """Speech, again and again, whose loud frames have this level in dB of full scale."""
    with wave.open(str(SPEECH)) as file:
        assert file.getframerate() == SAMPLE_RATE
        spoken = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    repeated = np.resize(spoken, seconds * SAMPLE_RATE)
    return repeated * np.float32(10 ** ((loud_db - loudness_db(repeated)) / 20))


def noise(seconds: int, level_db: float, pink: bool = False) -> Samples:
    rng = np.random.default_rng(1)
    found = rng.standard_normal(seconds * SAMPLE_RATE)
    if pink:
        spectrum = np.fft.rfft(found)
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
        spectrum[:2000] = 0
        found = np.fft.irfft(spectrum)
    found *= 10 ** (level_db / 20) / np.sqrt(np.mean(found**2))
    return np.clip(found, -1, 1).astype(np.float32)


def loudness_db(samples: Samples) -> float:
    return float(np.percentile(frame_levels(samples), 95))


def blocks(samples: Samples) -> Iterator[Samples]:
    for start in range(0, len(samples), SAMPLE_RATE):
        yield samples[start : start + SAMPLE_RATE]


def levelled_whole(samples: Samples) -> Samples:
    found = list(levelled(blocks(samples)))
    return np.concatenate(found) if found else samples[:0]


def gains_db(before: Samples, after: Samples) -> NDArray[np.float64]:
    """Of each sample; NaN where it is too quiet to tell."""
    known = np.abs(before) > 1e-6
    found = np.full(len(before), np.nan)
    found[known] = 20 * np.log10(np.abs(after[known].astype(np.float64) / before[known]))
    return found


@pytest.mark.parametrize("loud_db", [-3.0, -12.0, -20.0, -30.0, -33.9])
def test_what_is_loud_enough_stays_as_it_is_to_the_last_bit(loud_db: float) -> None:
    samples = talk(70, loud_db)
    assert np.array_equal(levelled_whole(samples), samples)


@pytest.mark.parametrize("loud_db", [-45.0, -50.0, -54.0, -60.0, -70.0])
def test_quiet_speech_becomes_as_loud_as_other_speech(loud_db: float) -> None:
    found = levelled_whole(talk(70, loud_db))
    assert loudness_db(found) == pytest.approx(-24, abs=1.5)
    assert np.abs(found).max() <= 1.0


def test_the_gain_has_an_end() -> None:
    found = levelled_whole(talk(40, -90.0))
    assert loudness_db(found) == pytest.approx(-40, abs=0.5)


def test_the_gain_sets_in_gradually_with_the_level() -> None:
    found = [gain_db(frame_levels(talk(10, loud_db))) for loud_db in np.arange(-50, -30, 0.5)]
    assert found[-1] == 0
    assert all(-1.1 < after - before < 0.6 for before, after in pairwise(found))


@pytest.mark.parametrize("pink", [False, True])
@pytest.mark.parametrize("level_db", range(-60, 1, 10))
def test_noise_stays_noise(level_db: float, pink: bool) -> None:
    samples = noise(70, level_db, pink)
    assert np.array_equal(levelled_whole(samples), samples)


@pytest.mark.parametrize("hertz", [50, 100, 1_000])
def test_hum_stays_hum(hertz: float) -> None:
    time = np.arange(40 * SAMPLE_RATE) / SAMPLE_RATE
    samples = (0.003 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)
    assert np.array_equal(levelled_whole(samples), samples)


@pytest.mark.parametrize("count", [0, 1, SAMPLE_RATE, 40 * SAMPLE_RATE + 7])
def test_silence_stays_silence(count: int) -> None:
    samples = np.zeros(count, np.float32)
    assert np.array_equal(levelled_whole(samples), samples)


@pytest.mark.parametrize("count", [1, 100, SAMPLE_RATE - 1, 31 * SAMPLE_RATE, 61 * SAMPLE_RATE + 5])
def test_not_a_sample_is_lost(count: int) -> None:
    assert len(levelled_whole(talk(70, -50.0)[:count])) == count


def test_the_gain_never_jumps() -> None:
    quiet, loud = talk(70, -55.0), talk(70, -15.0)
    samples = np.concatenate([quiet, loud, quiet])
    gains = gains_db(samples, levelled_whole(samples))
    assert np.nanmax(gains) > 25
    assert np.nanmin(gains) == pytest.approx(0, abs=1e-3)
    assert np.isfinite(gains).mean() > 0.5
    assert np.nanmax(np.abs(np.diff(gains))) < 0.01
    gaps = np.flatnonzero(np.isfinite(gains))
    assert np.abs(np.diff(gains[gaps]) / np.diff(gaps)).max() < 0.01, "nor in pauses"


def test_a_loud_voice_near_a_quiet_one_is_not_touched() -> None:
    samples = np.concatenate([talk(70, -50.0), talk(70, -12.0)])
    found = levelled_whole(samples)
    assert np.array_equal(found[105 * SAMPLE_RATE :], samples[105 * SAMPLE_RATE :])
    assert np.abs(found).max() <= 1.0


def test_a_click_does_not_keep_a_quiet_recording_quiet() -> None:
    samples = talk(70, -50.0)
    samples[35 * SAMPLE_RATE] = 1.0
    found = levelled_whole(samples)
    assert loudness_db(found) == pytest.approx(-24, abs=1.5)
    assert found[35 * SAMPLE_RATE] == 1.0, "it has no more than full scale"


def test_what_lies_far_away_decides_nothing() -> None:
    """So it does not matter how long a recording has gone on before."""
    samples = np.concatenate([talk(100, -15.0), talk(100, -50.0)])
    found, later = levelled_whole(samples), levelled_whole(samples[50 * SAMPLE_RATE :])
    assert np.array_equal(found[82 * SAMPLE_RATE :], later[32 * SAMPLE_RATE :])


def test_the_level_is_the_same_wherever_a_pass_begins(tmp_path: Path) -> None:
    path = written(tmp_path, wav(pcm(talk(70, -45.0)[None])))
    with open_recording(path, Limits()) as recording:
        whole = joined(recording)
        assert loudness_db(whole) == pytest.approx(-24, abs=1.5)
        for start_s in (0.5, 31.0, 59.99):
            assert np.array_equal(joined(recording, start_s), whole[round(start_s * SAMPLE_RATE) :])
        in_parts = np.concatenate(list(recording.blocks(0.0, 0.37)))
        assert np.array_equal(in_parts, whole)


def test_a_gain_that_changes_goes_there_evenly() -> None:
    found = amplified(np.full(1001, 1e-3, np.float32), 0.0, 20.0)
    assert found[[0, 500, 1000]] == pytest.approx([1e-3, 10**-2.5, 1e-2], rel=1e-3)
