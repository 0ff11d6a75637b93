"""Files beside each other, and files that change while they run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.acceptance.recordings import SAMPLES, Form, encode
from tests.daemon_process import DaemonProcess, text_of
from tests.speech import Clip, word_error_rate

pytestmark = pytest.mark.acceptance

RUSSIAN = SAMPLES / "please-hold-ru.wav"
QUEUE = SAMPLES / "queue-ru.mp4"


def _said(sample: Path) -> str:
    return sample.with_suffix(".txt").read_text(encoding="utf-8")


def test_somebody_elses_subtitles_are_left_alone(russian: DaemonProcess) -> None:
    foreign = russian.shared / "talk.srt"
    foreign.write_text("my own subtitles\n", encoding="utf-8")
    result = russian.wait_for_result(russian.put(QUEUE, "talk.mp4"))
    assert foreign.read_text(encoding="utf-8") == "my own subtitles\n"
    assert result["outputs"] == ["talk.txt", "talk.mp4.srt"]
    assert "-->" in (russian.shared / "talk.mp4.srt").read_text(encoding="utf-8")


def test_two_recordings_of_one_stem_do_not_collide(russian: DaemonProcess, tmp_path: Path) -> None:
    encode(QUEUE, tmp_path / "pair.mp3", Form("mp3", "libmp3lame", 44_100))
    russian.put(tmp_path / "pair.mp3")
    russian.put(RUSSIAN, "pair.wav")
    results = {name: russian.wait_for_result(name) for name in ("pair.mp3", "pair.wav")}
    for name, sample in (("pair.mp3", QUEUE), ("pair.wav", RUSSIAN)):
        assert word_error_rate(_said(sample), text_of(results[name])) <= 0.25
        for output in results[name]["outputs"]:
            assert output.startswith(name), "the full name is used where a stem is shared"
        written = (russian.shared / f"{name}.txt").read_text(encoding="utf-8")
        assert written.split() == text_of(results[name]).split()


def test_a_recording_replaced_while_it_runs_is_transcribed_anew(
    russian: DaemonProcess, long_clip: Clip, tmp_path: Path
) -> None:
    name = russian.put(long_clip.path, "replaced.wav")
    _wait_until_it_runs(russian, name)
    shutil.copyfile(RUSSIAN, tmp_path / name)
    os.replace(tmp_path / name, russian.shared / name)
    result = russian.wait_for_result(name)
    assert word_error_rate(_said(RUSSIAN), text_of(result)) <= 0.25
    assert result["source"]["size"] == RUSSIAN.stat().st_size


def test_a_recording_deleted_while_it_runs_leaves_nothing(
    russian: DaemonProcess, long_clip: Clip
) -> None:
    name = russian.put(long_clip.path, "deleted.wav")
    _wait_until_it_runs(russian, name)
    (russian.shared / name).unlink()
    russian.wait_for_log(r"deleted\.wav: cancelled", 60)
    russian.wait_for(
        lambda: not russian.files("*deleted*") or None, "all that belongs to it went", 60
    )
    # The next one runs, and the deleted one does not come back.
    russian.wait_for_result(russian.put(RUSSIAN, "next.wav"))
    assert russian.files("*deleted*") == set()
    assert not list(russian.manual.iterdir())


def _wait_until_it_runs(daemon: DaemonProcess, name: str) -> None:
    def runs() -> bool | None:
        state = daemon.in_progress(name)
        return (state is not None and state["progress_info"]["percentage"] > 0) or None

    daemon.wait_for(runs, f"{name} is running")
