"""What a file is by its first bytes, where that is no recording. Only looks at bytes.

Nothing is decoded here: whether a recording can be read is for the child process to find out.
"""

from __future__ import annotations

from pathlib import Path

from modules.storage.atomic import storage_errors
from modules.storage.safe_open import open_regular

#: So many bytes of a file are looked at.
HEAD_BYTES = 4096

#: Fewer bytes than this may be anything, however much they look like text.
_TEXT_BYTES_MIN = 16
#: The same where any byte can be a letter, as in Windows' code pages.
_CODE_PAGE_BYTES_MIN = 64

_PROGRAM = "a program"
_FONT = "a font"
_TIFF = "a TIFF picture"
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"\x1f\x8b\x08", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"{\\rtf", "an RTF document"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an older office document"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\x00", _TIFF),
    (b"MM\x00*", _TIFF),
    (b"8BPS", "a Photoshop picture"),
    (b"\x00\x00\x01\x00\x01\x00", "an icon"),
    (b"\x7fELF", _PROGRAM),
    (b"MZ", _PROGRAM),
    (b"\xcf\xfa\xed\xfe", _PROGRAM),
    (b"\xca\xfe\xba\xbe", _PROGRAM),
    (b"\x00asm", _PROGRAM),
    (b"wOFF", _FONT),
    (b"wOF2", _FONT),
    (b"OTTO", _FONT),
    (b"\x3c\xb8\x64\x18", "a compiled translation"),
    (b"MThd", "a MIDI file, which holds notes and no sound"),
    (b"SQLite format 3", "a database"),
)
#: Pictures in containers that recordings use, too: what stands at the eighth byte.
_BRANDS = {
    b"RIFF": {b"WEBP": "a WebP picture"},
    b"ftyp": dict.fromkeys((b"heic", b"heix", b"mif1", b"msf1", b"avif"), "a HEIF picture"),
}
_TAR = "a tar archive"
#: Recordings whose header is text.
_TEXT_HEADERS = ("nist_1a", "#!amr", "pvf1")

_PLAYLIST = "a playlist, which only points to recordings"
#: Beginnings of texts, looked for in lower case after blank space and a byte order mark.
_TEXTS: tuple[tuple[str, str], ...] = (
    ("#extm3u", _PLAYLIST),
    ("ffconcat", _PLAYLIST),
    ("[playlist]", _PLAYLIST),
    ("<asx", _PLAYLIST),
    ("<smil", _PLAYLIST),
    ("<!doctype html", "a web page"),
    ("<html", "a web page"),
    ("<?xml", "an XML document"),
    ("<!doctype ts", "an XML document"),
    ("<svg", "an SVG picture"),
    ("webvtt", "subtitles"),
)
_TEXT = "a text document"
#: What a text has of the characters below the blank.
_WHITE = b"\t\n\r\f\x1b"
_CONTROL = bytes(c for c in range(32) if c not in _WHITE) + b"\x7f"

#: All answers of ``kind_of``.
KINDS = frozenset(
    {
        *(kind for _, kind in (*_SIGNATURES, *_TEXTS)),
        *(kind for brands in _BRANDS.values() for kind in brands.values()),
        _TAR,
        _TEXT,
    }
)


def head_of(path: Path) -> bytes:
    """The first bytes of a regular file. Raises StorageError."""
    with storage_errors(path), open_regular(path) as file:
        return file.read(HEAD_BYTES)


def kind_of(head: bytes) -> str | None:
    """What this certainly is instead of a recording, as in "a PDF document"; else None.

    To be asked of files in which no recording was found: a recording may begin with any two bytes.
    """
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[257:262] == b"ustar":
        return _TAR
    brands = _BRANDS.get(head[:4]) or _BRANDS.get(head[4:8], {})
    return brands.get(head[8:12]) or _kind_of_text(head)


def kind_of_text(head: bytes) -> str | None:
    """The same for texts alone, of which one line leaves no doubt."""
    return _kind_of_text(head) if len(head) >= _TEXT_BYTES_MIN else None


def _kind_of_text(head: bytes) -> str | None:
    text = _as_text(head)
    if text is None:
        return None
    start = text.lstrip("\ufeff \t\r\n").lower()
    if start.startswith(_TEXT_HEADERS):
        return None
    return next((kind for prefix, kind in _TEXTS if start.startswith(prefix)), _TEXT)


def _as_text(head: bytes) -> str | None:
    """The bytes as text if that is what they are, in UTF-8, UTF-16 or a code page."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = head.decode("utf-16", "replace")
        # The last character may have been cut in half by where the head ends.
        return None if "\ufffd" in text[:-1] or "\0" in text else text
    if not head.strip() or head.translate(None, _CONTROL) != head:
        return None
    text = head.decode("utf-8", "replace")
    if "\ufffd" not in text[:-3]:
        return text
    # In a code page any byte is a letter; in sound some of so many would be control characters.
    return head.decode("latin-1") if len(head) >= _CODE_PAGE_BYTES_MIN else None
