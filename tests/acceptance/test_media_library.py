"""A small library of films with the real engine and the configuration of the documents."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests import library
from tests.daemon_process import PROJECT, DaemonProcess, missing_weights
from tests.docs.page_settings import library_settings

pytestmark = pytest.mark.acceptance

RUSSIAN, ENGLISH = "Films/Брат (1997)/Брат (1997).mkv", "Films/Heat (1995)/Heat (1995).avi"
TWO = "Films/M (1931)/M (1931).mkv"
SILENT = "Films/The Silent (1963)/The Silent (1963).mp4"
BROKEN = "Series/Dark/Season 01/Dark S01E01.mkv"
PRESENT = "Series/Dark/Season 01/Dark S01E02.mkv"
ALL_S = 600.0


def spoken(sample: str) -> np.ndarray:
    """A sample as 16 kHz mono."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=library.RATE)
    pieces = []
    with av.open(str(PROJECT / "samples" / sample)) as file:
        for frame in file.decode(audio=0):
            pieces += [each.to_ndarray()[0] for each in resampler.resample(frame)]
        pieces += [each.to_ndarray()[0] for each in resampler.resample(None)]
    return np.concatenate(pieces)


@dataclass(frozen=True)
class Ended:
    root: Path
    before: dict[str, Any]
    after: dict[str, Any]

    def subtitles(self, name: str) -> str:
        return (self.root / name).read_text("utf-8").lower()

    def error(self, name: str) -> str:
        state = self.root / ".transcriber" / "sidecars" / f"{name}.in_progress"
        return str(json.loads(state.read_bytes())["error"]["code"])


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    if why := missing_weights():
        pytest.skip(why)
    daemon = DaemonProcess(tmp_path_factory.mktemp("films"), library_settings())
    russian, english = spoken("please-hold-ru.wav"), spoken("please-hold-en.flac")
    library.film(daemon.shared / RUSSIAN, [russian])
    library.film(daemon.shared / ENGLISH, [english])
    library.film(daemon.shared / TWO, [english, russian], ["eng", "rus"])
    library.film(daemon.shared / SILENT)
    library.film(daemon.shared / PRESENT, [russian])
    (daemon.shared / BROKEN).write_bytes(np.random.default_rng(7).bytes(30_000))
    (daemon.shared / PRESENT).with_suffix(".srt").write_text("theirs")
    before = library.snapshot(daemon.shared)

    def all_ended() -> bool:
        root = daemon.shared / ".transcriber" / "sidecars"
        done = list(root.rglob("*.result")) if root.is_dir() else []
        failed = [
            path
            for path in (root.rglob("*.in_progress") if root.is_dir() else ())
            if b'"should_continue": false' in path.read_bytes()
        ]
        return (len(done), len(failed)) == (3, 2)

    with daemon:
        daemon.wait_for(all_ended, "three films are done, two have failed", ALL_S)
    return Ended(daemon.shared, before, library.snapshot(daemon.shared))


def test_only_subtitles_appear_with_the_language_that_is_spoken(ended: Ended) -> None:
    assert {name: ended.after.get(name) for name in ended.before} == ended.before
    assert set(ended.after) - set(ended.before) == {
        RUSSIAN.replace(".mkv", ".ru.srt"),
        ENGLISH.replace(".avi", ".en.srt"),
        TWO.replace(".mkv", ".en.srt"),
    }


def test_the_subtitles_say_what_is_said(ended: Ended) -> None:
    assert "пожалуйста" in ended.subtitles(RUSSIAN.replace(".mkv", ".ru.srt"))
    for name in (ENGLISH.replace(".avi", ".en.srt"), TWO.replace(".mkv", ".en.srt")):
        assert "please" in ended.subtitles(name)


def test_what_failed_says_why_and_stays(ended: Ended) -> None:
    assert ended.error(SILENT) == "no_audio"
    assert ended.error(BROKEN) == "not_media"
    assert (ended.root / BROKEN).is_file()
