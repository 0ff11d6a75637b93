"""Texts on another disk: while that is not mounted, nothing follows from its being empty."""

from __future__ import annotations

from pathlib import Path

from tests.integration.test_cli_backend import run
from tests.scripted_daemon import SOON_S, ScriptedDaemon


def test_a_disk_that_is_not_mounted_has_nothing_transcribed_again(tmp_path: Path) -> None:
    texts, disk = tmp_path / "texts", tmp_path / "disk"
    daemon = ScriptedDaemon(
        tmp_path / "place",
        {"output": {"directory": str(texts)}, "watch": {"rescan_seconds": 0.5}},
    )
    done = texts / "talk.mp3.result"
    with daemon:
        daemon.drop("talk.mp3")
        daemon.wait_for(done.exists, "it was transcribed", SOON_S)
        job = done.read_bytes()
        texts.rename(disk)
        texts.mkdir()
        daemon.wait_for_log(r"is unavailable, waiting for it: The folder of the texts", SOON_S)
        daemon.drop("new.mp3")
        texts.rmdir()
        disk.rename(texts)
        daemon.wait_for((texts / "new.mp3.result").exists, "it goes on by itself", SOON_S)
        assert done.read_bytes() == job
        assert daemon.log.count("talk.mp3: running") == 1
    texts.rename(disk)
    texts.mkdir()
    told = run(daemon, "run")
    assert told.returncode != 0
    assert "output.directory" in told.stderr + told.stdout
    assert list(texts.iterdir()) == []
