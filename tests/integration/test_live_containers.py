"""Live sound in containers: what browsers' recorders send, decoded by the real process."""

from __future__ import annotations

import contextlib
import io
import json
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from modules.live.containers import RATE, Containers
from modules.live.events import Outbox, Problem
from modules.live.landing import Landing
from modules.live.note import SessionNote
from modules.live.presence import QUIET_S
from modules.live.sessions import LiveSessions
from modules.live.store import SessionStore
from modules.recordings.uploads import Uploads
from tests.builders import a_config, until
from tests.fakes import FakeClock
from tests.live_client import SOON_S, port_of
from tests.page import made
from tests.scripted_daemon import ScriptedDaemon

#: The scripted child hears a word for each second.
SECONDS = 7
KINDS = {
    "webm": ("webm", "libopus", {"live": "1", "cluster_time_limit": "500"}),
    "ogg": ("ogg", "libopus", {"page_duration": "200000"}),
    "mp4": ("mp4", "aac", {"movflags": "frag_every_frame+empty_moov+default_base_moof"}),
}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path) as running:
        running.wait_for_log("has loaded", SOON_S)
        yield running


def encoded(kind: str, source: Path = made.SPEECH, *, in_pieces: bool = True) -> bytes:
    """A recording as a browser's recorder sends it."""
    name, codec, options = KINDS[kind]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=name, options=options if in_pieces else {}) as out:
        stream = out.add_stream(codec, rate=48_000, layout="mono")
        resampler = av.AudioResampler("s16" if codec == "libopus" else "fltp", "mono", 48_000)
        with av.open(str(source)) as speech:
            for frame in (*speech.decode(audio=0), None):
                for converted in resampler.resample(frame):
                    out.mux(stream.encode(converted))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def opened(daemon: ScriptedDaemon, query: str = "?interim_results=true") -> ClientConnection:
    address = f"ws://127.0.0.1:{port_of(daemon)}/v1/listen{query}"
    return connect(address, proxy=None, open_timeout=SOON_S)


def told(socket: ClientConnection) -> list[dict[str, Any]]:
    """All that comes until it is closed."""
    found = []
    while True:
        try:
            found.append(json.loads(socket.recv(timeout=SOON_S)))
        except ConnectionClosed:
            return found


def text_of(messages: list[dict[str, Any]]) -> list[str]:
    finals = [each for each in messages if each["type"] == "Results" and each["is_final"]]
    return " ".join(each["channel"]["alternatives"][0]["transcript"] for each in finals).split()


def samples_of(path: Path) -> np.ndarray[Any, np.dtype[np.int16]]:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels()) == (16_000, 1)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def alike(found: np.ndarray[Any, Any]) -> float:
    """How much it resembles the sample, if it begins within a twentieth of a second of it."""
    size = 2**18
    theirs, ours = found.astype(float), samples_of(made.SPEECH).astype(float)
    crossed = np.fft.rfft(theirs, size) * np.conj(np.fft.rfft(ours, size))
    at_any = np.fft.irfft(crossed) / np.sqrt((theirs**2).sum() * (ours**2).sum())
    return float(np.concatenate([at_any[:800], at_any[-800:]]).max())


@pytest.mark.parametrize("kind", KINDS)
def test_sound_in_a_container_is_heard_as_it_comes(daemon: ScriptedDaemon, kind: str) -> None:
    data = encoded(kind)
    with opened(daemon) as socket:
        half = len(data) // 2
        for start in range(0, half, 500):
            socket.send(data[start : min(half, start + 500)])
        first = json.loads(socket.recv(timeout=SOON_S))
        assert first["type"] == "Results", "words come while the container is not complete"
        for start in range(half, len(data), 500):
            socket.send(data[start : start + 500])
        socket.send(json.dumps({"type": "CloseStream"}))
        messages = [first, *told(socket)]
        assert socket.close_code == 1000
    assert text_of(messages) == [f"w{number}" for number in range(len(text_of(messages)))]
    assert len(text_of(messages)) >= SECONDS - 1
    assert messages[-1]["type"] == "Metadata"
    assert messages[-1]["duration"] == pytest.approx(SECONDS, abs=0.2)
    [path] = daemon.shared.glob("*.wav")
    assert alike(samples_of(path)) > 0.9
    assert not list((daemon.shared / ".transcriber" / "live").glob("*.container"))


def test_finalize_waits_for_what_came_before_it(daemon: ScriptedDaemon) -> None:
    data = encoded("webm")
    with opened(daemon, "") as socket:
        socket.send(data)
        socket.send(json.dumps({"type": "Finalize"}))
        finals: list[dict[str, Any]] = []
        while not any(each.get("from_finalize") for each in finals):
            finals.append(json.loads(socket.recv(timeout=SOON_S)))
        assert len(text_of(finals)) >= SECONDS - 1


def test_what_is_no_container_is_refused(daemon: ScriptedDaemon) -> None:
    with opened(daemon, "") as socket:
        socket.send(b"hello, this is no sound at all" * 10)
        [error] = told(socket)
        assert (error["type"], error["variant"]) == ("Error", "invalid_request")
        assert "encoding" in error["message"]
        assert socket.close_code == 1008
    assert list(daemon.shared.glob("2*")) == []


