"""Which names are recordings."""

from __future__ import annotations

import pytest

from modules.recordings.names import is_recording, is_visible_folder
from modules.recordings.skipped import is_skipped


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
        "recorder.3gpp",
        "New Recording 7.qta",
        "camera.MXF",
        "speech.mp4a",
        "old.3gpp2",
        "meeting.mpc",
        "tape.dv",
        "voice.f32.wav",
        "talk.final.mp4",
        "@home/talk.mp3",
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
        "Talk.f251.webm",
        "Talk [x].f140-drc.m4a",
        "Talk.fhls-audio-0-English.mp4",
        "Talk.temp.mp4",
        "Talk.tmp.mkv",
        "Talk.f251.webm.part-Frag1",
        "Talk.webm.ytdl",
        "Talk.mp4.aria2",
        "Talk.mp4.lftp-pget-status",
        "Talk.mp4.!qB",
        "#snapshot/GMT+01_2026/talk.mp3",
        "@tmp/talk.mp3",
        "__MACOSX/talk.mp3",
        "files_trashbin/files/talk.mp3.d1700000000/talk.mp3",
        "a/@Recently-Snapshot/talk.mp3",
        ".Trash-1000/files/talk.mp3",
        "~snapshot/talk.mp3",
        "Network Trash Folder/talk.mp3",
        "web/node_modules/x/index.mts",
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


@pytest.mark.parametrize("name", ["a.xyz", "photo.jpg", "README", "Talk.f251.webm", "song.m4p"])
def test_what_is_skipped_for_its_name_is_worth_a_word(name: str) -> None:
    assert is_skipped(name)


@pytest.mark.parametrize(
    "name",
    ["talk.mp3", "talk.txt", "talk.mp3.result", "talk.mp3.in_progress", "talk.mp3.error.txt",
     "settings.yaml", "talk.mp3.settings.yaml", ".DS_Store", "talk.mp3.part", "talk.webm.ytdl",
     "talk.f1.webm.part-Frag3"],
)  # fmt: skip
def test_ours_and_what_is_not_whole_is_not_worth_a_word(name: str) -> None:
    assert not is_skipped(name)


@pytest.mark.parametrize(
    ("name", "possible"),
    [
        ("a/" * 64 + "talk.mp3", True),
        ("a/" * 65 + "talk.mp3", False),
        ("ж" * 251 + ".mp3", True),
        ("a" * 1016 + ".mp3", True),
        ("a" * 1017 + ".mp3", False),
        ("/".join(["a" * 200] * 20) + "/talk.mp3", True),
        ("/".join(["a" * 200] * 21) + "/talk.mp3", False),
    ],
)
def test_a_name_that_no_disk_can_hold_is_none(name: str, possible: bool) -> None:
    assert is_recording(name) is possible
