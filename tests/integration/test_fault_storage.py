"""What goes wrong with the disk, with the real daemon on real mounts and real permissions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from modules.recordings.names import STATE_FOLDER
from modules.recordings.sidecars import RecordingPaths
from tests.daemon_process import PROJECT, text_of
from tests.mounts import bound_by_permissions, mount, mounted
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import NOT_MEDIA, full_text, recording
from tests.soak import soak

#: As long as a name can be; each byte counts, not each letter.
LONG_NAMES = {
    "ascii": "x" * 251 + ".mp3",
    "cyrillic": "ы" * 125 + "x.mp3",
    "bytes": os.fsdecode(b"\xff" * 251) + ".mp3",
    "nearly": "b" * 244 + ".mp3",
}
#: NFC and NFD of one name are two files, and both lie there at once.
ODD_NAMES = [
    os.fsdecode(b"caf\xe9 \xff.mp3"), "new\nline\r.mp3", "-rf.mp3", "--config.mp3", "a: b.mp3",
    "\"quoted\" 'too'.mp3", "caf\u00e9.mp3", "cafe\u0301.mp3", "\U0001f399 запись.mp3",
    "%s {} $HOME `id`.mp3", " blanks .mp3", "tab\tbell\a.mp3", "back\\slash.mp3", "a*b?[c].mp3",
    "\u202egnp.mp3", "two..dots.mp3", "~.mp3", "UPPER.MP3",
]  # fmt: skip

WRITER = """
import sys
from pathlib import Path
from modules.storage.atomic import to_json, write_whole
number = 0
while True:
    number += 1
    write_whole(Path(sys.argv[1]), to_json({"number": number, "text": [number] * 20000}))
    print(number, flush=True)
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path) as running:
        yield running


def check_text(daemon: ScriptedDaemon, name: str, content: bytes) -> dict[str, Any]:
    path = daemon.shared / RecordingPaths(name).result
    daemon.wait_for(path.exists, f"the result of {name!a}", SOON_S)
    result: dict[str, Any] = json.loads(path.read_bytes())
    assert text_of(result) == full_text(content), ascii(name)
    assert result["processing_stats"]["total_attempts"] == 1, ascii(name)
    return result


def wait_for_reason(daemon: ScriptedDaemon, words: str) -> None:
    def told() -> bool:
        report = daemon.health()
        return report["status"] == "unhealthy" and words in str(report["reasons"])

    daemon.wait_for(told, f"health says {words!r}", SOON_S)


# --- writes that are cut off, files that make no sense ---


def test_a_process_killed_while_it_writes_leaves_a_whole_file(tmp_path: Path) -> None:
    path, random = tmp_path / "talk.mp3.in_progress", Random(5)
    for _ in range(soak(12, 300)):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            told = int(writer.stdout.readline())
            end = time.monotonic() + random.uniform(0.0, 0.05)
            while time.monotonic() < end:
                told = check_whole(path, told)
            writer.kill()
        check_whole(path, told)


def check_whole(path: Path, at_least: int) -> int:
    """The number in a file that is whole, and no older than what was there before."""
    content = json.loads(path.read_bytes())
    number = int(content["number"])
    assert content["text"] == [number] * 20000
    assert number >= at_least
    return number


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\x00" * 4096, b'{"filename": "x"}'])
def test_files_of_ours_that_make_no_sense_cost_nothing(tmp_path: Path, content: bytes) -> None:
    daemon = ScriptedDaemon(tmp_path)
    sound = daemon.drop("talk.mp3")
    for name in ("talk.mp3.in_progress", "talk.mp3.result", ".talk.mp3.checkpoint"):
        (daemon.shared / name).write_bytes(content)
    state = daemon.shared / STATE_FOLDER
    state.mkdir()
    for name in ("jobs.sqlite", "owner.json", "speed.json"):
        (state / name).write_bytes(content)
    with daemon:
        daemon.wait_for_log(r"talk\.mp3: completed", SOON_S)
        check_text(daemon, "talk.mp3", sound)
        assert (state / "corrupt" / "talk.mp3.in_progress").read_bytes() == content
        assert "talk.mp3.in_progress was set aside" in daemon.log


# --- permission denied, read-only, busy ---


def test_a_read_only_share_is_told_and_waited_for(daemon: ScriptedDaemon) -> None:
    content = daemon.drop("slow.mp3", 16)
    daemon.wait_for_position("slow.mp3", 20)
    with mounted(daemon.shared, "--bind", daemon.shared):
        mount(daemon.shared, "-o", "remount,bind,ro")
        wait_for_reason(daemon, "read-only")
        assert not (daemon.shared / "slow.mp3.result").exists()
    check_text(daemon, "slow.mp3", content)
    daemon.wait_for(lambda: daemon.health()["status"] != "unhealthy", "it is well again", SOON_S)


def test_a_folder_without_permission_to_write_is_told_and_waited_for(tmp_path: Path) -> None:
    daemon = ScriptedDaemon(tmp_path, prefix=bound_by_permissions())
    state = daemon.shared / STATE_FOLDER
    with daemon:
        content = daemon.drop("slow.mp3", 16)
        daemon.wait_for_position("slow.mp3", 20)
        for folder in (daemon.shared, state):
            folder.chmod(0o555)
        try:
            wait_for_reason(daemon, "Access is denied")
        finally:
            for folder in (daemon.shared, state):
                folder.chmod(0o755)
        check_text(daemon, "slow.mp3", content)


