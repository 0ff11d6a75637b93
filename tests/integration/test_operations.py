"""What docs/operations.md promises of backup, restore, moving, going back and two services."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
SLOW, DONE, FAILED, WAITING = "slow.mp3", "done.mp3", "notmedia.mp3", "waiting.mp3"


def work(daemon: ScriptedDaemon) -> dict[str, bytes]:
    """Have one recording done, one failed, one in hand and one that waits.

    Answers the contents of those that have a text, or will have.
    """
    contents = {DONE: daemon.drop(DONE)}
    daemon.drop(FAILED)
    daemon.wait_for_result(DONE, SOON_S)
    daemon.wait_until_in_manual(FAILED, SOON_S)
    contents[SLOW] = daemon.drop(SLOW, chunks=15)
    daemon.wait_for_position(SLOW, 20)
    contents[WAITING] = daemon.drop(WAITING)
    return contents


def text_of(daemon: ScriptedDaemon, name: str) -> str:
    text: str = daemon.wait_for_result(name, SOON_S)["transcription"]["text"]
    return text


def assert_goes_on(daemon: ScriptedDaemon, contents: dict[str, bytes]) -> None:
    daemon.wait_for_log(rf"{SLOW}: going on from the checkpoint", SOON_S)
    for name, content in contents.items():
        assert text_of(daemon, name) == full_text(content)
    assert (daemon.manual / FAILED).is_file()
    assert (daemon.manual / f"{FAILED}.error.txt").is_file()
    assert daemon.files("*.in_progress") == set()


def test_a_backup_taken_while_it_works_is_whole(tmp_path: Path) -> None:
    command = re.search(r"```sh\n(tar .*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert command, "the page has no command for a backup"
    restored = tmp_path / "restored"
    restored.mkdir()
    with ScriptedDaemon(tmp_path / "origin") as daemon:
        contents = work(daemon)
        taken = subprocess.run(["bash", "-c", command.group(1)], cwd=daemon.root, check=False)
        assert taken.returncode in (0, 1), "the page says that 1 is harmless, and nothing else"
        before = daemon.result(DONE)
        archive = daemon.root / "backup.tar.gz"
        subprocess.run(["tar", "--extract", "--file", archive], cwd=restored, check=True)
    assert (restored / "config.yaml").is_file()
    assert not (restored / "shared" / ".transcriber" / "owner.json").exists()
    with ScriptedDaemon(restored) as again:
        again.drop(WAITING)  # it may have come too late for the backup
        assert_goes_on(again, contents)
        assert again.result(DONE) == before, "what was done was done again"


def test_a_text_that_was_deleted_is_made_anew_from_its_result(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path) as daemon:
        content = daemon.drop(DONE)
        daemon.wait_for_result(DONE, SOON_S)
        (daemon.shared / "done.txt").unlink()
        told = daemon._get(f"/result/{DONE}?format=txt")
        assert " ".join(told.split()) == full_text(content)


def test_a_state_of_a_later_version_is_taken_up(tmp_path: Path) -> None:
    daemon = ScriptedDaemon(tmp_path)
    with daemon:
        contents = work(daemon)
    state = daemon.in_progress(SLOW)
    assert state
    for part in (state, state["settings"], state["progress_info"], state["attempts"][0]):
        part["of_a_later_version"] = {"known": False}
    daemon.sidecar(SLOW).write_text(json.dumps(state), encoding="utf-8")
    with daemon:
        assert_goes_on(daemon, contents)


def test_a_folder_that_was_moved_and_lost_its_times_goes_on_where_it_was(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path / "old") as daemon:
        contents = work(daemon)
    before, new = daemon.result(DONE), tmp_path / "new"
    for name in ("shared", "manual"):
        shutil.copytree(daemon.root / name, new / name, copy_function=shutil.copyfile)
    shutil.rmtree(daemon.root)
    with ScriptedDaemon(new) as moved:
        assert_goes_on(moved, contents)
        assert moved.result(DONE) == before, "what was done was done again"


def test_two_services_with_folders_of_their_own_do_not_meet(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path / "one") as one, ScriptedDaemon(tmp_path / "two") as two:
        first, second = one.drop("talk.mp3", seed="one"), two.drop("talk.mp3", seed="two")
        assert text_of(one, "talk.mp3") == full_text(first)
        assert text_of(two, "talk.mp3") == full_text(second)
