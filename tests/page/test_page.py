"""What a person does on the page, in a real browser against a real daemon."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.builders import until as true_within
from tests.page import made
from tests.page.browsing import NARROW, PATIENCE_MS
from tests.ports import free_port
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text, recording

#: A click on a word leads there, within this many seconds.
NEAR_S = 0.15


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path) as started:
        yield started


def audio(page: Any, what: str) -> Any:
    """Of the player's element, which the page made."""
    return page.evaluate(f"window.heard.{what}")


#: Keeps hold of the element that the page plays with.
HOLD_AUDIO = """
const Real = Audio;
window.Audio = function () {
    const made = (window.heard = new Real());
    window.sought = [];
    window.begun = [];
    window.played = 0;
    let to; // what was asked for: by the time that it is reached, the player may have moved on
    made.addEventListener("seeking", () => (to = made.currentTime));
    made.addEventListener("seeked", () => window.sought.push(to));
    made.addEventListener("play", () => window.played++);
    for (const kind of ["loadedmetadata", "canplay", "playing"])
        made.addEventListener(kind, () => window.begun.push(made.currentTime));
    return made;
};
"""


def until(page: Any, condition: str, seconds: float = PATIENCE_MS / 1000) -> None:
    """Wait for it; Playwright's own way needs ``eval``, which the page forbids."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(20)


def choose(page: Any, title: str) -> None:
    page.get_by_role("link", name=title).click()
    page.locator("article.text span").first.wait_for()


def click_word(page: Any, word: str, times: int = 1) -> None:
    """In the middle of a word of the text."""
    box = page.evaluate(
        """(word) => {
            for (const span of document.querySelectorAll('article.text span')) {
                const at = span.textContent.indexOf(word);
                if (at < 0) continue;
                const range = new Range();
                range.setStart(span.firstChild, at);
                range.setEnd(span.firstChild, at + word.length);
                const { left, top, width, height } = range.getBoundingClientRect();
                return [left + width / 2, top + height / 2];
            }
        }""",
        word,
    )
    page.mouse.click(*box, click_count=times)


def test_a_newcomer_drops_a_recording_and_sees_it_move(
    daemon: ScriptedDaemon, open_page: Any
) -> None:
    page = open_page(daemon).page
    page.get_by_role("heading", name="Drop a recording here").wait_for()
    content = recording(20)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").first.click()
    chooser.value.set_files([{"name": "slow talk.wav", "mimeType": "audio/wav", "buffer": content}])
    page.get_by_role("heading", name="slow talk").wait_for()
    page.get_by_role("progressbar").first.wait_for()
    page.locator("article.text span").first.wait_for()
    assert (daemon.shared / "slow talk.wav").read_bytes() == content

    def shown() -> list[str]:
        return " ".join(page.locator("article.text p").all_inner_texts()).split()

    true_within(lambda: shown() == full_text(content).split(), "all of the text", SOON_S)


def test_a_click_on_a_word_plays_it(daemon: ScriptedDaemon, open_page: Any) -> None:
    made.talk(daemon.shared)
    page = open_page(daemon).page
    page.add_init_script(HOLD_AUDIO)
    page.reload()
    choose(page, "Совещание 14 ноября")
    for word, start_s in (("операторы", 1.8), ("оставайтесь", 3.2), ("Ваш", 4.8)):
        page.evaluate("window.sought.length = window.played = 0")
        click_word(page, word)
        until(page, "window.played && window.sought.length")
        assert abs(page.evaluate("window.sought[0]") - start_s) < NEAR_S, word
        page.evaluate("window.heard.pause()")
        until(page, "window.heard.paused")
    until(page, "CSS.highlights.get('playing').size === 1")


def test_the_keys_walk_through_the_doubtful_places(daemon: ScriptedDaemon, open_page: Any) -> None:
    made.talk(daemon.shared)
    page = open_page(daemon).page
    page.add_init_script(HOLD_AUDIO)
    page.reload()
    choose(page, "Совещание 14 ноября")
    page.get_by_text("2 places to check").wait_for()
    for key, start_s in (("d", 1.8), ("d", 5.2), ("Shift+d", 1.8)):
        page.evaluate("window.sought.length = window.played = 0")
        page.keyboard.press(key)
        until(page, "window.played && window.sought.length")
        assert page.evaluate("window.sought[0]") == pytest.approx(start_s - 1, abs=NEAR_S)
        until(page, "window.heard.paused")
        assert start_s < audio(page, "currentTime") < start_s + 2.5, "it stops behind the place"


def test_what_is_said_of_each_recording(daemon: ScriptedDaemon, open_page: Any) -> None:
    made.talk(daemon.shared)
    daemon.drop("notmedia.mp3")
    daemon.wait_until_in_manual("notmedia.mp3")
    daemon.drop("slow one.mp3", chunks=100)
    page = open_page(daemon).page
    page.get_by_role("link", name="Совещание").get_by_text("2 voices").wait_for()
    page.get_by_role("link", name="Совещание").get_by_text("to check").wait_for()
    page.get_by_role("link", name="notmedia.mp3").get_by_text("failed").wait_for()
    page.get_by_role("link", name="slow one.mp3").get_by_role("progressbar").wait_for()
    page.get_by_role("link", name="notmedia.mp3").click()
    page.get_by_role("heading", name="could not be transcribed").wait_for()
    page.get_by_text("What was tried").first.click()
    page.get_by_text("What happened").wait_for()
    with page.expect_response(lambda r: r.url.endswith("/retry") and r.status == 202):
        page.get_by_role("button", name="Try again").click()


def test_one_is_done_first_and_the_queue_pauses(daemon: ScriptedDaemon, open_page: Any) -> None:
    daemon.drop("slow long.mp3", chunks=300)
    daemon.wait_for_position("slow long.mp3", 10)
    daemon.drop("other.mp3")
    page = open_page(daemon).page
    page.get_by_role("link", name="other.mp3").click()
    page.get_by_role("button", name="Do this one first").click()
    page.locator("article.text span").first.wait_for()
    daemon.wait_for_result("other.mp3")
    page.get_by_role("button", name="Pause", exact=True).first.click()
    page.get_by_text("The queue is paused").wait_for()
    assert (daemon.shared / ".transcriber" / "paused").exists()
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("The queue is paused").wait_for(state="detached")


def test_a_recording_is_deleted_only_after_a_question(
    daemon: ScriptedDaemon, open_page: Any
) -> None:
    name = made.talk(daemon.shared)
    page = open_page(daemon).page
    choose(page, "Совещание 14 ноября")
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("button", name="Delete recording and text…").click()
    page.get_by_role("button", name="Cancel").click()
    assert (daemon.shared / name).exists()
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("button", name="Delete recording and text…").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("link", name="Совещание").wait_for(state="detached")
    assert not (daemon.shared / name).exists()


def test_texts_are_saved_and_copied(daemon: ScriptedDaemon, open_page: Any) -> None:
    made.talk(daemon.shared)
    page = open_page(daemon, permissions=["clipboard-read", "clipboard-write"]).page
    choose(page, "Совещание 14 ноября")
    page.get_by_role("button", name="Copy text").click()
    page.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("Voice 1: В данный момент все операторы заняты.\n\nVoice 2: ")
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="srt").click()
    text = download.value.path().read_text(encoding="utf-8")
    assert "операторы" in text
    assert download.value.suggested_filename == "Совещание 14 ноября.srt"


def test_a_link_leads_to_a_second(daemon: ScriptedDaemon, open_page: Any) -> None:
    name = made.talk(daemon.shared)
    page = open_page(daemon).page
    page.add_init_script(HOLD_AUDIO)
    page.goto(f"{page.url}#name={name}&t=3.2")
    page.reload()
    until(page, "window.heard && Math.abs(window.heard.currentTime - 3.2) < 0.05")


def test_a_word_is_found_by_another_form_and_opens_at_its_second(
    daemon: ScriptedDaemon, open_page: Any
) -> None:
    long = [
        made.segment(f"Предложение под номером {n}, ничего особого.", 4.0 * n) for n in range(60)
    ]
    long[40] = made.segment("Здесь речь идёт о договоре <b>&amp; клиентах</b> 😀 Договоры!", 160.34)
    made.finish(daemon.shared, "Долгое совещание.wav", long, duration_s=240)
    made.talk(daemon.shared, "Другая запись.wav")
    page = open_page(daemon).page
    page.add_init_script(HOLD_AUDIO)
    page.reload()
    page.keyboard.press("/")
    page.keyboard.type("договорами")
    hit = page.get_by_role("link", name="Долгое совещание 2:40 Здесь речь идёт о")
    hit.wait_for()
    assert page.locator(".hit mark").all_inner_texts() == ["договоре", "Договоры"]
    assert page.locator(".hit").count() == 1
    assert page.get_by_role("heading", name="In the texts").is_visible()
    hit.focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1, name="Долгое совещание").wait_for()
    until(page, SEEN.replace("TEXT", "Здесь речь"))
    page.locator("article.text").evaluate("(text) => text.scrollTo(0, 0)")
    assert not page.evaluate(SEEN.replace("TEXT", "Здесь речь"))
    hit.click()
    until(page, SEEN.replace("TEXT", "Здесь речь"))
    page.locator("#search").fill("на линию")
    page.get_by_role("link", name="Другая запись").click()
    until(page, "window.heard && Math.abs(window.heard.currentTime - 2.8) < 0.05")
    until(page, "CSS.highlights.get('playing').size === 1")


#: Whether the segment that begins so is in view, and stays there.
SEEN = """(() => {
    const frame = document.querySelector('article.text')?.getBoundingClientRect();
    const spans = [...document.querySelectorAll('article.text span')];
    const span = spans.find((each) => each.textContent.startsWith('TEXT'));
    const box = span?.getBoundingClientRect();
    return Boolean(box && box.height && box.top >= frame.top && box.bottom <= frame.bottom);
})()"""


#: Letter by letter, with no time in between, however slow the machine is.
TYPE_QUICKLY = """(field, text) => {
    for (let end = 1; end <= text.length; end++) {
        field.value = text.slice(0, end);
        field.dispatchEvent(new Event("input", { bubbles: true }));
    }
}"""


def sought_in(urls: list[str]) -> set[str]:
    """What was looked for by requests to these addresses."""
    asked = [parse_qs(urlsplit(url).query) for url in urls if "/search?" in url]
    return {query["q"][0] for query in asked}


def test_texts_are_searched_once_typing_rests(daemon: ScriptedDaemon, open_page: Any) -> None:
    made.talk(daemon.shared)
    page = open_page(daemon).page
    asked: list[str] = []
    page.on("request", lambda request: "/search?" in request.url and asked.append(request.url))
    field = page.locator("#search")
    field.evaluate(TYPE_QUICKLY, "операторы")
    page.locator(".hit").wait_for()
    assert sought_in(asked) == {"операторы"}, "not with each letter"
    field.fill("о")
    page.locator(".hit").wait_for(state="detached")
    with page.expect_response(lambda answer: sought_in([answer.url]) == {"оп"}):
        field.fill("оп")
    assert sought_in(asked) == {"операторы", "оп"}, "one letter alone is not looked for"


def test_an_answer_that_comes_late_is_ignored(daemon: ScriptedDaemon, open_page: Any) -> None:
    made.talk(daemon.shared)
    page = open_page(daemon).page
    held: list[Any] = []

    def is_first(asked: Any) -> bool:
        return "/search?" in asked.url and quote("вызов") in asked.url

    def hold(route: Any) -> None:
        if not held and is_first(route.request):
            held.append(route)
        else:
            route.continue_()

    page.route(lambda url: "/search?" in url, hold)
    field = page.locator("#search")
    with page.expect_request(is_first):
        field.fill("вызов")
    field.fill("линия")
    page.locator("mark", has_text="линии").wait_for()
    with page.expect_response(is_first):
        held[0].continue_()
    page.wait_for_timeout(200)
    assert page.locator("mark").all_inner_texts() == ["линии"]


def test_the_list_does_not_move_under_the_pointer(daemon: ScriptedDaemon, open_page: Any) -> None:
    """What stands above it is there first, however late the service says whether there is any."""
    made.talk(daemon.shared)
    page = open_page(daemon).page
    held: list[Any] = []
    page.route("**/sessions", lambda route: held.append(route))
    with page.expect_response("**/api/tasks?**"):
        page.reload()
    true_within(lambda: page.evaluate("true") and bool(held), "it is asked", SOON_S)
    page.wait_for_timeout(300)  # time to show what may not be shown yet
    assert not page.get_by_role("link", name="Совещание").count()
    held[0].continue_()
    row = page.get_by_role("link", name="Совещание")
    row.wait_for()
    assert page.get_by_role("link", name="Speak").is_visible()


def test_the_daemon_goes_and_comes_back(tmp_path: Path, open_page: Any) -> None:
    with ScriptedDaemon(tmp_path, {"api": {"port": free_port()}}) as daemon:
        made.talk(daemon.shared)
        watched = open_page(daemon)
        page = watched.page
        page.get_by_role("link", name="Совещание").wait_for()
        # What is on its way when it ends may be cut off as well.
        watched.allowed += ["ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE"]
        daemon.stop()
        page.get_by_role("alert").get_by_text("does not answer").wait_for()
        daemon.start()
        page.get_by_role("alert").wait_for(state="detached")


def test_the_key_is_asked_for_once(tmp_path: Path, open_page: Any) -> None:
    with ScriptedDaemon(tmp_path, {"api": {"key": "Ключ-от-двери"}}) as daemon:
        made.talk(daemon.shared)
        watched = open_page(daemon)
        watched.allowed.append("401")
        page = watched.page
        page.get_by_role("heading", name="Enter the key").wait_for()
        page.get_by_label("Key or password").fill("wrong")
        page.get_by_role("button", name="Open").click()
        page.get_by_role("alert").get_by_text("not the key").wait_for()
        page.get_by_label("Key or password").fill("Ключ-от-двери")
        page.get_by_role("button", name="Open").click()
        choose(page, "Совещание 14 ноября")
        [cookie] = page.context.cookies()
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Strict"
        page.reload()
        page.locator("article.text span").first.wait_for()
        page.get_by_role("button", name="Log out").click()
        page.get_by_role("heading", name="Enter the key").wait_for()
        assert page.context.cookies() == []


def test_a_name_and_a_password_open_it_too(tmp_path: Path, open_page: Any) -> None:
    with ScriptedDaemon(tmp_path, {"api": {"user": "Ольга", "password": "тайна"}}) as daemon:
        made.talk(daemon.shared)
        watched = open_page(daemon)
        watched.allowed.append("401")
        page = watched.page
        page.get_by_text("With a user name").click()
        page.get_by_label("User name").fill("Ольга")
        page.get_by_label("Key or password").fill("тайна")
        page.get_by_role("button", name="Open").click()
        choose(page, "Совещание 14 ноября")


def test_what_must_be_known_of_a_text_is_said(daemon: ScriptedDaemon, open_page: Any) -> None:
    warning = {"code": "damaged", "message": "Only a part of the file could be read."}
    made.finish(daemon.shared, "talk.wav", made.TALK, warnings=[warning])
    page = open_page(daemon).page
    page.locator(".item").click()
    page.get_by_text("Only a part of the file could be read.").wait_for()


def test_the_place_is_kept_when_the_language_changes(
    daemon: ScriptedDaemon, open_page: Any
) -> None:
    made.talk(daemon.shared)
    page = open_page(daemon).page
    page.add_init_script(HOLD_AUDIO)
    page.reload()
    choose(page, "Совещание 14 ноября")
    page.evaluate("window.heard.currentTime = 3.5")
    until(page, "window.sought.length > 0")
    page.get_by_role("button", name="Русский").click()
    page.get_by_role("button", name="Копировать текст").wait_for()
    until(page, "Math.abs(window.heard.currentTime - 3.5) < 0.1")


def test_it_speaks_russian_to_a_russian_and_the_choice_is_kept(
    daemon: ScriptedDaemon, open_page: Any
) -> None:
    page = open_page(daemon, locale="ru-RU").page
    page.get_by_role("heading", name="Перетащите запись сюда").wait_for()
    page.get_by_role("button", name="English").click()
    page.get_by_role("heading", name="Drop a recording here").wait_for()
    page.reload()
    page.get_by_role("heading", name="Drop a recording here").wait_for()
    assert page.evaluate("document.documentElement.lang") == "en"


def test_why_a_recording_failed_is_said_in_the_language_of_the_page(
    daemon: ScriptedDaemon, open_page: Any
) -> None:
    daemon.drop("empty.mp3")
    daemon.wait_until_in_manual("empty.mp3")
    page = open_page(daemon, locale="ru-RU").page
    page.locator(".item").click()
    state = page.locator(".state")
    state.get_by_text("Файл пуст. Скопируйте запись ещё раз.").first.wait_for()
    page.locator(".item .why").get_by_text("Файл пуст.").wait_for()
    state.locator("summary").click()
    state.get_by_text("Чтобы начать заново, верните запись в общую папку.").wait_for()
    page.get_by_role("button", name="English").click()
    state.get_by_text("The file is empty. Copy the recording again.").first.wait_for()
    page.locator(".item .why").get_by_text("The file is empty.").wait_for()
    state.locator("summary").click()
    state.get_by_text("To start it afresh, move the recording back").wait_for()


def test_a_narrow_screen_shows_list_or_recording(daemon: ScriptedDaemon, open_page: Any) -> None:
    made.talk(daemon.shared)
    page = open_page(daemon, size=NARROW).page
    choose(page, "Совещание 14 ноября")
    assert not page.get_by_role("navigation").is_visible()
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= NARROW[0], "it can be scrolled sideways"
    page.get_by_role("link", name="All recordings").click()
    page.get_by_role("link", name="Совещание").wait_for()


@pytest.mark.parametrize("name", ["folder/inside.wav", "# 100 % & ?.wav", "<img src=x>.wav"])
def test_any_name_is_shown_and_opened(tmp_path: Path, open_page: Any, name: str) -> None:
    with ScriptedDaemon(tmp_path, {"watch": {"recursive": True, "rescan_seconds": 1.0}}) as daemon:
        made.finish(daemon.shared, name, made.TALK)
        page = open_page(daemon).page
        page.locator(".item").click()
        page.locator("article.text span").first.wait_for()
        assert page.get_by_role("heading", level=1).inner_text() == name.rpartition("/")[2][:-4]
