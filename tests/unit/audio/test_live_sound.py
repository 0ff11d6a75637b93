"""Sound that grows is heard as it would be in a file, and only the newest is kept."""

from __future__ import annotations

import tempfile
import tracemalloc
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modules.audio.live_sound import GrowingSound, LiveSound
from modules.audio.vad import detector
from modules.errors import StorageError
from tests.builders import SETTINGS

SAMPLE = Path(__file__).resolve().parents[3] / "samples" / "please-hold-ru.wav"


@pytest.fixture
def file() -> Iterator[Any]:
    with tempfile.TemporaryFile() as made:
        yield made


def speech() -> bytes:
    with wave.open(str(SAMPLE)) as source:
        return source.readframes(source.getnframes())


def filled(file: Any, sound: bytes, rate: int = 16_000, start: int = 0) -> GrowingSound:
    file.write(sound)
    file.flush()
    return GrowingSound(file.fileno(), rate, start)


def all_of(source: GrowingSound, until: int) -> Any:
    blocks = []
    while (block := source.read(until)) is not None:
        blocks.append(block)
    return np.concatenate(blocks)


def test_samples_are_read_once_and_only_as_far_as_they_are_there(file: Any) -> None:
    sound = np.arange(-5000, 5000, dtype="<i2")
    source = filled(file, sound.tobytes(), start=1000)
    first = all_of(source, 4000)
    assert source.read(4000) is None
    found = np.concatenate([first, all_of(source, 10_000)])
    assert np.array_equal(found * 32768, sound[1000:])


def test_sound_that_is_not_there_is_an_error(file: Any) -> None:
    source = filled(file, bytes(100))
    with pytest.raises(StorageError, match="not all in its file"):
        source.read(1000)


@pytest.mark.parametrize("rate", [8_000, 24_000, 44_100, 48_000])
def test_another_rate_changes_neither_pitch_nor_time(file: Any, rate: int) -> None:
    times = np.arange(3 * rate) / rate
    tone = np.sin(2 * np.pi * 500 * times) * (times > 1)
    source = filled(file, (tone * 20_000).astype("<i2").tobytes(), rate)
    found = all_of(source, 3 * rate)
    assert abs(len(found) - 48_000) < 200
    assert int(np.argmax(np.abs(found) > 0.1)) == pytest.approx(16_000, abs=50)
    spectrum = np.abs(np.fft.rfft(found[20_000:36_000]))
    assert int(np.argmax(spectrum)) == 500
    assert np.abs(found).max() == pytest.approx(20_000 / 32768, abs=0.03)


def test_speech_is_found_where_it_is_in_a_file(file: Any) -> None:
    sound = speech() + bytes(32_000)
    heard = LiveSound(filled(file, sound), SETTINGS)
    while heard.listen(len(sound) // 2):
        pass
    samples = np.frombuffer(sound, "<i2").astype(np.float32) / 32768
    expected = detector(SETTINGS, "cpu")(samples)
    found = heard.speech()
    assert len(found) == len(expected)
    for ours, usual in zip(found, expected, strict=True):
        assert ours == pytest.approx(usual, abs=1024)
    assert np.array_equal(heard.samples(1000, 2000), samples[1000:2000])
    assert heard.silent_for() > 12_000


def test_silence_has_no_speech_however_long(file: Any) -> None:
    heard = LiveSound(filled(file, bytes(2 * 160_000)), SETTINGS)
    while heard.listen(160_000):
        heard.forget(heard.position - 32_000)
    assert heard.speech() == []
    assert heard.position == 160_000


def test_what_is_forgotten_takes_no_memory(file: Any) -> None:
    sound = speech() * 20
    heard = LiveSound(filled(file, sound), SETTINGS)

    def listen(until: int) -> None:
        while heard.listen(until):
            heard.forget(heard.position - 160_000)

    listen(len(sound) // 6)
    tracemalloc.start()
    try:
        listen(len(sound) // 5)
        before = tracemalloc.get_traced_memory()[0]
        listen(len(sound) // 2)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 200_000
