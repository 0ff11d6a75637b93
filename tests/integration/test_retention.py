"""Retention in the real daemon: what is old goes to the trash, and can be moved back."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from tests.integration.test_api import Client
from tests.scripted_daemon import SOON_S, ScriptedDaemon

OLD_S = 40 * 86_400.0


def grow_old(daemon: ScriptedDaemon, *names: str) -> None:
    """As if the daemon had had these texts for forty days."""
    then = time.time() - OLD_S
    seen = {}
    for name in names:
        result = daemon.result(name)
        assert result
        result["processing_end"] = "2024-01-31T10:00:00.000Z"
        path = daemon.shared / f"{name}.result"
        path.write_text(json.dumps(result, ensure_ascii=False, indent=2), encoding="utf-8")
        for each in (path, *(daemon.shared / output for output in result["outputs"])):
            os.utime(each, (then, then))
        sight = {"since": 0, "changed": path.stat().st_mtime_ns}
        seen |= {name: sight, f"/{name}": sight}
    ledger = {"count": 40, "day": "2024-01-31", "seen": seen}
    (daemon.shared / ".transcriber" / "retention.json").write_text(json.dumps(ledger))


def in_trash(daemon: ScriptedDaemon) -> set[str]:
    return {path.name for path in (daemon.shared / ".transcriber" / "trash").glob("*/*")}


def test_old_recordings_go_to_the_trash_and_come_back(tmp_path: Path) -> None:
    daemon = ScriptedDaemon(tmp_path, {"retention": {"recordings_days": 30}})
    with daemon:
        for name in ("old.mp3", "new.mp3"):
            daemon.drop(name, seed=name)
            daemon.wait_for_result(name, SOON_S)
    grow_old(daemon, "old.mp3")
    with daemon:
        daemon.wait_for(lambda: in_trash(daemon) == {"old.mp3"}, "it is in the trash", SOON_S)
        api = Client(daemon)
        assert (daemon.shared / "new.mp3").exists()
        assert api.status("old.mp3")["status"] == "completed"
        assert api.result("old.mp3").status == 200
        daemon.wait_for_log(r"old\.mp3: moved to the trash; its text is \d+ days old", SOON_S)
        assert daemon.metrics()['transcriber_retention_total{what="recording"}'] == 1
        (moved,) = (daemon.shared / ".transcriber" / "trash").glob("*/old.mp3")
        moved.rename(daemon.shared / "old.mp3")
        daemon.drop("last.mp3")
        daemon.wait_for_result("last.mp3", SOON_S)
        time.sleep(3 * daemon.hold_s)
        assert (daemon.shared / "old.mp3").exists()
        assert api.status("old.mp3")["status"] == "completed"


def test_what_is_only_in_the_trash_is_deleted_by_a_request(tmp_path: Path) -> None:
    daemon = ScriptedDaemon(tmp_path, {"retention": {"results_days": 30}})
    with daemon:
        daemon.drop("old.mp3")
        daemon.wait_for_result("old.mp3", SOON_S)
    grow_old(daemon, "old.mp3")
    with daemon:
        daemon.wait_for(lambda: "old.mp3.result" in in_trash(daemon), "it is there", SOON_S)
        api = Client(daemon)
        answer = api.delete("old.mp3")
        assert answer.status == 200, answer.text
        assert in_trash(daemon) == set()
        assert len(answer.json["deleted_files"]) == 4
        assert api.delete("old.mp3").status == 404


def test_a_killed_daemon_goes_on_where_it_stopped(tmp_path: Path) -> None:
    daemon = ScriptedDaemon(tmp_path)
    names = [f"old {number}.mp3" for number in range(30)]
    with daemon:
        for name in names:
            daemon.drop(name, seed=name)
        for name in names:
            daemon.wait_for_result(name, SOON_S)
        daemon.drop("new.mp3")
        daemon.wait_for_result("new.mp3", SOON_S)
    grow_old(daemon, *names)
    daemon.configure({"retention": {"results_days": 30}})
    daemon.start()
    daemon.wait_for(lambda: in_trash(daemon), "it began", SOON_S)
    daemon.kill()
    with daemon:
        kept = {"new.mp3", "new.mp3.result", "new.srt", "new.txt"}
        daemon.wait_for(lambda: daemon.files() == kept, "all that is old is gone", SOON_S)
        assert "running" not in daemon.log, "nothing is transcribed again"
    assert len(in_trash(daemon)) == 4 * len(names)
