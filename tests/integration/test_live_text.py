"""The text of a session is made while people speak; what a death leaves of it is gone on with."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modules.live.wav import header
from tests.builders import until
from tests.daemon_process import text_of
from tests.integration.test_live import ask
from tests.integration.test_live_containers import encoded, opened, told
from tests.live_client import RATE, SOON_S, Live, sound
from tests.scripted_daemon import ScriptedDaemon
from tests.scripted_live import UNCERTAIN_S
from tests.scripted_worker import full_text

SECONDS = 20
RESUMED = "going on from the checkpoint at "


class Daemon(ScriptedDaemon):
    """Its worker notes which chunks it transcribes, of files and of sessions."""

    def __init__(self, root: Path, config: dict[str, Any]) -> None:
        self._noted = root / "chunks"
        super().__init__(root, config, variables={"SCRIPTED_CHUNKS": str(self._noted)})

    def transcribed(self, kind: str) -> list[int]:
        lines = self._noted.read_text().splitlines() if self._noted.exists() else []
        return [int(number) for each, number in map(str.split, lines) if each == kind]

    def wait_for_live(self, count: int) -> None:
        until(lambda: len(self.transcribed("live")) >= count, f"{count} chunks were made", SOON_S)

    def wait_for_saved(self, count: int) -> None:
        """Until so many chunks of the only session are in its checkpoint."""

        def saved() -> bool:
            files = (self.shared / ".transcriber" / "live").glob("*.checkpoint")
            return any(path.read_bytes().count(b"\n") > count for path in files)

        until(saved, f"{count} chunks were saved", SOON_S)

    def left_of_live(self) -> set[str]:
        return {path.suffix for path in (self.shared / ".transcriber" / "live").glob("*")}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, {}) as running:
        running.wait_until_warm()
        yield running


def expected_text(content: bytes) -> str:
    return full_text(header(RATE, len(content)) + content)


def without_times(result: dict[str, Any]) -> dict[str, Any]:
    """What does not differ from run to run, nor from file to file."""
    kept = {k: v for k, v in result.items() if k not in ("filename", "job_id", "source", "outputs")}
    for name in ("processing_start", "processing_end", "processing_time_seconds"):
        del kept[name]
    del kept["processing_stats"]
    return {**kept, "outputs_sha256": list(kept["outputs_sha256"].values())}


def speak(live: Live, content: bytes, **start: Any) -> None:
    live.begin(**start)
    live.send(content)


def test_only_the_last_chunks_are_left_when_a_session_ends(daemon: Daemon) -> None:
    content = sound(SECONDS)
    sure = SECONDS - UNCERTAIN_S
    with Live(daemon) as live:
        speak(live, content, language="ru", hotwords="Ромашкин")
        daemon.wait_for_saved(sure)
        assert daemon.transcribed("file") == []
        live.say("stop")
        name = live.wait_for("stored")["recording"]
    result = daemon.wait_for_result(name, SOON_S)
    assert daemon.transcribed("live") == list(range(sure))
    assert daemon.transcribed("file") == list(range(sure, SECONDS))
    assert text_of(result) == f"[Ромашкин] {expected_text(content)}"
    assert f"{RESUMED}{sure:.1f} s" in daemon.log
    assert daemon.left_of_live() == {".json"}
    # Dropped in, the same file gets the same result.
    wishes = "language: ru\nhotwords: Ромашкин\n"
    (daemon.shared / "again.wav.settings.yaml").write_text(wishes, encoding="utf-8")
    (daemon.shared / "again.wav").write_bytes((daemon.shared / name).read_bytes())
    dropped = daemon.wait_for_result("again.wav", SOON_S)
    assert daemon.transcribed("file")[UNCERTAIN_S:] == list(range(SECONDS))
    assert without_times(dropped) == without_times(result)


@pytest.mark.parametrize("how", ["crash", "kill"])
def test_a_child_that_dies_costs_no_chunk(daemon: Daemon, how: str) -> None:
    content = sound(SECONDS)
    with Live(daemon) as live:
        speak(live, content[: 10 * 2 * RATE], hotwords="textcrash3" if how == "crash" else None)
        if how == "kill":
            daemon.wait_for_saved(5)
            for child in daemon.children():
                child.kill()
        live.send(content[10 * 2 * RATE :])
        daemon.wait_for_saved(SECONDS - UNCERTAIN_S)
        live.say("stop")
        name = live.wait_for("stored")["recording"]
    result = daemon.wait_for_result(name, SOON_S)
    assert text_of(result).endswith(expected_text(content))
    made = Counter(daemon.transcribed("live") + daemon.transcribed("file"))
    assert sorted(made) == list(range(SECONDS))
    # What was sent and did not arrive was made twice; more was not.
    assert sum(made.values()) <= SECONDS + 2
    assert daemon.transcribed("file") == list(range(SECONDS - UNCERTAIN_S, SECONDS))


def test_a_daemon_that_is_killed_goes_on_from_what_was_saved(tmp_path: Path) -> None:
    content = sound(SECONDS)
    with Daemon(tmp_path, {}) as daemon:
        daemon.wait_until_warm()
        live = Live(daemon)
        speak(live, content, name="killed")
        daemon.wait_for_saved(SECONDS - UNCERTAIN_S)
        daemon.kill()
        live.socket.close()
        daemon.start()
        name = until(lambda: next(iter(daemon.files("*killed.wav")), None), "it landed", SOON_S)
        result = daemon.wait_for_result(name, SOON_S)
        assert text_of(result) == expected_text(content)
        assert daemon.transcribed("file") == list(range(SECONDS - UNCERTAIN_S, SECONDS))
        until(lambda: daemon.left_of_live() == {".json"}, "nothing else is left", SOON_S)


@pytest.mark.parametrize("trick", ["texthang", "texthangs"])
def test_a_child_that_hangs_in_a_chunk_is_replaced_while_nothing_else_needs_it(
    tmp_path: Path, trick: str
) -> None:
    """Live words go on; a chunk in which each child hangs is left to the end."""
    content = sound(SECONDS)
    patches = {"processing": {"worker_hang_seconds": 1.0}}
    with Daemon(tmp_path, patches) as daemon, Live(daemon) as live:
        daemon.wait_until_warm()
        speak(live, content[: 10 * 2 * RATE], hotwords=trick)
        daemon.wait_for_log(r"Replacing the WhisperX process \(hung\)", SOON_S)
        live.send(content[10 * 2 * RATE :])
        if trick == "texthang":
            daemon.wait_for_saved(SECONDS - UNCERTAIN_S)
        else:
            daemon.wait_for_log("is made after its end: .*several times at the same", 2 * SOON_S)
        live.wait_for_seq(SECONDS + SECONDS // 3)
        live.say("stop")
        name = live.wait_for("stored")["recording"]
        result = daemon.wait_for_result(name, SOON_S)
    assert text_of(result) == f"[{trick}] {expected_text(content)}"
    first = 3 if trick == "texthangs" else SECONDS - UNCERTAIN_S
    assert daemon.transcribed("file") == list(range(first, SECONDS))
    words = [word["word"] for m in live.of("commit") for word in m["words"]]
    assert "".join(words) == "".join(f" w{number}" for number in range(SECONDS))


@pytest.mark.parametrize("trick", ["textfail", "textliar"])
def test_a_text_that_fails_is_made_at_the_end(daemon: Daemon, trick: str) -> None:
    content = sound(SECONDS)
    with Live(daemon) as live:
        speak(live, content, hotwords=trick)
        # Live words go on where only the text failed; nonsense ends both.
        if trick == "textfail":
            live.wait_for_seq(SECONDS)
            daemon.wait_for_log(
                "The text of a live session is made after its end: .*It did", SOON_S
            )
        else:
            assert live.wait_for("error")["error_code"] == "implausible_output"
        live.say("stop")
        name = live.wait_for("stored")["recording"]
    result = daemon.wait_for_result(name, SOON_S)
    assert text_of(result) == f"[{trick}] {expected_text(content)}"
    assert daemon.transcribed("file") == list(range(2, SECONDS))


def test_settings_that_changed_meanwhile_void_what_was_done(tmp_path: Path) -> None:
    content = sound(SECONDS)
    with Daemon(tmp_path, {}) as daemon:
        daemon.wait_until_warm()
        live = Live(daemon)
        speak(live, content, name="changed")
        daemon.wait_for_saved(5)
        daemon.kill()
        live.socket.close()
        daemon.configure({"whisperx": {"beam_size": 3}})
        daemon.start()
        name = until(lambda: next(iter(daemon.files("*changed.wav")), None), "it landed", SOON_S)
        assert text_of(daemon.wait_for_result(name, SOON_S)) == expected_text(content)
        assert daemon.transcribed("file") == list(range(SECONDS))
        assert RESUMED not in daemon.log


def test_a_session_that_is_discarded_leaves_nothing(daemon: Daemon) -> None:
    with Live(daemon) as live:
        session = live.begin(name="thrown")["session"]
        live.send(sound(SECONDS))
        daemon.wait_for_saved(5)
        assert ask(daemon, f"/sessions/{session}?discard=true", "DELETE")["status"] == "discarded"
        assert live.wait_for("stored")["recording"] is None
    assert daemon.left_of_live() == set()
    assert not daemon.files("*.wav")
    assert daemon.transcribed("file") == []


# --- sound in containers ------------------------------------------------------------------------


def dropped(daemon: Daemon, name: str, content: bytes) -> dict[str, Any]:
    """The result of this file, copied into the folder."""
    (daemon.shared / name).write_bytes(content)
    return daemon.wait_for_result(name, SOON_S)


@pytest.mark.parametrize("kind", ["webm", "ogg"])
def test_a_container_that_lands_has_no_text_of_the_sound_that_was_decoded_live(
    daemon: Daemon, kind: str
) -> None:
    """The decoder of files finds other samples in it."""
    content = encoded(kind)
    with opened(daemon) as socket:
        socket.send(content)
        daemon.wait_for_saved(4)
        [kept] = (daemon.shared / ".transcriber" / "live").glob("*.container")
        until(lambda: kept.stat().st_size == len(content), "all is kept", SOON_S)
        daemon.kill()
    daemon.start()
    name = until(lambda: next(iter(daemon.files(f"*.{kind}")), None), "it landed", SOON_S)
    result = daemon.wait_for_result(name, SOON_S)
    assert RESUMED not in daemon.log
    assert (daemon.shared / name).read_bytes() == content
    assert without_times(result) == without_times(dropped(daemon, f"again.{kind}", content))
    until(lambda: daemon.left_of_live() == {".json"}, "nothing else is left", SOON_S)


@pytest.mark.parametrize("kind", ["webm", "ogg", "mp4"])
def test_a_container_that_was_decoded_lands_with_the_text_of_its_samples(
    daemon: Daemon, kind: str
) -> None:
    with opened(daemon) as socket:
        socket.send(encoded(kind))
        daemon.wait_for_saved(4)
        socket.send(json.dumps({"type": "CloseStream"}))
        told(socket)
    [name] = daemon.files("*.wav")
    result = daemon.wait_for_result(name, SOON_S)
    assert RESUMED in daemon.log
    content = (daemon.shared / name).read_bytes()
    assert text_of(result) == full_text(content)
    assert without_times(result) == without_times(dropped(daemon, "again.wav", content))
