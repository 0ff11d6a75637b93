"""Which names are recordings."""

from __future__ import annotations

import pytest

from modules.recordings.names import is_recording, is_visible_folder


@pytest.mark.parametrize(
    "name",
    [
        "talk.mp3",
        "TALK.MP3",
        "talk.Opus",
        "2024/May/interview.m4a",
        "-leading dash.wav",
        "colon: \"quotes\" and 'more'.flac",
        "new\nline.ogg",
        "запись \U0001f399.webm",
        "not utf-8 \udcff\udcfe.mp4",
        "cafe\u0301.mkv",
        "talk.part.mp3",
        "talk.mp3.mp3",
        "talk.sync-conflict-20240101-123456-ABCDEFG.mp3",
        "~talk.mp3",
        "123456789_voice.oga",
    ],
)
def test_recordings_are_taken(name: str) -> None:
    assert is_recording(name)


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "/talk.mp3",
        "../talk.mp3",
        "a//talk.mp3",
        "nul\0.mp3",
        "no file system has this \ud800.mp3",
        "talk",
        "mp3",
        ".mp3",
        "",
        "talk.mp3.part",
        "talk.mp3.partial",
        "talk.mp3.crdownload",
        "talk.mp3.filepart",
        "talk.mp3.tmp",
        "talk.mp3.download",
        ".syncthing.talk.mp3.tmp",
        ".syncthing.talk.mp3",
        "~syncthing~talk.mp3",
        "._talk.mp3",
        "~$talk.mp3",
        ".talk.mp3.a1B2c3",
        ".talk.mp3",
        ".DS_Store",
        ".stversions/talk.mp3",
        "a/.hidden/talk.mp3",
        ".transcriber/uploads/talk.mp3",
        "talk.mp3.download/talk.mp3",
        "#recycle/talk.mp3",
        "@eaDir/talk.mp3",
    ],
)
def test_everything_else_is_not(name: str) -> None:
    assert not is_recording(name)


@pytest.mark.parametrize(
    "suffix",
    [".result", ".in_progress", ".error.txt"],
)
def test_our_own_output_is_never_input(suffix: str) -> None:
    assert not is_recording(f"talk.mp3{suffix}")
    assert not is_recording(".talk.mp3.checkpoint")


def test_folders_are_judged_by_every_part() -> None:
    assert is_visible_folder("2024/May")
    assert not is_visible_folder("2024/.git")
    assert not is_visible_folder(".transcriber")
    assert not is_visible_folder("Lost+Found")
