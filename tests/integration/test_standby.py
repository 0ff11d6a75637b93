"""A second daemon that waits: real processes, killed and stopped in the middle of their work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import until
from tests.daemon_process import PROJECT, START_S
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text

TIMES = {"standby": {"heartbeat_seconds": 0.5, "takeover_seconds": 3.0}}
#: Three seconds of silence, and what a busy machine needs to start.
TAKEOVER_S = 3.0 + START_S


class StandbyDaemon(ScriptedDaemon):
    """``run --standby`` on the folder of another, with a log of its own."""

    def start(self) -> None:
        self._launch("run", "--standby")

    def wait_until_owner(self) -> None:
        self.wait_for_log(r"\[Daemon\] Watching ", TAKEOVER_S)

    def exit_code(self) -> int:
        assert self._process is not None
        return self._process.wait(START_S)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)


def standby(root: Path, number: int, **sections: dict[str, object]) -> StandbyDaemon:
    made = StandbyDaemon(root, {**TIMES, **sections})
    made.log_file = root / f"daemon{number}.log"
    return made


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[StandbyDaemon, StandbyDaemon]]:
    """The owner and the one that waits."""
    first, second = standby(tmp_path, 1), standby(tmp_path, 2)
    with first:
        first.wait_until_owner()
        with second:
            second.wait_for_log(r"Waiting to take .* over: The daemon with PID \d+ owns it", SOON_S)
            yield first, second


def told(daemon: ScriptedDaemon, *command: str) -> str:
    """What a command says, whatever it ends with."""
    return subprocess.run(
        daemon.command(*command),
        cwd=PROJECT,
        env=daemon.environment() | {"LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    ).stdout


def completed(name: str, *daemons: ScriptedDaemon) -> int:
    """How often a file was finished, by what the daemons say."""
    return sum(each.whole_log.count(f"{name}: completed (") for each in daemons)


def test_it_takes_over_from_an_owner_that_was_killed_and_goes_on_where_it_was(
    pair: tuple[StandbyDaemon, StandbyDaemon],
) -> None:
    owner, waits = pair
    done = owner.drop("done.mp3")
    owner.wait_for_result("done.mp3")
    content = owner.drop("slow.mp3", 30)
    owner.wait_for_position("slow.mp3", 20)
    began = time.monotonic()
    owner.kill()
    waits.wait_until_owner()
    took_s = time.monotonic() - began
    waits.wait_for_log(r"slow.mp3: going on from the checkpoint at [2-9]\d", SOON_S)
    assert waits.wait_for_result("slow.mp3")["transcription"]["text"] == full_text(content)
    assert waits.result("done.mp3")["transcription"]["text"] == full_text(done)  # type: ignore[index]
    assert (completed("done.mp3", *pair), completed("slow.mp3", *pair)) == (1, 1)
    print(f"taken over after {took_s:.1f} s")


def test_an_owner_that_stood_still_publishes_nothing_once_it_wakes(
    pair: tuple[StandbyDaemon, StandbyDaemon],
) -> None:
    owner, waits = pair
    content = owner.drop("slow.mp3", 30)
    owner.wait_for_position("slow.mp3", 20)
    owner.signal(signal.SIGSTOP)
    try:
        waits.wait_until_owner()
        assert "gave no sign of life" in waits.log
        text = waits.wait_for_result("slow.mp3")["transcription"]["text"]
        published = owner.shared / "slow.mp3.result"
        before = published.stat()
    finally:
        owner.signal(signal.SIGCONT)
    assert owner.exit_code() == 75
    assert f"PID {waits.pid} on " in owner.log
    assert "took this folder over while this program stood still" in owner.log
    assert text == full_text(content)
    assert (published.stat().st_ino, published.stat().st_mtime_ns) == (
        before.st_ino, before.st_mtime_ns,
    )  # fmt: skip
    assert (completed("slow.mp3", owner), completed("slow.mp3", waits)) == (0, 1)
    assert not owner.sidecar("slow.mp3").exists()
    other = waits.drop("other.mp3", seed="other")
    assert waits.wait_for_result("other.mp3")["transcription"]["text"] == full_text(other)


def test_an_owner_that_wakes_while_the_other_works_spoils_nothing(
    pair: tuple[StandbyDaemon, StandbyDaemon],
) -> None:
    """Its child went on meanwhile: what it hands over must not get into the checkpoint."""
    owner, waits = pair
    content = owner.drop("slow.mp3", 60)
    owner.wait_for_position("slow.mp3", 20)
    owner.signal(signal.SIGSTOP)
    waits.wait_until_owner()
    waits.wait_for_log(r"slow.mp3: going on from the checkpoint", SOON_S)
    owner.signal(signal.SIGCONT)
    assert owner.exit_code() == 75
    waits.kill()  # only the checkpoint tells the next one what was said
    with standby(owner.root, 3) as third:
        third.wait_until_owner()
        result = third.wait_for_result("slow.mp3")
    assert result["transcription"]["text"] == full_text(content)
    starts = [segment["start"] for segment in result["transcription"]["segments"]]
    assert starts == sorted(set(starts))


def test_it_takes_over_at_once_from_one_that_ends(
    pair: tuple[StandbyDaemon, StandbyDaemon],
) -> None:
    owner, waits = pair
    assert owner.stop() == 0
    waits.wait_until_owner()
    assert "gave no sign of life" not in waits.log


def test_it_leaves_an_owner_that_lives_alone_and_ends_when_told(
    pair: tuple[StandbyDaemon, StandbyDaemon],
) -> None:
    owner, waits = pair
    notes = owner.shared / ".transcriber" / "standbys"
    until(lambda: len(list(notes.iterdir())) == 1, "its note was there", SOON_S)
    time.sleep(4)  # longer than an owner may be silent
    assert owner.is_alive
    assert "Watching" not in waits.log
    said = told(owner, "status")
    assert f"The daemon runs (PID {owner.pid}, on " in said
    assert f"A standby waits to take over (PID {waits.pid}, on " in said
    found = json.loads(told(owner, "status", "--json"))
    assert found["daemon"]["pid"] == owner.pid
    assert [each["pid"] for each in found["standbys"]] == [waits.pid]
    assert f"A standby waits to take over (PID {waits.pid}" in told(owner, "doctor")
    assert waits.stop() == 0
    assert list(notes.iterdir()) == []


def test_one_that_could_not_listen_does_not_take_over(tmp_path: Path) -> None:
    with standby(tmp_path, 1) as owner:
        owner.wait_until_owner()
        port = int(owner.wait_for_log(r"Listening on http://[^:]+:(\d+)", SOON_S).group(1))
        waits = standby(tmp_path, 2, api={"port": port})
        with waits:
            waits.wait_for_log("Waiting to take", SOON_S)
            owner.signal(signal.SIGSTOP)
            try:
                waits.wait_for_log(rf"cannot be followed: .*:{port}", TAKEOVER_S)
            finally:
                owner.signal(signal.SIGCONT)
            content = owner.drop("talk.mp3")
            result = owner.wait_for_result("talk.mp3")
    assert result["transcription"]["text"] == full_text(content)