def test_a_recording_that_may_not_be_read_holds_up_no_other(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path, prefix=bound_by_permissions()) as daemon:
        hidden = daemon.shared / "secret.mp3.part"
        hidden.write_bytes(content := recording(3, "secret"))
        hidden.chmod(0)
        hidden.rename(daemon.shared / "secret.mp3")
        daemon.wait_for_log(r"secret\.mp3: waiting \(waiting: secret\.mp3 may not be read", SOON_S)
        check_text(daemon, "talk.mp3", daemon.drop("talk.mp3"))
        assert daemon.health()["status"] != "unhealthy"
        (daemon.shared / "secret.mp3").chmod(0o644)
        check_text(daemon, "secret.mp3", content)


@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_a_subfolder_that_may_not_be_read_holds_up_nothing(tmp_path: Path, mode: int) -> None:
    """Neither the start nor the work."""
    prefix = bound_by_permissions()
    daemon = ScriptedDaemon(tmp_path, {"watch": {"recursive": True}}, prefix)
    closed = daemon.shared / "closed"
    closed.mkdir()
    content = recording(3, "closed")
    (closed / "talk.mp3").write_bytes(content)
    closed.chmod(mode)
    try:
        with daemon:
            check_text(daemon, "open.mp3", daemon.drop("open.mp3"))
            assert "closed" in daemon.log, "nobody was told"
            closed.chmod(0o755)
            check_text(daemon, "closed/talk.mp3", content)
    finally:
        closed.chmod(0o755)


def test_a_recording_that_is_busy_is_moved_when_it_is_free(tmp_path: Path) -> None:
    """A mount on the file itself: nobody can rename or delete it."""
    below = tmp_path / "below.mp3"
    below.write_bytes(recording(1))
    with ScriptedDaemon(tmp_path) as daemon:
        busy = daemon.shared / "notmedia.mp3"
        busy.touch()
        with mounted(busy, "--bind", below):
            daemon.wait_for_log(r"notmedia\.mp3: waiting \(waiting: .*busy", SOON_S)
            check_text(daemon, "talk.mp3", daemon.drop("talk.mp3"))
            assert busy.exists()
        daemon.wait_until_in_manual(busy.name, SOON_S)


# --- names ---


@pytest.mark.parametrize("kind", LONG_NAMES)
def test_a_name_of_255_bytes_is_done(daemon: ScriptedDaemon, kind: str) -> None:
    name, content = LONG_NAMES[kind], recording(6, kind)
    (daemon.shared / name).write_bytes(content)
    result = check_text(daemon, name, content)
    assert result["filename"] == name
    daemon.wait_for(
        lambda: len(os.listdir(daemon.shared)) == 5,
        "only recording, text, subtitles, result and our own folder are there",
        SOON_S,
    )


def test_names_at_the_limit_come_back_from_a_kill_and_do_not_collide(
    daemon: ScriptedDaemon,
) -> None:
    names = ["slow " + "ы" * 120 + f" {number}.mp3" for number in (1, 2)]
    contents = [recording(8, str(number)) for number in (1, 2)]
    for name, content in zip(names, contents, strict=True):
        (daemon.shared / name).write_bytes(content)
    daemon.wait_for_log("running", SOON_S)
    daemon.wait_for(lambda: list(daemon.shared.glob(".*.checkpoint")), "a chunk is kept", SOON_S)
    daemon.kill()
    daemon.start()
    daemon.wait_for_log("going on from the checkpoint|taken up again", SOON_S)
    for name, content in zip(names, contents, strict=True):
        daemon.wait_for((daemon.shared / RecordingPaths(name).result).exists, name, SOON_S)
        result = json.loads((daemon.shared / RecordingPaths(name).result).read_bytes())
        assert (result["filename"], text_of(result)) == (name, full_text(content))


def test_names_of_every_kind_are_done_or_moved(daemon: ScriptedDaemon) -> None:
    contents = {name: recording(2, str(i)) for i, name in enumerate(ODD_NAMES)}
    for name, content in contents.items():
        (daemon.shared / name).write_bytes(content)
        (daemon.shared / f"notmedia {name}").write_bytes(NOT_MEDIA)
    for name, content in contents.items():
        assert check_text(daemon, name, content)["filename"] == name
        moved = daemon.manual / f"notmedia {name}"
        daemon.wait_for(moved.exists, f"{moved.name!a} came to manual/", SOON_S)
        assert (daemon.manual / f"notmedia {name}.error.txt").exists()
    daemon.wait_for(
        lambda: not [name for name in os.listdir(daemon.shared) if name.startswith("notmedia")],
        "nothing of them stayed in the share", SOON_S,
    )  # fmt: skip


# --- manual/ ---


def test_equal_names_are_both_kept_in_a_manual_on_another_volume(tmp_path: Path) -> None:
    manual = tmp_path / "manual"
    manual.mkdir()
    with (
        mounted(manual, "-t", "tmpfs", "-o", "size=8m", "tmpfs"),
        ScriptedDaemon(tmp_path) as daemon,
    ):
        assert manual.stat().st_dev != daemon.shared.stat().st_dev
        (manual / "notmedia.mp3").write_bytes(b"somebody else's")
        for number in (2, 3):
            (daemon.shared / "notmedia.mp3").write_bytes(b"\0%d" % number)
            moved = manual / f"notmedia ({number}).mp3"
            daemon.wait_for(moved.exists, f"{moved.name} is there", SOON_S)
            daemon.wait_for(lambda: daemon.files() == set(), "the share is empty", SOON_S)
            assert moved.read_bytes() == b"\0%d" % number
            assert (manual / f"notmedia ({number}).mp3.error.txt").exists()
        assert (manual / "notmedia.mp3").read_bytes() == b"somebody else's"
        assert not [entry for entry in os.listdir(manual) if entry.startswith(".~")]
