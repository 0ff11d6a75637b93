"""Weights that are nowhere: said at the start with what to do; and nobody is asked for them."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.executors.local.process import worker_environment
from tests.daemon_process import PROJECT

TIMEOUT_S = 60.0
NO_NETWORK = ("unshare", "--map-root-user", "--net")
#: ``transcriber.py`` on a machine where no package holds weights.
PROGRAM = """
import sys
from modules.weights import assemble, files, locate, store
for each in (assemble, files, locate, store):
    each.installed_parts = lambda size: ()
import transcriber
sys.exit(transcriber.main(sys.argv[1:]))
"""
ASKS_THE_HUB = """
from huggingface_hub import snapshot_download
try:
    snapshot_download("Systran/faster-whisper-small")
except Exception as error:
    print(type(error).__name__)
"""


def without_network() -> tuple[str, ...]:
    """The command that takes the network away, where this machine allows it."""
    if shutil.which(NO_NETWORK[0]) is None:
        return ()
    done = subprocess.run([*NO_NETWORK, "true"], capture_output=True, check=False)
    return () if done.returncode else NO_NETWORK


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A configuration whose folder for models is empty."""
    file = tmp_path / "config.yaml"
    file.write_text("{models_directory: models, api: {port: 0}}")
    for name in ("shared", "manual", "models", "hub"):
        (tmp_path / name).mkdir()
    return file


def start(config: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end, which it must come to by itself."""
    return subprocess.run(
        [*without_network(), sys.executable, "-c", PROGRAM, "--config", str(config), command],
        cwd=PROJECT,
        env={**os.environ, "HF_HOME": str(config.parent / "hub")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def test_weights_that_are_nowhere_are_said_at_the_start_with_the_command(bare: Path) -> None:
    (bare.parent / "shared" / "talk.mp3").write_bytes(b"x")
    refused = start(bare, "run")
    assert refused.returncode == 69
    assert "The Whisper model base is not on this machine." in refused.stderr
    assert "Run `make weights`" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert sorted(os.listdir(bare.parent / "shared")) == [".transcriber", "talk.mp3"]
    assert os.listdir(bare.parent / "hub") == [], "the hub was asked"
    found = start(bare, "doctor")
    assert found.returncode == 1
    (line,) = [line for line in found.stdout.splitlines() if "not on this machine" in line]
    assert line.startswith("problem")
    assert "Run `make weights`" in line


@contextlib.contextmanager
def a_hub() -> Iterator[socket.socket]:
    """Something that listens where the hub is said to be."""
    with socket.create_server(("127.0.0.1", 0)) as hub:
        hub.settimeout(0.0)
        yield hub


def was_asked(hub: socket.socket) -> bool:
    try:
        hub.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize("ours", [True, False])
def test_the_worker_never_asks_the_hub(tmp_path: Path, ours: bool) -> None:
    """The daemon fetches models, if that is allowed."""
    with a_hub() as hub:
        environment = (worker_environment(tmp_path) if ours else dict(os.environ)) | {
            "HF_ENDPOINT": f"http://127.0.0.1:{hub.getsockname()[1]}",
            "HF_HOME": str(tmp_path / "hub"),
            "HF_HUB_ETAG_TIMEOUT": "1",
        }
        with subprocess.Popen(
            [sys.executable, "-c", ASKS_THE_HUB],
            cwd=PROJECT,
            env={k: v for k, v in environment.items() if not k.lower().endswith("_proxy")},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as asking:
            assert asking.stdout is not None
            try:
                if not ours:
                    hub.settimeout(TIMEOUT_S)
                    hub.accept()[0].close()  # without this the other half would prove nothing
                else:
                    assert asking.stdout.read() == "LocalEntryNotFoundError\n"
                    assert not was_asked(hub)
            finally:
                asking.kill()
