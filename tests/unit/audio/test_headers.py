"""What WAV and Ogg files claim of their own end, and the bytes that FFmpeg is given for them."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from modules.audio.decoder import Limits
from modules.audio.headers import is_chained, is_cut_off, next_link, repair_wav
from modules.audio.recording import open_recording
from modules.audio.resampler import SAMPLE_RATE
from modules.audio.source import Source
from modules.errors import MediaError
from tests.unit.audio.test_recording import encode, joined, pcm, pitch, tone, wav, written

RATE = SAMPLE_RATE
TONE = pcm(tone(6, RATE, 1))
LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Some recorder\0"
BEXT = b"bext" + struct.pack("<I", 602) + bytes(602)
#: More than what may be missing or too much at an end.
PICTURE = b"id3 " + struct.pack("<I", 20_000) + b"\xff\xd8" * 10_000


def heard(path: Path) -> tuple[int, str | None]:
    with open_recording(path, Limits()) as recording:
        return len(joined(recording)), recording.partial


def at(source: Source, offset: int, count: int) -> bytes:
    """The bytes that FFmpeg gets."""
    source.begin()
    source.seek(offset)
    return source.read(count)


# WAV: an end that is claimed too early


def test_a_size_that_was_left_from_the_first_second_is_passed_over(tmp_path: Path) -> None:
    path = written(tmp_path, wav(TONE, claimed=RATE * 2))
    assert heard(path) == (6 * RATE, None)
    assert path.read_bytes() == wav(TONE, claimed=RATE * 2), "only FFmpeg sees another size"


def test_a_size_that_wrapped_is_passed_over(tmp_path: Path) -> None:
    """Over 4 GiB the 32 bits of a size begin again; the file has as many bytes, but no more."""
    rate, claimed = 192_000, 1_000_000
    path = written(tmp_path, wav(b"", channels=2, rate=rate, claimed=claimed))
    os.truncate(path, 44 + 2**32 + claimed)
    with Source(path) as source:
        repair_wav(source)
        assert at(source, 40, 4) == b"\xff" * 4
    with open_recording(path, Limits()) as recording:
        assert recording.duration_s is None or recording.duration_s > 5_000


@pytest.mark.parametrize("more", [LIST, b"id3 \x04\0\0\0abcd", LIST + LIST, BEXT, PICTURE])
def test_a_chunk_behind_the_sound_is_not_sound(tmp_path: Path, more: bytes) -> None:
    assert heard(written(tmp_path, wav(TONE) + more)) == (6 * RATE, None)


def test_a_chunk_behind_an_odd_number_of_bytes_is_not_sound(tmp_path: Path) -> None:
    data = wav(bytes([128, 140] * 24_000) + b"\x80", bits=8)
    assert heard(written(tmp_path, data + b"\0" + PICTURE)) == (48_001, None)


def test_padding_behind_the_sound_is_not_sound(tmp_path: Path) -> None:
    assert heard(written(tmp_path, wav(TONE) + bytes(63))) == (6 * RATE, None)


@pytest.mark.parametrize("claimed", [0, 2**32 - 1])
def test_a_size_that_nobody_knew_stays(tmp_path: Path, claimed: int) -> None:
    assert heard(written(tmp_path, wav(TONE, claimed=claimed))) == (6 * RATE, None)


@pytest.mark.parametrize(
    "head",
    [
        b"RF64" + wav(TONE)[4:],
        wav(TONE)[:8] + b"AVI " + wav(TONE)[12:],
        wav(TONE)[:30],
        wav(TONE)[:12] + b"junk" + struct.pack("<I", 2**32 - 1) + wav(TONE)[12:],
        wav(TONE, rate=0),
    ],
    ids=["rf64", "avi", "cut in its header", "a chunk over the end", "no rate"],
)
def test_what_is_no_plain_wav_is_left_alone(tmp_path: Path, head: bytes) -> None:
    with Source(written(tmp_path, head)) as source:
        repair_wav(source)
        assert at(source, 0, len(head)) == head


def test_an_rf64_with_its_size_in_another_chunk_is_whole(tmp_path: Path) -> None:
    sizes = struct.pack("<QQQI", 72 + len(TONE), len(TONE), len(TONE) // 2, 0)
    data = wav(TONE, claimed=2**32 - 1)
    rf64 = b"RF64" + b"\xff" * 4 + b"WAVEds64" + struct.pack("<I", 28) + sizes + data[12:]
    assert heard(written(tmp_path, rf64 + LIST)) == (6 * RATE, None)


# A file that ends too early


@pytest.mark.parametrize(
    ("claimed", "expected"),
    [
        (len(TONE), False),
        (len(TONE) + 44, False),  # whoever counts the header as sound
        (len(TONE) + 3_000, False),
        (len(TONE) + 3_400, True),
        (2 * len(TONE), True),
        (2**32 - 1, False),
        (0x7FFFFFFF, False),
        (0, False),
    ],
)
def test_a_wav_is_cut_off_if_a_tenth_of_a_second_is_missing(
    tmp_path: Path, claimed: int, expected: bool
) -> None:
    with Source(written(tmp_path, wav(TONE, claimed=claimed))) as source:
        assert is_cut_off(source) == expected


def test_a_header_that_counts_itself_is_no_reason_for_a_note(tmp_path: Path) -> None:
    assert heard(written(tmp_path, wav(TONE, claimed=len(TONE) + 44))) == (6 * RATE, None)


# Ogg


def page(serial: int, flags: int = 0, body: bytes = b"sound", number: int = 0) -> bytes:
    """A page without a checksum: it is not asked for here."""
    segments = bytes([255] * (len(body) // 255) + [len(body) % 255])
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, 0, serial, number, 0, len(segments))
    return head + segments + body


BEGINS, ENDS = 2, 4


def chain(*links: Sequence[int]) -> tuple[bytes, list[int]]:
    """Links with these serials side by side, and where each begins."""
    data, starts = b"", []
    for serials in links:
        starts.append(len(data))
        data += b"".join(page(serial, BEGINS) for serial in serials)
        data += b"".join(page(serial, body=bytes(600)) for serial in serials)
        data += b"".join(page(serial, ENDS) for serial in serials)
    return data, starts


@pytest.mark.parametrize(
    ("links", "expected"),
    [([(1,)], False), ([(1, 2)], False), ([(1,), (2,)], True), ([(1, 2), (3, 4)], True)],
)
def test_a_chain_is_told_by_its_last_page(
    tmp_path: Path, links: list[tuple[int]], expected: bool
) -> None:
    data, _ = chain(*links)
    with Source(written(tmp_path, data)) as source:
        assert is_chained(source) == expected
        assert not is_cut_off(source)
    with Source(written(tmp_path, data[:-3])) as source:
        assert is_cut_off(source)


def test_each_link_is_found_after_the_other(tmp_path: Path) -> None:
    data, starts = chain((1,), (2, 3), (1,))
    with Source(written(tmp_path, data)) as source:
        assert next_link(source, starts[0]) == starts[1]
        assert next_link(source, starts[1]) == starts[2]
        assert next_link(source, starts[2]) is None
        assert next_link(source, len(data)) is None


@pytest.mark.parametrize(
    "data",
    [b"", b"OggS", page(1, BEGINS)[:-2], page(1, BEGINS) * 3, bytes(500), page(1) + b"noise" * 20],
)
def test_what_is_no_chain_has_no_next_link(tmp_path: Path, data: bytes) -> None:
    with Source(written(tmp_path, data)) as source:
        assert next_link(source, 0) is None


def test_all_parts_of_a_chained_recording_are_heard(tmp_path: Path) -> None:
    parts = []
    for number, (rate, hertz) in enumerate(((48_000, 440.0), (48_000, 880.0), (24_000, 660.0))):
        buffer = io.BytesIO()
        encode(buffer, [(tone(2, rate, 1, hertz), 0.0)], "libopus", rate, container="ogg")
        parts.append(_renumbered(buffer.getvalue(), 100 + number))
    path = written(tmp_path, b"".join(parts))
    with open_recording(path, Limits()) as recording:
        assert recording.duration_s is None, "the first part's alone would be wrong"
        samples = joined(recording)
        assert recording.partial is None
    assert len(samples) / RATE == pytest.approx(6, abs=0.1)
    for start_s, hertz in ((0.2, 440), (2.2, 880), (4.2, 660)):
        start = round(start_s * RATE)
        assert pitch(samples[start : start + RATE]) == pytest.approx(hertz, abs=2)


@pytest.mark.parametrize(
    "codecs",
    [
        ("libopus", "flac"),
        ("flac", "libopus"),
        ("libopus",) * 3,
        ("flac", "libopus", "flac"),
        ("libopus", "flac", "libopus", "flac", "libopus"),
    ],
)
def test_parts_of_other_codecs_are_heard_where_they_are(
    tmp_path: Path, codecs: Sequence[str]
) -> None:
    """FFmpeg ends at the first part of another codec, and says nothing."""
    parts = []
    for number, codec in enumerate(codecs):
        buffer = io.BytesIO()
        sound = [(tone(2, 48_000, 1, 440.0 * (number + 1)), 0.0)]
        encode(buffer, sound, codec, 48_000, container="ogg")
        parts.append(_renumbered(buffer.getvalue(), 100 + number))
    path = written(tmp_path, b"".join(parts))
    with open_recording(path, Limits()) as recording:
        samples = joined(recording)
        assert recording.partial is None
        assert recording.decoded_s == pytest.approx(len(samples) / RATE)
    assert len(samples) / RATE == pytest.approx(2 * len(codecs), abs=0.1)
    for number in range(len(codecs)):
        start = round((2 * number + 0.2) * RATE)
        found = pitch(samples[start : start + RATE])
        assert found == pytest.approx(440 * (number + 1), abs=2)


def _part(codec: str, serial: int, seconds: float = 2.0) -> bytes:
    buffer = io.BytesIO()
    encode(buffer, [(tone(seconds, 48_000, 1), 0.0)], codec, 48_000, container="ogg")
    return _renumbered(buffer.getvalue(), serial)


def _damaged(data: bytes) -> bytes:
    """Its headers are whole, its sound is not; checksums fit, so that no page is left out."""
    found, offset, number = b"", 0, 0
    while offset < len(data):
        count = data[offset + 26]
        begin = offset + 27 + count
        end = begin + sum(data[offset + 27 : begin])
        page = bytearray(data[offset:end])
        if number > 2:
            for place in range(27 + count + 8, len(page), 11):
                page[place] ^= 0x55
        page[22:26] = bytes(4)
        page[22:26] = struct.pack("<I", _checksum(page))
        found, offset, number = found + page, end, number + 1
    return found


def test_the_limit_holds_for_all_parts_together(tmp_path: Path) -> None:
    path = written(tmp_path, _part("flac", 1) + _part("libopus", 2))
    with (
        open_recording(path, Limits(max_duration_s=3.0)) as recording,
        pytest.raises(MediaError) as refused,
    ):
        joined(recording)
    assert refused.value.code == "too_long"


def test_what_is_damaged_in_one_part_is_said_at_the_end(tmp_path: Path) -> None:
    for data in (
        _damaged(_part("flac", 1, 6.0)) + _part("libopus", 2),
        _part("libopus", 1) + _damaged(_part("flac", 2, 6.0)),
    ):
        with open_recording(written(tmp_path, data), Limits()) as recording:
            assert len(joined(recording)) / RATE >= 2
            assert recording.partial is not None


def test_a_part_that_is_no_sound_is_passed_over(tmp_path: Path) -> None:
    sounds = []
    for number, codec in enumerate(("libopus", "flac")):
        buffer = io.BytesIO()
        encode(buffer, [(tone(2, 48_000, 1, 440.0), 0.0)], codec, 48_000, container="ogg")
        sounds.append(_renumbered(buffer.getvalue(), 100 + number))
    none, _ = chain((200,))
    for data, seconds in ((sounds[0] + none + sounds[1], 4), (sounds[0] + none, 2)):
        with open_recording(written(tmp_path, data), Limits()) as recording:
            assert len(joined(recording)) / RATE == pytest.approx(seconds, abs=0.1)


def _renumbered(data: bytes, serial: int) -> bytes:
    """The same Ogg stream with another serial, and checksums that fit."""
    found, offset = b"", 0
    while offset < len(data):
        count = data[offset + 26]
        end = offset + 27 + count + sum(data[offset + 27 : offset + 27 + count])
        whole = bytearray(data[offset:end])
        whole[14:18] = struct.pack("<I", serial)
        whole[22:26] = bytes(4)
        whole[22:26] = struct.pack("<I", _checksum(whole))
        found, offset = found + whole, end
    return found


def _checksum(data: bytes) -> int:
    total = 0
    for byte in data:
        total ^= byte << 24
        for _ in range(8):
            total = (total << 1 ^ (0x04C11DB7 if total >> 31 else 0)) & 0xFFFFFFFF
    return total


# The bytes of a file


def test_a_patch_covers_what_is_read_of_it_and_nothing_else(tmp_path: Path) -> None:
    data = bytes(range(100))
    with Source(written(tmp_path, data)) as source:
        source.patch(10, b"\xff" * 4)
        source.patch(12, b"\xee")
        wanted = data[:10] + b"\xff\xff\xee\xff" + data[14:]
        for size in (1, 3, 11, 200):
            source.begin()
            assert b"".join(iter(lambda size=size: source.read(size), b"")) == wanted  # type: ignore[misc]
        assert source.peek(100) == data, "what is looked at is what the file has"


def test_a_twin_has_a_place_of_its_own_and_the_same_patches(tmp_path: Path) -> None:
    with Source(written(tmp_path, bytes(range(100)))) as source:
        source.patch(0, b"\xff")
        source.seek(50)
        with source.twin() as twin:
            assert twin.read(2) == b"\xff\x01"
            assert source.read(1) == b"\x32"
            assert twin.size == source.size
        assert source.read(1) == b"\x33", "closing one closes no other"


def test_from_a_base_on_the_file_begins_there(tmp_path: Path) -> None:
    with Source(written(tmp_path, bytes(range(100)))) as source:
        source.begin(40)
        assert source.tell() == 0
        assert source.read(1) == b"\x28"
        assert source.seek(10) == 10
        assert source.read(1) == b"\x32"
        assert source.seek(-5, os.SEEK_CUR) == 6
        assert source.seek(0, os.SEEK_END) == 60
        assert source.seek(-1, os.SEEK_END) == 59
        assert source.read(5) == b"\x63"
        with pytest.raises(ValueError, match="cannot seek"):
            source.seek(-1)
        assert source.seek(0) == 0
        source.begin()
        assert source.read(1) == b"\0"


def test_a_tone_is_still_a_tone_behind_a_patched_size(tmp_path: Path) -> None:
    with open_recording(written(tmp_path, wav(TONE, claimed=100)), Limits()) as recording:
        samples = joined(recording)
    assert np.array_equal(samples, np.frombuffer(TONE, "<i2").astype(np.float32) / 32768)
