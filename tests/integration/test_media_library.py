"""A library of films: subtitles appear with the right names, and nothing else is touched.

With the configuration of ``docs/media-libraries.md``, word for word.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests import library
from tests.docs.page_settings import library_settings
from tests.scripted_daemon import ScriptedDaemon
from tests.scripted_worker import NOT_MEDIA, recording

#: For 30 films on a machine with other things to do.
ALL_S = 240.0
FILMS = library.names()
HAS_RUSSIAN, HAS_PLAIN, HAS_ENGLISH_ASS = FILMS[0], FILMS[17], FILMS[5]
BROKEN = (FILMS[3], FILMS[20])
(SILENT,) = (name for name in FILMS if library.WITHOUT_SOUND in name)
#: The stand-in for WhisperX does not open it; the real one is in tests/acceptance.
TWO_TRACKS = FILMS[8]
FORCED_ONLY = FILMS[9]
SKIPPED = {
    HAS_RUSSIAN: ".ru.srt",
    HAS_PLAIN: ".srt",
    HAS_ENGLISH_ASS: ".English.sdh.ass",
}


def stem(name: str) -> str:
    return name.rpartition(".")[0]


class Library(ScriptedDaemon):
    """A daemon on a planted library."""

    def plant(self) -> None:
        library.plant(self.shared, left_out=BROKEN)
        for name in BROKEN:
            (self.shared / name).write_bytes(NOT_MEDIA * 40)
        sounds = [library.tone(pitch=pitch) for pitch in (200, 300)]
        library.film(self.shared / TWO_TRACKS, sounds, ["rus", "eng"])
        for name, ending in SKIPPED.items():
            (self.shared / (stem(name) + ending)).write_text(
                "1\n00:00:01,000 --> 00:00:02,000\nA\n"
            )
        (self.shared / (stem(FORCED_ONLY) + ".ru.forced.srt")).write_text("theirs")

    def tasks(self) -> dict[str, dict[str, Any]]:
        listed = json.loads(self._get("/api/tasks?limit=500"))["tasks"]
        return {each["filename"]: each for each in listed}

    def counts(self) -> Counter[str]:
        return Counter(each["state"] for each in self.tasks().values())

    def wait_until_done(self, completed: int) -> None:
        expected = {"completed": completed, "error": 3, "skipped": 3}
        self.wait_for(lambda: self.counts() == expected, f"all films came to {expected}", ALL_S)

    def status(self, name: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._get(f"/status/{quote(name)}"))
        return answer

    def post(self, path: str, **body: object) -> tuple[int, dict[str, Any]]:
        port = self.wait_for_log(r"Listening on http://[^:]+:(\d+)").group(1)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())

    def run_command(self, *arguments: str) -> str:
        done = subprocess.run(
            self.command(*arguments), env=self.environment(), capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def sidecars(self) -> dict[str, bytes]:
        root, found = self.shared / ".transcriber" / "sidecars", {}
        for path in root.rglob("*"):
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # done with since
                found[path.relative_to(root).as_posix()] = path.read_bytes()
        return found


@dataclass
class Story:
    """The library before the first start, after it, and the daemon in its second life."""

    daemon: Library
    before: dict[str, Any]
    after: dict[str, Any]
    sidecars: dict[str, bytes]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    daemon = Library(tmp_path_factory.mktemp("media"), library_settings())
    daemon.plant()
    before = library.snapshot(daemon.shared)
    with daemon:
        daemon.wait_until_done(completed=24)
    after, sidecars = library.snapshot(daemon.shared), daemon.sidecars()
    with daemon:
        yield Story(daemon, before, after, sidecars)


@pytest.fixture
def films(story: Story) -> Library:
    return story.daemon


def test_subtitles_appear_with_the_right_names_and_nothing_else_changes(story: Story) -> None:
    films, before, after = story.daemon, story.before, story.after
    assert {name: after.get(name) for name in before} == before
    done = [name for name in FILMS if name not in (*BROKEN, SILENT, *SKIPPED)]
    assert set(after) - set(before) == {f"{stem(name)}.ru.srt" for name in done}
    assert len(done) == 24
    assert list(films.manual.iterdir()) == []
    for name in done:
        text = (films.shared / f"{stem(name)}.ru.srt").read_text("utf-8")
        assert text.startswith("1\n00:00:00,"), name


def test_a_second_start_does_nothing(story: Story) -> None:
    films = story.daemon
    late = "Films/Zulu (1964)/Zulu (1964).mkv"
    (films.shared / late).parent.mkdir()
    (films.shared / late).write_bytes(recording(2))
    # Found ones are done in the order in which they come: all others were looked at before.
    films.wait_until_done(completed=25)
    new = {late, f"{stem(late)}.ru.srt"}
    after = library.snapshot(films.shared)
    assert set(after) - set(story.after) == new
    assert {name: facts for name, facts in after.items() if name not in new} == story.after
    sidecars = films.sidecars()
    assert sidecars.pop(f"{late}.result")
    assert sidecars == story.sidecars
    assert json.loads(films._get("/queue"))["jobs"] == []
    assert films.log.count("is skipped: it has subtitles already") == 3


def test_what_was_skipped_and_what_failed_is_said(films: Library) -> None:
    tasks = films.tasks()
    for name, ending in SKIPPED.items():
        present = stem(name).rpartition("/")[2] + ending
        assert (tasks[name]["state"], tasks[name]["error"]) == ("skipped", present)
        status = films.status(name)
        assert (status["status"], status["error"]["code"]) == ("skipped", "has_subtitles")
        assert present in status["error"]["message"]
    for name in (*BROKEN, SILENT):
        assert films.status(name)["error"]["code"] == "not_media"
        content = json.loads(films._get(f"/api/tasks/{quote(name)}"))
        assert "It is left where it is" in content["explanation"]
        assert f"{name}.error.txt" in films.sidecars()
    listed = json.loads(films.run_command("status", "--json"))
    assert listed["counts"]["skipped"] == 3
    assert listed["counts"]["error"] == 3
    assert "has subtitles: " in films.run_command("status")


def test_an_asked_for_retry_is_tried_once_more_and_left_again(films: Library) -> None:
    name = BROKEN[0]
    old = films.status(name)["job_id"]
    films.run_command("retry", name)

    def failed_again() -> bool:
        status = films.status(name)
        return status["status"] == "error" and status["job_id"] != old

    films.wait_for(failed_again, "it failed once more", ALL_S)
    assert (films.shared / name).is_file()
    status, answer = films.post(f"/manual/{quote(name)}/retry")
    assert (status, answer["filename"]) == (202, name)
    films.wait_for(lambda: films.counts()["error"] == 3, "and once more", ALL_S)


def test_a_film_that_was_replaced_is_new(films: Library) -> None:
    """One that had failed, and one that has our subtitles, which do not count as present."""
    broken, done = BROKEN[1], FILMS[1]
    subtitles = films.shared / f"{stem(done)}.ru.srt"
    before = subtitles.read_bytes()
    for name in (broken, done):
        part = films.shared / f"{name}.part"
        part.write_bytes(recording(3, "another"))
        part.rename(films.shared / name)
    films.wait_for(lambda: films.counts()["completed"] == 26, "the broken one is done", ALL_S)
    films.wait_for(lambda: subtitles.read_bytes() != before, "the other is written anew", ALL_S)
    films.wait_for(
        lambda: f"{broken}.error.txt" not in films.sidecars(), "the old reason is gone", ALL_S
    )
    assert not list(films.shared.rglob("*.mkv.ru.srt"))


def test_a_skipped_film_is_transcribed_if_asked_for_and_theirs_stays(films: Library) -> None:
    theirs = films.shared / f"{stem(HAS_RUSSIAN)}.ru.srt"
    before = theirs.read_bytes()
    status, answer = films.post("/transcribe", filename=HAS_RUSSIAN, wait=True)
    assert status == 200
    assert answer["outputs"] == [f"{HAS_RUSSIAN}.ru.srt"]
    assert theirs.read_bytes() == before


def test_a_deleted_film_takes_what_was_made_from_it_along(films: Library) -> None:
    name = FILMS[12]
    folder = (films.shared / name).parent
    films.run_command("delete", "--yes", name)
    assert {p.name for p in folder.iterdir()} == set(library.COMPANIONS)
    assert not any(each.startswith(name) for each in films.sidecars())
    hidden = films.shared / ".transcriber" / "sidecars" / Path(name).parent
    assert not hidden.exists(), "no empty folder is left"


def test_a_text_is_found_by_its_words(films: Library) -> None:
    name = FILMS[2]
    text = (films.shared / f"{stem(name)}.ru.srt").read_text("utf-8").splitlines()[2]
    word = text.rstrip(".").split(".")[0].lower()

    def hit() -> bool:
        answer = json.loads(films._get(f"/search?q={quote(word)}&limit=100"))
        return name in json.dumps(answer, ensure_ascii=False)

    films.wait_for(hit, f"{word!r} of {name} is found", ALL_S)
