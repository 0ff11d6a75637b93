"""docs/deployment.md, command by command, on a machine with a systemd of its own; real WhisperX."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon_process import missing_weights
from tests.deployment.booted import Machine
from tests.deployment.tools import DEPLOY, PROJECT, run, tool

UNIT = DEPLOY / "systemd" / "audio-transcriber.service"
GUIDE = PROJECT / "docs" / "deployment.md"
SOON_S = 90.0
TEXT_S = 180.0
SHARED = "/srv/audio-transcriber/shared"
LOG = ("journalctl", "--no-pager", "--output=cat", "--unit=audio-transcriber")
PYTHON = "/opt/audio-transcriber/.venv/bin/python"
#: What `systemd-analyze security` may say at most, in tenths; the guide names the figure.
EXPOSURE = 17


def blocks(test: str) -> list[str]:
    """The commands that the guide says this test runs."""
    mark = re.escape(f"<!-- run by tests/deployment/test_guide.py::{test} -->")
    found = re.findall(rf"{mark}\n```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert found, f"the guide names no command for {test}"
    return found


# --- the unit ------------------------------------------------------------------------------------


def test_systemd_finds_the_unit_good(tmp_path: Path) -> None:
    text = UNIT.read_text()
    assert text.count(PYTHON) == 1
    (tmp_path / UNIT.name).write_text(text.replace(PYTHON, "/bin/sh"))
    done = run([tool("systemd-analyze"), "verify", "--man=no", tmp_path / UNIT.name])
    assert (done.returncode, done.stdout) == (0, "")


def test_the_unit_is_protected_as_well_as_the_guide_says() -> None:
    limit = ["security", "--offline=yes", "--no-pager", f"--threshold={EXPOSURE}"]
    done = run([tool("systemd-analyze"), *limit, UNIT])
    assert done.returncode == 0, done.stdout
    assert f"rates the unit at {EXPOSURE / 10}" in GUIDE.read_text()


def test_the_service_has_longer_to_stop_than_it_needs() -> None:
    found = re.search(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
    assert found is not None
    assert int(found[1]) > 35


# --- the guide -----------------------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    missing = missing_weights()
    if missing:
        pytest.skip(missing)
    for program in ("nginx", "promtool", "supervisord", "logrotate"):
        tool(program)
    with Machine(tmp_path / "machine") as booted:
        yield booted


def follow(machine: Machine, block: str) -> str:
    return machine.must("sh", "-euc", block, timeout_s=TEXT_S)


def prepared(machine: Machine) -> list[str]:
    """Steps 2 to 4 were taken; the commands that follow them."""
    steps = blocks("test_the_guide_leads_to_a_running_service")
    after = next(i for i, step in enumerate(steps) if "systemctl enable" in step)
    for step in steps[:after]:
        follow(machine, step)
    return steps[after:]


def property_of(machine: Machine, name: str) -> str:
    return machine.must("systemctl", "show", "-P", name, "audio-transcriber").strip()


def test_the_guide_leads_to_a_running_service(machine: Machine) -> None:
    start, drop, certificate, site, ask, figures = prepared(machine)
    assert "active (running)" in follow(machine, start)
    log = machine.wait_for(LOG, "[Daemon] Watching ", SOON_S)
    follow(machine, drop)
    log = machine.wait_for(LOG, "please-hold-ru.wav: completed", TEXT_S)
    assert "less protection" not in log, "WhisperX could not give up all that it wants to"
    assert "[WARNING]" not in log
    text = machine.must("cat", f"{SHARED}/please-hold-ru.txt")
    assert "оператор" in text
    owner = machine.must("stat", "-c", "%U %G %a", f"{SHARED}/please-hold-ru.txt").strip()
    assert owner == "transcriber transcriber 660"
    for step in (certificate, site):
        follow(machine, step)
    assert '"queue_length": 0' in follow(machine, ask)
    follow(machine, figures)
    its_limits_hold(machine)
    it_comes_back_after_a_kill(machine)
    it_stops_cleanly(machine)
    a_wrong_configuration_is_not_tried_again(machine)


def its_limits_hold(machine: Machine) -> None:
    assert property_of(machine, "MemoryMax") == str(2 * 2**30)
    pid = property_of(machine, "MainPID")
    status = machine.must("cat", f"/proc/{pid}/status")
    for line in ("NoNewPrivs:\t1", "Seccomp:\t2", "CapBnd:\t0000000000000000"):
        assert line in status
    inside = ("nsenter", "--target", pid, "--mount", "--root", "--wd=/", "sh", "-c")
    for place in ("/opt/audio-transcriber", "/etc", "/var/lib"):
        assert "Read-only file system" in machine.do(*inside, f"touch {place}/x").stdout
    assert machine.must(*inside, "ls -A /root /home/") == "/home/:\n\n/root:\n"
    readable = "runuser --user transcriber -- cat /etc/audio-transcriber/keys.env"
    assert machine.do("sh", "-c", readable).returncode != 0


def it_comes_back_after_a_kill(machine: Machine) -> None:
    machine.must("kill", "-KILL", property_of(machine, "MainPID"))
    count = ("sh", "-c", f"{' '.join(LOG)} | grep -c 'Daemon. Watching'")
    machine.wait_for(count, "2", SOON_S)
    machine.wait_for(LOG, "WhisperX has loaded", SOON_S)


def it_stops_cleanly(machine: Machine) -> None:
    machine.must("systemctl", "stop", "audio-transcriber")
    assert property_of(machine, "Result") == "success"
    assert property_of(machine, "ExecMainStatus") == "0"
    assert "[Daemon] Stopped" in machine.must(*LOG)


def a_wrong_configuration_is_not_tried_again(machine: Machine) -> None:
    wrong = "echo 'nonsense: 1' >> /etc/audio-transcriber/config.yaml"
    machine.must("sh", "-c", wrong)
    machine.do("systemctl", "start", "audio-transcriber")
    machine.wait_for(("systemctl", "is-failed", "audio-transcriber"), "failed", SOON_S)
    assert property_of(machine, "ExecMainStatus") == "78"
    assert property_of(machine, "SubState") == "failed", "it would be started again"


def test_a_share_that_is_late_is_waited_for(machine: Machine) -> None:
    start = prepared(machine)[0]
    (away,) = blocks("test_a_share_that_is_late_is_waited_for")
    follow(machine, away)
    machine.do("sh", "-c", start)
    machine.wait_for(LOG, "transcriber: ", SOON_S)
    machine.wait_for(("systemctl", "is-active", "audio-transcriber"), "activating", SOON_S)
    machine.must("mount", "-t", "tmpfs", "-o", "mode=0770,uid=transcriber", "none", SHARED)
    machine.wait_for(LOG, "[Daemon] Watching ", SOON_S)


def test_supervisor_takes_the_place_of_systemd(machine: Machine) -> None:
    prepared(machine)
    (install,) = blocks("test_supervisor_takes_the_place_of_systemd")
    machine.must("mkdir", "-p", "/var/log/supervisor")
    machine.must("/usr/bin/python3", "/usr/bin/supervisord")
    said = follow(machine, install)
    assert "RUNNING" in said, said
    log = ("cat", "/var/log/audio-transcriber/audio-transcriber.log")
    machine.wait_for(log, "[Daemon] Watching ", SOON_S)
    machine.must("logrotate", "--force", "/etc/logrotate.d/audio-transcriber")
    machine.must("supervisorctl", "stop", "audio-transcriber")
    machine.wait_for(log, "[Daemon] Stopped", SOON_S)
    machine.must("supervisorctl", "shutdown")
