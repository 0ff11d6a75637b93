"""Names that are spelled otherwise than on the disk, over HTTP and on the command line."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.builders import until
from tests.integration.test_api import Client
from tests.integration.test_cli_backend import run
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import NOT_MEDIA

NFC = unicodedata.normalize("NFC", "мой чай.mp3")
NFD = unicodedata.normalize("NFD", NFC)
MIXED = unicodedata.normalize("NFD", "мой") + NFC[3:]
BOTH_WAYS = pytest.mark.parametrize(
    ("there", "asked"), [(NFD, NFC), (NFC, NFD)], ids=["NFD", "NFC"]
)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    config = {"api": {"port": 0, "search_attempts": 1}}
    with ScriptedDaemon(tmp_path_factory.mktemp("names"), config) as running:
        yield running


@pytest.fixture
def api(serving: ScriptedDaemon) -> Iterator[Client]:
    yield Client(serving)
    for folder in (serving.shared, serving.manual):
        for path in folder.iterdir():
            if path.is_file():
                path.unlink()
    until(lambda: Client(serving).queue() == [], "the queue became empty", SOON_S)


@BOTH_WAYS
def test_a_recording_is_found_under_a_name_that_looks_the_same(
    api: Client, there: str, asked: str
) -> None:
    api.daemon.drop(there)
    answer = api.order(asked, wait=True)
    assert (answer.status, answer.json["filename"]) == (200, there)
    assert api.status(asked)["status"] == "completed"
    assert api.result(asked).status == 200
    assert api.get(f"/result/{quote(quote(asked))}?format=txt").status == 200
    assert there in api.delete(asked).json["deleted_files"]
    assert api.daemon.files() == set()


@BOTH_WAYS
def test_a_failed_recording_is_found_under_a_name_that_looks_the_same(
    api: Client, there: str, asked: str
) -> None:
    (api.daemon.shared / there).write_bytes(NOT_MEDIA)
    api.daemon.wait_until_in_manual(there, SOON_S)
    assert api.status(asked)["status"] == "error"
    retried = api.post(f"/manual/{quote(asked)}/retry")
    assert (retried.status, retried.json["filename"]) == (202, there)
    api.daemon.wait_until_in_manual(there, SOON_S)
    done = run(api.daemon, "retry", asked)
    assert done.returncode == 0, done.stderr
    api.daemon.wait_until_in_manual(there, SOON_S)
    done = run(api.daemon, "delete", "--yes", asked)
    assert done.returncode == 0, done.stderr
    assert list(api.daemon.manual.iterdir()) == []


@BOTH_WAYS
def test_submit_and_delete_find_a_name_that_looks_the_same(
    api: Client, there: str, asked: str
) -> None:
    api.daemon.drop(there)
    for words in (["submit", asked], ["submit", str(api.daemon.shared / asked)]):
        done = run(api.daemon, *words)
        assert done.returncode == 0, done.stderr
    assert api.daemon.wait_for_result(there, SOON_S)
    assert run(api.daemon, "delete", "--yes", asked).returncode == 0
    assert api.daemon.files() == set()


def test_two_that_look_the_same_are_told_apart_or_named(api: Client) -> None:
    for name in (NFC, NFD):
        api.daemon.drop(name)
        assert api.order(name, wait=True).json["filename"] == name
    for answer in (api.order(MIXED), api.result(MIXED), api.delete(MIXED)):
        assert (answer.status, answer.error_code) == (409, "ambiguous_name")
        assert "\\u0306" in answer.json["message"]
    done = run(api.daemon, "delete", "--yes", MIXED)
    assert done.returncode == 1
    assert NFC in done.stderr
    assert {NFC, NFD} <= api.daemon.files()


def test_a_path_of_windows_finds_but_does_not_delete(api: Client) -> None:
    api.daemon.drop("talk.mp3")
    assert api.order("C:\\fakepath\\talk.mp3 ", wait=True).json["filename"] == "talk.mp3"
    assert api.delete("C:\\fakepath\\talk.mp3").status == 404
    assert "talk.mp3" in api.daemon.files()
