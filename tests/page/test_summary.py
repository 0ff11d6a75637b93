"""The summary above a text, in a real browser against a real daemon and a scripted model."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.model_server import ModelServer, serving
from tests.page import made
from tests.page.browsing import NARROW, PATIENCE_MS, WIDE
from tests.page.test_correcting import correct
from tests.page.test_page import HOLD_AUDIO, choose, until
from tests.scripted_daemon import SOON_S, ScriptedDaemon

NOTES = {
    "summary": "A part.",
    "points": [{"time": "0:00:02", "text": "Somebody *spoke* <b>loudly</b>."}],
    "decisions": [],
    "tasks": [{"time": "0:00:05", "text": "Call back.", "who": "Anna"}],
    "questions": [{"text": "When?"}],
}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving(ModelServer()) as running:
        running.lists = NOTES
        yield running


class SummarisingDaemon(ScriptedDaemon):
    """``made`` recordings are noted as those that are to be summarised."""

    def finish(self) -> None:
        made.talk(self.shared, "talk.wav")
        folder = self.shared / ".transcriber" / "summaries"
        folder.mkdir(parents=True)
        item = {
            "id": "msg_summary-made", "kind": "summary", "url": "scripted", "attempts": 0,
            "creation_time": "2024-01-31T10:00:09.000Z", "error": None,
            "payload": {"filename": "talk.wav", "job_id": "made"},
        }  # fmt: skip
        (folder / "msg_summary-made.json").write_text(json.dumps(item), encoding="utf-8")


@pytest.fixture
def daemon(tmp_path: Path, server: ModelServer) -> SummarisingDaemon:
    return SummarisingDaemon(tmp_path, {"summary": {"base_url": server.url, "model": "scripted"}})


@pytest.fixture
def started(daemon: SummarisingDaemon) -> Iterator[SummarisingDaemon]:
    daemon.finish()
    with daemon:
        yield daemon


def test_a_summary_stands_above_the_text_and_its_times_play(
    daemon: SummarisingDaemon, server: ModelServer, open_page: Any, request: Any
) -> None:
    server.faults.hold.clear()
    request.getfixturevalue("started")
    page = open_page(daemon).page
    page.add_init_script(HOLD_AUDIO)
    page.reload()
    choose(page, "talk")
    page.get_by_text("A summary of this text is being made…").wait_for()
    server.faults.hold.set()
    summary = page.locator("details.summary")
    summary.get_by_text("Summary", exact=True).click()
    summary.get_by_text("What was said, in short.").wait_for()
    assert "Somebody *spoke* <b>loudly</b>." in summary.inner_text(), "as text, not as tags"
    assert "Anna: Call back." in summary.inner_text()
    summary.get_by_role("button", name="Play from 0:02").click()
    until(page, "window.played > 0")
    until(page, "window.sought.some((at) => Math.abs(at - 2) < 0.2)")
    assert page.evaluate("!window.heard.paused || window.heard.ended")
    page.get_by_role("button", name="Русский").click()
    for word in ("Резюме", "Главное", "Поручения", "Открытые вопросы"):
        summary.get_by_text(word, exact=True).wait_for()
    assert summary.get_by_text("Решения", exact=True).count() == 0, "of nothing there is no heading"


@pytest.fixture
def long_talk(daemon: SummarisingDaemon) -> str:
    """A text of several screens, in the place of the short one."""
    name = "talk.wav"
    said = "Это предложение номер {n}, и сказано в нём совсем немного, зато их много."
    segments = [made.segment(said.format(n=n), 4.0 * n, 0.2) for n in range(90)]
    daemon.finish()
    made.finish(daemon.shared, name, segments, duration_s=360.0)
    return name


SCREENS = os.environ.get("TRANSCRIBER_SCREENSHOTS")
TEXT_TOP = "document.querySelector('.text').getBoundingClientRect().top"
SENTENCE = "[...document.querySelectorAll('.text span')].find((s) => s.textContent.includes('{}'))"


@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("scrolled", [0, 900])
def test_a_summary_that_comes_late_moves_nothing_that_is_read(
    long_talk: str,
    daemon: SummarisingDaemon,
    server: ModelServer,
    open_page: Any,
    size: tuple[int, int],
    scrolled: int,
) -> None:
    server.faults.hold.clear()
    with daemon:
        page = open_page(daemon, size=size).page
        choose(page, "talk")
        page.get_by_text("A summary of this text is being made…").wait_for()
        page.evaluate(f"document.querySelector('.text').scrollTop = {scrolled}")
        # The first sentence that is whole in view.
        place = (
            "[...document.querySelectorAll('.text span')]"
            f".find((each) => each.getBoundingClientRect().top > {TEXT_TOP} + 10)"
        )
        sentence = re.search(r"номер \d+,", page.evaluate(f"{place}.textContent"))
        assert sentence
        top = f"{SENTENCE.format(sentence[0])}.getBoundingClientRect().top"
        before = page.evaluate(top)
        _picture(page, f"summary-late-{size[0]}-{scrolled}-before")
        server.faults.hold.set()
        summary = page.locator("details.summary")
        summary.wait_for()
        _picture(page, f"summary-late-{size[0]}-{scrolled}-after")
        assert abs(page.evaluate(top) - before) <= 1
        assert page.evaluate(f"{top} >= {TEXT_TOP}"), "it is not covered either"
        summary.get_by_text("Summary", exact=True).click()
        summary.get_by_text("What was said, in short.").wait_for()


def _picture(page: Any, name: str) -> None:
    if SCREENS:
        page.screenshot(path=f"{SCREENS}/{name}.png")


def test_the_page_says_that_there_is_no_summary_and_why(
    daemon: SummarisingDaemon, server: ModelServer, open_page: Any, request: Any
) -> None:
    server.faults.cut = 10**6
    request.getfixturevalue("started")
    daemon.wait_for_log(r"talk.wav could not be summarised", SOON_S)
    page = open_page(daemon, locale="ru-RU").page
    choose(page, "talk")
    page.get_by_text(
        "Составить резюме этого текста не удалось. Ответ модели оказался слишком длинным"
    ).wait_for()
    series = daemon.metrics()
    assert series['transcriber_summaries_total{outcome="failed"}'] == 1
    assert daemon.health()["troubles"] == []


def test_one_that_failed_is_tried_again_by_a_button(
    daemon: SummarisingDaemon, server: ModelServer, open_page: Any, request: Any
) -> None:
    server.faults.cut = 10**6
    request.getfixturevalue("started")
    daemon.wait_for_log(r"talk.wav could not be summarised", SOON_S)
    page = open_page(daemon, locale="ru-RU").page
    choose(page, "talk")
    page.get_by_text("Составить резюме этого текста не удалось.").wait_for()
    server.faults.cut = 0
    page.get_by_role("button", name="Попробовать ещё раз").click()
    page.locator("details.summary").get_by_text("What was said, in short.").wait_for()
    assert page.get_by_role("button", name="Попробовать ещё раз").count() == 0


def test_after_a_correction_the_page_says_that_it_is_old_and_makes_it_anew(
    started: SummarisingDaemon, server: ModelServer, open_page: Any
) -> None:
    started.wait_for_log(r"talk.wav: summarised", SOON_S)
    page = open_page(started).page
    choose(page, "talk")
    page.locator("details.summary").wait_for()
    old = page.get_by_text("The text was corrected after this summary was made.")
    assert old.count() == 0
    correct(page, "операторы", "Операторы")
    old.wait_for()
    server.faults.cut = 10**6
    page.get_by_role("button", name="Make it anew").click()
    page.get_by_text("It could not be made anew. The model's answer was too long").wait_for()
    page.locator("details.summary").get_by_text("What was said, in short.").wait_for()
    server.faults.cut = 0
    page.get_by_role("button", name="Make it anew").click()
    old.wait_for(state="detached")
    page.locator("details.summary").wait_for()


def test_a_text_from_before_gets_one_if_asked_for(
    started: SummarisingDaemon, open_page: Any
) -> None:
    made.talk(started.shared, "old.wav")
    page = open_page(started).page
    choose(page, "old")
    page.get_by_role("button", name="Make a summary").click()
    page.locator("details.summary").get_by_text("What was said, in short.").wait_for()


def test_the_empty_page_says_where_texts_go(tmp_path: Path, open_page: Any) -> None:
    config = {
        "summary": {"base_url": "https://models.example/v1", "model": "m"},
        "handover": {"url": "redis://queue.example/0"},
    }
    with ScriptedDaemon(tmp_path / "away", config) as daemon:
        page = open_page(daemon).page
        page.get_by_text("Finished texts are sent to models.example, queue.example.").wait_for()
        assert page.get_by_text("Nothing leaves").count() == 0
        page.get_by_role("button", name="Русский").click()
        page.get_by_text("Готовые тексты отправляются на models.example").wait_for()
        page.close()


def test_the_empty_page_says_that_nothing_leaves(tmp_path: Path, open_page: Any) -> None:
    config = {"summary": {"base_url": "http://127.0.0.1:1", "model": "m"}}
    with ScriptedDaemon(tmp_path / "here", config) as daemon:
        page = open_page(daemon).page
        page.get_by_text("Nothing leaves this machine.").wait_for()
        page.close()


def test_a_server_that_is_away_is_said_on_the_page_and_in_health(
    started: SummarisingDaemon, server: ModelServer, open_page: Any
) -> None:
    daemon = started
    daemon.wait_for_log(r"talk.wav: summarised", SOON_S)
    server.faults.status = 503
    daemon.drop("new.wav")
    daemon.wait_for_result("new.wav", SOON_S)
    daemon.wait_for(lambda: "summary" in daemon.health()["troubles"], "health says so", SOON_S)
    watched = open_page(daemon)
    watched.allowed.append("415")  # the scripted recording has no sound
    page = watched.page
    choose(page, "new")
    page.get_by_text("the server for summaries cannot be used at the moment").wait_for()
    server.faults.status = 200
    page.locator("details.summary").wait_for(timeout=PATIENCE_MS)


def test_without_a_summary_nothing_is_said_of_one(tmp_path: Path, open_page: Any) -> None:
    with ScriptedDaemon(tmp_path / "other") as daemon:
        made.finish(daemon.shared, "talk.wav", [made.segment("Добрый день.", 0.5)])
        page = open_page(daemon, size=WIDE).page
        choose(page, "talk")
        page.wait_for_timeout(500)
        assert page.locator("details.summary").count() == 0
        assert "summary" not in page.locator("main").inner_text().lower()
