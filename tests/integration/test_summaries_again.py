"""A summary that failed, that is missing, or whose text was corrected since: made if asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modules.errors import TranscriberError
from modules.service.summary_view import SummaryView
from tests.integration.test_api import Client
from tests.integration.test_cli_backend import call, quick
from tests.integration.test_edits import correct, words
from tests.integration.test_summaries import Desk, talk
from tests.model_server import ModelServer, serving
from tests.page import made
from tests.scripted_daemon import SOON_S, ScriptedDaemon

__all__ = ["quick"]
NAME = "talk.wav"


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving(ModelServer()) as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, server: ModelServer) -> Desk:
    return Desk(tmp_path, server)


def view(desk: Desk) -> SummaryView:
    return SummaryView(desk.store, desk.summaries)


def edit(desk: Desk, name: str) -> None:
    """Another word in the first segment, as the page stores it."""
    was = desk.store.results.read(name)["transcription"]["segments"][0]["text"].split()  # type: ignore[index]
    op = {"id": "a", "op": "words", "segment": "0", "from": 0, "to": len(was), "was": was,
          "now": ["ФАКТ-99", "такой."], "span": [0.0, 4.0]}  # fmt: skip
    log = {"format": 1, "transcript_sha256": "0" * 64, "fingerprint": "f" * 64, "ops": [op]}
    (desk.store.folder.path / f"{name}.edit.json").write_text(json.dumps(log), encoding="utf-8")


def test_one_that_failed_is_made_when_somebody_asks(desk: Desk) -> None:
    desk.server.faults.cut = 10**6
    desk.finish("talk.mp3", talk(10, facts=1))
    desk.summaries.tick()
    found = view(desk).view("talk.mp3")
    assert (found.view.state, found.can_be_made) == ("failed", True)
    desk.server.faults.cut = 0
    found = view(desk).make("talk.mp3")
    assert (found.view.state, found.can_be_made) == ("waiting", False)
    desk.restart()
    desk.summaries.tick()
    found = view(desk).view("talk.mp3")
    assert (found.view.state, found.can_be_made) == ("done", False)
    assert "ФАКТ-0" in desk.markdown_of("talk.mp3")


def test_of_a_text_that_has_one_that_fits_nothing_is_asked(desk: Desk) -> None:
    desk.finish("talk.mp3", talk(10, facts=1))
    desk.summaries.tick()
    asked = len(desk.server.questions)
    assert view(desk).make("talk.mp3").view.state == "done"
    desk.summaries.tick()
    assert len(desk.server.questions) == asked


def test_a_text_from_before_summaries_were_switched_on_gets_one(desk: Desk) -> None:
    desk.put_result("old.mp3", talk(5, facts=1), "job-1")
    found = view(desk).view("old.mp3")
    assert (found.view.state, found.can_be_made) == ("none", True)
    assert view(desk).make("old.mp3").view.state == "waiting"
    desk.summaries.tick()
    assert view(desk).view("old.mp3").view.state == "done"


def test_after_a_correction_it_is_said_to_be_old_until_it_is_made_anew(desk: Desk) -> None:
    desk.finish("talk.mp3", talk(5))
    desk.summaries.tick()
    shown = view(desk)
    assert not shown.view("talk.mp3").outdated
    edit(desk, "talk.mp3")
    found = shown.view("talk.mp3")
    assert (found.view.state, found.outdated, found.can_be_made) == ("done", True, True)
    shown.make("talk.mp3")
    desk.summaries.tick()
    found = shown.view("talk.mp3")
    assert (found.view.state, found.outdated) == ("done", False)
    assert "ФАКТ-99" in desk.markdown_of("talk.mp3")


def test_one_that_cannot_be_made_anew_is_kept_and_it_is_said(desk: Desk) -> None:
    desk.finish("talk.mp3", talk(5, facts=1))
    desk.summaries.tick()
    before = desk.markdown_of("talk.mp3")
    edit(desk, "talk.mp3")
    desk.server.faults.cut = 10**6
    view(desk).make("talk.mp3")
    desk.summaries.tick()
    found = view(desk).view("talk.mp3")
    assert (found.view.state, found.outdated, found.can_be_made) == ("done", True, True)
    assert found.view.summary
    assert found.view.summary.error
    assert found.view.summary.error.code == "summary_cut"
    assert desk.markdown_of("talk.mp3") == before
    desk.server.faults.cut = 0
    view(desk).make("talk.mp3")
    desk.summaries.tick()
    assert desk.json_of("talk.mp3")["error"] is None


def test_one_that_is_asked_for_while_the_old_text_is_read_is_not_forgotten(desk: Desk) -> None:
    """The note of the first is done with only after the second was written."""
    desk.finish("talk.mp3", talk(5))
    ask = desk.summaries._chat.ask

    def meanwhile(*given: Any) -> Any:
        desk.summaries._chat.ask = ask  # type: ignore[method-assign]
        edit(desk, "talk.mp3")
        desk.summaries.note("talk.mp3", "job-1")
        return ask(*given)

    desk.summaries._chat.ask = meanwhile  # type: ignore[method-assign]
    desk.summaries.tick()
    assert desk.summaries.waiting == 1
    desk.restart()
    desk.summaries.tick()
    assert "ФАКТ-99" in desk.markdown_of("talk.mp3")
    assert desk.summaries.waiting == 0


def test_where_none_are_made_it_is_refused_and_those_there_are_shown(desk: Desk) -> None:
    desk.finish("talk.mp3", talk(5))
    desk.summaries.tick()
    off = SummaryView(desk.store, None)
    found = off.view("talk.mp3")
    assert (found.view.state, found.can_be_made) == ("done", False)
    with pytest.raises(TranscriberError, match="No summaries are made here") as caught:
        off.make("talk.mp3")
    assert caught.value.code == "summaries_off"
    with pytest.raises(TranscriberError, match="no text"):
        view(desk).make("nowhere.mp3")


def test_a_trouble_ends_with_what_waited_for_it(desk: Desk) -> None:
    desk.server.faults.status = 503
    desk.finish("talk.mp3", talk(5))
    desk.summaries.tick()
    assert desk.summaries.problem
    (desk.store.folder.path / "talk.mp3.result").unlink()
    for item in desk.summaries._outbox._items.values():
        desk.summaries._outbox.put_off(item, 0)
    desk.summaries.tick()
    assert desk.summaries.problem is None, "or the service would be degraded until the next text"


def test_a_model_that_may_take_hours_is_not_taken_for_a_thread_that_hangs(desk: Desk) -> None:
    desk.restart(timeout_seconds=7200.0)
    desk.summaries._loop._beaten_at = desk.summaries._loop._monotonic() - 7300
    assert 50 < desk.summaries.silent_s < 200


def test_a_key_that_a_refusal_repeats_is_not_said(
    desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "key"
    file.write_text("sk-verysecret\n")
    desk.server.faults.status = 401
    desk.server.faults.said = "Incorrect API key provided: sk-verysecret"
    desk.restart(api_key_file=str(file))
    desk.finish("talk.mp3", talk(3))
    desk.summaries.tick()
    assert "Incorrect API key provided: ***" in str(desk.summaries.problem)
    assert "verysecret" not in caplog.text


def test_a_server_that_is_away_is_said_in_words(desk: Desk) -> None:
    desk.restart(base_url="http://127.0.0.1:1")
    desk.finish("talk.mp3", talk(3))
    desk.summaries.tick()
    assert "Errno" not in str(desk.summaries.problem)
    assert "does not answer" in str(desk.summaries.problem)


# --- with a daemon ------------------------------------------------------------------------------


@pytest.fixture
def daemon(tmp_path: Path, server: ModelServer) -> Iterator[ScriptedDaemon]:
    config = {"summary": {"base_url": server.url, "model": "scripted"}}
    with ScriptedDaemon(tmp_path / "place", config) as started:
        yield started


def test_the_api_makes_one_and_says_when_it_is_old(
    daemon: ScriptedDaemon, server: ModelServer
) -> None:
    made.talk(daemon.shared, NAME)
    client, address = Client(daemon), f"/api/summary/{NAME}"
    found = client.get(address).json
    assert (found["state"], found["can_be_made"]) == ("none", True)
    assert client.post(address).json["state"] in ("waiting", "making", "done")
    daemon.wait_for(lambda: client.get(address).json["state"] == "done", "it was made", SOON_S)
    correct(client, words("a1", "0", 4, "операторы", "Операторы"), name=NAME)
    found = client.get(address).json
    assert (found["outdated"], found["can_be_made"]) == (True, True)
    assert client.post(address).status == 200
    daemon.wait_for(lambda: client.get(address).json["outdated"] is False, "made anew", SOON_S)
    assert client.post("/api/summary/nowhere.wav").json["error_code"] == "no_text_yet"


def test_the_command_has_one_made_with_a_daemon_and_without(
    daemon: ScriptedDaemon, server: ModelServer
) -> None:
    made.talk(daemon.shared, NAME)
    told = call(daemon, "summarize", NAME, "nowhere.wav")
    assert (told.returncode, told.stdout) == (1, f"{NAME}: will be summarised.\n")
    assert "nowhere.wav: There is no text of" in told.stderr
    daemon.wait_for(lambda: (daemon.shared / f"{NAME}.summary.md").exists(), "it was made", SOON_S)
    told = call(daemon, "summarize", NAME)
    assert told.stdout == f"{NAME}: its summary is there, and fits the text.\n"
    daemon.stop()
    made.talk(daemon.shared, "other.wav")
    told = call(daemon, "summarize", "other.wav")
    assert told.stdout.startswith("other.wav: will be summarised.\nNo daemon runs;"), told
    assert told.returncode == 0
    daemon.start()
    daemon.wait_for(
        lambda: (daemon.shared / "other.wav.summary.md").exists(), "made after a start", SOON_S
    )


def test_the_command_says_where_summaries_are_off(tmp_path: Path) -> None:
    place = ScriptedDaemon(tmp_path)
    place.shared.mkdir(exist_ok=True)
    made.talk(place.shared, NAME)
    told = call(place, "summarize", NAME)
    assert told.returncode == 1
    assert "No summaries are made here" in told.stderr
    assert "summary.base_url" in told.stderr
