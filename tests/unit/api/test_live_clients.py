"""What the protocols say, and the bounds of their connections; without a daemon."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest
from websockets.frames import Frame, Opcode

from modules.api.live.deepgram import DeepgramClient, query_of
from modules.api.live.realtime import RealtimeClient
from modules.api.live.session_client import START_S, Surroundings
from modules.api.live.session_object import Session as Asked
from modules.api.live.vosk import VoskClient
from modules.api.live.web_socket import MESSAGE_BYTES, WebSocket
from modules.api.live.wyoming import Transcribe
from modules.api.schemas.requests import SettingsFields
from modules.api.server.refusals import Upgraded
from modules.live.events import Committed, Problem, SessionStored
from modules.live.presence import QUIET_S
from modules.transcript.model import Word

WORDS = (Word(word=" добрый", start=0.1, end=0.5), Word(word=" день", start=0.6, end=0.9))
DEADLINE_S = 60.0


class FakeConnection:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        self.has_room = True

    def wake(self) -> None: ...

    def send(self, text: bytes) -> None:
        self.said.append(json.loads(text))

    def close(self, code: int, reason: str = "") -> None:
        self.closed = self.closed or (code, reason)


class FakeSessions:
    def wake(self) -> None: ...


class Around:
    """Everything around a client, with a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.connection: Any = FakeConnection()
        none: Any = None
        sessions = cast(Any, FakeSessions())
        self.surroundings = Surroundings(sessions, none, none, "", lambda: self.now)


@pytest.fixture
def around() -> Around:
    return Around()


# --- the words of each protocol ---


def test_an_item_that_was_committed_fails_with_its_session(around: Around) -> None:
    client = RealtimeClient(around.connection, around.surroundings)
    client.say(Committed(1, WORDS))
    client._commit_item()
    client.say(Problem("live_failed", "It did."))
    item = around.connection.said[0]["item_id"]
    error, failed = around.connection.said[-2:]
    assert (error["type"], error["error"]["type"]) == ("error", "server_error")
    assert failed["type"] == "conversation.item.input_audio_transcription.failed"
    assert (failed["item_id"], failed["error"]["code"]) == (item, "live_failed")


@pytest.mark.parametrize("event_id", [["x"] * 9, {"a": 1}, "x" * 600, 7])
def test_only_what_can_be_an_id_is_said_back(around: Around, event_id: object) -> None:
    client = RealtimeClient(around.connection, around.surroundings)
    client.on_text(json.dumps({"type": "response.create", "event_id": event_id}))
    [answer] = around.connection.said
    assert answer["error"]["event_id"] is None
    assert answer["error"]["type"] == "invalid_request_error"


DEEP = [
    text
    for depth in (70, 500, 900, 960, 980, 990, 2000, 100_000)
    for text in (
        '{"type": "x", "event_id": ' + "[" * depth + "]" * depth + "}",
        '{"config": {"phrase_list": [' + "[" * depth + "]" * depth + "]}}",
    )
]


@pytest.mark.parametrize("text", DEEP, ids=[str(n) for n in range(len(DEEP))])
def test_deep_json_is_an_error_whatever_is_spoken(around: Around, text: str) -> None:
    deepgram = query_of({"encoding": ["linear16"]})
    for client in (
        RealtimeClient(around.connection, around.surroundings),
        DeepgramClient(around.connection, around.surroundings, deepgram),
        VoskClient(around.connection, around.surroundings),
    ):
        client.on_text(text)
    said = around.connection.said
    assert [answer.get("type") for answer in said] == ["error", "Error", None]
    assert "error" in said[2]


def test_words_without_an_end_of_their_utterance_are_in_the_last_answer(around: Around) -> None:
    client = VoskClient(around.connection, around.surroundings)
    client.say(Committed(1, WORDS))
    client.say(SessionStored("a.wav", None))
    [answer] = around.connection.said
    assert answer["text"] == "добрый день"
    assert [each["word"] for each in answer["result"]] == ["добрый", "день"]


