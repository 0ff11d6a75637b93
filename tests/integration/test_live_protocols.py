"""Live sound as other people's clients send it: OpenAI's, Deepgram's and Vosk's protocol."""

from __future__ import annotations

import base64
import json
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.builders import until
from tests.clients import environment
from tests.live_client import RATE, SOON_S, port_of, sound
from tests.scripted_daemon import ScriptedDaemon

KEY = "secret"
SECONDS = 7
#: The scripted child hears a word for each second; its utterances have five.
SAID = [f"w{number}" for number in range(SECONDS)]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path, {"api": {"key": KEY}}) as running:
        running.wait_for_log("has loaded", SOON_S)
        yield running


def stored(daemon: ScriptedDaemon) -> tuple[int, bytes]:
    """The rate and the samples of the one recording."""
    until(lambda: list(daemon.shared.glob("*.wav")) != [], "a recording", SOON_S)
    [path] = daemon.shared.glob("*.wav")
    with wave.open(str(path)) as file:
        return file.getframerate(), file.readframes(file.getnframes())


def opened(daemon: ScriptedDaemon, path: str, **options: Any) -> ClientConnection:
    address = f"ws://127.0.0.1:{port_of(daemon)}{path}"
    return connect(address, proxy=None, open_timeout=SOON_S, **options)


# --- OpenAI ---


@pytest.mark.filterwarnings("ignore:connect.. must be used:DeprecationWarning")
def test_openai_for_python_hears_deltas_and_texts(daemon: ScriptedDaemon) -> None:
    data, told = sound(SECONDS, rate=24_000), []
    client = OpenAI(api_key=KEY, base_url=f"http://127.0.0.1:{port_of(daemon)}/v1")
    with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        connection.session.update(
            session={
                "type": "transcription",
                "audio": {
                    "input": {
                        "format": {"type": "audio/pcm", "rate": 24_000},
                        "transcription": {"model": "gpt-4o-transcribe", "language": "ru"},
                        "turn_detection": {"type": "server_vad", "silence_duration_ms": 400},
                    }
                },
            }
        )
        for start in range(0, len(data), 9600):
            piece = base64.b64encode(data[start : start + 9600]).decode()
            connection.input_audio_buffer.append(audio=piece)
        connection.input_audio_buffer.commit()
        texts: list[str] = []
        while " ".join(texts).split() != SAID:
            event = connection.recv()
            told.append(event)
            if event.type == "conversation.item.input_audio_transcription.completed":
                texts.append(event.transcript)
    kinds = [event.type for event in told]
    assert kinds[:2] == ["session.created", "session.updated"]
    shown = told[1].session.audio.input
    assert (shown.transcription.language, shown.turn_detection.silence_duration_ms) == ("ru", 400)
    assert "input_audio_buffer.speech_started" in kinds
    deltas: dict[str, str] = {}
    for event in told:
        if event.type == "conversation.item.input_audio_transcription.delta":
            deltas[event.item_id] = deltas.get(event.item_id, "") + event.delta
        elif event.type == "conversation.item.input_audio_transcription.completed":
            assert deltas[event.item_id] == event.transcript
            assert event.usage.type == "duration"
    assert stored(daemon) == (24_000, data)


