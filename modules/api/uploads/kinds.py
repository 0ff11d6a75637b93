"""The ending that a recording should have, by its first bytes or by its content type. Pure."""

from __future__ import annotations

import re

#: So many bytes of a file are enough.
HEAD_BYTES = 512

#: Offset, bytes, ending; the first that fits.
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (8, b"WAVE", "wav"),
    (8, b"AVI ", "avi"),
    (8, b"AIFF", "aiff"),
    (8, b"AIFC", "aifc"),
    (0, b"riff\x2e\x91\xcf\x11", "w64"),
    (0, b"OggS", "ogg"),
    (0, b"fLaC", "flac"),
    (0, b"ID3", "mp3"),
    (0, b"#!AMR-WB", "awb"),
    (0, b"#!AMR", "amr"),
    (0, b"caff", "caf"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "wma"),
    (0, b"FLV\x01", "flv"),
    (0, b".snd", "au"),
    (0, b"wvpk", "wv"),
    (0, b"MAC ", "ape"),
    (0, b"TTA1", "tta"),
    (0, b"\x0b\x77", "ac3"),
    (0, b"\x00\x00\x01\xba", "mpg"),
    (4, b"moov", "mov"),
    (4, b"mdat", "mov"),
)
#: What begins a container whose kind stands at offset 8.
_CHUNKED = (b"RIFF", b"RF64", b"FORM")

#: Major brands of ISO media files; others are ``mp4``.
_BRANDS = {b"M4A ": "m4a", b"M4B ": "m4b", b"qt  ": "mov", b"3gp": "3gp", b"3g2": "3g2"}

_BY_TYPE = {
    "wav": "wav x-wav wave x-pn-wav vnd.wave",
    "webm": "webm",
    "ogg": "ogg oga",
    "opus": "opus",
    "mp3": "mpeg mp3 mpeg3 x-mp3 x-mpeg mpga",
    "m4a": "mp4 m4a x-m4a mp4a-latm",
    "aac": "aac x-aac aacp",
    "flac": "flac x-flac",
    "amr": "amr",
    "awb": "amr-wb",
    "3gp": "3gpp",
    "3g2": "3gpp2",
    "aiff": "aiff x-aiff",
    "caf": "x-caf",
    "wma": "x-ms-wma",
    "mkv": "matroska x-matroska",
    "mov": "quicktime",
    "avi": "x-msvideo",
    "flv": "x-flv",
    "au": "basic",
}
_ENDINGS = {kind: ending for ending, kinds in _BY_TYPE.items() for kind in kinds.split()}


def ending_by_content(head: bytes) -> str | None:
    """``webm`` for the first bytes of a WebM file; None if they are of no known kind."""
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "webm" if b"webm" in head[:64] else "mkv"
    if head[4:8] == b"ftyp":
        return next((end for brand, end in _BRANDS.items() if head[8:12].startswith(brand)), "mp4")
    for offset, signature, ending in _SIGNATURES:
        chunked = offset != 8 or head.startswith(_CHUNKED)
        if chunked and head[offset : offset + len(signature)] == signature:
            return ending
    if len(head) > 188 and head[0] == head[188] == 0x47:
        return "ts"
    return _ending_of_mpeg(head)


def _ending_of_mpeg(head: bytes) -> str | None:
    """A frame of MPEG audio begins with eleven set bits; what follows must be allowed."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:
        return "aac"
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bit_rate, sample_rate = head[2] >> 4, head[2] >> 2 & 3
    allowed = version != 1 and layer != 0 and bit_rate not in (0, 15) and sample_rate != 3
    return "mp3" if allowed else None


def ending_by_type(content_type: str | None) -> str | None:
    """``webm`` for ``audio/webm;codecs=opus``; None for what is no kind of sound or picture."""
    found = re.match(r"\s*(audio|video)/([\w.+-]+)", content_type or "", re.IGNORECASE)
    if found is None:
        return None
    if found[1].lower() == "video" and found[2].lower() == "mp4":
        return "mp4"
    return _ENDINGS.get(found[2].lower())
