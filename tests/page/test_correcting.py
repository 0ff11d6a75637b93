"""Correcting a text on the page, in a real browser against a real daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.builders import until as true_within
from tests.integration.test_api import Client
from tests.page import made
from tests.page.test_page import HOLD_AUDIO, choose, click_word, until
from tests.ports import free_port
from tests.scripted_daemon import SOON_S, ScriptedDaemon

TITLE = "Совещание 14 ноября"
NAME = f"{TITLE}.wav"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path) as started:
        yield started


def talk(daemon: ScriptedDaemon, open_page: Any, **options: Any) -> Any:
    """The page of a finished talk."""
    if not (daemon.shared / NAME).exists():
        made.talk(daemon.shared)
    watched = open_page(daemon, **options)
    watched.page.add_init_script(HOLD_AUDIO)
    watched.page.reload()
    choose(watched.page, TITLE)
    return watched


def correct(page: Any, word: str, typed: str, end: str = "Enter") -> None:
    """A double click on a word, which selects it, and something else in its place."""
    double_click(page, word)
    page.locator("article.text span[contenteditable]").wait_for()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(typed)
    page.keyboard.press(end)


def double_click(page: Any, word: str) -> None:
    click_word(page, word, times=2)
    page.locator("article.text span[contenteditable]").wait_for()


def segments(daemon: ScriptedDaemon) -> list[str]:
    found = Client(daemon).get(f"/api/tasks/{quote(NAME)}").json
    return [each["text"] for each in found["segments"]]


def comes(daemon: ScriptedDaemon, place: int, text: str) -> None:
    true_within(lambda: segments(daemon)[place] == text, f"{text!r} is stored", SOON_S)


def shown(page: Any) -> str:
    return " ".join(page.locator("article.text p").all_inner_texts())


def test_words_are_corrected_stored_and_exported(daemon: ScriptedDaemon, open_page: Any) -> None:
    page = talk(daemon, open_page).page
    double_click(page, "заняты")
    page.keyboard.press("End")
    page.keyboard.type(" и молчат")
    page.get_by_text("Saved", exact=True).wait_for()
    comes(daemon, 0, "В данный момент все операторы заняты. и молчат")
    page.keyboard.press("Escape")
    correct(page, "оставайтесь", "Прошу, оставайтесь на проводе.")
    comes(daemon, 1, "Прошу, оставайтесь на проводе.")
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="srt").click()
    text = download.value.path().read_text(encoding="utf-8")
    assert "Прошу, оставайтесь" in text
    assert "молчат" in text
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="txt, before corrections").click()
    assert "проводе" not in download.value.path().read_text(encoding="utf-8")
    page.reload()
    page.locator("article.text span").first.wait_for()
    assert "Прошу, оставайтесь на проводе." in shown(page)


def test_what_was_corrected_is_heard_where_it_was_said(
    daemon: ScriptedDaemon, open_page: Any
) -> None:
    page = talk(daemon, open_page).page
    correct(page, "оставайтесь", "Пожалуйста, подождите немного на линии.")
    comes(daemon, 1, "Пожалуйста, подождите немного на линии.")
    page.evaluate("window.sought.length = 0")
    until(page, "document.querySelector('article.text').textContent.includes('подождите')")
    click_word(page, "подождите")
    until(page, "window.sought.length")
    assert page.evaluate("window.sought[0]") == pytest.approx(3.2, abs=0.01)
    page.evaluate("window.sought.length = 0")
    click_word(page, "линии")
    until(page, "window.sought.length")
    assert page.evaluate("window.sought[0]") == pytest.approx(4.0, abs=0.01)


def test_undo_and_redo(daemon: ScriptedDaemon, open_page: Any) -> None:
    page = talk(daemon, open_page).page
    before = segments(daemon)
    correct(page, "заняты", "Никого нет.")
    comes(daemon, 0, "Никого нет.")
    page.keyboard.press("ControlOrMeta+z")
    comes(daemon, 0, before[0])
    page.get_by_role("button", name="Do again").click()
    comes(daemon, 0, "Никого нет.")
    page.get_by_role("button", name="Undo", exact=True).click()
    until(page, "document.querySelector('article.text').textContent.includes('операторы')")
    assert segments(daemon) == before


def test_doubtful_places_are_walked_through_with_the_keyboard(
    daemon: ScriptedDaemon, open_page: Any
) -> None:
    page = talk(daemon, open_page).page
    page.get_by_text("2 places to check").wait_for()
    page.keyboard.press("d")
    page.get_by_text("Place 1 of 2").wait_for()
    page.keyboard.press("Enter")
    page.get_by_text("Place 1 of 1").wait_for()
    page.keyboard.press("e")
    page.locator("article.text span[contenteditable]").wait_for()
    page.keyboard.type("звонок")
    page.keyboard.press("Enter")
    page.get_by_text("All doubtful places are checked").wait_for()
    comes(daemon, 2, "Ваш звонок будет принят.")
    assert page.evaluate("CSS.highlights.get('doubt').size") == 0
    kept = json.loads((daemon.shared / f"{NAME}.edit.json").read_bytes())["ops"]
    assert [(op["op"], op["was"]) for op in kept] == [
        ("confirm", ["операторы"]), ("words", ["вызов"]),
    ]  # fmt: skip
    page.reload()
    page.locator("article.text span").first.wait_for()
    assert page.get_by_text("to check").count() == page.locator(".item .tag.doubt").count()


def test_voices_get_names_and_become_one(daemon: ScriptedDaemon, open_page: Any) -> None:
    page = talk(daemon, open_page).page
    page.get_by_role("button", name="Voice 1").first.click()
    page.get_by_label("Name", exact=True).fill("Мария")
    page.get_by_role("button", name="Everywhere").click()
    page.get_by_role("button", name="Мария").first.wait_for()
    assert page.get_by_role("button", name="Voice 1").count() == 0
    assert page.get_by_role("button", name="Мария").count() == 2
    page.get_by_role("button", name="Voice 2").click()
    page.get_by_label("Name", exact=True).fill("Мария")
    page.get_by_role("button", name="Everywhere").click()
    page.get_by_role("button", name="Voice 2").wait_for(state="detached")
    text = Client(daemon).result(NAME, "txt").text
    assert text.count("Мария:") == 1
    assert "Speaker" not in text


def test_a_name_that_is_being_typed_stays_when_the_list_is_read_anew(
    daemon: ScriptedDaemon, open_page: Any
) -> None:
    page = talk(daemon, open_page).page
    page.get_by_role("button", name="Voice 1").first.click()
    name = page.get_by_label("Name", exact=True)
    assert name.input_value() == "Voice 1"
    name.fill("Мария")
    for _ in range(2):  # by the second answer the first one is shown
        with page.expect_response("**/api/tasks?**"):
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert name.input_value() == "Мария"
    page.get_by_role("button", name="Everywhere").click()
    page.get_by_role("button", name="Мария").first.wait_for()


def test_one_passage_gets_another_voice(daemon: ScriptedDaemon, open_page: Any) -> None:
    page = talk(daemon, open_page).page
    page.get_by_role("button", name="Voice 1").last.click()
    page.get_by_label("Name", exact=True).fill("Voice 2")
    page.get_by_role("button", name="Only in this passage").click()
    true_within(
        lambda: "Voice 1" not in page.locator(".turn").last.inner_text(), "it moved", SOON_S
    )
    found = Client(daemon).get(f"/api/tasks/{quote(NAME)}").json["segments"]
    assert [each["speaker"] for each in found] == ["SPEAKER_00", "SPEAKER_01", "SPEAKER_01"]


def test_who_speaks_alone_has_no_label_and_can_be_named(
    daemon: ScriptedDaemon, open_page: Any
) -> None:
    alone = [{**each, "speaker": "SPEAKER_00"} for each in made.TALK]
    made.finish(daemon.shared, NAME, alone)
    page = talk(daemon, open_page).page
    first = page.locator(".turn").first
    first.wait_for()
    assert "Voice" not in page.locator("article.text").inner_text()
    first.hover()
    page.get_by_role("button", name="Name this voice").click()
    page.get_by_label("Name", exact=True).fill("Anna")
    page.get_by_role("button", name="Everywhere").click()
    true_within(lambda: "Anna" in first.inner_text(), "the name that was given is shown", SOON_S)


def test_a_passage_is_split_and_what_was_left_out_comes_back(
    daemon: ScriptedDaemon, open_page: Any
) -> None:
    page = talk(daemon, open_page).page
    double_click(page, "данный")
    page.keyboard.press("Home")
    for _ in range(2):
        page.keyboard.press("ControlOrMeta+ArrowRight")
    page.keyboard.press("Shift+Enter")
    true_within(lambda: len(segments(daemon)) == 4, "it was split", SOON_S)
    assert segments(daemon)[:2] == ["В данный", "момент все операторы заняты."]
    page.get_by_role("button", name="Put back").click()
    page.get_by_role("button", name="Put back").wait_for(state="detached")
    assert "Продолжение следует..." in segments(daemon)


def test_find_and_replace(daemon: ScriptedDaemon, open_page: Any) -> None:
    page = talk(daemon, open_page).page
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("button", name="Find and replace…").click()
    page.get_by_label("Find", exact=True).fill("ВАШ")
    page.get_by_text("1 place", exact=True).wait_for()
    page.get_by_label("Replace by").fill("Наш")
    page.get_by_label("Same capitals").check()
    page.get_by_text("0 places").wait_for()
    page.get_by_label("Find", exact=True).fill("а")
    page.get_by_label("Replace by").fill("о")
    page.get_by_role("button", name="Replace all").click()
    page.get_by_text("places replaced").wait_for()
    assert segments(daemon)[2] == "Вош вызов будет принят."
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Undo", exact=True).click()
    comes(daemon, 2, "Ваш вызов будет принят.")


def test_two_people_at_one_passage(daemon: ScriptedDaemon, open_page: Any) -> None:
    mine, theirs = (talk(daemon, open_page) for _ in range(2))
    for each in (mine, theirs):
        each.allowed.append("409")
    double_click(mine.page, "заняты")
    double_click(theirs.page, "заняты")
    for each, typed in ((theirs, " Их."), (mine, " Мои.")):
        each.page.bring_to_front()
        each.page.keyboard.press("End")
        each.page.keyboard.type(typed)
        each.page.keyboard.press("Escape")
        if each is theirs:
            comes(daemon, 0, "В данный момент все операторы заняты. Их.")
    conflict = mine.page.get_by_role("alert").filter(has_text="Somebody else corrected")
    conflict.get_by_text("заняты. Их.").wait_for()
    conflict.get_by_text("заняты. Мои.").wait_for()
    conflict.get_by_role("button", name="Keep mine").click()
    comes(daemon, 0, "В данный момент все операторы заняты. Мои.")
    conflict.wait_for(state="detached")
    theirs.page.bring_to_front()
    until(theirs.page, "document.querySelector('article.text').textContent.includes('Мои.')")


def test_what_is_typed_while_the_service_is_away_is_not_lost(
    tmp_path: Path, open_page: Any
) -> None:
    with ScriptedDaemon(tmp_path, {"api": {"port": free_port()}}) as daemon:
        watched = talk(daemon, open_page)
        page = watched.page
        watched.allowed += ["ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE"]
        double_click(page, "заняты")
        daemon.kill()
        page.keyboard.press("End")
        page.keyboard.type(" Ждите.")
        page.keyboard.press("Enter")
        page.get_by_text("Not saved yet").wait_for()
        daemon.start()
        comes(daemon, 0, "В данный момент все операторы заняты. Ждите.")
        page.get_by_text("Saved", exact=True).wait_for()
        # What was typed in a window that was closed is taken up by the next one.
        double_click(page, "заняты")
        page.keyboard.press("End")
        page.keyboard.type(" Ещё.")
        page.reload()
        comes(daemon, 0, "В данный момент все операторы заняты. Ждите. Ещё.")


def by_another(daemon: ScriptedDaemon, *ops: dict[str, Any]) -> None:
    """Somebody else corrects the text, with another program."""
    client = Client(daemon)
    version = client.get(f"/api/tasks/{quote(NAME)}").json["version"]
    body = json.dumps({"version": version, "ops": ops}).encode()
    answer = client.ask(
        "PATCH", f"/edits/{quote(NAME)}", body, {"Content-Type": "application/json"}
    )
    assert answer.status == 200, answer.text


PLEASE = {"id": "b1", "op": "words", "segment": "1", "from": 0, "to": 1,
          "was": ["Пожалуйста,"], "now": ["Прошу,"]}  # fmt: skip


def test_what_another_corrected_is_not_reverted_by_a_draft(
    daemon: ScriptedDaemon, open_page: Any
) -> None:
    """Though the page has read it meanwhile, as an answer to something else."""
    watched = talk(daemon, open_page)
    page = watched.page
    watched.allowed.append("409")
    held: list[Any] = []
    page.route("**/edits/**", lambda route: held.append(route))
    double_click(page, "заняты")
    page.keyboard.press("End")
    page.keyboard.type(" Да.")
    double_click(page, "линии")  # the first segment is on its way
    true_within(lambda: page.evaluate("true") and bool(held), "it is sent", SOON_S)
    by_another(daemon, PLEASE)
    for route in held:
        route.continue_()
    page.unroute("**/edits/**")
    comes(daemon, 0, "В данный момент все операторы заняты. Да.")
    page.get_by_text("Saved", exact=True).wait_for()
    page.keyboard.press("End")
    page.keyboard.type(" Мои.")
    page.keyboard.press("Enter")
    conflict = page.get_by_role("alert").filter(has_text="Somebody else corrected")
    conflict.get_by_text("Прошу, оставайтесь на линии.").wait_for()
    assert segments(daemon)[1] == "Прошу, оставайтесь на линии."
    conflict.get_by_role("button", name="Keep theirs").click()
    until(page, "document.querySelector('article.text').textContent.includes('Прошу,')")
    assert segments(daemon)[1] == "Прошу, оставайтесь на линии."


def test_typing_goes_on_where_the_text_is_read_anew(daemon: ScriptedDaemon, open_page: Any) -> None:
    page = talk(daemon, open_page).page
    double_click(page, "заняты")
    page.keyboard.press("End")
    page.keyboard.type(" Раз")
    by_another(daemon, {"id": "r", "op": "rename_speaker", "was": "SPEAKER_01", "now": "Пётр"})
    page.get_by_text("Saved", exact=True).wait_for()
    held: list[Any] = []
    page.route("**/api/tasks/**", lambda route: held.append(route))
    page.keyboard.type(" два")
    page.wait_for_timeout(1500)
    page.keyboard.type(" три")
    for route in held:
        route.continue_()
    page.unroute("**/api/tasks/**")
    page.get_by_role("button", name="Пётр").wait_for()
    page.keyboard.type(" четыре")
    page.keyboard.press("Enter")
    comes(daemon, 0, "В данный момент все операторы заняты. Раз два три четыре")


def test_a_place_that_is_no_longer_there_is_not_confirmed(
    daemon: ScriptedDaemon, open_page: Any
) -> None:
    page = talk(daemon, open_page).page
    page.keyboard.press("d")
    page.keyboard.press("d")
    page.get_by_text("Place 2 of 2").wait_for()
    by_another(daemon, {"id": "j", "op": "join", "segment": "1", "with": "2"})
    until(page, "document.querySelectorAll('article.text span').length === 2")
    page.locator("article.text").focus()
    page.keyboard.press("Enter")
    page.get_by_text("1 place to check").or_(page.get_by_text("Place 1 of")).first.wait_for()
    kept = Client(daemon).get(f"/edits/{quote(NAME)}").json["ops"]
    assert [op["op"] for op in kept if op["op"] != "join"] == []


#: Types at random in texts, and does to their words what the operation says.
TRY_DIFF = """
async () => {
    const { changeOf } = await import("/static/diff.js");
    let seed = 7;
    const below = (n) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
    const vocabulary = ["а", "ан", "банан", "он", "они", "да.", "—", "日", "x"];
    for (let round = 0; round < 5000; round++) {
        const list = Array.from({ length: below(6) }, () => vocabulary[below(9)]);
        let at = 0;
        const text = list.join(" ");
        const words = list.map((word) => {
            const from = text.indexOf(word, at);
            at = from + word.length;
            return { text: word, from, to: at };
        });
        const signs = [...text];
        for (let times = 0; times <= below(3); times++) {
            const place = below(signs.length + 1);
            signs.splice(place, below(2), ...[..."а н日"].slice(below(3), below(5)));
        }
        const typed = signs.join("").replace(/\\s+/g, " ").trim();
        const change = changeOf(text, words, signs.join(""));
        const now = change
            ? [...list.slice(0, change.from), ...change.now, ...list.slice(change.to)].join(" ")
            : text;
        const was = JSON.stringify(list.slice(change?.from, change?.to));
        const wrong = change && JSON.stringify(change.was) !== was;
        if (now !== typed || wrong) return { text, typed, change };
    }
    return null;
}
"""


def test_whatever_is_typed_becomes_the_text(daemon: ScriptedDaemon, open_page: Any) -> None:
    page = open_page(daemon).page
    assert page.evaluate(TRY_DIFF) is None