def test_livekits_realtime_client(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    """The scripted child ends an utterance with each third word, so the sixth is the last."""
    (tmp_path / "sound.raw").write_bytes(sound(SECONDS, rate=24_000))
    script = environment.HERE / "livekit_live.py"
    base_url = f"http://127.0.0.1:{port_of(daemon)}/v1"
    command = [environment.python(), script, base_url, KEY, tmp_path / "sound.raw", "6"]
    told = json.loads(environment.said(command))
    assert told["texts"] == ["w0 w1 w2", "w3 w4 w5"]
    assert set(told["told"]) >= {"start_of_speech", "interim_transcript", "final_transcript"}


def test_several_languages_and_keywords_are_understood(daemon: ScriptedDaemon) -> None:
    """As newer models of OpenAI have them."""
    headers = {"Authorization": f"Bearer {KEY}"}
    with opened(daemon, "/v1/realtime", additional_headers=headers) as socket:
        assert received(socket)["type"] == "session.created"
        for languages, shown in ((["ru"], "ru"), (["ru", "en"], "auto"), ([], None)):
            heard = {"model": "gpt-transcribe", "languages": languages, "keywords": ["Вектор-М"]}
            session = {"type": "transcription", "audio": {"input": {"transcription": heard}}}
            send(socket, type="session.update", session=session)
            answer = received(socket)["session"]["audio"]["input"]["transcription"]
            assert answer["language"] == shown
            assert answer["keywords"] == ["Вектор-М"]


@pytest.mark.parametrize(
    ("name", "silence", "value"), [("g711_ulaw", 0xFF, 0), ("g711_alaw", 0xD5, 8)]
)
def test_the_earlier_form_and_telephone_sound(
    daemon: ScriptedDaemon, name: str, silence: int, value: int
) -> None:
    update = {"input_audio_format": name, "turn_detection": None}
    headers = {"Authorization": f"Bearer {KEY}"}
    with opened(daemon, "/v1/realtime", additional_headers=headers) as socket:
        assert received(socket)["type"] == "session.created"
        send(socket, type="transcription_session.update", session=update)
        assert received(socket)["type"] == "transcription_session.updated"
        audio = base64.b64encode(bytes([silence]) * 8000).decode()
        send(socket, type="input_audio_buffer.append", audio=audio)
        send(socket, type="input_audio_buffer.commit")
        text = next_of(socket, "conversation.item.input_audio_transcription.completed")
        assert text["transcript"] == "w0"
    assert stored(daemon) == (8000, value.to_bytes(2, "little") * 8000)


def test_what_openai_would_refuse_is_an_error_and_no_end(daemon: ScriptedDaemon) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    with opened(daemon, "/v1/realtime?model=gpt-realtime", additional_headers=headers) as socket:
        assert received(socket)["type"] == "session.created"
        wrong: list[dict[str, Any] | str] = [
            "rubbish",
            {"type": "response.create", "event_id": "mine"},
            {"type": "session.update", "session": {"type": "realtime"}},
            {"type": "session.update", "session": {"audio": {"input": {"format": {"rate": 1}}}}},
            {"type": "input_audio_buffer.append", "audio": "?"},
            {"type": "input_audio_buffer.commit"},
        ]
        for each in wrong:
            socket.send(each if isinstance(each, str) else json.dumps(each))
            answer = received(socket)
            assert answer["type"] == "error", each
            assert answer["error"]["code"] == "invalid_request"
            if isinstance(each, dict):
                assert answer["error"]["event_id"] == each.get("event_id")
        send(socket, type="input_audio_buffer.clear")
        assert received(socket)["type"] == "input_audio_buffer.cleared"
    assert list(daemon.shared.glob("*.wav")) == []


# --- Deepgram ---


def test_deepgrams_client(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    data = sound(SECONDS)
    (tmp_path / "sound.raw").write_bytes(data)
    script = environment.HERE / "deepgram_live.py"
    address = f"ws://127.0.0.1:{port_of(daemon)}"
    told = json.loads(
        environment.said([environment.python(), script, address, tmp_path / "sound.raw"])
    )
    results = [each for each in told if each["type"] == "Results"]
    finals = [each for each in results if each["is_final"]]
    texts = [each["channel"]["alternatives"][0]["transcript"] for each in finals]
    assert " ".join(texts).split() == SAID
    assert any(each["speech_final"] for each in finals)
    assert any(each["from_finalize"] for each in finals)
    assert {each["type"] for each in told} == {
        "Results", "SpeechStarted", "UtteranceEnd", "Metadata",
    }  # fmt: skip
    assert told[-1]["type"] == "Metadata"
    assert told[-1]["duration"] == SECONDS
    assert stored(daemon) == (RATE, data)


def test_what_cannot_be_heard_is_refused_before_the_upgrade(daemon: ScriptedDaemon) -> None:
    headers = {"Authorization": f"Token {KEY}"}
    for query, part in (
        ("?encoding=opus", "encoding"),
        ("?encoding=linear16&sample_rate=fast", "sample_rate"),
        ("?encoding=linear16&channels=2", "channels"),
        ("?encoding=linear16&language=klingon", "language"),
        ("?encoding=linear16" + "&a=1" * 300, "too many fields"),
    ):
        with pytest.raises(InvalidStatus) as refused:
            opened(daemon, f"/v1/listen{query}", additional_headers=headers)
        assert refused.value.response.status_code == 422, query
        assert part in json.loads(refused.value.response.body or b"")["error"]["message"]


def test_a_browser_sends_its_key_as_a_protocol(daemon: ScriptedDaemon) -> None:
    query = "/v1/listen?encoding=mulaw&sample_rate=8000"
    with opened(daemon, query, subprotocols=["token", KEY]) as socket:
        assert socket.subprotocol == "token"
        socket.send(b"\xff" * 8000)
        send(socket, type="CloseStream")
        assert next_of(socket, "Metadata")["duration"] == 1.0
    offered = ["realtime", f"openai-insecure-api-key.{KEY}", "openai-beta.realtime-v1"]
    with opened(daemon, "/v1/realtime", subprotocols=offered) as socket:
        assert socket.subprotocol == "realtime"
        assert received(socket)["type"] == "session.created"
    for wrong in (["token", "guess"], ["realtime", "openai-insecure-api-key.guess"]):
        with pytest.raises(InvalidStatus) as refused:
            opened(daemon, "/v1/realtime", subprotocols=wrong)
        assert refused.value.response.status_code == 401


# --- Vosk ---


def test_vosks_protocol_has_one_answer_for_each_message(daemon: ScriptedDaemon) -> None:
    data = sound(SECONDS)
    with opened(daemon, "/", additional_headers={"X-API-Key": KEY}) as socket:
        send(socket, config={"sample_rate": RATE, "phrase_list": ["сервер"]})
        texts, partials = [], []
        for start in range(0, len(data), 6400):
            socket.send(data[start : start + 6400])
            answer = received(socket)
            if "text" in answer:
                texts.append(answer["text"])
                assert [each["word"] for each in answer["result"]] == answer["text"].split()
            else:
                partials.append(answer["partial"])
            time.sleep(0.02)  # the child answers in between
        send(socket, eof=1)
        texts.append(received(socket)["text"])
    assert " ".join(texts).split() == SAID
    assert any(partials)
    assert stored(daemon) == (RATE, data)


def test_vosks_protocol_needs_the_key_though_the_page_is_open(daemon: ScriptedDaemon) -> None:
    with pytest.raises(InvalidStatus) as refused:
        opened(daemon, "/")
    assert refused.value.response.status_code == 401


def test_rubbish_for_vosk_is_answered_and_ends_it(daemon: ScriptedDaemon) -> None:
    for wrong in ("rubbish", "[]", '{"config": {"sample_rate": 5}}', '{"hello": 1}'):
        with opened(daemon, "/", additional_headers={"X-API-Key": KEY}) as socket:
            socket.send(wrong)
            assert received(socket)["error_code"] == "invalid_request"
    with opened(daemon, "/", additional_headers={"X-API-Key": KEY}) as socket:
        send(socket, eof=1)
        assert received(socket) == {"text": ""}


@pytest.mark.parametrize("path", ["/live", "/v1/realtime", "/v1/listen", "/"])
def test_a_page_of_another_site_is_refused_whatever_it_speaks(
    daemon: ScriptedDaemon, path: str
) -> None:
    """Also with a key that it guessed, which a page can only send among the protocols."""
    for options in ({}, {"subprotocols": ["token", KEY]}):
        with pytest.raises(InvalidStatus) as refused:
            opened(daemon, path, additional_headers={"Origin": "https://evil.example"}, **options)
        assert refused.value.response.status_code == 403
    with pytest.raises(InvalidStatus) as refused:
        opened(daemon, path)
    assert refused.value.response.status_code == 401


def send(socket: ClientConnection, **content: Any) -> None:
    socket.send(json.dumps(content))


def received(socket: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(socket.recv(timeout=SOON_S))
    return found


def next_of(socket: ClientConnection, kind: str) -> dict[str, Any]:
    while (message := received(socket))["type"] != kind:
        pass
    return message
