"""Live sessions: the real daemon, a real WebSocket client, and a child that hears by a script."""

from __future__ import annotations

import json
import os
import random
import time
import urllib.error
import urllib.request
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from tests.builders import until
from tests.daemon_process import text_of
from tests.live_client import RATE, SOON_S, Live, Slow, port_of, sound
from tests.scripted_daemon import ScriptedDaemon

KILLS = 20 if os.environ.get("TRANSCRIBER_SOAK") else 5


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path, {}) as running:
        running.wait_until_warm()
        yield running


def samples_of(path: Path) -> bytes:
    """Of a WAV file that is whole."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        assert path.stat().st_size == 44 + 2 * file.getnframes()
        return file.readframes(file.getnframes())


def ask(daemon: ScriptedDaemon, path: str, method: str = "GET") -> dict[str, Any]:
    """The answer, also where it is an error."""
    request = urllib.request.Request(f"http://127.0.0.1:{port_of(daemon)}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=SOON_S) as answer:
            content: dict[str, Any] = json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            content = json.loads(refused.read())
    return content


def sessions(daemon: ScriptedDaemon) -> dict[str, Any]:
    return ask(daemon, "/sessions")


def session_of(daemon: ScriptedDaemon, session: str) -> dict[str, Any]:
    return ask(daemon, f"/sessions/{session}")


def refusal(daemon: ScriptedDaemon, **headers: str) -> Response:
    """The answer in place of an upgrade."""
    with pytest.raises(InvalidStatus) as caught:
        Live(daemon, **headers)
    return caught.value.response


def refusal_code(daemon: ScriptedDaemon) -> str | None:
    try:
        Live(daemon).socket.close()
    except InvalidStatus as refused:
        return str(json.loads(refused.response.body)["error_code"])
    return None


def left_of_live(daemon: ScriptedDaemon) -> set[str]:
    return {path.suffix for path in (daemon.shared / ".transcriber" / "live").glob("*")}


def test_a_session_becomes_a_recording_with_its_text(daemon: ScriptedDaemon) -> None:
    content = sound(7.6, rate=8000)
    with Live(daemon) as live:
        ready = live.begin(language="ru", rate=8000, name="stand-up: 1/2", hotwords="Ромашкин")
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


def test_a_client_that_comes_back_misses_nothing(daemon: ScriptedDaemon) -> None:
    content = sound(9.5)
    first = Live(daemon)
    session = first.begin(name="call")["session"]
    first.send(content[:100_000])
    first.wait_for_seq(4)
    first.drop()
    until(lambda: not session_of(daemon, session)["connected"], "it was noticed", SOON_S)
    with Live(daemon, f"?session={session}") as second:
        ready = second.begin(session=session, seq=2)
        # What the first had on its way when it was cut off came, or is to be sent again.
        received = 2 * ready["received_samples"]
        assert 0 < received <= 100_000
        assert ready["seq"] == 4
        second.send(content[received:])
        second.say("stop")
        stored = second.wait_for("stored")
    seqs = [m["seq"] for m in second.messages if m["type"] in ("commit", "final")]
    assert seqs == list(range(3, 13))
    assert samples_of(daemon.shared / stored["recording"]) == content
    with Live(daemon) as third:
        assert third.begin(session=session) == stored
        assert third.until_closed() == 1000


def test_another_connection_takes_the_session_over(daemon: ScriptedDaemon) -> None:
    with Live(daemon) as first:
        session = first.begin()["session"]
        first.send(sound(1.0))
        first.wait_for_seq(1)
        with Live(daemon) as second:
            assert second.begin(session=session)["received_samples"] == RATE
            assert first.until_closed() == 1008
            second.send(sound(1.0))
            second.wait_for_seq(2)


def test_a_client_that_stays_away_has_its_session_stored(tmp_path: Path) -> None:
    content = sound(3.5)
    with ScriptedDaemon(tmp_path, {"live": {"resume_seconds": 0.5}}) as daemon:
        live = Live(daemon)
        live.begin(name="away")
        live.send(content)
        until(lambda: sessions(daemon)["sessions"][0]["received_samples"] == len(content) // 2,
              "all of it came", SOON_S)  # fmt: skip
        live.drop()
        name = until(lambda: next(iter(daemon.files("*away.wav")), None), "it was stored", SOON_S)
        assert samples_of(daemon.shared / name) == content
        assert daemon.wait_for_result(name, SOON_S)
        # Its job runs before the session is noted as stored.
        until(lambda: sessions(daemon)["sessions"] == [], "it is over", SOON_S)


def test_a_child_that_dies_is_followed_by_one_that_goes_on(daemon: ScriptedDaemon) -> None:
    content = sound(8.0)
    with Live(daemon) as live:
        live.begin(hotwords="crash3")
        live.send(content)
        live.wait_for_seq(10)
        live.say("stop")
        stored = live.wait_for("stored")
    words = [word["word"] for m in live.of("commit") for word in m["words"]]
    assert "".join(words) == " w0 w1 w2 w3 w4 w5 w6 w7"
    assert samples_of(daemon.shared / stored["recording"]) == content
    assert "Replacing the WhisperX process (died)" in daemon.log


def test_a_child_that_is_killed_from_outside_is_replaced(daemon: ScriptedDaemon) -> None:
    with Live(daemon) as live:
        live.begin()
        live.send(sound(2.0))
        live.wait_for_seq(2)
        for child in daemon.children():
            child.kill()
        live.send(sound(2.0))
        live.wait_for_seq(4)


def test_a_child_that_stands_still_with_nothing_in_hand_is_replaced(tmp_path: Path) -> None:
    content = sound(8.0)
    with ScriptedDaemon(tmp_path, {"processing": {"worker_hang_seconds": 2.0}}) as daemon:
        daemon.wait_until_warm()
        with Live(daemon) as live:
            live.begin()
            live.send(content[: len(content) // 2])
            live.wait_for_seq(5)
            for child in daemon.children():
                if "tests.scripted_worker" in child.cmdline():
                    child.suspend()
            pieces = iter(range(len(content) // 2, len(content) - 160, 160))

            def is_replaced() -> bool:
                at = next(pieces)
                live.send(content[at : at + 160])
                time.sleep(0.05)
                return "Replacing the WhisperX process (hung)" in daemon.log

            until(is_replaced, "it was noticed", SOON_S)
            at = next(pieces)
            live.send(content[at:])
            live.wait_for_seq(10)
            live.say("stop")
            stored = live.wait_for("stored")
        words = [word["word"] for m in live.of("commit") for word in m["words"]]
        assert "".join(words) == " w0 w1 w2 w3 w4 w5 w6 w7"
        assert samples_of(daemon.shared / stored["recording"]) == content


@pytest.mark.parametrize("trick", ["liar", "fail"])
def test_a_session_that_fails_in_the_child_is_still_stored(
    daemon: ScriptedDaemon, trick: str
) -> None:
    content = sound(8.0)
    with Live(daemon) as live:
        live.begin(hotwords=trick)
        live.send(content[: len(content) // 2])
        code = {"liar": "implausible_output", "fail": "live_failed"}[trick]
        assert live.wait_for("error")["error_code"] == code
        live.send(content[len(content) // 2 :])
        live.say("stop")
        assert samples_of(daemon.shared / live.wait_for("stored")["recording"]) == content
    assert "nonsense" not in str(live.messages)


def test_a_child_that_floods_is_replaced(daemon: ScriptedDaemon) -> None:
    """Its next one is flooded as well; the daemon's memory is not, and the sound is kept."""
    content = sound(4.0)
    with Live(daemon) as live:
        live.begin(hotwords="flood")
        live.send(content)
        daemon.wait_for_log("The live channel of WhisperX is closed: more events", SOON_S)
        daemon.wait_for_log(r"Replacing the WhisperX process \(implausible_output\)", SOON_S)
        assert daemon.memory_mb()[0] < 300
        live.say("stop")
        stored = live.wait_for("stored")
    assert samples_of(daemon.shared / stored["recording"]) == content


