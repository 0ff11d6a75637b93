"""RIFF, AIFF, NIST and DSS files written byte by byte, with headers as no muxer writes them."""

from __future__ import annotations

import struct

import numpy as np

from tests.recordings.sound import RATE, Samples

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
#: The end of the identifiers that stand for PCM in WAVE_FORMAT_EXTENSIBLE.
_PCM_GUID = bytes.fromhex("0100000000001000800000aa00389b71")
UNKNOWN = 0xFFFFFFFF


def pcm(sound: Samples, order: str = "<") -> bytes:
    """As 16-bit samples, channel by channel; ``order``: ``<`` little or ``>`` big end first."""
    lines = np.atleast_2d(sound)
    return np.round(np.clip(lines, -1, 1) * 32767).astype(f"{order}i2").T.tobytes()


def floats(sound: Samples) -> bytes:
    return np.atleast_2d(sound).astype("<f4").T.tobytes()


def chunk(name: bytes, body: bytes, claimed: int | None = None) -> bytes:
    """A chunk of a RIFF file; ``claimed``: the size that it says, if not the right one."""
    size = len(body) if claimed is None else claimed
    return name + struct.pack("<I", size) + body + bytes(len(body) % 2)


def wav(
    data: bytes,
    channels: int = 1,
    bits: int = 16,
    form: int = PCM,
    mask: int | None = None,
    data_size: int | None = None,
    riff_size: int | None = None,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A WAV file. ``mask``: which loudspeakers; then it is WAVE_FORMAT_EXTENSIBLE. ``data_size``,
    ``riff_size``: what the header says, if not what is right. ``before``, ``after``: other chunks.
    """
    block = channels * bits // 8
    tag = form if mask is None else EXTENSIBLE
    fmt = struct.pack("<HHIIHH", tag, channels, RATE, RATE * block, block, bits)
    if mask is not None:
        fmt += struct.pack("<HHI", 22, bits, mask) + _PCM_GUID
    body = b"WAVE" + chunk(b"fmt ", fmt) + before + chunk(b"data", data, data_size) + after
    return b"RIFF" + struct.pack("<I", len(body) if riff_size is None else riff_size) + body


def info(text: str = "Recorder 2000") -> bytes:
    """What a recorder writes about itself behind the sound."""
    return chunk(b"LIST", b"INFO" + chunk(b"ISFT", text.encode() + b"\0"))


def aiff(sound: Samples, frames: int | None = None, size: int | None = None) -> bytes:
    """``frames``, ``size``: what the header says of the sound, if not what is right."""
    data = pcm(sound, ">")
    count = len(data) // 2 if frames is None else frames
    rate = struct.pack(">HQ", 16383 + 13, RATE << (63 - 13))  # 80-bit: 16,000 lies above 2 ** 13
    comm = struct.pack(">hIh", 1, count, 16) + rate
    claimed = len(data) + 8 if size is None else size
    body = b"AIFF" + b"COMM" + struct.pack(">I", len(comm)) + comm
    body += b"SSND" + struct.pack(">III", claimed, 0, 0) + data
    return b"FORM" + struct.pack(">I", len(body)) + body


def nist(data: bytes, frames: int, coding: str = "pcm", width: int = 2) -> bytes:
    """A NIST SPHERE file, as collections of speech have them."""
    lines = [
        "NIST_1A", "   1024", "channel_count -i 1", f"sample_count -i {frames}",
        f"sample_rate -i {RATE}", f"sample_n_bytes -i {width}",
        f"sample_coding -s{len(coding)} {coding}",
    ]  # fmt: skip
    if width > 1:
        lines += [f"sample_sig_bits -i {8 * width}", f"sample_byte_format -s{width} 01"]
    return ("\n".join([*lines, "end_head", ""])).encode().ljust(1024) + data


def dss(frames: bytes) -> bytes:
    """The long play of a dictation machine: G.723.1 in blocks of 512 bytes, of which 6 are head."""
    head = bytearray(1024)
    head[:4] = b"\x02dss"
    head[0x26:0x3E] = b"260101120000" + b"260101120007"  # when it began and when it ended
    head[0x2A4] = 2  # G.723.1
    blocks = [bytes(6) + frames[start : start + 506] for start in range(0, len(frames), 506)]
    return bytes(head) + b"".join(blocks)
