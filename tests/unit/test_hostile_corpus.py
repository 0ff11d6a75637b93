"""The corpus of hostile files itself, and each of its files at the door, without the daemon."""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.audio.decoder import Limits
from modules.audio.recording import open_recording
from modules.audio.resampler import SAMPLE_RATE
from modules.errors import MediaError
from modules.recordings.names import is_recording
from modules.storage.transfer import NAME_MAX
from tests.hostile.case import Case, Ending
from tests.hostile.corpus import corpus
from tests.hostile.sound import beep
from tests.hostile.structure import PARTS, parts

ROOT = Path(__file__).parents[2]
FILES_MIN = 300
#: More than the longest of them lasts that has to be decoded.
LONGEST_S = 1_800.0


@functools.cache
def cases() -> tuple[Case, ...]:
    """Made once, and only where they are tested: that takes a second."""
    return tuple(corpus("/outside.wav", "neighbour.txt", 9))


def _digest() -> str:
    digest = hashlib.sha256()
    for case in cases():
        digest.update(os.fsencode(case.name) + b"\0" + case.data)
    return digest.hexdigest()


def test_there_are_three_hundred_under_names_that_are_taken_for_recordings() -> None:
    names = {case.name for case in cases()}
    assert len(names) == len(cases()) >= FILES_MIN
    assert [name for name in names if not is_recording(name)] == []
    assert max(len(os.fsencode(name)) for name in names) == NAME_MAX
    endings = Counter(case.ending for case in cases())
    assert all(endings[ending] >= 10 for ending in Ending), endings


def test_it_is_the_same_in_every_run() -> None:
    code = "from tests.unit import test_hostile_corpus as here; print(here._digest())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip() == _digest()


@pytest.mark.parametrize("form", PARTS)
def test_the_parts_of_a_good_file_lie_within_it_and_reach_its_end(form: str) -> None:
    data = beep(form)
    found = list(PARTS[form](data))
    assert len(parts(form, data)) >= 3
    assert all(part.start < part.end <= len(data) for part in found)
    assert form == "mp3" or max(part.end for part in found) == len(data)


def test_every_file_is_answered_at_the_door(tmp_path: Path) -> None:
    complaints = [f"{case.name!r}: {what}" for case in cases() for what in _wrong(case, tmp_path)]
    assert not complaints, "\n".join(complaints)


def _wrong(case: Case, folder: Path) -> Iterator[str]:
    path = case.write(folder)
    try:
        with open_recording(path, Limits()) as recording:
            decoded_s = sum(len(block) for block in recording.blocks()) / SAMPLE_RATE
    except MediaError as error:
        if case.ending in (Ending.TEXT, Ending.RESULT) or case.code not in (None, error.code):
            yield f"refused as {error.code}: {error}"
        return
    finally:
        path.unlink()
    if case.ending is Ending.REFUSED or not 0 < decoded_s < LONGEST_S:
        yield f"{decoded_s} s of sound"
    if case.partial and not recording.partial:
        yield "nothing says that it is not whole"
