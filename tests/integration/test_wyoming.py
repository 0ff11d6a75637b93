"""The Wyoming protocol on its own port, with the package ``wyoming`` as it is, and without it."""

from __future__ import annotations

import json
import socket
import wave
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.builders import until
from tests.clients import environment
from tests.daemon_process import DaemonError
from tests.live_client import SOON_S, sound
from tests.scripted_daemon import ScriptedDaemon

SHAPE = {"rate": 16_000, "width": 2, "channels": 1}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path, {"live": {"wyoming_port": 0, "max_sessions": 2}}) as running:
        running.wait_for_log("has loaded", SOON_S)
        yield running


def port_of(daemon: ScriptedDaemon) -> int:
    found = daemon.wait_for_log(r"Wyoming is spoken on 127\.0\.0\.1:(\d+)", SOON_S)
    return int(found.group(1))


def stored(daemon: ScriptedDaemon) -> list[Path]:
    return sorted(daemon.shared.glob("*.wav"))


class Speaker:
    """One connection, written from the protocol's description."""

    def __init__(self, daemon: ScriptedDaemon) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port_of(daemon)), SOON_S)
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Speaker:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()

    def say(self, kind: str, data: Mapping[str, Any] | None = None, payload: bytes = b"") -> None:
        line = {"type": kind, "data": dict(data or {}), "payload_length": len(payload)}
        self.socket.sendall(json.dumps(line).encode() + b"\n" + payload)

    def speak(self, data: bytes) -> None:
        self.say("audio-start", SHAPE)
        for start in range(0, len(data), 6400):
            self.say("audio-chunk", SHAPE, data[start : start + 6400])
        self.say("audio-stop")

    def heard(self) -> tuple[str, dict[str, Any]] | None:
        """The next event; None at the end of the connection."""
        line = self._file.readline()
        if not line:
            return None
        head = json.loads(line)
        return head["type"], json.loads(self._file.read(head["data_length"]))


def test_the_client_of_home_assistant_gets_its_text(daemon: ScriptedDaemon) -> None:
    script = environment.HERE / "wyoming_asr.py"
    command = [environment.bridge_python(), script, str(port_of(daemon)), "base"]
    assert json.loads(environment.said(command)) == {"models": ["base"], "text": "w0"}
    until(lambda: len(stored(daemon)) == 1, "it was stored", SOON_S)


def test_one_connection_may_ask_again_and_again(daemon: ScriptedDaemon) -> None:
    with Speaker(daemon) as speaker:
        for number, seconds in enumerate((4, 2), start=1):
            speaker.say("transcribe", {"name": "other", "language": "ru", "context": {}})
            speaker.speak(data := sound(seconds))
            words = " ".join(f"w{n}" for n in range(seconds))
            assert speaker.heard() == ("transcript", {"text": words, "language": "ru"})
            until(lambda n=number: len(stored(daemon)) == n, "it was stored", SOON_S)
    with wave.open(str(stored(daemon)[-1])) as file:
        assert file.readframes(file.getnframes()) in (data, sound(4))


def test_what_is_asked_beside_speech_is_answered(daemon: ScriptedDaemon) -> None:
    with Speaker(daemon) as speaker:
        speaker.say("ping", {"text": "hello"})
        assert speaker.heard() == ("pong", {"text": "hello"})
        speaker.say("select-program", {"name": "unknown events are let pass"})
        speaker.say("audio-stop")
        assert speaker.heard() == ("transcript", {"text": ""})
        speaker.say("describe")
        found = speaker.heard()
        assert found is not None
        [program] = found[1]["asr"]
        assert "ru" in program["models"][0]["languages"]


