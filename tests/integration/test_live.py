"""Live sessions: the real daemon, a real WebSocket client, and a child that hears by a script."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon_process import text_of
from tests.live_client import RATE, SOON_S, Live, sound
from tests.scripted_daemon import ScriptedDaemon


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path, {}) as running:
        yield running


def samples_of(path: Path) -> bytes:
    """Of a WAV file that is whole."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        assert path.stat().st_size == 44 + 2 * file.getnframes()
        return file.readframes(file.getnframes())


def left_of_live(daemon: ScriptedDaemon) -> set[str]:
    return {path.suffix for path in (daemon.shared / ".transcriber" / "live").glob("*")}


def test_a_session_becomes_a_recording_with_its_text(daemon: ScriptedDaemon) -> None:
    content = sound(7.6)
    with Live(daemon) as live:
        ready = live.begin(language="ru", rate=RATE, name="stand-up: 1/2", hotwords="Ромашкин")
        assert (ready["received_samples"], ready["seq"]) == (0, 0)
        live.send(content)
        live.say("stop")
        stored = live.wait_for("stored")
        assert live.until_closed() == 1000
    # Seven words, and an utterance after each third one and at the end.
    assert [m["seq"] for m in live.messages if "seq" in m] == list(range(11))
    words = [word["word"] for m in live.of("commit") for word in m["words"]]
    assert "".join(words) == " w0 w1 w2 w3 w4 w5 w6"
    assert [m["text"] for m in live.of("final")] == ["w0 w1 w2", "w3 w4 w5", "w6"]
    name = stored["recording"]
    assert name.endswith(" stand-up 1 2.wav")
    assert samples_of(daemon.shared / name) == content
    result = daemon.wait_for_result(name, SOON_S)
    assert text_of(result).startswith("[Ромашкин]")
    assert result["job_id"] == stored["job_id"]
    assert left_of_live(daemon) == {".json"}
