"""Every state of the page, in both languages and themes and at two widths, as axe-core sees it.

With ``TRANSCRIBER_SCREENSHOTS`` in the environment, pictures of them go into that folder.
"""

from __future__ import annotations

import json
import os
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integration.test_listening import RATE, samples_of
from tests.model_server import ModelServer, serving
from tests.page import made
from tests.page.browsing import NARROW, WIDE, address_of
from tests.page.test_page import until
from tests.page.test_summary import NOTES
from tests.pooled_daemon import PooledDaemon
from tests.recordings.writing import Track, written
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import recording
from tests.soak import SOAKING

CALL = [
    made.segment(
        "Добрый день, вы позвонили в службу заказов, меня зовут Анна, и я с удовольствием помогу "
        "вам оформить вызов мастера на удобный для вас день и удобное время.",
        3.0,
    ),
    made.segment("Ваши вызовы мы видим в личном кабинете.", 75.5),
]
LOCALES = {"en": "en-GB", "ru": "ru-RU"}


def see_newcomer(page: Any, daemon: ScriptedDaemon) -> None:
    page.locator(".drop").wait_for()
    page.locator(".state h1").wait_for(state="attached")


def see_list(page: Any, daemon: ScriptedDaemon) -> None:
    page.get_by_role("link", name="slow long.mp3").get_by_role("progressbar").wait_for()


def _open(page: Any, name: str) -> None:
    page.get_by_role("link", name=name).click()
    page.get_by_role("heading", level=1).wait_for()


def see_text(page: Any, daemon: ScriptedDaemon) -> None:
    _open(page, "Совещание")
    page.locator("article.text span").first.wait_for()


def see_waveform(page: Any, daemon: ScriptedDaemon) -> None:
    _open(page, "Лекция")
    until(page, "document.querySelector('.map')?.heights")


def see_preparing(page: Any, daemon: ScriptedDaemon) -> None:
    preparing = {"status": 202, "json": {"status": "preparing", "percentage": 40}}
    page.route("**/audio/**", lambda route: route.fulfill(**preparing))
    _open(page, "Лекция")
    page.locator(".strip[role=status]").wait_for()
    page.unroute_all()


def see_menu(page: Any, daemon: ScriptedDaemon) -> None:
    see_text(page, daemon)
    page.locator(".acts > [aria-expanded]").first.click()
    page.locator(".menu").wait_for()


def see_question(page: Any, daemon: ScriptedDaemon) -> None:
    see_text(page, daemon)
    page.locator(".acts > [aria-expanded]").last.click()
    page.locator(".menu button").last.click()
    page.get_by_role("dialog").wait_for()


def see_typing(page: Any, daemon: ScriptedDaemon) -> None:
    see_text(page, daemon)
    page.locator("article.text").focus()
    page.keyboard.press("e")
    page.locator("article.text span[contenteditable]").wait_for()


def see_place(page: Any, daemon: ScriptedDaemon) -> None:
    see_text(page, daemon)
    page.keyboard.press("d")
    page.locator(".strip .acts .btn").first.wait_for()


def see_speaker(page: Any, daemon: ScriptedDaemon) -> None:
    see_text(page, daemon)
    page.locator(".who .name").first.click()
    page.get_by_role("dialog").wait_for()


def see_replace(page: Any, daemon: ScriptedDaemon) -> None:
    see_text(page, daemon)
    page.locator(".acts > [aria-expanded]").last.click()
    page.locator(".menu button").first.click()
    page.locator("dialog input").first.fill("а")


def see_conflict(page: Any, daemon: ScriptedDaemon) -> None:
    draft = json.dumps(
        {"0": {"base": "Раньше было так.", "typed": "В данный момент мы заняты.", "at": 0}}
    )
    kept = f"transcriber.unsent.{made.TALK_NAME}"
    page.evaluate("([key, value]) => localStorage.setItem(key, value)", [kept, draft])
    see_text(page, daemon)
    page.locator(".conflict").wait_for()
    page.evaluate("(key) => localStorage.removeItem(key)", kept)


def see_unfit(page: Any, daemon: ScriptedDaemon) -> None:
    _open(page, "Письмо")
    page.locator("details.strip summary").click()


def see_unreadable(page: Any, daemon: ScriptedDaemon) -> None:
    _open(page, "damaged")
    page.locator(".strip.bad").wait_for()


def see_keys(page: Any, daemon: ScriptedDaemon) -> None:
    page.locator(".tools button").nth(2).click()
    page.get_by_role("dialog").wait_for()


def see_found(page: Any, daemon: ScriptedDaemon) -> None:
    page.locator("#search").fill("оператором за")
    page.locator(".hit mark").first.wait_for()