# --- the daemon ends ----------------------------------------------------------------------------


def test_a_daemon_that_is_killed_stores_what_it_acknowledged(tmp_path: Path) -> None:
    content = sound(6.0)
    with ScriptedDaemon(tmp_path, {}) as daemon:
        daemon.wait_until_warm()
        live = Live(daemon)
        session = live.begin(name="killed", language="en")["session"]
        live.send(content[:100_000])
        acknowledged = 2 * live.wait_for("received")["received_samples"]
        live.send(content[100_000:])
        daemon.kill()
        live.socket.close()
        daemon.start()
        name = until(lambda: next(iter(daemon.files("*killed.wav")), None), "it landed", SOON_S)
        kept = samples_of(daemon.shared / name)
        assert len(kept) >= acknowledged > 0
        assert content.startswith(kept)
        result = daemon.wait_for_result(name, SOON_S)
        assert result["settings"]["language"] == "en"
        with Live(daemon) as again:
            assert again.begin(session=session)["recording"] == name
        assert left_of_live(daemon) == {".json"}


def test_kills_at_any_moment_lose_nothing_and_store_nothing_twice(tmp_path: Path) -> None:
    """Sound, landing and recovery, each interrupted somewhere."""
    rng = random.Random(42)
    with ScriptedDaemon(tmp_path, {"live": {"resume_seconds": 0.0}}) as daemon:
        for number in range(KILLS):
            content = sound(3.0, seed=number)
            live = Live(daemon)
            live.begin(name=f"kill{number}")
            live.send(content)
            if rng.random() < 0.7:
                live.say("stop")
            until(lambda live=live: _sent(daemon, live), "it came", SOON_S)
            time.sleep(rng.uniform(0, 0.15))  # the moment is what is tried out
            daemon.kill()
            live.socket.close()
            daemon.start()
            if rng.random() < 0.3:
                time.sleep(rng.uniform(0, 0.1))
                daemon.kill()
                daemon.start()
        for number in range(KILLS):
            name = until(
                lambda n=number: next(iter(daemon.files(f"* kill{n}.wav")), None),
                f"session {number} landed",
                SOON_S,
            )
            assert samples_of(daemon.shared / name) == sound(3.0, seed=number)
        until(lambda: left_of_live(daemon) == {".json"}, "all were finished", SOON_S)
        assert len(daemon.files("*.wav")) == KILLS


