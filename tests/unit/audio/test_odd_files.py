"""Odd recordings of which no model is needed to tell that they are read right."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from av.audio.frame import AudioFrame

from modules.audio.avi import repair_avi
from modules.audio.decoder import Limits
from modules.audio.recording import open_recording
from modules.audio.resampler import SAMPLE_RATE, Resampler, Samples
from modules.audio.source import Source
from tests.recordings.corpus import ROWS
from tests.recordings.row import Row
from tests.recordings.sound import spoken
from tests.recordings.waves import aiff

_ROWS = {row.name: row for row in ROWS}


def _read(row: Row, folder: Path) -> tuple[Samples, str | None]:
    """All of its sound, and what is said to be missing."""
    return _read_file(row.name, row.make(), folder)


def _read_file(name: str, data: bytes, folder: Path) -> tuple[Samples, str | None]:
    path = folder / name
    path.write_bytes(data)
    with open_recording(path, Limits()) as recording:
        return np.concatenate(list(recording.blocks())), recording.partial


def _onset_s(sound: Samples) -> float:
    return float(np.argmax(np.abs(sound) > 0.01)) / SAMPLE_RATE


@pytest.mark.parametrize("name", [row.name for row in ROWS if row.name.startswith("late")])
def test_sound_that_begins_late_keeps_its_time(name: str, tmp_path: Path) -> None:
    sound, partial = _read(_ROWS[name], tmp_path)
    assert _onset_s(sound) == pytest.approx(5.0, abs=0.12)
    assert partial is None, "nothing is missing: the picture only goes on for longer"


@pytest.mark.parametrize("name", ["aac-in.avi", "flac-in.avi"])
def test_sound_in_an_avi_that_is_in_time_stays_there(name: str, tmp_path: Path) -> None:
    sound, partial = _read(_ROWS[name], tmp_path)
    assert _onset_s(sound) < 0.2
    assert partial is None


def test_an_avi_cut_off_anywhere_harms_nobody(tmp_path: Path) -> None:
    whole = _ROWS["late-mp3.avi"].make()
    for size in (12, 60, 140, 4400, len(whole) - 13_000, len(whole) - 7):
        path = tmp_path / f"{size}.avi"
        path.write_bytes(whole[:size])
        with contextlib.closing(Source(path)) as source:
            repair_avi(source)


@pytest.mark.parametrize("row", [row for row in ROWS if row.duration_s], ids=lambda row: row.name)
def test_sound_is_read_to_its_end_whatever_the_header_says(row: Row, tmp_path: Path) -> None:
    sound, partial = _read(row, tmp_path)
    assert len(sound) / SAMPLE_RATE == pytest.approx(row.duration_s, abs=0.02)
    assert partial is None


def test_what_stands_behind_the_sound_of_an_aiff_is_not_taken_for_sound(tmp_path: Path) -> None:
    whole = aiff(spoken("ru"))
    name = b"NAME" + (9_000).to_bytes(4, "big") + b"x" * 9_000
    sound, _ = _read_file("named.aiff", whole + name, tmp_path)
    assert len(sound) == len(spoken("ru"))


def test_an_aiff_cut_off_in_its_first_header_harms_nobody(tmp_path: Path) -> None:
    whole = aiff(spoken("ru"), 16_000, 32_008)
    for size in (13, 20, 36, 45):
        with pytest.raises(Exception, match=r"\w"):
            _read_file(f"{size}.aiff", whole[:size], tmp_path)


#: In a process of its own, as it once ended one.
_NINE_CHANNELS = """
from pathlib import Path
from modules.audio.decoder import Limits
from modules.audio.recording import open_recording
from tests.recordings.corpus import ROWS
row = next(row for row in ROWS if row.name == "ambisonic-second-order.opus")
path = Path({path!r})
path.write_bytes(row.make())
with open_recording(path, Limits()) as recording:
    print(sum(map(len, recording.blocks())))
"""


def test_nine_channels_are_read(tmp_path: Path) -> None:
    code = _NINE_CHANNELS.format(path=str(tmp_path / "nine.opus"))
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=root, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == pytest.approx(7.55 * SAMPLE_RATE, rel=0.01)


@pytest.mark.parametrize("channels", [3, 7, 8, 9, 16])
@pytest.mark.parametrize("kind", ["fltp", "s16p", "u8p", "s16"])
def test_channels_without_a_place_are_mixed_evenly(kind: str, channels: int) -> None:
    frame = AudioFrame(format=kind, layout=f"{channels} channels", samples=1600)
    frame.sample_rate = SAMPLE_RATE
    value = {"fltp": np.float32(0.5), "s16p": np.int16(16384), "u8p": np.uint8(192)}.get(
        kind, np.int16(16384)
    )
    for plane in frame.planes[: channels if kind.endswith("p") else 1]:
        plane.update(np.full(plane.buffer_size // value.itemsize, value).tobytes())
    mixer = Resampler()
    found = np.concatenate([*mixer.mix(frame), *mixer.flush()], axis=1)
    assert found.shape[0] == 1
    assert np.median(found) == pytest.approx(0.5, abs=0.01)
