"""The real supervisor starts, keeps and stops the daemon; the real logrotate turns its log over."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.builders import until
from tests.deployment.front import exchanged
from tests.deployment.tools import DEPLOY, environment, run, supervisor, tool
from tests.scripted_daemon import ScriptedDaemon
from tests.scripted_worker import full_text

SOON_S = 90.0
PROGRAM = "audio-transcriber"
#: What Debian's supervisord.conf has, in a folder of ours.
_AROUND = """
[unix_http_server]
file={root}/supervisor.sock
[supervisord]
logfile={root}/supervisord.log
pidfile={root}/supervisord.pid
childlogdir={root}
{user}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{root}/supervisor.sock
[include]
files = {root}/conf.d/*.conf
"""


def said(name: str) -> str:
    """A setting of the program in deploy/."""
    text = (DEPLOY / "supervisor" / "audio-transcriber.conf").read_text()
    found = re.search(rf"^{name}=(.*)$", text, re.MULTILINE)
    assert found is not None, f"{name} is not set"
    return found[1]


@dataclass
class Supervisor:
    root: Path
    daemon: ScriptedDaemon
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> Path:
        return self.root / "log" / "audio-transcriber.log"

    def text(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def control(self, *words: str) -> str:
        configuration = str(self.root / "supervisord.conf")
        command = [*supervisor("supervisorctl"), "-c", configuration, *words]
        return run(command, env=environment(tool("supervisorctl"))).stdout

    def service(self) -> psutil.Process | None:
        """The service, or what is to become it."""
        children = psutil.Process(self.process.pid).children()
        return children[0] if children else None

    def wait_for_log(self, words: str, times: int = 1) -> None:
        until(lambda: self.text().count(words) >= times, f"{words!r} in {self.text()}", SOON_S)

    def started(self) -> list[psutil.Process]:
        """The service and its worker, once they run; earlier lines of the log are gone."""
        if self.service() is None:
            self.log.write_text("")
            self.control("start", PROGRAM)
        self.wait_for_log("Started WhisperX")
        service = self.service()
        assert service is not None
        return [service, *service.children(recursive=True)]

    def stopped(self) -> None:
        self.control("stop", PROGRAM)
        assert self.service() is None
        self.log.write_text("")


def changed(root: Path, daemon: ScriptedDaemon) -> str:
    """The program of deploy/ with the paths of the test; the scripted worker in its place."""
    text = (DEPLOY / "supervisor" / "audio-transcriber.conf").read_text()
    begun = " ".join(shlex.quote(word) for word in daemon.command("run"))
    script = root / "program"
    script.write_text(f"#!/bin/sh\nexec {begun}\n")
    script.chmod(0o755)
    command = "/opt/audio-transcriber/.venv/bin/python transcriber.py --config "
    command += "/etc/audio-transcriber/config.yaml run"
    changes = {
        command: str(script),
        "sleep 3;": "sleep 0.3;",
        "/opt/audio-transcriber": os.getcwd(),
        "/srv/audio-transcriber": str(root),
        "/var/log/audio-transcriber": str(root / "log"),
        "user=transcriber\n": "",
    }
    return exchanged(text, changes)


@pytest.fixture(scope="module")
def supervised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    """One for all tests of this file: it takes a while to start."""
    root = tmp_path_factory.mktemp("supervisor")
    daemon = ScriptedDaemon(root / "daemon")
    for name in ("conf.d", "log"):
        (root / name).mkdir()
    (root / "conf.d" / "audio-transcriber.conf").write_text(changed(root, daemon))
    user = "user=root" if os.geteuid() == 0 else ""
    configuration = root / "supervisord.conf"
    configuration.write_text(_AROUND.format(root=root, user=user))
    process = subprocess.Popen(
        [*supervisor("supervisord"), "--nodaemon", "-c", str(configuration)],
        env={**environment(tool("supervisord")), "TMPDIR": str(root)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until((root / "supervisor.sock").exists, "supervisor was ready", SOON_S)
        yield Supervisor(root, daemon, process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(SOON_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(SOON_S)
            raise


def test_supervisor_waits_longer_than_the_service_needs_to_stop() -> None:
    assert int(said("stopwaitsecs")) > 35


def test_it_is_not_started_again_for_what_somebody_has_to_mend() -> None:
    assert set(said("exitcodes").split(",")) == {"0", "2", "69", "78"}


def test_supervisor_starts_it_and_stops_it_cleanly(supervised: Supervisor) -> None:
    family = supervised.started()
    assert len(family) == 2, family
    content = supervised.daemon.drop("talk.mp3")
    until(lambda: supervised.daemon.result("talk.mp3"), "there was a text", SOON_S)
    result = json.loads((supervised.daemon.shared / "talk.mp3.result").read_bytes())
    assert result["transcription"]["text"] == full_text(content)
    assert (supervised.daemon.shared / "talk.txt").stat().st_mode & 0o777 == 0o660
    supervised.control("stop", PROGRAM)
    assert supervised.text().splitlines()[-1].endswith("[Daemon] Stopped")
    assert not [process for process in family if process.is_running()]


def test_supervisor_starts_it_again_after_a_kill(supervised: Supervisor) -> None:
    family = supervised.started()
    family[0].kill()
    supervised.wait_for_log("[Daemon] Watching ", times=2)
    # The kernel ends what the killed one had started, not before but about when it is replaced.
    until(lambda: not any(process.is_running() for process in family), "all are gone", SOON_S)


def test_a_wrong_configuration_is_not_tried_again_and_again(supervised: Supervisor) -> None:
    supervised.started()
    supervised.stopped()
    good = supervised.daemon.config_file.read_text()
    supervised.daemon.config_file.write_text("api: {port: much}\n")
    supervised.control("start", PROGRAM)
    supervised.wait_for_log("api.port")
    until(lambda: supervised.service() is None, "it had ended", SOON_S)
    assert "EXITED" in supervised.control("status", PROGRAM)
    assert supervised.text().count("api.port") == 1
    supervised.daemon.config_file.write_text(good)


def test_a_folder_that_is_away_is_tried_again_until_it_is_there(supervised: Supervisor) -> None:
    supervised.started()
    supervised.stopped()
    shared = supervised.daemon.shared
    shared.rename(shared.with_name("away"))
    shared.write_bytes(b"")
    supervised.control("start", PROGRAM)
    supervised.wait_for_log("transcriber: ", times=2)
    shared.unlink()
    shared.with_name("away").rename(shared)
    supervised.wait_for_log("[Daemon] Watching ")


def logrotate(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """logrotate with the file of deploy/, on the log and the supervisor in this folder."""
    text = (DEPLOY / "logrotate" / "audio-transcriber").read_text()
    changes = {"/var/log/audio-transcriber": f"{root}/log", "/var/run": str(root)}
    if os.geteuid() != 0:
        changes["create 0640 root adm"] = "create 0640"
    configuration = root / "logrotate.conf"
    configuration.write_text(exchanged(text, changes))
    configuration.chmod(0o644)
    return run([tool("logrotate"), "--state", root / "state", *options, configuration])


def test_logrotate_finds_its_file_good(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir(mode=0o755)
    (tmp_path / "log" / "audio-transcriber.log").write_text("a line\n")
    done = logrotate(tmp_path, "--debug")
    assert done.returncode == 0, done.stdout
    assert "error" not in done.stdout, done.stdout
    assert "(30 rotations)" in done.stdout


def test_a_turned_over_log_goes_on_in_a_new_file(supervised: Supervisor) -> None:
    supervised.started()
    before = supervised.text()
    done = logrotate(supervised.root, "--force")
    assert done.returncode == 0, done.stdout
    old = supervised.log.with_name("audio-transcriber.log.1").read_text()
    assert old.startswith(before)
    supervised.daemon.drop("later.mp3")
    supervised.wait_for_log("later.mp3: completed")
    assert supervised.log.stat().st_mode & 0o777 == 0o640
