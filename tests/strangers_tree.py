"""A folder of somebody else's: sources, pictures, documents, named like recordings."""

from __future__ import annotations

import hashlib
import os
import random
import zlib
from pathlib import Path

_RUSSIAN = "Это не запись, а письмо о записи; и его никто не просил трогать.\r\n" * 4
_SOURCE = "import {{ part{n} }} from './part{n}';\n\nexport const index{n} = () => part{n}();\n"
#: By ending: the content of one file, told apart by its number.
_KINDS = {
    "ts": lambda n: _SOURCE.format(n=n).encode(),
    "mts": lambda n: f"export default {n};\n".encode(),
    "d.ts": lambda n: b"\xef\xbb\xbf" + _SOURCE.format(n=n).encode(),
    "_ru.ts": lambda n: f'<?xml version="1.0"?>\n<!DOCTYPE TS>\n<TS version="{n}"/>\n'.encode(),
    "dts": lambda n: f'/dts-v1/;\n/ {{ model = "board {n}"; compatible = "x"; }};\n'.encode(),
    "tsx": lambda n: _SOURCE.format(n=n).encode(),
    "py": lambda n: f"print({n})\n".encode(),
    "txt": lambda n: f"{n}\n".encode(),
    "json": lambda n: f'{{"n": {n}}}\n'.encode(),
    "rm": lambda n: (f"{n} " + _RUSSIAN).encode("cp1251"),
    "ra": lambda n: ("\ufeff" + _RUSSIAN + str(n)).encode("utf-16-le"),
    "jpg": lambda n: b"\xff\xd8\xff\xe0\x00\x10JFIF" + _noise(n),
    "mp4": lambda n: b"\xff\xd8\xff\xe1\x00\x10Exif" + _noise(n),
    "mov": lambda n: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + _noise(n),
    "au": lambda n: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + _noise(n),
    "snd": lambda n: b"PK\x03\x04\x14\0\0\0" + _noise(n),
    "voc": lambda n: b"\x1f\x8b\x08\0" + zlib.compress(_noise(n)),
    "aac": lambda n: b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + _noise(n),
    "mp3": lambda n: f"\n<!doctype html><title>404 for number {n}</title><p>Gone.\n".encode() * 2,
    "m4a": lambda n: b"\x7fELF\x02\x01\x01" + _noise(n),
    "docx": lambda n: b"PK\x03\x04\x14\0\x06\0" + _noise(n),
}


def _noise(n: int) -> bytes:
    return random.Random(n).randbytes(200 + n % 50)


def plant(root: Path, count: int) -> None:
    """Make so many files under a folder, in folders of ten kinds each, the same in every run."""
    endings = list(_KINDS)
    for n in range(count):
        ending = endings[n % len(endings)]
        folder = root / f"project {n // 100}" / ("src" if n % 2 else "assets")
        folder.mkdir(parents=True, exist_ok=True)
        dot = "" if ending.startswith("_") else "."
        (folder / f"file{n}{dot}{ending}").write_bytes(_KINDS[ending](n))


def digest(root: Path) -> str:
    """A hash over the tree: names, kinds, modes, times and contents; not over ``.transcriber``."""
    found = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if ".transcriber" in path.parts or not path.is_file():
            continue
        facts = path.lstat()
        found.update(os.fsencode(path))
        found.update(f"{facts.st_mode} {facts.st_mtime_ns} {facts.st_ino}".encode())
        found.update(path.read_bytes())
    return found.hexdigest()
