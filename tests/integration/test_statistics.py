"""What /health/detailed, /stats/workers and /stats/aggregator say of a real daemon."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.builders import until
from tests.integration.test_live import Live, sound
from tests.scripted_daemon import SOON_S, ScriptedDaemon


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path_factory.mktemp("daemon")) as running:
        yield running


def ask(daemon: ScriptedDaemon, path: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(daemon._get(path))
    return content


def parts(daemon: ScriptedDaemon) -> dict[str, dict[str, Any]]:
    return {part["name"]: part for part in ask(daemon, "/health/detailed")["parts"]}


def states(daemon: ScriptedDaemon) -> dict[str, str]:
    return {name: part["state"] for name, part in parts(daemon).items()}


def worker(daemon: ScriptedDaemon) -> dict[str, Any]:
    [one] = ask(daemon, "/stats/workers")["workers"]
    return dict(one)


def seconds_since(moment: str) -> float:
    then = datetime.fromisoformat(moment)
    return (datetime.now(then.tzinfo) - then).total_seconds()


def test_every_part_says_how_it_is_and_since_when(daemon: ScriptedDaemon) -> None:
    expected = {
        "watcher": "ok", "queue": "idle", "worker": "ok", "model": "ok", "storage": "ok",
        "search": "ok", "live": "idle", "housekeeping": "ok", "callbacks": "ok",
        "listening": "ok", "handover": "off", "summary": "off",
    }  # fmt: skip
    with contextlib.suppress(AssertionError):  # what it is instead says more
        until(lambda: states(daemon) == expected, "all parts have begun", SOON_S)
    assert states(daemon) == expected
    answer = ask(daemon, "/health/detailed")
    assert answer["status"] == "healthy"
    assert all(seconds_since(part["since"]) >= 0 for part in answer["parts"])


def test_a_pause_is_dated_by_its_beginning(daemon: ScriptedDaemon) -> None:
    before = parts(daemon)["queue"]
    (daemon.shared / ".transcriber" / "paused").touch()
    paused = until(
        lambda: (part := parts(daemon)["queue"])["state"] == "degraded" and part,
        "the pause was seen",
        SOON_S,
    )
    assert paused["why"] == "the queue is paused"
    assert paused["since"] > before["since"]
    assert parts(daemon)["queue"]["since"] == paused["since"]
    (daemon.shared / ".transcriber" / "paused").unlink()
    until(lambda: parts(daemon)["queue"]["state"] == "idle", "the pause ended", SOON_S)


def test_the_worker_says_where_it_runs_and_what_it_does(daemon: ScriptedDaemon) -> None:
    waiting = until(
        lambda: (one := worker(daemon))["state"] == "waiting" and one, "it was free", SOON_S
    )
    assert waiting["node"] == socket.gethostname()
    assert waiting["pid"] != daemon.pid
    assert waiting["model"]
    assert waiting["filename"] is None
    daemon.drop("slow talk.mp3", chunks=15)
    busy = until(
        lambda: (one := worker(daemon))["state"] == "transcribing" and one, "it began", SOON_S
    )
    assert busy["filename"] == "slow talk.mp3"
    assert busy["pid"] == waiting["pid"]
    assert busy["since"] > waiting["since"]
    daemon.wait_for_result("slow talk.mp3", SOON_S)
    until(lambda: worker(daemon)["filename"] is None, "it is done", SOON_S)


def test_what_live_sessions_were_told_is_counted(daemon: ScriptedDaemon) -> None:
    with Live(daemon) as live:
        live.begin(name="counted")
        live.send(sound(7.6))
        live.wait_for_seq(9)
        until(lambda: worker(daemon)["state"] == "live", "the session was counted", SOON_S)
        assert parts(daemon)["live"]["state"] == "ok"
        live.say("stop")
        live.wait_for("stored")
    told = ask(daemon, "/stats/aggregator")
    assert told["admissions"]["admitted"] == 1
    assert told["sound_seconds"] == pytest.approx(7.6, abs=0.2)
    commits = [m for m in live.messages if m["type"] == "commit"]
    assert told["commits"] == len(commits)
    assert told["words_committed"] == sum(len(m["words"]) for m in commits) == 7
    assert told["finals"] == len([m for m in live.messages if m["type"] == "final"])
    assert told["delays"]["commit"]["count"] == 7
    assert 0 <= told["delays"]["commit"]["median_seconds"] <= 60
    metrics = daemon.metrics()
    assert metrics['transcriber_live_words_total{what="committed"}'] == 7
    assert metrics['transcriber_live_delay_seconds_count{event="commit"}'] == 7
    assert metrics["transcriber_live_pass_seconds_count"] == told["passes"]["count"] > 0


def test_refusals_are_counted_by_their_reason(tmp_path: Path) -> None:
    with (
        ScriptedDaemon(tmp_path, {"live": {"max_sessions": 1}}) as daemon,
        Live(daemon) as live,
    ):
        live.begin()
        for _ in range(2):
            with pytest.raises(Exception, match="503"):
                Live(daemon)
        admissions = ask(daemon, "/stats/aggregator")["admissions"]
        assert admissions == {
            "admitted": 1, "too_many_sessions": 2, "too_busy": 0, "no_room": 0
        }  # fmt: skip


def test_switched_off_they_are_off(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path, {"live": {"enabled": False}}) as daemon:
        assert parts(daemon)["live"]["state"] == "off"