@pytest.mark.parametrize(
    "wrong",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"[]\n",
        b'{"type": 5}\n',
        b'{"no": "type"}\n',
        b'{"type": "audio-chunk", "payload_length": 99999999999}\n',
        b'{"type": "audio-chunk", "payload_length": -1}\n',
        b'{"type": "audio-chunk", "payload_length": true}\n',
        b'{"type": "transcribe", "data_length": 4}\nnull',
        b'{"type": "transcribe", "data": {"language": "klingon"}}\n',
        b'{"type": "transcribe", "data": {"transcript_names": [1]}}\n',
        b'{"type": "audio-start", "data": {"rate": 5, "width": 2, "channels": 1}}\n',
        b'{"type": "audio-start", "data": {"rate": 16000, "width": 4, "channels": 1}}\n',
        b'{"type": "audio-chunk", "data": {}}\n',
        b'{"type": "x", "a": ' + b"[" * 5000 + b"\n",
        b"{" + b" " * 9000,
    ],
)
def test_what_makes_no_sense_is_an_error_and_the_end(
    shared_daemon: ScriptedDaemon, wrong: bytes
) -> None:
    with Speaker(shared_daemon) as speaker:
        speaker.socket.sendall(wrong)
        event = speaker.heard()
        assert event is not None
        assert (event[0], event[1]["code"]) == ("error", "invalid_request")
        assert speaker.heard() is None
    assert stored(shared_daemon) == []


@pytest.fixture(scope="module")
def shared_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    config = {"live": {"wyoming_port": 0}}
    with ScriptedDaemon(tmp_path_factory.mktemp("wyoming"), config) as running:
        running.wait_for_log("has loaded", SOON_S)
        yield running


def test_no_more_than_are_allowed_are_heard(daemon: ScriptedDaemon) -> None:
    with Speaker(daemon) as one, Speaker(daemon) as two, Speaker(daemon) as three:
        for each in (one, two):
            each.say("audio-start", SHAPE)
            each.say("ping")
            assert each.heard() == ("pong", {"text": ""})
        three.say("audio-start", SHAPE)
        event = three.heard()
        assert event is not None
        assert (event[0], event[1]["code"]) == ("error", "too_many_sessions")
        assert three.heard() is None
        one.say("audio-stop")
        assert one.heard() == ("transcript", {"text": ""})


def test_connections_are_counted_too(daemon: ScriptedDaemon) -> None:
    open_ = [Speaker(daemon) for _ in range(6)]
    for each in open_:
        each.say("ping")
        assert each.heard() is not None
    with Speaker(daemon) as further:
        assert further.heard() is None
    for each in open_:
        each.socket.close()


def test_nothing_is_kept_where_that_is_not_wanted(tmp_path: Path) -> None:
    config = {"live": {"wyoming_port": 0, "wyoming_keep": False}}
    with ScriptedDaemon(tmp_path, config) as daemon:
        daemon.wait_for_log("has loaded", SOON_S)
        with Speaker(daemon) as speaker:
            speaker.speak(sound(2))
            assert speaker.heard() == ("transcript", {"text": "w0 w1", "language": "ru"})
        with Speaker(daemon) as leaving:
            leaving.say("audio-start", SHAPE)
            leaving.say("audio-chunk", SHAPE, sound(1))
            leaving.say("ping")
            assert leaving.heard() is not None
        live = daemon.shared / ".transcriber" / "live"
        until(lambda: not list(live.iterdir()), "nothing is left", SOON_S)
        assert stored(daemon) == []
        with Speaker(daemon) as cut_off:
            cut_off.say("audio-start", SHAPE)
            cut_off.say("audio-chunk", SHAPE, sound(1))
            cut_off.say("ping")
            assert cut_off.heard() is not None
            assert list(live.glob("*.pcm"))
            daemon.kill()
        daemon.start()
        until(lambda: not list(live.iterdir()), "nor after a kill", SOON_S)
        assert stored(daemon) == []


def test_a_port_that_is_taken_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = {"live": {"wyoming_port": taken.getsockname()[1]}}
        with (
            pytest.raises(DaemonError, match=r"live\.wyoming_port"),
            ScriptedDaemon(tmp_path, config),
        ):
            pass
