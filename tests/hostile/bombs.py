"""Few bytes that want much: hours out of nothing, pieces of gigabytes, pictures like walls."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from fractions import Fraction
from functools import cache

import av
import numpy as np

from tests.hostile.case import Case, either, refused, result
from tests.hostile.headers import box, id3, patched, wav
from tests.hostile.sound import BITEXACT, RATE, beep, mute_film
from tests.hostile.structure import elements, find

_HOUR_S = 3600
_MB = 2**20
_GB = 2**30


def bombs() -> Iterator[Case]:
    """All of them."""
    yield from _hours()
    yield from _silence()
    yield from _large_pieces()
    yield from _packed()
    yield from _pictures()
    yield from _gaps()


def _hours() -> Iterator[Case]:
    """Files with holes, of which nothing but the header is on the disk."""
    form = struct.pack("<HHIIHH", 1, 1, 8_000, 8_000, 1, 8)
    hours_135 = 135 * _HOUR_S * 8_000
    days = wav(b"", form, claimed=hours_135)
    yield refused("bomb-135-hours.wav", days, "too_long", sparse_size=hours_135)
    yield either("bomb-135-hours-claimed.wav", days + bytes(4_000))
    au = b".snd" + struct.pack(">IIIII", 24, 0xFFFFFFFF, 2, 8_000, 1)
    yield refused("bomb-135-hours.au", au, "too_long", sparse_size=hours_135)
    yield refused("bomb-zeros-4-gb.mp3", b"", "not_media", sparse_size=4 * _GB)
    for form_name in ("mp3", "aac", "ogg", "ts", "amr", "flac", "mkv", "m4a"):
        data = beep(form_name)
        name = f"bomb-{form_name}-and-4-gb-of-zeros.{form_name}"
        yield either(name, data, sparse_size=4 * _GB)


@cache
def silent_flac(hours: float, block: int, said: bool = True) -> bytes:
    """Silence of 16 kHz in some 15 bytes for each block of samples."""
    count = round(hours * _HOUR_S * RATE / block)
    shape = (RATE << 44) | (15 << 36) | (count * block if said else 0)
    info = struct.pack(">HH6xQ16x", block, block, shape)
    frames = (_silent_frame(number, block) for number in range(count))
    return b"fLaC\x80\x00\x00\x22" + info + b"".join(frames)


def _silent_frame(number: int, block: int) -> bytes:
    # Fixed blocks, whose size follows in 16 bits; the rate is that of the file; mono, 16 bits.
    head = b"\xff\xf8\x70\x08" + chr(number).encode() + struct.pack(">H", block - 1)
    head += bytes([_crc(head, 8, 0x07)])
    body = head + b"\x00\x00\x00"  # one constant subframe: the value nought
    return body + _crc(body, 16, 0x8005).to_bytes(2, "big")


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    value, top = 0, 1 << (bits - 1)
    for byte in data:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & top else 0)) & ((1 << bits) - 1)
    return value


def _silence() -> Iterator[Case]:
    yield result("bomb-silence-10-minutes.flac", silent_flac(1 / 6, 4096))
    yield refused("bomb-silence-inflated.flac", silent_flac(1 / 3, 65_535), "inflated")
    yield refused("bomb-silence-unsaid.flac", silent_flac(1 / 3, 65_535, said=False), "inflated")
    for form in ("mp3", "ogg"):
        yield result(f"bomb-silence-minute.{form}", _silent(form))


@cache
def _silent(form: str) -> bytes:
    buffer = io.BytesIO()
    codec = {"mp3": "libmp3lame", "ogg": "libopus"}[form]
    with av.open(buffer, "w", format=form, options=BITEXACT) as output:
        stream = output.add_stream(codec, rate=48_000, layout="mono")
        stream.bit_rate = 8_000
        for start in range(60):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.int16), "s16p", "mono")
            frame.sample_rate, frame.pts, frame.time_base = (
                48_000,
                start * 48_000,
                Fraction(1, 48_000),
            )
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def _large_pieces() -> Iterator[Case]:
    """One packet, tag or picture of hundreds of megabytes, with a hole for its content."""
    yield from _large_elements()
    m4a = beep("m4a")
    sizes = find("m4a", m4a, "stsz").start
    one = patched(m4a, sizes + 20, ">I", 900 * _MB)
    yield refused("bomb-sample-900-mb.m4a", one, None, sparse_size=_GB)
    picture = b"APIC" + bytes(250 * _MB >> shift & 127 for shift in (21, 14, 7, 0)) + b"\0\0"
    tag = id3(251 * _MB, picture + b"\0image/png\0\3\0\x89PNG")
    yield refused("bomb-picture-250-mb.mp3", tag, "oversized", sparse_size=260 * _MB)
    block = b"\x06" + (2**24 - 1).to_bytes(3, "big") + struct.pack(">II", 3, 9) + b"image/png"
    block += bytes(20) + struct.pack(">I", 2**24 - 50)
    yield either("bomb-picture-16-mb.flac", b"fLaC" + block, sparse_size=_GB)
    index = m4a[: find("m4a", m4a, "moov").start] + struct.pack(">I4s", 1_500 * _MB, b"moov")
    table = struct.pack(">I4sIII", 1_400 * _MB, b"stsz", 0, 0, 350 * _MB)
    for kind in (b"stbl", b"minf", b"mdia", b"trak"):
        table = struct.pack(">I4s", 1_401 * _MB, kind) + table
    yield refused("bomb-index-1-gb.m4a", index + table, None, sparse_size=1_600 * _MB)


def _large_elements() -> Iterator[Case]:
    """In Matroska, where FFmpeg believes sizes up to 256 MB."""
    mkv, size = beep("webm"), 200 * _MB
    claimed = struct.pack(">Q", 1 << 56 | size)
    tracks, cluster = find("webm", mkv, "1654ae6b"), find("webm", mkv, "1f43b675")
    block = b"\x1f\x43\xb6\x75\x01" + b"\xff" * 7 + b"\xe7\x81\x00\xa3" + claimed
    data = unsized(mkv[: cluster.start]) + block + b"\x81\x00\x00\x80"
    yield refused("bomb-packet-200-mb.webm", data, "oversized", sparse_size=size + _MB)
    entry = b"\xd7\x81\x01\x83\x81\x02\x86\x86A_OPUS\x63\xa2" + claimed
    private = b"\x16\x54\xae\x6b\x01" + b"\xff" * 7 + b"\xae\x01" + b"\xff" * 7 + entry
    data = unsized(mkv[: tracks.start]) + private
    yield refused("bomb-codec-200-mb.webm", data, None, sparse_size=size + _MB)
    attached = b"\x19\x41\xa4\x69\x01" + b"\xff" * 7 + b"\x61\xa7\x01" + b"\xff" * 7
    data = unsized(mkv[: cluster.start]) + attached + b"\x46\x5c" + claimed
    yield refused("bomb-attachment-200-mb.webm", data, None, sparse_size=size + _MB)


def unsized(mkv: bytes) -> bytes:
    """Matroska whose segment is of unknown size, as in a live stream."""
    segment = find("webm", mkv, "18538067")
    head = b"\x18\x53\x80\x67\x01" + b"\xff" * 7
    return mkv[: segment.start] + head + mkv[segment.start + segment.head :]


def _packed() -> Iterator[Case]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("talk.wav"), bytes(20 * _MB))
    yield refused("bomb-zip.mp3", buffer.getvalue(), "not_media")
    yield refused("bomb-gzip.wav", gzip.compress(bytes(20 * _MB), mtime=0), "not_media")
    yield either("bomb-zlib-packets.mkv", _compressed_packets())
    yield refused("bomb-packed-index.m4a", _compressed_index(), "oversized")


def _compressed_packets() -> bytes:
    """Matroska may pack its blocks; these are of 70 MB each when unpacked."""
    mkv = beep("webm")
    entry = find("webm", mkv, "ae")
    packing = b"\x6d\x80" + _sized(b"\x62\x40" + _sized(b"\x50\x34" + _sized(b"\x42\x54\x81\x00")))
    content = mkv[entry.start + entry.head : entry.end] + packing
    tracks = b"\x16\x54\xae\x6b" + _sized(b"\xae" + _sized(content))
    packed = zlib.compress(bytes(70 * _MB), 1)
    blocks = (
        b"\xa3" + _sized(b"\x81" + struct.pack(">h", 20 * number) + b"\x80" + packed)
        for number in range(20)
    )
    cluster = b"\x1f\x43\xb6\x75" + _sized(b"\xe7\x81\x00" + b"".join(blocks))
    header = find("webm", mkv, "1a45dfa3")
    info = find("webm", mkv, "1549a966")
    body = mkv[info.start : info.end] + tracks + cluster
    return mkv[: header.end] + b"\x18\x53\x80\x67" + _sized(body)


def _sized(content: bytes) -> bytes:
    return struct.pack(">Q", 1 << 56 | len(content)) + content


def _compressed_index() -> bytes:
    """QuickTime may pack its index; this one is 70 MB of zeros."""
    m4a = beep("m4a")
    packed = zlib.compress(bytes(70 * _MB), 1)
    content = box(b"dcom", b"zlib") + box(b"cmvd", struct.pack(">I", 70 * _MB), packed)
    return m4a[: find("m4a", m4a, "moov").start] + box(b"moov", box(b"cmov", content))


def _pictures() -> Iterator[Case]:
    film = mute_film()
    shape = film.index(b"mp4v")
    wall = film[: shape + 28] + struct.pack(">HH", 30_000, 30_000) + film[shape + 32 :]
    yield refused("bomb-film-30000x30000.mp4", wall, "no_audio")
    heard = beep("mp4")
    shape = heard.index(b"mp4v")
    wall = heard[: shape + 28] + struct.pack(">HH", 30_000, 30_000) + heard[shape + 32 :]
    yield result("bomb-film-30000x30000-with-sound.mp4", wall)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(
        ">I4sIIBBBBB", 13, b"IHDR", 10**5, 10**5, 8, 2, 0, 0, 0
    )
    size = len(png) + 14
    picture = b"APIC" + bytes([0, 0, size >> 7, size & 127]) + b"\0\0\0image/png\0\3\0" + png
    bare = beep("mp3")[find("mp3", beep("mp3"), "xing").start :]
    yield result("bomb-cover-100000x100000.mp3", id3(len(picture), picture) + bare)


def _gaps() -> Iterator[Case]:
    yield refused("bomb-leaps.webm", _leaping(beep("webm")), "inflated")


def _leaping(mkv: bytes) -> bytes:
    """Clusters of one packet each, fifty seconds apart, for half an hour."""
    first = next(part for part in elements(mkv) if part.label == "a3")
    packet = mkv[first.start + first.head + 4 : first.end]
    header, tracks = find("webm", mkv, "1a45dfa3"), find("webm", mkv, "1654ae6b")
    shown = b"\x2a\xd7\xb1\x83\x0f\x42\x40" + b"\x4d\x80\x81x\x57\x41\x81x"
    body = b"\x15\x49\xa9\x66" + _sized(shown) + mkv[tracks.start : tracks.end]
    for number in range(_HOUR_S // 100):
        block = b"\xa3" + _sized(b"\x81\0\0\x80" + packet)
        body += b"\x1f\x43\xb6\x75" + _sized(
            b"\xe7\x84" + struct.pack(">I", 50_000 * number) + block
        )
    return mkv[: header.end] + b"\x18\x53\x80\x67" + _sized(body)
