"""Downloads that break off and go on, and files that are filled late: one text of the whole."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.jobs.job import MAY_BE_GROWING
from tests.daemon_process import text_of
from tests.flaky_server import flaky_server
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import INDEX, full_text, recording

#: Longer than any of these writers pauses.
WAIT_S = 5.0
PART = 350


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    config = {"processing": {"growth_wait_seconds": WAIT_S}}
    with ScriptedDaemon(tmp_path_factory.mktemp("growing"), config) as running:
        yield running


def check_one_text(daemon: ScriptedDaemon, name: str, content: bytes) -> None:
    result = daemon.wait_for_result(name, SOON_S)
    assert text_of(result) == full_text(content.removesuffix(INDEX))
    assert result["processing_stats"]["total_attempts"] == 1
    assert list(daemon.manual.iterdir()) == []
    assert daemon.log.count(f"{name}: completed") == 1
    assert f"{name}: attempt" not in daemon.log, "an attempt was counted"


def wait_until_left_alone(daemon: ScriptedDaemon, name: str) -> None:
    def so() -> bool:
        error = (daemon.in_progress(name) or {}).get("error") or {}
        return error.get("code") == MAY_BE_GROWING

    daemon.wait_for(so, f"{name} waits as it may be growing", SOON_S)


def arrive_in_parts(daemon: ScriptedDaemon, name: str, content: bytes) -> None:
    """No part gets a text of its own."""
    path = daemon.shared / name
    for start in range(0, len(content), PART):
        with path.open("ab") as part:
            part.write(content[start : start + PART])
        if start + PART < len(content):
            wait_until_left_alone(daemon, name)
            assert not daemon.files(f"{path.stem}*.result")


@pytest.mark.parametrize("name", ["indexed parts.mp4", "announced.wav"])
def test_a_download_in_parts_becomes_one_text(daemon: ScriptedDaemon, name: str) -> None:
    """Of WAV and FLAC a part can be read, and is known to be one; of an indexed MP4 none can."""
    content = recording(9, name) + INDEX
    arrive_in_parts(daemon, name, content)
    check_one_text(daemon, name, content)


def test_what_never_grows_gets_the_text_of_the_part(daemon: ScriptedDaemon) -> None:
    content = daemon.drop("announced cut.wav", 3, "cut")
    wait_until_left_alone(daemon, "announced cut.wav")
    check_one_text(daemon, "announced cut.wav", content)


@pytest.mark.parametrize(
    "command",
    [
        ["wget", "-q", "-c", "-t", "60", "--waitretry=0.2", "--retry-connrefused", "-O"],
        ["curl", "-s", "-f", "-C", "-", "-o"],
    ],
    ids=["wget", "curl"],
)
def test_a_download_that_breaks_off_is_one_text(daemon: ScriptedDaemon, command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    content = recording(9, command[0]) + INDEX
    path = daemon.shared / f"indexed {command[0]}.mp4"
    with flaky_server(content, PART, away_s=1.0) as address:
        deadline = time.monotonic() + SOON_S
        # A person, or a script, who goes on with what has broken off.
        while subprocess.run([*command, str(path), address], timeout=SOON_S).returncode:
            assert time.monotonic() < deadline, f"{command[0]} does not come to an end"
            time.sleep(0.2)
    assert path.read_bytes() == content
    check_one_text(daemon, path.name, content)


def test_an_empty_file_that_is_filled_in_place_is_one_text(daemon: ScriptedDaemon) -> None:
    content = recording(4, "late") + INDEX
    path = daemon.shared / "indexed late.mp4"
    path.touch()
    wait_until_left_alone(daemon, path.name)
    with path.open("r+b") as filling:
        filling.write(content)
    check_one_text(daemon, path.name, content)


def test_a_text_of_the_first_part_is_followed_by_one_of_the_whole(daemon: ScriptedDaemon) -> None:
    """Such as AAC without a container, which does not say how long it is."""
    content = recording(7, "first")
    path = daemon.shared / "first.aac"
    path.write_bytes(content[:PART])
    first = daemon.wait_for_result(path.name, SOON_S)
    assert text_of(first) == full_text(content[:PART])
    with path.open("ab") as more:
        more.write(content[PART:])
    whole = full_text(content)

    def so() -> bool:
        return text_of(daemon.result(path.name) or first) == whole

    daemon.wait_for(so, "the text of the whole", SOON_S)
    assert (daemon.shared / "first.txt").read_text(encoding="utf-8").split() == whole.split()
    whole_set = {"first.aac", "first.aac.result", "first.txt", "first.srt"}
    daemon.wait_for(lambda: daemon.files("first*") == whole_set, "only the texts are left", SOON_S)


def test_a_restart_does_not_make_the_wait_shorter(tmp_path: Path) -> None:
    config = {"processing": {"growth_wait_seconds": 600}}
    daemon = ScriptedDaemon(tmp_path, config)
    content = recording(7, "restart") + INDEX
    path = daemon.shared / "indexed.mp4"
    with daemon:
        path.write_bytes(content[:PART])
        wait_until_left_alone(daemon, path.name)
        shown = json.loads(
            subprocess.run(
                daemon.command("status", "--json"), capture_output=True, timeout=60, check=True
            ).stdout
        )
        assert "may still be growing" in shown["recordings"][0]["error"]
    with daemon:
        daemon.wait_for_log(
            r"indexed\.mp4: waiting \(it may still be growing, tried again in 5\d\d s"
        )
        with path.open("ab") as more:
            more.write(content[PART:])
        check_one_text(daemon, path.name, content)


def test_the_place_of_a_long_download_is_not_given_up_on(tmp_path: Path) -> None:
    """Firefox keeps an empty file where the whole will be; aria2 and lftp one of full size."""
    content = recording(4, "place") + INDEX
    with ScriptedDaemon(tmp_path, {"processing": {"growth_wait_seconds": 0}}) as daemon:
        shared = daemon.shared
        firefox = shared / "indexed firefox.mp4", shared / "indexed firefox.AbC1d2eF.mp4.part"
        aria2 = shared / "indexed aria2.mp4", shared / "indexed aria2.mp4.aria2"
        firefox[1].write_bytes(content[:PART])
        firefox[0].touch()
        aria2[1].touch()
        aria2[0].write_bytes(bytes(len(content)))
        # What was put there later is done, so these had their turn.
        daemon.drop("other.mp3")
        daemon.wait_for_result("other.mp3", SOON_S)
        time.sleep(1.0)
        assert "indexed" not in daemon.log
        firefox[1].write_bytes(content)
        firefox[1].replace(firefox[0])
        aria2[0].write_bytes(content)
        aria2[1].unlink()
        for path in (firefox[0], aria2[0]):
            check_one_text(daemon, path.name, content)