def _sent(daemon: ScriptedDaemon, live: Live) -> bool:
    """Whether all of it is there, or stored already."""
    known = sessions(daemon)["sessions"]
    return not known or known[0]["received_samples"] == 3 * RATE


def test_a_daemon_that_stops_says_so_and_stores_it_at_its_next_start(tmp_path: Path) -> None:
    content = sound(2.0)
    with ScriptedDaemon(tmp_path, {}) as daemon:
        with Live(daemon) as live:
            live.begin(name="stopped")
            live.send(content)
            until(lambda: sessions(daemon)["sessions"][0]["received_samples"] == 2 * RATE,
                  "all of it came", SOON_S)  # fmt: skip
            daemon.stop()
            assert live.until_closed() == 1001
        assert not daemon.files("*.wav")
        daemon.start()
        name = until(lambda: next(iter(daemon.files("*stopped.wav")), None), "stored", SOON_S)
        assert samples_of(daemon.shared / name) == content


# --- who may, and how many ----------------------------------------------------------------------


def test_one_too_many_is_refused_before_the_upgrade(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path, {"live": {"max_sessions": 2}}) as daemon:
        with Live(daemon) as one, Live(daemon) as two:
            for live in (one, two):
                live.begin()
                live.send(sound(1.0))
            refused = refusal(daemon)
            assert refused.status_code == 503
            assert refused.headers["Retry-After"] == "5"
            assert json.loads(refused.body)["error_code"] == "too_many_sessions"
            assert sessions(daemon)["free"] is False
            for live in (one, two):
                live.send(sound(1.0))
                live.wait_for_seq(2)
            one.say("stop")
            one.wait_for("stored")
        until(lambda: sessions(daemon)["free"], "there is room again", SOON_S)
        with Live(daemon) as three:
            three.begin()


def test_a_busy_machine_lengthens_the_pace_then_refuses(daemon: ScriptedDaemon) -> None:
    with Live(daemon) as live:
        live.begin(hotwords="busy")
        second = sound(1.0)

        def is_slower() -> bool:
            live.send(second)
            time.sleep(0.2)
            return bool(ask(daemon, "/stats")["live_step_seconds"] != 1.0)

        def is_refused() -> bool:
            live.send(second)
            time.sleep(0.2)
            return refusal_code(daemon) == "too_busy"

        until(is_slower, "the pace was lengthened", 2 * SOON_S)
        until(is_refused, "the next one is refused", 2 * SOON_S)
        assert daemon.metrics()["transcriber_live_busy_ratio"] > 0.5
        assert daemon.metrics()["transcriber_live_sessions"] >= 1
        while live.wait_for("lag")["step"] == 1.0:
            pass


