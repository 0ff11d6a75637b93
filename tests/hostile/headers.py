"""Headers that lie: sizes, counts, rates, times and depths that cannot be."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.hostile.case import Case, Ending, either, refused, result
from tests.hostile.sound import beep
from tests.hostile.structure import boxes, find

_MOST = 0xFFFFFFFF
_HALF = 0x80000000


def headers() -> Iterator[Case]:
    """All of them."""
    yield from _wav()
    yield from _wav_chunks()
    yield from _mp4()
    yield from _mp4_nesting()
    yield from _mp3()
    yield from _flac()
    yield from _ogg()
    yield from _transport()
    yield from _iff_and_others()
    yield from _bare_heads()


def patched(data: bytes, at: int, form: str, *values: object) -> bytes:
    """``data`` with something else from byte ``at`` on; ``form`` as for ``struct``."""
    new = struct.pack(form, *values)
    return data[:at] + new + data[at + len(new) :]


def wav(data: bytes, form: bytes | None = None, before: bytes = b"", claimed: int = -1) -> bytes:
    """A WAV file out of its parts: the format, chunks before the sound, the sound."""
    form = form or struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    size = len(data) if claimed < 0 else claimed
    body = b"WAVE" + chunk(b"fmt ", form) + before + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", min(_MOST, len(body))) + body


def chunk(kind: bytes, data: bytes, claimed: int = -1) -> bytes:
    """A chunk of RIFF."""
    return kind + struct.pack("<I", len(data) if claimed < 0 else claimed) + data


def box(kind: bytes, *content: bytes) -> bytes:
    """A box of MP4."""
    data = b"".join(content)
    return struct.pack(">I", len(data) + 8) + kind + data


#: What is written over the beginning of WAV's format: offset, kind, value, how it has to end.
_WAV_LIES = (
    ("tag-unknown", 20, "<H", 0x7777, "unsupported_codec"),
    ("tag-mp3", 20, "<H", 0x55, None),
    ("channels-0", 22, "<H", 0, None),
    ("channels-65535", 22, "<H", 65_535, "too_many_channels"),
    ("rate-0", 24, "<I", 0, "bad_sample_rate"),
    ("rate-1", 24, "<I", 1, "bad_sample_rate"),
    ("rate-4g", 24, "<I", 4_000_000_000, "bad_sample_rate"),
    ("rate-negative", 24, "<i", -16_000, "bad_sample_rate"),
    ("byte-rate-0", 28, "<I", 0, None),
    ("byte-rate-max", 28, "<I", _MOST, None),
    ("align-0", 32, "<H", 0, None),
    ("align-max", 32, "<H", 65_535, None),
    ("bits-0", 34, "<H", 0, None),
    ("bits-255", 34, "<H", 255, None),
    ("bits-65535", 34, "<H", 65_535, None),
    ("fmt-size-0", 16, "<I", 0, None),
    ("fmt-size-max", 16, "<I", _MOST, None),
    ("fmt-size-negative", 16, "<i", -8, None),
    ("riff-size-0", 4, "<I", 0, None),
    ("riff-size-half", 4, "<I", _HALF, None),
)


def _wav() -> Iterator[Case]:
    good = wav(beep("wav")[44:])
    for name, at, form, value, code in _WAV_LIES:
        data = patched(good, at, form, value)
        yield Case(f"lie-wav-{name}.wav", data, Ending.REFUSED if code else Ending.EITHER, code)
    for claimed in (0, _MOST, _HALF, 0x7FFFFFFF):
        yield result(f"lie-wav-data-{claimed:x}.wav", wav(beep("wav")[44:], claimed=claimed))
    rf64 = b"RF64" + struct.pack("<I", _MOST) + b"WAVE"
    rf64 += chunk(b"ds64", struct.pack("<QQQI", 2**63, 2**63 - 1, 2**62, _MOST))
    yield either("lie-wav-rf64.wav", rf64 + good[12:40] + struct.pack("<I", _MOST) + good[44:])
    extensible = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 16_000, 32_000, 2, 16, 65_535, 255, _MOST)
    yield either("lie-wav-extensible.wav", wav(beep("wav")[44:], extensible + b"\xff" * 16))
    adpcm = struct.pack("<HHIIHHHHH", 2, 1, 8_000, 4_096, 65_535, 4, 32, 0, 65_535)
    yield either("lie-wav-adpcm.wav", wav(bytes(20_000), adpcm + bytes(28)))


def _wav_chunks() -> Iterator[Case]:
    pcm = beep("wav")[44:]
    yield result("lie-wav-10000-chunks.wav", wav(pcm, before=chunk(b"junk", b"") * 10_000))
    yield either("lie-wav-list-max.wav", wav(pcm, before=chunk(b"LIST", b"INFO", _MOST)))
    yield either("lie-wav-info-max.wav", wav(pcm, before=_info(_MOST)))
    yield either(
        "lie-wav-id3-max.wav", wav(pcm, before=chunk(b"id3 ", b"ID3\4\0\0\x7f\x7f\x7f\x7f"))
    )
    nested = b""
    for _ in range(10_000):
        nested = chunk(b"LIST", b"INFO" + nested)
    yield either("lie-wav-10000-deep.wav", wav(pcm, before=nested))
    yield either("lie-wav-two-formats.wav", wav(pcm, before=chunk(b"fmt ", b"\xff" * 40)))
    yield refused("lie-wav-no-data.wav", wav(b"")[:36], "not_media")
    yield refused("lie-wav-data-empty.wav", wav(b""), "no_sound_decoded")
    fact = chunk(b"fact", struct.pack("<I", _MOST))
    yield either("lie-wav-fact-max.wav", wav(pcm, before=fact))
    cues = chunk(b"cue ", struct.pack("<I", _MOST) + bytes(24))
    yield either("lie-wav-cues-max.wav", wav(pcm, before=cues))


def _info(claimed: int) -> bytes:
    return chunk(b"LIST", b"INFO" + chunk(b"INAM", b"name", claimed))


#: Name, box, offset in it, kind, value.
_MP4_LIES = (
    ("moov-size-max", "moov", 0, ">I", _MOST),
    ("moov-size-7", "moov", 0, ">I", 7),
    ("moov-size-0", "moov", 0, ">I", 0),
    ("trak-size-0", "trak", 0, ">I", 0),
    ("trak-size-max", "trak", 0, ">I", _MOST),
    ("ftyp-size-8", "ftyp", 0, ">I", 8),
    ("mdat-size-max", "mdat", 0, ">I", _MOST),
    ("mdat-size-64", "mdat", 0, ">I4sQ", 1, b"mdat", 2**63),
    ("movie-scale-0", "mvhd", 20, ">I", 0),
    ("movie-duration-max", "mvhd", 24, ">I", _MOST),
    ("track-scale-0", "mdhd", 20, ">I", 0),
    ("track-scale-1", "mdhd", 20, ">I", 1),
    ("track-scale-max", "mdhd", 20, ">I", _MOST),
    ("track-duration-max", "mdhd", 24, ">I", _MOST),
    ("entries-0", "stsd", 12, ">I", 0),
    ("entries-max", "stsd", 12, ">I", _MOST),
    ("codec-unknown", "stsd", 20, ">4s", b"zzzz"),
    ("channels-65535", "stsd", 40, ">H", 65_535),
    ("bits-255", "stsd", 42, ">H", 255),
    ("rate-0", "stsd", 48, ">I", 0),
    ("rate-max", "stsd", 48, ">I", _MOST),
    ("esds-max", "stsd", 52, ">I", _MOST),
    ("sizes-max", "stsz", 16, ">I", _MOST),
    ("all-one-size", "stsz", 12, ">II", 1, _MOST),
    ("a-sample-of-4-gb", "stsz", 20, ">I", _MOST),
    ("a-sample-of-1-gb", "stsz", 20, ">I", 2**30),
    ("times-max", "stts", 12, ">I", _MOST),
    ("times-of-years", "stts", 16, ">II", _MOST, _MOST),
    ("times-negative", "stts", 20, ">i", -1024),
    ("chunks-max", "stsc", 12, ">I", _MOST),
    ("chunk-zero", "stsc", 16, ">III", 0, 0, 0),
    ("chunk-of-4g-samples", "stsc", 20, ">I", _MOST),
    ("offsets-max", "stco", 12, ">I", _MOST),
    ("offset-outside", "stco", 16, ">I", _MOST),
    ("offset-on-itself", "stco", 16, ">I", 0),
    ("edits-max", "elst", 12, ">I", _MOST),
    ("edit-of-years", "elst", 16, ">Ii", _MOST, 0),
    ("edit-empty-years", "elst", 16, ">Ii", _MOST, -1),
    ("edit-negative", "elst", 20, ">i", -(2**31)),
    ("edit-far-ahead", "elst", 20, ">i", 2**31 - 1),
    ("edit-rate", "elst", 24, ">I", _MOST),
)


def _mp4() -> Iterator[Case]:
    good = beep("m4a")
    for name, label, at, form, *values in _MP4_LIES:
        start = find("m4a", good, label).start
        yield either(f"lie-mp4-{name}.m4a", patched(good, start + at, form, *values))


def _mp4_nesting() -> Iterator[Case]:
    good = beep("m4a")
    for kind in (b"moov", b"trak", b"udta", b"meta"):
        deep = b""
        for _ in range(10_000):
            deep = box(kind, deep)
        yield either(f"lie-mp4-10000-{kind.decode()}-deep.m4a", good + deep)
    head = find("m4a", good, "ftyp").end
    yield either("lie-mp4-two-indexes.m4a", good + good[find("m4a", good, "moov").start :])
    yield either("lie-mp4-10000-tracks.m4a", good[:head] + box(b"moov", box(b"trak") * 10_000))
    yield either("lie-mp4-zero-boxes.m4a", good[:head] + bytes(80_000))
    run = box(b"trun", struct.pack(">IIi", 0x000001, _MOST, 8))
    header = box(b"tfhd", struct.pack(">II", 0x020000, 1))
    fragment = box(b"moof", box(b"mfhd", bytes(8)), box(b"traf", header, run))
    yield either("lie-mp4-fragment-of-4g.m4a", good + fragment)
    index = struct.pack(">IIIIIHH", 0, 1, 44_100, 0, 0, 0, 65_535) + bytes(12 * 65_535)
    yield either("lie-mp4-index-on-itself.m4a", good[:head] + box(b"sidx", index) + good[head:])
    packed = box(b"dcom", b"zlib") + box(b"cmvd", struct.pack(">I", _MOST), b"x" * 1_000)
    yield either("lie-mp4-packed-index.m4a", good[:head] + box(b"moov", box(b"cmov", packed)))
    scrambled = bytearray(good)
    for part in boxes(good):
        scrambled[part.start + 3] ^= 1
    yield either("lie-mp4-all-sizes-off-by-one.m4a", bytes(scrambled))


def id3(size: int, content: bytes = b"") -> bytes:
    """An ID3 tag that claims a size."""
    return b"ID3\4\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + content


def _mp3() -> Iterator[Case]:
    good = beep("mp3")
    xing = find("mp3", good, "xing")
    bare = good[xing.start :]
    counts = good.index(b"Xing") if b"Xing" in good else good.index(b"Info")
    yield either("lie-mp3-id3-256mb.mp3", id3(2**28 - 1) + bare)
    yield either("lie-mp3-id3-frame-256mb.mp3", id3(1_000, b"TIT2\x7f\x7f\x7f\x7f\0\0\0") + bare)
    yield either("lie-mp3-id3-size-negative.mp3", b"ID3\4\0\0\xff\xff\xff\xff" + bare)
    yield either("lie-mp3-10000-tags.mp3", id3(0) * 10_000 + bare)
    yield either("lie-mp3-frames-max.mp3", patched(good, counts + 8, ">I", _MOST))
    yield either("lie-mp3-frames-0.mp3", patched(good, counts + 8, ">I", 0))
    yield either("lie-mp3-bytes-max.mp3", patched(good, counts + 12, ">I", _MOST))
    yield either("lie-mp3-delay-max.mp3", patched(good, counts + 141, ">3s", b"\xff\xff\xff"))
    vbri = struct.pack(">4sHHHIIHHHH", b"VBRI", 1, 0, 0, _MOST, _MOST, 65_535, 65_535, 4, 65_535)
    yield either("lie-mp3-vbri.mp3", patched(bare, 36, f"{len(vbri)}s", vbri))
    ape = b"APETAGEX" + struct.pack("<IIIIQ", 2000, _MOST, _MOST, 0x80000000, 0)
    yield either("lie-mp3-ape-tag.mp3", bare + ape)
    yield either("lie-mp3-free-bit-rate.mp3", bare.replace(bare[:3], bare[:2] + b"\x00", 50))


def _flac() -> Iterator[Case]:
    good = beep("flac")
    info = find("flac", good, "block0")
    shape = info.start + 14
    frames = good[find("flac", good, "frames").start :]
    start, rest = good[: info.end], good[info.end :]
    rate_0 = struct.pack(">Q", (15 << 36) | 24_000)
    yield either("lie-flac-rate-0.flac", patched(good, shape, "8s", rate_0))
    most = struct.pack(">Q", 2**64 - 1)
    yield either("lie-flac-everything-max.flac", patched(good, shape, "8s", most))
    hours = struct.pack(">Q", (16_000 << 44) | (15 << 36) | (135 * 3600 * 16_000))
    yield either("lie-flac-135-hours.flac", patched(good, shape, "8s", hours))
    yield either("lie-flac-block-size-0.flac", patched(good, info.start + 4, ">HH", 0, 0))
    yield either("lie-flac-info-size.flac", patched(good, info.start + 1, "3s", b"\xff\xff\xff"))
    picture = struct.pack(">IIII", 3, _MOST, _MOST, _MOST) + bytes(40)
    for name, kind, content in (
        ("picture", 6, picture),
        ("comments", 4, struct.pack("<II", _MOST, _MOST)),
        ("seek-table", 3, b"\xff" * 18 * 1_000),
        ("cue-sheet", 5, b"\xff" * 396),
        ("reserved", 127, b"\xff" * 30),
    ):
        block = bytes([kind]) + len(content).to_bytes(3, "big") + content
        yield either(f"lie-flac-{name}.flac", start + block + rest)
    yield either("lie-flac-10000-blocks.flac", start + b"\1\0\0\0" * 10_000 + rest)
    yield either("lie-flac-no-info.flac", b"fLaC\x81\0\0\0" + frames)


def _ogg() -> Iterator[Case]:
    good = beep("ogg")
    head = good.index(b"OpusHead")
    for name, at, form, value in (
        ("channels-0", 9, "B", 0),
        ("channels-255", 9, "B", 255),
        ("skip-max", 10, "<H", 65_535),
        ("rate-max", 12, "<I", _MOST),
        ("gain", 16, "<h", 32_767),
        ("mapping", 18, "B", 255),
    ):
        lie = _checked(patched(good, head + at, form, value))
        yield either(f"lie-ogg-{name}.ogg", lie)
    last = find("ogg", good, "page3").start
    for name, value in (("back", 1), ("negative", -5), ("years", 2**62), ("unknown", -1)):
        yield either(f"lie-ogg-granule-{name}.ogg", _checked(patched(good, last + 6, "<q", value)))
    yield either("lie-ogg-checksum.ogg", patched(good, last + 22, "<I", 1))
    yield either("lie-ogg-segments-255.ogg", patched(good, last + 26, "B", 255))
    yield either("lie-ogg-serial.ogg", _checked(patched(good, last + 14, "<I", 99)))
    tags = good.index(b"OpusTags")
    yield either("lie-ogg-comment-max.ogg", _checked(patched(good, tags + 8, "<I", _MOST)))
    first = good[: find("ogg", good, "page1").start]
    starts = (_checked(patched(first, 14, "<I", number)) for number in range(3_000))
    yield either("lie-ogg-3000-tracks.ogg", b"".join(starts) + good)


def _checked(data: bytes) -> bytes:
    """Ogg pages with the checksums that belong to them, so that the lie gets through."""
    out, at = b"", 0
    while data[at : at + 4] == b"OggS":
        count = data[at + 26]
        end = at + 27 + count + sum(data[at + 27 : at + 27 + count])
        page = data[at : at + 22] + bytes(4) + data[at + 26 : end]
        out += page[:22] + struct.pack("<I", _crc(page)) + page[26:]
        at = end
    return out


def _crc(data: bytes) -> int:
    value = 0
    for byte in data:
        value = (value << 8) & _MOST ^ _CRC[(value >> 24) ^ byte]
    return value


def _crc_table() -> list[int]:
    table = []
    for number in range(256):
        value = number << 24
        for _ in range(8):
            value = (value << 1) & _MOST ^ (0x04C11DB7 if value & _HALF else 0)
        table.append(value)
    return table


_CRC = _crc_table()


def _transport() -> Iterator[Case]:
    good = beep("ts")
    table = find("ts", good, "pid4096").start
    yield either("lie-ts-table-size.ts", patched(good, table + 6, ">H", 0xBFFF))
    yield either("lie-ts-all-one-track.ts", good.replace(good[189:191], good[1:3]))
    yield either("lie-ts-adaptation.ts", b"".join(_stuffed(good)))
    yield either("lie-ts-clock-back.ts", good + good)
    yield either("lie-ts-192.ts", b"".join(bytes(4) + p for p in _packets(good)))


def _packets(data: bytes) -> list[bytes]:
    return [data[at : at + 188] for at in range(0, len(data), 188)]


def _stuffed(data: bytes) -> Iterator[bytes]:
    """Every packet claims more padding than it has bytes."""
    for packet in _packets(data):
        yield packet[:3] + bytes([packet[3] | 0x20, 255]) + packet[5:]


def _iff_and_others() -> Iterator[Case]:
    aiff = beep("aiff")
    comm, sound = find("aiff", aiff, "COMM").start, find("aiff", aiff, "SSND").start
    yield either("lie-aiff-channels.aiff", patched(aiff, comm + 8, ">h", -1))
    yield either("lie-aiff-frames.aiff", patched(aiff, comm + 10, ">I", _MOST))
    yield either("lie-aiff-rate.aiff", patched(aiff, comm + 16, "10s", b"\x7f\xff" + b"\xff" * 8))
    yield either("lie-aiff-bits.aiff", patched(aiff, comm + 14, ">H", 255))
    yield either("lie-aiff-offset.aiff", patched(aiff, sound + 8, ">I", _MOST))
    yield either("lie-aiff-size.aiff", patched(aiff, sound + 4, ">I", _MOST))
    au = beep("au")
    for name, at in (("header", 4), ("size", 8), ("codec", 12), ("rate", 16), ("channels", 20)):
        yield either(f"lie-au-{name}.au", patched(au, at, ">I", _MOST))
    avi = beep("avi")
    header = find("avi", avi, "avih").start
    track, shape = find("avi", avi, "strh").start, find("avi", avi, "strf").start
    index = find("avi", avi, "idx1").start
    for name, at, value in (
        ("tracks", header + 32, _MOST),
        ("frames", header + 24, _MOST),
        ("microseconds", header + 8, 0),
        ("scale-0", track + 28, 0),
        ("rate-0", track + 32, 0),
        ("length", track + 40, _MOST),
        ("sample-size", track + 52, _MOST),
        ("format-size", shape + 4, _MOST),
        ("index-size", index + 4, _MOST),
        ("movie-size", find("avi", avi, "movi").start + 4, _MOST),
    ):
        yield either(f"lie-avi-{name}.avi", patched(avi, at, "<I", value))
    amr, aac = beep("amr"), beep("aac")
    yield either("lie-amr-frame-types.amr", amr[:6] + bytes(0x78 for _ in amr[6:]))
    yield either("lie-aac-frame-size-0.aac", patched(aac, 3, ">I", 0x40000000))
    yield either("lie-flv-tag-size.flv", patched(beep("flv"), 14, "3s", b"\xff\xff\xff"))
    yield either("lie-w64-sizes.w64", patched(beep("w64"), 16, "<q", -1))
    yield either("lie-caf-sizes.caf", patched(beep("caf"), 12, ">q", 2**63 - 1))
    wma = beep("wma")
    for name, at in (("header", 16), ("objects", 24), ("second", 46)):
        yield either(f"lie-wma-{name}.wma", patched(wma, at, "<I", _MOST))
    properties = wma.index(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"))
    yield either("lie-wma-packet-size.wma", patched(wma, properties + 92, "<II", _MOST, _MOST))
    yield either("lie-wma-duration.wma", patched(wma, properties + 64, "<Q", 2**63))


def _bare_heads() -> Iterator[Case]:
    """Formats that are made here by nobody: a header of theirs, full of the greatest numbers."""
    most = b"\xff" * 200
    noughts = bytes(200)
    for form, mark in (
        ("ape", b"MAC \x96\x0f\0\0" + struct.pack("<II", 52, 24)),
        ("tta", b"TTA1"),
        ("wv", b"wvpk" + struct.pack("<IH", 180, 0x410)),
        ("mpc", b"MPCK"),
        ("mpc7", b"MP+\x07"),
        ("tak", b"tBaK\1"),
        ("rm", b".RMF" + struct.pack(">I", 18)),
        ("mxf", bytes.fromhex("060e2b34020501010d01020101020400")),
        ("nut", b"nut/multimedia container\0N\x4d\x7a\x56\x1f\x5f\x04\xad"),
        ("dts", b"\x7f\xfe\x80\x01"),
        ("dv", b"\x1f\x07\x00\x3f"),
        ("awb", b"#!AMR-WB\n"),
        ("w64", bytes.fromhex("726966662e91cf11a5d628db04c10000")),
        ("wma", bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")),
        ("caf", b"caff\0\1\0\0desc"),
        ("mka", b"\x1aE\xdf\xa3\x01"),
    ):
        extension = {"mpc7": "mpc", "tak": "tta", "mxf": "mpg", "nut": "mpg", "dv": "avi"}.get(
            form, form
        )
        extension = "mp3" if extension == "mpc" else extension
        yield either(f"lie-head-{form}-max.{extension}", mark + most)
        yield either(f"lie-head-{form}-0.{extension}", mark + noughts)