@pytest.mark.parametrize("kind", ["webm", "ogg", "mp4", "riff", "flac", "mp3"])
def test_a_broken_container_is_an_error_that_helps_and_harms_nobody(
    daemon: ScriptedDaemon, kind: str
) -> None:
    """Beside a session that goes on."""
    heads = {
        "riff": b"RIFF\xff\xff\xff\xffWAVEfmt ", "flac": b"fLaC\0\0\0\x22", "mp3": b"\xff\xfb\x90d",
    }  # fmt: skip
    head = heads[kind] if kind in heads else encoded(kind)[:40]
    noise = np.random.default_rng(7).bytes(200_000)
    with opened(daemon) as good, opened(daemon) as socket:
        sound = encoded("webm")
        good.send(sound[: len(sound) // 2])
        socket.send(head + noise)
        socket.send(json.dumps({"type": "CloseStream"}))
        messages = told(socket)
        errors = [each for each in messages if each["type"] == "Error"]
        assert errors, messages
        assert "upload the file" in errors[0]["description"]
        good.send(sound[len(sound) // 2 :])
        good.send(json.dumps({"type": "CloseStream"}))
        assert len(text_of(told(good))) >= SECONDS - 1
    assert len(list(daemon.shared.glob("*.wav"))) == 1


def test_an_mp4_with_its_index_at_the_end_is_told_what_to_do(daemon: ScriptedDaemon) -> None:
    data = encoded("mp4", in_pieces=False)
    with opened(daemon) as socket:
        socket.send(data)
        socket.send(json.dumps({"type": "CloseStream"}))
        errors = [each for each in told(socket) if each["type"] == "Error"]
        assert errors[0]["variant"] == "not_media"
        assert "fragments" in errors[0]["message"]


def test_a_container_full_of_nothing_is_refused(daemon: ScriptedDaemon) -> None:
    head, _, _ = encoded("webm").partition(b"\x1f\x43\xb6\x75")  # the first cluster
    nothing = b"\xec\x10\x03\x0d\x40" + bytes(200_000)  # Matroska's Void
    with opened(daemon) as socket:
        socket.send(head)
        with contextlib.suppress(ConnectionClosed):
            for _ in range(200):
                socket.send(nothing)
        errors = [each for each in told(socket) if each["type"] == "Error"]
        assert [each["variant"] for each in errors] == ["oversized"]
        assert socket.close_code == 1008
    until(lambda: daemon.metrics()["transcriber_live_sessions"] == 0, "its place is free", SOON_S)
    assert list(daemon.shared.glob("2*")) == []


def kept_of(daemon: ScriptedDaemon) -> list[int]:
    """The sizes of the containers that are kept."""
    containers = (daemon.shared / ".transcriber" / "live").glob("*.container")
    return [path.stat().st_size for path in containers]


def test_a_service_that_is_killed_keeps_the_container_as_it_came(daemon: ScriptedDaemon) -> None:
    data = encoded("webm")
    with opened(daemon) as socket:
        socket.send(data)
        while not text_of([json.loads(socket.recv(timeout=SOON_S))]):
            pass
        until(lambda: kept_of(daemon) == [len(data)], "all is kept", SOON_S)
        daemon.kill()
    daemon.start()
    until(lambda: list(daemon.shared.glob("*.webm")) != [], "the container landed", SOON_S)
    [path] = daemon.shared.glob("*.webm")
    assert path.read_bytes() == data


def test_a_client_that_leaves_has_its_sound_stored(daemon: ScriptedDaemon) -> None:
    data = encoded("webm")
    with opened(daemon) as socket:
        socket.send(data)
        until(lambda: kept_of(daemon) == [len(data)], "all of it came", SOON_S)
        socket.socket.shutdown(2)
    until(lambda: list(daemon.shared.glob("*.wav")) != [], "it was stored", SOON_S)
    [path] = daemon.shared.glob("*.wav")
    assert len(samples_of(path)) / 16_000 == pytest.approx(SECONDS, abs=0.2)


def test_a_session_to_which_no_more_comes_is_decoded_to_its_end(tmp_path: Path) -> None:
    """By a clock of its own; the process that decodes is the real one."""
    config, clock, outbox = a_config(tmp_path), FakeClock(), Outbox()
    shared = config.shared_directory
    shared.mkdir(exist_ok=True)
    store = SessionStore(shared / ".transcriber" / "live")
    uploads = Uploads(shared / ".transcriber" / "uploads", shared)
    uploads.prepare()
    begun = []
    landing = Landing(shared, store, uploads, lambda *given: begun.append(given[3]), "")
    sessions = LiveSessions(config, store, landing, clock)
    containers = Containers(config, store, sessions)
    note = SessionNote(rate=RATE, created="2026-11-28 14-03", container="webm")
    session = sessions.begin(note, config.default_settings(), outbox)
    feed = containers.begin(session, "webm")
    feed.add(encoded("webm"))
    until(lambda: session.samples > 0, "it is being decoded", SOON_S)
    sessions._tick()
    clock.advance(QUIET_S + 1)
    sessions._tick()
    until(lambda: session.state != "open", "the session ends", SOON_S)
    feed.join(SOON_S)
    clock.advance(60)
    sessions._tick()
    sessions._landings.tick()
    containers.stop()
    sessions.stop()
    problems = [event.code for event in outbox.take() if isinstance(event, Problem)]
    assert problems == ["no_sound_came"]
    [path] = shared.glob("2026*")
    assert path.suffix == ".wav"
    assert len(samples_of(path)) / RATE == pytest.approx(SECONDS, abs=0.2)
    [chunks] = begun
    assert chunks, "its chunks of text are kept"