def test_keys_and_origins_are_checked_before_the_upgrade(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path, {"api": {"port": 0, "key": "secret"}}) as daemon:
        assert refusal(daemon).status_code == 401
        assert refusal(daemon, **{"X-API-Key": "wrong"}).status_code == 401
        assert refusal(daemon, Origin="http://evil.example").status_code == 403
        base = f"http://127.0.0.1:{port_of(daemon)}"
        key = {"X-API-Key": "secret"}
        login = urllib.request.Request(f"{base}/login", method="POST", headers=key)
        with urllib.request.urlopen(login, timeout=SOON_S) as answer:
            cookie = answer.headers["set-cookie"].partition(";")[0]
        with Live(daemon, Cookie=cookie, Origin=base) as live:
            assert live.begin()["type"] == "ready"
        with Live(daemon, **key) as live:
            assert live.begin()["type"] == "ready"
        assert refusal(daemon, Cookie=cookie, Origin="http://evil.example").status_code == 403


def test_without_an_upgrade_there_is_nothing(daemon: ScriptedDaemon) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://127.0.0.1:{port_of(daemon)}/live", timeout=SOON_S)
    with caught.value as refused:
        assert (refused.code, refused.headers["Upgrade"]) == (426, "websocket")


def test_switched_off_it_is_refused(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path, {"live": {"enabled": False}}) as daemon:
        assert refusal(daemon).status_code == 403
        assert sessions(daemon) == {
            "enabled": False, "free": False, "error_code": "live_disabled", "sessions": [],
            "message": "Live sessions are switched off. Set live.enabled: true.",
        }  # fmt: skip


# --- what clients do wrong ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    ["", "rubbish", "[]", '{"type": 1}', '{"type": "stop"}', '{"type": "start", "rate": 1}',
     '{"type": "start", "langauge": "ru"}', '{"type": "start", "session": "no such"}', b"\0\0"],
)  # fmt: skip
def test_rubbish_is_answered_and_ends_the_connection(
    daemon: ScriptedDaemon, message: str | bytes
) -> None:
    with Live(daemon) as live:
        live.socket.send(message)
        assert live.until_closed() == 1008
        assert live.of("error")


def test_what_is_too_large_ends_the_connection_not_the_session(daemon: ScriptedDaemon) -> None:
    with Live(daemon) as live:
        session = live.begin()["session"]
        live.send(sound(1.0))
        live.socket.send(bytes(2**20))
        assert live.until_closed() == 1009
    with Live(daemon) as live:
        assert live.begin(session=session)["received_samples"] == RATE


def test_half_samples_wait_for_their_other_half(daemon: ScriptedDaemon) -> None:
    content = sound(2.0)
    with Live(daemon) as live:
        live.begin()
        live.send(content, piece_bytes=999)
        live.say("stop")
        assert samples_of(daemon.shared / live.wait_for("stored")["recording"]) == content


def test_one_that_never_reads_is_closed_and_harms_nobody(daemon: ScriptedDaemon) -> None:
    with Slow(daemon) as slow, Live(daemon) as live:
        slow.begin(rate=8000, hotwords="fat")
        live.begin()
        session = next(s for s in sessions(daemon)["sessions"] if s["rate"] == 8000)["session"]
        slow.send_until(lambda: not session_of(daemon, session)["connected"])
        live.send(sound(1.0))
        live.wait_for_seq(1)


# --- over HTTP ----------------------------------------------------------------------------------


def test_sessions_are_listed_ended_and_discarded(daemon: ScriptedDaemon) -> None:
    with Live(daemon) as one, Live(daemon) as two:
        kept, thrown = one.begin(name="kept")["session"], two.begin(name="thrown")["session"]
        for live in (one, two):
            live.send(sound(2.0))
            live.wait_for_seq(2)
        assert {s["name"] for s in sessions(daemon)["sessions"]} == {"kept", "thrown"}
        assert ask(daemon, f"/sessions/{thrown}?discard=true", "DELETE")["status"] == "discarded"
        assert two.wait_for("stored")["recording"] is None
        assert ask(daemon, f"/sessions/{kept}", "DELETE")["status"] == "ending"
        assert one.wait_for("stored")["recording"].endswith(" kept.wav")
    assert ask(daemon, f"/sessions/{thrown}")["error_code"] == "session_not_found"
    assert not daemon.files("*thrown*")
    stats = ask(daemon, "/stats")
    assert (stats["sessions_open"], stats["sessions_stored"]) == (0, 1)