def see_found_many(page: Any, daemon: ScriptedDaemon) -> None:
    """With recordings of such a name above, and some that are not indexed yet."""
    page.route(lambda url: "/search?" in url, still_indexing)
    page.locator("#search").fill("вызов")
    page.locator(".hit mark").first.wait_for()
    page.locator(".hit").last.scroll_into_view_if_needed()


def still_indexing(route: Any) -> None:
    answer = route.fetch()
    found = answer.json()
    route.fulfill(response=answer, json=found | {"pending": 3, "total": 42})


def see_nothing_found(page: Any, daemon: ScriptedDaemon) -> None:
    page.unroute_all()
    page.locator("#search").fill("ромашка")
    page.locator(".list .note", has_text=re.compile("in texts|в текстах")).wait_for()


def see_running(page: Any, daemon: ScriptedDaemon) -> None:
    _open(page, "slow long.mp3")
    page.locator(".state [role=progressbar]").wait_for()


def see_waiting(page: Any, daemon: ScriptedDaemon) -> None:
    _open(page, "waits.mp3")
    page.locator(".state .btn").wait_for()


def see_failed(page: Any, daemon: ScriptedDaemon) -> None:
    _open(page, "notmedia.mp3")
    page.locator(".state .btn").wait_for()


def see_missing(page: Any, daemon: ScriptedDaemon) -> None:
    page.evaluate("location.hash = 'name=gone.wav'")
    page.locator(".state h1").wait_for()


def see_away(page: Any, daemon: ScriptedDaemon) -> None:
    see_text(page, daemon)
    page.route("**/api/tasks**", lambda route: route.abort())
    page.get_by_role("alert").wait_for()


def see_upload(page: Any, daemon: ScriptedDaemon) -> None:
    see_list(page, daemon)
    page.route("**/files/*", lambda route: route.abort())
    talk = {"name": "talk.wav", "mimeType": "audio/wav", "buffer": recording(1)}
    page.locator("input[type=file]").set_input_files([talk])
    page.locator(".uploads [role=progressbar]").wait_for()
    page.wait_for_timeout(1500)  # until it is tried again


def see_upload_left(page: Any, daemon: ScriptedDaemon) -> None:
    """What the state before this one leaves."""
    see_list(page, daemon)
    page.locator(".uploads .item button").wait_for()


def see_speak(page: Any, daemon: ScriptedDaemon) -> None:
    page.locator("a.speak").click()
    page.locator(".state select").wait_for()


def see_speaking(page: Any, daemon: ScriptedDaemon) -> None:
    """Silence stands in for the microphone: the scripted child hears words in it all the same."""
    see_speak(page, daemon)
    page.evaluate(
        """() => {
            const { stream } = new AudioContext().createMediaStreamDestination();
            navigator.mediaDevices.getUserMedia = async () => stream;
        }"""
    )
    page.locator(".state .btn.primary").click()
    page.locator(".text.live p", has_text="w6").wait_for()
    page.evaluate("() => sessionStorage.clear()")  # or the next page would go on with it


def see_workers(page: Any, daemon: PooledDaemon) -> None:
    """Two are busy, one is lost."""
    daemon.lose("node1")
    page.locator(".workers summary", has_text=re.compile("1 lost|потерян 1")).wait_for()
    page.locator(".item .on").first.wait_for()


def see_workers_open(page: Any, daemon: PooledDaemon) -> None:
    see_workers(page, daemon)
    page.locator(".workers summary").click()
    page.locator(".workers li .bad-text").wait_for()


def see_no_workers(page: Any, daemon: PooledDaemon) -> None:
    daemon.lose("node0", "node1", "node2")
    page.locator(".workers summary", has_text=re.compile("3 lost|потеряны 3")).wait_for()
    page.locator(".workers summary").click()


def see_at_work(page: Any, daemon: PooledDaemon) -> None:
    daemon.lose()
    _open(page, "Первая")
    page.locator(".state p", has_text="node").wait_for()


def see_no_live(page: Any, daemon: PooledDaemon) -> None:
    page.evaluate("location.hash = 'live'")
    page.locator(".state p").wait_for()


def see_try_again(page: Any, daemon: ScriptedDaemon) -> None:
    """The summary could not be made."""
    _open(page, "failed")
    page.get_by_role("button", name=re.compile("Try again|Попробовать")).wait_for()


def see_no_summary(page: Any, daemon: ScriptedDaemon) -> None:
    _open(page, "without")
    page.get_by_role("button", name=re.compile("Make a summary|Составить")).wait_for()


def see_summary(page: Any, daemon: ScriptedDaemon) -> None:
    _open(page, "good")
    page.locator("details.summary").wait_for()


def see_old_summary(page: Any, daemon: ScriptedDaemon) -> None:
    """The text was corrected after it was made."""
    _open(page, "old")
    page.locator("details.summary").wait_for()


