"""``redo``: a finished recording anew, with a daemon and without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modules.clock import SystemClock
from modules.errors import TranscriberError
from modules.service import folder_requests
from tests.integration.test_api import Client
from tests.integration.test_cli_backend import call, quick
from tests.integration.test_edits import read, words
from tests.page import made
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import NOT_MEDIA, recording

__all__ = ["quick"]
DONE_ANEW = "{}: queued, to be transcribed anew.\n"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path_factory.mktemp("redo")) as started:
        yield started


@pytest.fixture
def place(tmp_path: Path) -> ScriptedDaemon:
    """Folders and a configuration; the daemon is not started."""
    found = ScriptedDaemon(tmp_path)
    found.shared.mkdir(exist_ok=True)
    return found


def done(place: ScriptedDaemon, name: str) -> dict[str, Any]:
    place.drop(name)
    return place.wait_for_result(name, SOON_S)


def done_anew(place: ScriptedDaemon, name: str, before: dict[str, Any]) -> dict[str, Any]:
    """The result that takes the place of another."""

    def other() -> dict[str, Any] | None:
        found = place.result(name)
        return found if found and found["job_id"] != before["job_id"] else None

    place.wait_for(other, f"{name} was done anew", SOON_S)
    return other() or {}


# --- with a daemon ------------------------------------------------------------------------------


def test_a_finished_recording_is_done_again_with_other_settings(daemon: ScriptedDaemon) -> None:
    before = done(daemon, "talk.mp3")
    assert before["settings"]["language"] == "ru"
    told = call(daemon, "redo", "talk.mp3", "--language", "en")
    assert (told.returncode, told.stdout, told.stderr) == (0, DONE_ANEW.format("talk.mp3"), "")
    after = done_anew(daemon, "talk.mp3", before)
    assert after["settings"]["language"] == "en"
    assert "talk.mp3: to be transcribed anew, as the command line asks" in daemon.log


def test_without_options_the_settings_are_those_that_hold_now(daemon: ScriptedDaemon) -> None:
    before = done(daemon, "now.mp3")
    (daemon.shared / "now.mp3.settings.yaml").write_text("language: de\n")
    assert call(daemon, "redo", "now.mp3").returncode == 0
    assert done_anew(daemon, "now.mp3", before)["settings"]["language"] == "de"


def test_what_runs_starts_again_with_the_new_settings(daemon: ScriptedDaemon) -> None:
    daemon.drop("long.mp3", 300)
    daemon.wait_for_position("long.mp3", 20)
    told = call(daemon, "redo", "long.mp3", "--language", "Russian")
    assert told.stdout == (
        "long.mp3: is in the queue or in progress already, with these settings.\n"
    )
    told = call(daemon, "redo", "long.mp3", "--language", "en")
    assert told.stdout == "long.mp3: was in the queue or in progress, and starts again.\n"
    state = daemon.in_progress("long.mp3")
    assert state
    assert state["settings"]["language"] == "en"
    call(daemon, "delete", "--yes", "long.mp3")


def test_what_cannot_be_done_is_refused_with_the_reason(daemon: ScriptedDaemon) -> None:
    (daemon.shared / "broken.mp3").write_bytes(NOT_MEDIA)
    daemon.wait_until_in_manual("broken.mp3", SOON_S)
    done(daemon, "kept text.mp3")
    (daemon.shared / "kept text.mp3").unlink()
    done(daemon, "here.mp3")
    refused = {
        ("broken.mp3",): "it failed and is in the manual folder: `transcriber.py retry` brings",
        ("kept text.mp3",): "the recording itself is not there any more, only its text",
        ("nowhere.mp3",): "there is no such recording in the shared folder",
        ("/etc/passwd",): "It does not lie in the shared folder",
        ("notes.txt",): "this is not the name of a recording",
        ("here.mp3", "--language", "klingon"): "language: must be auto, mixed or a language",
        ("here.mp3", "--model", "huge"): "model_size: must be one of tiny,",
        ("here.mp3", "--model", "./mine"): "model_size: a path can only be set in the config",
        ("here.mp3", "--model", "small"): "Run `transcriber.py models get small`. ",
    }
    for line, why in refused.items():
        told = call(daemon, "redo", *line)
        assert (told.returncode, told.stdout) == (1, ""), line
        assert told.stderr.startswith(f"transcriber: {line[0]}: "), told.stderr
        assert why in told.stderr
    result = daemon.result("here.mp3")
    assert call(daemon, "redo", "nowhere.mp3", "here.mp3").returncode == 1
    assert done_anew(daemon, "here.mp3", result or {}), "the others are done all the same"


def test_corrections_are_kept_and_it_says_so(daemon: ScriptedDaemon) -> None:
    client = Client(daemon)
    made.talk(daemon.shared, "talk 1.wav")
    version = read(client)["version"]
    change = words("a1", "0", 4, "операторы", "Операторы")
    body = json.dumps({"version": version, "ops": [change]}, ensure_ascii=False).encode()
    answer = client.ask("PATCH", "/edits/talk%201.wav", body, {"Content-Type": "application/json"})
    assert answer.status == 200, answer.text
    before = daemon.result("talk 1.wav")
    told = call(daemon, "redo", "talk 1.wav")
    assert told.returncode == 0, told.stderr
    assert "Its corrections are applied to the new text where the same words" in told.stdout
    assert "`transcriber.py corrections` shows those that do not fit." in told.stdout
    done_anew(daemon, "talk 1.wav", before or {})
    # The scripted process says something else.
    listed = call(daemon, "corrections", "talk 1.wav").stdout
    assert "Операторы" in listed
    assert "does not fit the present text" in listed


def test_what_others_write_into_the_folder_chooses_no_file(daemon: ScriptedDaemon) -> None:
    done(daemon, "asked.mp3")
    for settings, why in (
        ({"model_size": "/etc"}, "a path can only be set in the configuration"),
        ({"allow_download": True}, "can only be set in the configuration"),
        ({"language": 7}, "language: must be text"),
    ):
        request = {"action": "redo", "filename": "asked.mp3", "settings": settings}
        with pytest.raises(TranscriberError, match=why) as caught:
            folder_requests.ask(daemon.shared, request, SystemClock(), daemon.is_alive)
        assert caught.value.code == "invalid_settings"


# --- without one --------------------------------------------------------------------------------


def test_without_a_daemon_it_is_ordered_and_done_at_the_next_start(place: ScriptedDaemon) -> None:
    with place:
        before = done(place, "talk.mp3")
    told = call(place, "redo", "talk.mp3", "--language", "en")
    assert told.returncode == 0, told.stderr
    said = "No daemon runs; the text is made when the service is next started.\n"
    assert told.stdout == DONE_ANEW.format("talk.mp3") + said
    assert place.result("talk.mp3") == before, "the old text stays until then"
    with place:
        assert done_anew(place, "talk.mp3", before)["settings"]["language"] == "en"


def test_without_a_daemon_it_refuses_by_the_same_rules(place: ScriptedDaemon) -> None:
    (place.shared / "talk.mp3").write_bytes(recording(2))
    told = call(place, "redo", "talk.mp3", "--model", "small")
    assert told.returncode == 1
    assert "The Whisper model small is not on this machine." in told.stderr
    assert place.files() == {"talk.mp3"}
