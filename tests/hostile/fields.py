"""Recordings of which one field of a header is changed: the same case for the same number.

``python -m tests.hostile.fields FIRST COUNT`` opens and decodes that many, one after the other, and
prints a line before and after each, so that it is known which one a codec crashed or hung with.
"""

from __future__ import annotations

import contextlib
import faulthandler
import itertools
import random
import resource
import struct
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from modules.audio.recording import Hearing, Limits, Samples, open_recording
from modules.audio.resampler import SAMPLE_RATE
from modules.errors import TranscriberError
from tests.hostile.corpus import corpus
from tests.hostile.sound import FORMS, beep
from tests.hostile.structure import PARTS
from tests.unit.audio.test_recording import KINDS, make

#: Header fields are here, or in the header of a chunk, box, page or packet.
HEAD = 512
#: So much of a recording is decoded.
DECODED_S = 5.0
#: A case that takes longer hangs, whatever else the machine does, in seconds.
HANGS_S = 60.0
MEMORY = 4 * 2**30
LARGEST = 300_000
PARTS_MAX = 2_000
_BYTES = (0x00, 0xFF, 0x7F)
_SIZES = (0, 1, 0x7F, 0xFF, 2**15 - 1, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
_BY_MARK = {
    b"RIFF": "wav", b"FORM": "aiff", b"OggS": "ogg", b"fLaC": "flac", b"\x1aE\xdf\xa3": "mkv",
    b"0&\xb2u": "wma", b"#!AM": "amr", b"ID3\x04": "mp3",
}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """``content`` instead of the bytes at ``at`` of the recording ``name``."""

    name: str
    at: int
    content: bytes

    def __str__(self) -> str:
        return f"{self.name!a} at {self.at}: {self.content.hex()}"


@cache
def originals() -> tuple[tuple[str, bytes], ...]:
    """Good recordings of all kinds, and the hostile ones that are not huge."""
    with tempfile.TemporaryDirectory() as folder:
        made = [(name, make(Path(folder), name, 0.5).read_bytes()) for name in KINDS]
    made += [(f"beep.{form}", beep(form)) for form in FORMS]
    hostile = corpus("/outside.wav", "neighbour.txt", 9)
    made += [(c.name, c.data) for c in hostile if 0 < len(c.data) < LARGEST and not c.sparse_size]
    return tuple(made)


@cache
def places(number: int) -> tuple[tuple[int, int], ...]:
    """(start, end) of the headers of the recording of this number."""
    data = originals()[number][1]
    found = [(0, min(HEAD, len(data)))]
    form = "m4a" if data[4:8] == b"ftyp" else _BY_MARK.get(data[:4], "")
    if not form and data[:1] == b"G" and data[188:189] == b"G":
        form = "ts"
    # Damaged ones have no structure that can be followed to the end.
    with contextlib.suppress(IndexError, ValueError, struct.error, RecursionError):
        for part in itertools.islice(PARTS[form](data) if form else (), PARTS_MAX):
            found.append((part.start, min(part.start + part.head + 16, len(data))))
    return tuple((start, end) for start, end in found if start < end)


def change(case: int) -> tuple[Change, bytes]:
    """The change of this number, and the whole file with it."""
    rng = random.Random(case)
    # Every other one is a good recording: what is damaged already is often refused at once.
    number = rng.randrange(len(originals()) if case % 2 else len(KINDS) + len(FORMS))
    name, data = originals()[number]
    start, end = rng.choice(places(number)) if rng.random() < 0.7 else places(number)[0]
    at = rng.randrange(start, end)
    content = _content(rng, data, at)
    return Change(name, at, content), data[:at] + content + data[at + len(content) :]


def _content(rng: random.Random, data: bytes, at: int) -> bytes:
    if rng.random() < 0.5:
        return bytes([rng.choice((*_BYTES, rng.randrange(256)))])
    width = rng.choice((2, 3, 4, 8))
    order = rng.choice(("little", "big"))
    now = int.from_bytes(data[at : at + width], order)  # type: ignore[arg-type]
    value = rng.choice((*_SIZES, now + 1, max(0, now - 1), now * 2, rng.getrandbits(8 * width)))
    return (value % 2 ** (8 * width)).to_bytes(width, order)  # type: ignore[arg-type]


def speech(samples: Samples) -> list[tuple[int, int]]:
    """Takes all for speech that is loud at its end, so that channels and tracks differ."""
    return [(0, len(samples))] if len(samples) and abs(float(samples[-1])) > 1e-3 else []


def ends(path: Path) -> str:
    """How the program ends with a recording. Raises what is no answer."""
    try:
        with open_recording(path, Limits(), Hearing(speech, "all")) as recording:
            decoded = 0
            for block in recording.blocks():
                assert abs(block).max(initial=0.0) <= 1.0
                decoded += len(block)
                if decoded > DECODED_S * SAMPLE_RATE:
                    break
            return f"{decoded} samples, {recording.partial}, {len(recording.left_out)} left out"
    except TranscriberError as error:
        return error.code


def main(arguments: Sequence[str]) -> None:
    first, count = map(int, arguments)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.enable()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "case")
        for case in range(first, first + count):
            for line in _tried(case, path):
                print(f"{case}\t{line}", flush=True)


def _tried(case: int, path: Path) -> Iterator[str]:
    made, data = change(case)
    path.write_bytes(data)
    yield f"try\t{made}"
    faulthandler.dump_traceback_later(HANGS_S, exit=True)
    began = time.process_time()
    try:
        answer = f"end\t{ends(path)}"
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        answer = f"bad\t{type(error).__name__}: {error}"
    faulthandler.cancel_dump_traceback_later()
    yield f"{answer}\t{time.process_time() - began:.2f} s"


if __name__ == "__main__":
    main(sys.argv[1:])
