"""Whether the frames of an MP3 differ in size."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from modules.recordings.mp3_frames import has_variable_bit_rate
from tests.recordings.writing import Track, written

RATE = 16_000
SOUND = np.concatenate(
    [np.random.default_rng(0).normal(0, 0.2, 5 * RATE), np.zeros(5 * RATE)] * 4
).astype(np.float32)
VARIABLE = {"flags": "+qscale", "global_quality": str(118 * 5)}


def mp3(rate: int = 44_100, options: Mapping[str, str] | None = None, tag: bool = True) -> bytes:
    track = Track(SOUND, "mp3", rate, bits_per_s=0 if options else 64_000, options=options or {})
    return written("mp3", [track], options={} if tag else {"write_xing": "0", "id3v2_version": "0"})


def is_variable(content: bytes, path: Path) -> bool:
    path.write_bytes(content)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return has_variable_bit_rate(descriptor)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("tag", [True, False])
@pytest.mark.parametrize("rate", [44_100, 22_050, 16_000, 8_000])
def test_by_its_tag_or_its_frames(tmp_path: Path, rate: int, tag: bool) -> None:
    assert is_variable(mp3(rate, VARIABLE, tag), tmp_path / "variable.mp3")
    assert not is_variable(mp3(rate, None, tag), tmp_path / "constant.mp3")


def test_a_picture_in_front_is_skipped(tmp_path: Path) -> None:
    size = 300_000
    tag = b"ID3\x04\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    picture = np.random.default_rng(1).bytes(size)
    assert not is_variable(tag + picture + mp3(), tmp_path / "picture.mp3")
    assert is_variable(tag + picture + mp3(options=VARIABLE), tmp_path / "picture.mp3")


@pytest.mark.parametrize(
    "content", [b"", b"\xff", bytes(10_000), b"ID3" + b"\x7f" * 7, b"\xff\xfb" * 9000]
)
def test_what_is_no_mp3_has_none(tmp_path: Path, content: bytes) -> None:
    assert not is_variable(content, tmp_path / "none.mp3")