POOL_STATES: dict[str, Callable[[Any, PooledDaemon], None]] = {
    "workers": see_workers,
    "workers-open": see_workers_open,
    "no-workers": see_no_workers,
    "at-work": see_at_work,
    "no-live": see_no_live,
}
SUMMARY_STATES: dict[str, Callable[[Any, ScriptedDaemon], None]] = {
    "try-again": see_try_again,
    "no-summary": see_no_summary,
    "summary": see_summary,
    "old-summary": see_old_summary,
}
STATES: dict[str, Callable[[Any, ScriptedDaemon], None]] = {
    "list": see_list,
    "text": see_text,
    "waveform": see_waveform,
    "preparing": see_preparing,
    "menu": see_menu,
    "question": see_question,
    "typing": see_typing,
    "place": see_place,
    "speaker": see_speaker,
    "replace": see_replace,
    "conflict": see_conflict,
    "unfit": see_unfit,
    "unreadable": see_unreadable,
    "keys": see_keys,
    "running": see_running,
    "waiting": see_waiting,
    "failed": see_failed,
    "missing": see_missing,
    "upload": see_upload,
    "left": see_upload_left,
    "found": see_found,
    "found-many": see_found_many,
    "nothing-found": see_nothing_found,
    "speak": see_speak,
    "speaking": see_speaking,
    "away": see_away,
}


def lecture(daemon: ScriptedDaemon) -> None:
    """Twelve minutes of speech with pauses, doubts and a line that nobody said."""
    speech = samples_of(made.SPEECH.read_bytes())
    rng = np.random.default_rng(3)
    sound, said, dropped = [], [], []
    at_s = 0.0
    for number in range(75):
        loud = float(rng.uniform(0.15, 1.0))
        pause = np.zeros(round(RATE * float(rng.choice([0.4, 1.5, 6.0], p=[0.6, 0.3, 0.1]))))
        sound += [speech * loud, pause]
        doubtful = "*" if number % 12 == 5 else ""
        text = f"В данный момент все {doubtful}операторы {doubtful}заняты."
        said.append(made.segment(text, at_s + 0.2, 1.0, f"SPEAKER_0{number % 2}"))
        if len(pause) > 5 * RATE:
            at_pause_s = at_s + len(speech) / RATE
            dropped.append({"start": at_pause_s + 1, "end": at_pause_s + 4, "text": "Спасибо."})
        at_s += (len(speech) + len(pause)) / RATE
    source = daemon.root / "lecture.flac"
    source.write_bytes(
        written("flac", [Track(np.concatenate(sound).astype(np.float32), "flac", RATE)])
    )
    made.finish(daemon.shared, "Лекция.flac", said, source=source, dropped=dropped, duration_s=at_s)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A daemon with a recording in every state."""
    with ScriptedDaemon(tmp_path_factory.mktemp("full")) as daemon:
        made.talk(daemon.shared)
        lecture(daemon)
        made.finish(daemon.shared, "Письмо (диктовка).m4a", made.TALK[:1])
        made.correct(daemon.shared, "Письмо (диктовка).m4a")
        made.finish(daemon.shared, "damaged.wav", made.TALK[:1])
        (daemon.shared / "damaged.wav.edit.json").write_bytes(b"{")
        made.finish(daemon.shared, "Вызов мастера.wav", CALL)
        daemon.drop("notmedia.mp3")
        daemon.wait_until_in_manual("notmedia.mp3")
        daemon.drop("slow long.mp3", chunks=3000)
        daemon.wait_for_position("slow long.mp3", 10)
        daemon.drop("waits.mp3")
        yield daemon


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with ScriptedDaemon(tmp_path_factory.mktemp("empty")) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("locked")
    with ScriptedDaemon(folder, {"api": {"key": "secret"}}) as daemon:
        yield daemon


@pytest.fixture
def pooled(tmp_path: Path) -> Any:
    """Three workers, and two recordings for them, which fail once three were lost under them."""
    with PooledDaemon(tmp_path) as daemon:
        daemon.drop("Первая запись о встрече в управлении.mp3")
        daemon.drop("second.mp3")
        yield daemon


def summarise(daemon: ScriptedDaemon, name: str) -> None:
    """Have a summary made, and wait until it is there or failed."""
    request = urllib.request.Request(f"{address_of(daemon)}/api/summary/{name}", method="POST")
    urllib.request.urlopen(request, timeout=SOON_S).close()
    ended = rf"{name}: summarised|{name} could not be summarised"
    daemon.wait_for_log(ended, SOON_S)


@pytest.fixture(scope="module")
def summarised(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A text in every state of its summary."""
    with serving(ModelServer()) as server:
        server.lists = NOTES
        config = {"summary": {"base_url": server.url, "model": "Qwen3-4B"}}
        daemon = ScriptedDaemon(tmp_path_factory.mktemp("summarised"), config)
        for name in ("failed.wav", "without.wav", "good.wav", "old.wav"):
            made.talk(daemon.shared, name)
        with daemon:
            for name in ("good.wav", "old.wav", "failed.wav"):
                server.faults.cut = 10**6 if name == "failed.wav" else 0
                summarise(daemon, name)
            made.correct(daemon.shared, "old.wav")
            yield daemon


