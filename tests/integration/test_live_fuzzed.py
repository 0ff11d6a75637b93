"""Nothing that a client of a live protocol sends ends anything but its own connection."""

from __future__ import annotations

import contextlib
import copy
import json
import random
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from tests.builders import until
from tests.live_client import SOON_S, Live, port_of, sound
from tests.scripted_daemon import ScriptedDaemon

SEED = 20_261_130
EXAMPLES = 40
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 10**30, 10**400, 1e308, float("nan"), float("inf"), "", "x", "\ud800", "\0",
    "a" * 5000, "../../etc/passwd", [], [None], {}, {"": None}, [[[[[]]]]], "type", "auto",
)  # fmt: skip
#: What makes sense where; one place of it is exchanged each time.
MESSAGES: dict[str, list[dict[str, Any]]] = {
    "/live": [
        {"type": "start", "language": "ru", "rate": 16000, "name": "x", "session": None, "seq": 0},
        {"type": "flush"}, {"type": "stop"},
    ],
    "/v1/realtime": [
        {"type": "session.update", "event_id": "e", "session": {"type": "transcription", "audio": {
            "input": {"format": {"type": "audio/pcm", "rate": 24000},
                      "transcription": {"model": "m", "language": "ru", "keywords": ["x"]},
                      "turn_detection": {"type": "server_vad", "silence_duration_ms": 400}}}}},
        {"type": "transcription_session.update", "session": {"input_audio_format": "pcm16"}},
        {"type": "input_audio_buffer.append", "audio": "AAAA"},
        {"type": "input_audio_buffer.commit"}, {"type": "input_audio_buffer.clear"},
    ],
    "/v1/listen?encoding=linear16": [
        {"type": "KeepAlive"}, {"type": "Finalize"}, {"type": "CloseStream"},
    ],
    "/v1/listen": [{"type": "KeepAlive"}, {"type": "Finalize"}],
    "/": [{"config": {"sample_rate": 16000, "phrase_list": ["x"]}}, {"eof": 1}],
}  # fmt: skip


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    config = {"live": {"resume_seconds": 1.0, "max_sessions": 20, "wyoming_port": 0}}
    with ScriptedDaemon(tmp_path_factory.mktemp("fuzzed"), config) as running:
        running.wait_for_log("has loaded", SOON_S)
        yield running


def mutated(chance: random.Random, message: dict[str, Any]) -> bytes:
    """With another value at one of its places, or with bytes exchanged."""
    tree = copy.deepcopy(message)
    places: list[tuple[Any, Any]] = []
    stack: list[Any] = [tree]
    while stack:
        each = stack.pop()
        keys = list(each) if isinstance(each, dict) else range(len(each))
        places += [(each, key) for key in keys]
        stack += [each[key] for key in keys if isinstance(each[key], dict | list)]
    container, key = chance.choice(places)
    container[key] = chance.choice(VALUES)
    text = bytearray(json.dumps(tree).encode())
    if chance.random() < 0.3:
        text[chance.randrange(len(text))] = chance.randrange(256)
    return bytes(text)


def frames(chance: random.Random, path: str) -> Iterator[bytes]:
    """What one connection sends."""
    for _ in range(chance.randrange(1, 8)):
        opcode = chance.choice([Opcode.TEXT, Opcode.TEXT, Opcode.TEXT, Opcode.BINARY])
        fin = chance.random() < 0.9
        if opcode is Opcode.TEXT:
            message = chance.choice(MESSAGES[path])
            whole = json.dumps(message).encode()
            data = whole if chance.random() < 0.4 else mutated(chance, message)
        else:
            data = chance.randbytes(chance.choice([0, 1, 2, 63, 64, 3201]))
        yield Frame(opcode, data, fin=fin).serialize(mask=True)
        kind = chance.random()
        if kind < 0.05:
            yield chance.randbytes(chance.randrange(1, 200))  # no frame at all
        elif kind < 0.1:
            yield Frame(Opcode.CONT, b"more").serialize(mask=True)
        elif kind < 0.15:
            yield Frame(Opcode.PING, b"p" * 125).serialize(mask=True)
        elif kind < 0.2:
            yield Frame(Opcode.TEXT, b"not masked").serialize(mask=False)
        elif kind < 0.25:
            yield b"\x82\xff" + (2**40).to_bytes(8, "big") + b"mask"  # a message of a terabyte


def send(daemon: ScriptedDaemon, path: str, chance: random.Random) -> bytes:
    """Send a handshake and what follows; what is answered until the other side closes, or for a
    moment, as a session may wait for more."""
    with socket.create_connection(("127.0.0.1", port_of(daemon)), SOON_S) as client:
        client.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n".encode()
            + b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            + b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        answer = b""
        with contextlib.suppress(ConnectionError, TimeoutError):
            while b"\r\n\r\n" not in answer:
                answer += client.recv(4096)
            for frame in frames(chance, path):
                client.sendall(frame)
            client.settimeout(0.2)
            while piece := client.recv(65536):
                answer += piece
        return answer


@pytest.mark.parametrize("path", MESSAGES)
def test_nothing_that_is_sent_is_an_error_of_ours(daemon: ScriptedDaemon, path: str) -> None:
    chance = random.Random(f"{SEED} {path}")
    for number in range(EXAMPLES):
        answer = send(daemon, path, chance)
        assert answer.startswith(b"HTTP/1.1 101 "), f"{number} of {path}: {answer[:200]!r}"
    wrong = re.findall(r".*(?:unexpected error|Traceback).*", daemon.log)
    assert not wrong, daemon.log[-4000:]


WYOMING: list[dict[str, Any]] = [
    {"type": "describe"}, {"type": "ping", "data": {"text": "x"}}, {"type": "audio-stop"},
    {"type": "transcribe", "data": {"language": "ru", "transcript_names": ["x"]}},
    {"type": "audio-start", "data": {"rate": 16000, "width": 2, "channels": 1}},
    {"type": "audio-chunk", "data": {"rate": 16000, "width": 2, "channels": 1},
     "data_length": 0, "payload_length": 32},
]  # fmt: skip


def test_nothing_that_is_sent_to_wyoming_is_an_error_of_ours(daemon: ScriptedDaemon) -> None:
    port = int(daemon.wait_for_log(r"Wyoming is spoken on [\d.]+:(\d+)", SOON_S).group(1))
    chance = random.Random(f"{SEED} wyoming")
    for _ in range(EXAMPLES):
        with (
            contextlib.suppress(ConnectionError, TimeoutError),
            socket.create_connection(("127.0.0.1", port), SOON_S) as client,
        ):
            for _ in range(chance.randrange(1, 8)):
                message = chance.choice(WYOMING)
                whole = json.dumps(message).encode()
                line = whole if chance.random() < 0.6 else mutated(chance, message)
                client.sendall(line + b"\n" + chance.randbytes(message.get("payload_length", 0)))
            client.settimeout(0.2)
            while client.recv(65536):
                pass
    wrong = re.findall(r".*(?:unexpected error|Traceback).*", daemon.log)
    assert not wrong, daemon.log[-4000:]


def test_all_places_are_free_again_and_the_next_one_is_heard(daemon: ScriptedDaemon) -> None:
    def sessions() -> float:
        return daemon.metrics()["transcriber_live_sessions"]

    until(lambda: sessions() == 0, "all sessions ended", 3 * SOON_S)
    with Live(daemon) as live:
        assert live.begin()["type"] == "ready"
        live.send(sound(4))
        live.wait_for_seq(4)
        live.say("stop")
        assert live.wait_for("stored")["recording"]
