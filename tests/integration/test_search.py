"""Words in all recordings, over HTTP: found soon, in any form, and never waited for."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.test_api import Client
from tests.page import made
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text

INDEX = Path(".transcriber") / "search.sqlite"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path) as started:
        yield started


@pytest.fixture
def client(daemon: ScriptedDaemon) -> Client:
    return Client(daemon)


def ask(client: Client, typed: str, **more: Any) -> Any:
    rest = "".join(f"&{key}={value}" for key, value in more.items())
    answer = client.get(f"/search?q={quote(typed)}{rest}")
    assert answer.status == 200, answer.text
    return answer.json


def wait_for(
    daemon: ScriptedDaemon, client: Client, typed: str, holds: Callable[[Any], bool]
) -> Any:
    daemon.wait_for(lambda: holds(ask(client, typed)), f"{typed!r} is found or not", SOON_S)
    return ask(client, typed)


def is_found(found: Any) -> bool:
    return bool(found["hits"]) and not found["pending"]


def test_a_word_is_found_by_another_form_of_it(daemon: ScriptedDaemon, client: Client) -> None:
    name = made.talk(daemon.shared)
    found = wait_for(daemon, client, "оператором", is_found)
    [hit] = found["hits"]
    [(start, end)] = hit.pop("marks")
    assert hit["text"][start:end] == "операторы"
    assert hit == {
        "filename": name,
        "start": 0.2,
        "text": "В данный момент все операторы заняты.",
        "speaker": "SPEAKER_00",
    }
    assert (found["total"], found["pending"]) == (1, 0)


def test_a_recording_is_found_soon_after_it_is_done(daemon: ScriptedDaemon, client: Client) -> None:
    content = daemon.drop("talk.mp3")
    daemon.wait_for_result("talk.mp3")
    word = max(full_text(content).split(), key=len).strip(".,")
    found = wait_for(daemon, client, word, is_found)
    assert {hit["filename"] for hit in found["hits"]} == {"talk.mp3"}


def test_what_changes_is_read_again_and_the_rest_is_not(
    daemon: ScriptedDaemon, client: Client
) -> None:
    made.finish(daemon.shared, "a.wav", [made.segment("Первый договор.", 1.0)])
    made.finish(daemon.shared, "b.wav", [made.segment("Второй договор.", 1.0)])
    wait_for(daemon, client, "договор", lambda found: found["total"] == 2)
    made.finish(daemon.shared, "a.wav", [made.segment("Совсем другое.", 1.0)])
    wait_for(daemon, client, "другая", is_found)
    assert ask(client, "первый")["hits"] == []
    (daemon.shared / "a.wav.result").unlink()
    assert ask(client, "другая")["hits"] == [], "a deleted text is found no more"
    wait_for(daemon, client, "договор", lambda found: found["total"] == 1)


def test_corrections_have_it_read_again(daemon: ScriptedDaemon, client: Client) -> None:
    made.finish(daemon.shared, "a.wav", [made.segment("Первый договор.", 1.0)])
    wait_for(daemon, client, "договор", is_found)
    daemon.stop()
    # Its text changes, and nothing of its .result that could be seen.
    result = daemon.shared / "a.wav.result"
    before = result.stat()
    result.write_text(result.read_text("utf-8").replace("Первый", "Другой"), "utf-8")
    os.utime(result, ns=(before.st_atime_ns, before.st_mtime_ns))
    daemon.start()
    again = Client(daemon)
    daemon.wait_for(lambda: ask(again, "договор")["hits"], "the old index is used", SOON_S)
    made.finish(daemon.shared, "b.wav", [made.segment("Второй договор.", 1.0)])
    wait_for(daemon, again, "второй", is_found)
    assert ask(again, "первый ")["hits"], "it looks the same, so it was not read"
    (daemon.shared / "a.wav.edit.json").write_text("{}")
    wait_for(daemon, again, "другой", is_found)


@pytest.mark.parametrize("harm", ["deleted", "rubbish", "truncated"])
def test_an_index_that_is_lost_is_made_again(
    daemon: ScriptedDaemon, client: Client, harm: str
) -> None:
    made.talk(daemon.shared)
    wait_for(daemon, client, "оператором", is_found)
    index = daemon.shared / INDEX
    if harm == "deleted":
        index.unlink()
    elif harm == "rubbish":
        index.write_bytes(b"rubbish" * 10_000)
    else:
        os.truncate(index, 5000)
    wait_for(daemon, client, "оператором", is_found)
    daemon.stop()
    if harm == "rubbish":
        index.write_bytes(b"rubbish" * 10_000)
    daemon.start()
    wait_for(daemon, Client(daemon), "оператором", is_found)


class RestingDaemon(ScriptedDaemon):
    """Rests for longer after each recording, so that it can be asked before all are indexed."""

    def command(self, *arguments: str) -> list[str]:
        python, option, program, *rest = super().command(*arguments)
        patched = program.replace(
            "import transcriber\n", "text_search._REST_SHARE = 20.0\nimport transcriber\n"
        )
        assert patched != program
        return [python, option, patched, *rest]


def test_it_says_how_many_are_not_indexed_yet(tmp_path: Path) -> None:
    daemon = RestingDaemon(tmp_path)
    daemon.shared.mkdir(exist_ok=True)
    long = [made.segment(f"Это слово номер {n} из длинной записи.", 3.0 * n) for n in range(1000)]
    for number in range(12):
        made.finish(daemon.shared, f"{number}.wav", long)
    with daemon:
        client = Client(daemon)
        pending: list[int] = []

        def done() -> bool:
            pending.append(ask(client, "длинные")["pending"])
            return pending[-1] == 0 and max(pending) > 0

        daemon.wait_for(done, "all are indexed, and that was counted", 3 * SOON_S)
        rising = [(a, b) for a, b in itertools.pairwise(pending) if a < b]
        assert len(rising) <= 1, "it only rises when the folder is first looked at"
        assert {hit["filename"] for hit in ask(client, "длинная", limit=200)["hits"]}


def test_what_may_be_asked(daemon: ScriptedDaemon, client: Client) -> None:
    for typed in ("", " ", '"', "***", "NEAR(a b)", "'; DROP TABLE segments; --", "\0", "ё" * 200):
        assert ask(client, typed)["hits"] == [], typed
    for wrong, field in (
        ("", "q"), (f"q={'a' * 201}", "q"), ("q=a&limit=0", "limit"), ("q=a&limit=201", "limit"),
        ("q=a&limit=x", "limit"), ("q=a&what=1", "what"),
    ):  # fmt: skip
        answer = client.get(f"/search?{wrong}")
        assert (answer.status, answer.error_code) == (422, "invalid_request"), wrong
        assert field in answer.json["message"]


def test_nothing_is_found_without_the_key(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path, {"api": {"key": "open sesame"}}) as daemon:
        assert Client(daemon).get("/search?q=a").status == 401