def check(page: Any, name: str, dark: bool) -> None:
    """No violation in either theme, nothing beside the edge, and a picture if one is wanted."""
    from axe_playwright_python.sync_playwright import Axe

    page.wait_for_timeout(150)
    pictures = os.environ.get("TRANSCRIBER_SCREENSHOTS")
    if pictures:
        page.screenshot(path=Path(pictures) / f"{name}.png")
    no_violations(Axe().run(page).response)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "too wide"
    said = page.evaluate("document.body.innerText")
    assert not re.search(r"\{\w+\}|undefined|NaN|\[object|null", said), said
    # The other theme has other colours, and nothing else.
    page.emulate_media(color_scheme="light" if dark else "dark")
    page.wait_for_timeout(150)
    no_violations(page.evaluate("axe.run({ runOnly: ['color-contrast'] })"))
    page.emulate_media(color_scheme="dark" if dark else "light")


def no_violations(results: Any) -> None:
    found = results["violations"]
    assert not found, [(v["id"], [n["html"][:150] for n in v["nodes"]]) for v in found]


#: Language, size and theme: the longer texts where there is less room. All eight in ``make soak``
#: and for pictures.
USUAL = [("en", WIDE, False), ("ru", NARROW, True)]
REST = [(text, size, dark) for text in LOCALES for size in (WIDE, NARROW) for dark in (False, True)]
ALL = SOAKING or os.environ.get("TRANSCRIBER_SCREENSHOTS")
WAYS = USUAL + [way for way in REST if ALL and way not in USUAL]


@pytest.mark.parametrize(("language", "size", "dark"), WAYS)
def test_every_state_can_be_read(
    full: ScriptedDaemon,
    empty: ScriptedDaemon,
    locked: ScriptedDaemon,
    open_page: Any,
    language: str,
    size: tuple[int, int],
    dark: bool,
) -> None:
    how = {"locale": LOCALES[language], "size": size, "dark": dark}
    suffix = f"{language}-{size[0]}-{'dark' if dark else 'light'}"
    watched = open_page(full, **how)
    watched.allowed += ["404", "ERR_FAILED"]  # what is missing, and a service that is away
    for state, see in STATES.items():
        watched.page.goto("about:blank")  # an address that differs behind the # alone loads nothing
        watched.page.goto(watched.address)
        see(watched.page, full)
        check(watched.page, f"{state}-{suffix}", dark)
    watched = open_page(empty, **how)
    see_newcomer(watched.page, empty)
    check(watched.page, f"newcomer-{suffix}", dark)
    watched = open_page(locked, **how)
    watched.allowed.append("401")
    watched.page.locator("#key").wait_for()
    check(watched.page, f"login-{suffix}", dark)


@pytest.mark.parametrize(("language", "size", "dark"), WAYS)
def test_workers_and_summaries_can_be_read(
    pooled: PooledDaemon,
    summarised: ScriptedDaemon,
    open_page: Any,
    language: str,
    size: tuple[int, int],
    dark: bool,
) -> None:
    how = {"locale": LOCALES[language], "size": size, "dark": dark}
    suffix = f"{language}-{size[0]}-{'dark' if dark else 'light'}"
    states: tuple[tuple[Any, Any], ...] = ((pooled, POOL_STATES), (summarised, SUMMARY_STATES))
    for daemon, seen in states:
        watched = open_page(daemon, **how)
        for state, see in seen.items():
            watched.page.goto(watched.address)
            watched.page.reload()
            see(watched.page, daemon)
            check(watched.page, f"{state}-{suffix}", dark)


@pytest.mark.parametrize(("language", "size", "dark"), WAYS)
def test_where_texts_are_sent_can_be_read(
    tmp_path: Path, open_page: Any, language: str, size: tuple[int, int], dark: bool
) -> None:
    config = {
        "summary": {"base_url": "https://models.example.org/v1", "model": "m"},
        "handover": {"url": "redis://queue.example.org/0"},
    }
    with ScriptedDaemon(tmp_path, config) as daemon:
        watched = open_page(daemon, locale=LOCALES[language], size=size, dark=dark)
        watched.page.get_by_text("models.example.org, queue.example.org").wait_for()
        check(watched.page, f"sent-to-{language}-{size[0]}-{'dark' if dark else 'light'}", dark)
        watched.page.close()
