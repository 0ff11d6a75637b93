"""Other people's clients, as their registries have them, against the running daemon."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.builders import until
from tests.clients import environment
from tests.daemon_process import text_of
from tests.integration.test_api import Client
from tests.ports import free_port
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text, recording
from tests.scripted_worker import text_of as said_in

CONTENT = recording(3)
SAID = full_text(CONTENT)
#: They import for long.
BRIDGE_S = 60.0


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    """What clients upload is kept, with its text."""
    config = {"api": {"port": 0, "keep_openai_uploads": True}}
    with ScriptedDaemon(tmp_path_factory.mktemp("clients"), config) as running:
        yield running


def base_url(daemon: ScriptedDaemon) -> str:
    return f"http://127.0.0.1:{Client(daemon).port}/v1"


def texts(daemon: ScriptedDaemon) -> set[str]:
    """Those of all recordings in the folder."""
    names = [path.name.removesuffix(".result") for path in daemon.shared.glob("*.result")]
    return {text_of(daemon.wait_for_result(name, SOON_S)) for name in names}


def test_openai_for_node(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    node, folder = environment.node()
    talk = tmp_path / "talk.mp3"
    talk.write_bytes(CONTENT)
    found = json.loads(environment.said([node, folder / "heard.mjs", base_url(daemon), talk]))
    assert found["models"][:2] == ["whisper-1", "base"]
    assert found["model"] == "base"
    assert found["json"] == found["done"] == "".join(found["deltas"]) == SAID
    assert found["text"] == f"{SAID}\n"
    assert found["srt"].startswith("1\n00:00:00,000 --> ")
    assert found["verbose"] == {"text": SAID, "duration": 30, "words": 3, "segments": 3}
    assert found["speakers"] == ["A", "B", "A"]
    assert found["translation"].startswith(f"EN {said_in(CONTENT, 0)}")
    assert found["refused"]["isApiError"]
    assert found["refused"]["status"] == 415


def test_livekit(daemon: ScriptedDaemon) -> None:
    models = ("whisper-1", "gpt-4o-mini-transcribe", "gpt-transcribe")
    program = environment.HERE / "livekit_stt.py"
    found = json.loads(environment.said([environment.python(), program, base_url(daemon), *models]))
    assert set(found) == set(models)
    for heard in found.values():
        assert heard["text"] in texts(daemon)
        assert heard["type"].lower().endswith("final_transcript")


@contextmanager
def bridge(python: Path, url: str) -> Iterator[int]:
    """The bridge from Wyoming, between the daemon and Home Assistant; its port."""
    port = free_port()
    command = [
        str(python), "-m", "wyoming_openai", "--uri", f"tcp://127.0.0.1:{port}",
        "--stt-openai-url", url, "--stt-models", "whisper-1", "--stt-streaming-models", "base",
        "--languages", "ru",
    ]  # fmt: skip
    environ = os.environ | {"STT_OPENAI_KEY": "none", "TTS_OPENAI_KEY": "none"}
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as running:
        try:
            until(lambda: _listens(port) or running.poll() is not None, "it listens", BRIDGE_S)
            assert running.poll() is None, running.stderr and running.stderr.read()
            yield port
        finally:
            running.terminate()
            running.communicate(timeout=SOON_S)


def _listens(port: int) -> bool:
    with closing(socket.socket()) as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("model", ["whisper-1", "base"], ids=["whole", "streamed"])
def test_home_assistant_by_the_bridge_from_wyoming(daemon: ScriptedDaemon, model: str) -> None:
    python = environment.bridge_python()
    with bridge(python, base_url(daemon)) as port:
        program = environment.HERE / "wyoming_asr.py"
        found = json.loads(environment.said([python, program, str(port), model]))
    assert found["models"] == ["base", "whisper-1"]
    assert found["text"] in texts(daemon)