def test_however_many_hotwords_they_are_a_setting_that_can_be() -> None:
    """Or the recording would be transcribed without any of them."""
    many, blank = ["слово " * 16] * 100, ["", " "]
    listen = query_of({"encoding": ["linear16"], "keyterm": many}).wishes()
    spoken = {"model": "m", "keywords": many, "prompt": "x" * 2000}
    realtime = Asked.of({"audio": {"input": {"transcription": spoken}}}).wishes()
    wyoming = Transcribe(transcript_names=many, transcript_terms=many).wishes()
    for wishes in (listen, realtime, wyoming):
        assert SettingsFields(**wishes).hotwords
    assert query_of({"encoding": ["linear16"], "keyterm": blank}).wishes() == {}
    assert Asked.of({"audio": {"input": {"transcription": {"keywords": blank}}}}).wishes() == {}
    assert Transcribe(transcript_names=blank).wishes() == {}


# --- a place is not held for ever ---


def test_who_says_nothing_is_closed_soon(around: Around) -> None:
    client = VoskClient(around.connection, around.surroundings)
    around.now += START_S + 1
    client.on_room()
    assert around.connection.closed == (1008, "invalid_request")


def test_who_only_says_that_it_is_there_is_closed_in_the_end(around: Around) -> None:
    query = query_of({"encoding": ["linear16"]})
    client = DeepgramClient(around.connection, around.surroundings, query)
    while around.now < 1000.0 + QUIET_S:
        client.on_text('{"type": "KeepAlive"}')
        client.on_room()
        assert around.connection.closed is None
        around.now += 8
    client.on_text('{"type": "KeepAlive"}')
    client.on_room()
    assert around.connection.closed == (1008, "invalid_request")
    assert around.connection.said[-1]["type"] == "Error"


# --- bounds of a connection ---


class Deaf:
    """What a connection talks to, and what takes no part in it."""

    def on_text(self, text: str) -> None: ...
    def on_sound(self, data: bytes) -> None: ...
    def on_room(self) -> None: ...


@pytest.fixture
def pair() -> Iterator[tuple[WebSocket, socket.socket]]:
    """A connection that is served, and its other end."""
    listener = socket.create_server(("127.0.0.1", 0))
    ours = socket.create_connection(listener.getsockname())
    theirs, _ = listener.accept()
    listener.close()
    served = WebSocket(Upgraded(theirs, "", b"", lambda: None))
    thread = threading.Thread(target=served.run, args=(Deaf(), b"", b""))
    thread.start()
    yield served, ours
    with contextlib.suppress(OSError):  # with a reset, whatever waits
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    ours.close()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()


def test_who_asks_and_does_not_read_is_not_read_either(
    pair: tuple[WebSocket, socket.socket],
) -> None:
    served, ours = pair
    pings = Frame(Opcode.PING, b"x" * 125).serialize(mask=True) * 500
    ours.settimeout(3.0)
    sent = waiting = 0
    with contextlib.suppress(TimeoutError):
        while sent < 64 * 2**20:
            ours.sendall(pings)
            sent, waiting = sent + len(pings), max(waiting, len(served._unsent))
    assert sent < 64 * 2**20, "it read all of them"
    assert waiting < 4 * 2**20


def test_a_message_in_countless_pieces_takes_no_more_than_its_bytes(
    pair: tuple[WebSocket, socket.socket],
) -> None:
    served, ours = pair
    ours.settimeout(DEADLINE_S)
    empty = Frame(Opcode.CONT, b"", fin=False).serialize(mask=True)
    ours.sendall(Frame(Opcode.TEXT, b"a", fin=False).serialize(mask=True))
    for _ in range(100):
        ours.sendall(empty * 1000)
    ours.sendall(Frame(Opcode.PING, b"").serialize(mask=True))
    assert ours.recv(2)[0] & 0x0F == Opcode.PONG
    assert len(served._message) == 1
    assert sys.getsizeof(served._message) < 1000
    assert MESSAGE_BYTES == 2**18
