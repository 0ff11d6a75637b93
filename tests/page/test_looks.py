"""Every state of the page, in both languages and themes and at two widths, as axe-core sees it.

With ``TRANSCRIBER_SCREENSHOTS`` in the environment, pictures of them go into that folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.page import made
from tests.page.browsing import NARROW, WIDE
from tests.scripted_daemon import ScriptedDaemon

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


def see_menu(page: Any, daemon: ScriptedDaemon) -> None:
    see_text(page, daemon)
    page.locator(".acts > [aria-expanded]").first.click()
    page.locator(".menu").wait_for()


def see_question(page: Any, daemon: ScriptedDaemon) -> None:
    see_text(page, daemon)
    page.locator(".acts > [aria-expanded]").last.click()
    page.locator(".menu button").click()
    page.get_by_role("dialog").wait_for()


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
    page.locator(".list .note").wait_for()
    assert re.search("in texts|в текстах", page.locator(".list .note").inner_text())


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


STATES: dict[str, Callable[[Any, ScriptedDaemon], None]] = {
    "list": see_list, "text": see_text, "menu": see_menu, "question": see_question,
    "keys": see_keys, "running": see_running, "waiting": see_waiting, "failed": see_failed,
    "missing": see_missing, "found": see_found, "found-many": see_found_many,
    "nothing-found": see_nothing_found, "away": see_away,
}  # fmt: skip


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A daemon with a recording in every state."""
    with ScriptedDaemon(tmp_path_factory.mktemp("full")) as daemon:
        made.talk(daemon.shared)
        made.finish(daemon.shared, "Письмо (диктовка).m4a", made.TALK[:1])
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


def check(page: Any, name: str) -> None:
    """No violation, nothing beside the edge, and a picture if one is wanted."""
    from axe_playwright_python.sync_playwright import Axe

    page.wait_for_timeout(150)
    pictures = os.environ.get("TRANSCRIBER_SCREENSHOTS")
    if pictures:
        page.screenshot(path=Path(pictures) / f"{name}.png")
    found = Axe().run(page).response["violations"]
    assert not found, [(v["id"], [n["html"][:150] for n in v["nodes"]]) for v in found]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "too wide"
    said = page.evaluate("document.body.innerText")
    assert not re.search(r"\{\w+\}|undefined|NaN|\[object|null", said), said


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("language", LOCALES)
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
        watched.page.goto(watched.address)
        watched.page.reload()  # an address that differs behind the # alone loads nothing
        see(watched.page, full)
        check(watched.page, f"{state}-{suffix}")
    watched = open_page(empty, **how)
    see_newcomer(watched.page, empty)
    check(watched.page, f"newcomer-{suffix}")
    watched = open_page(locked, **how)
    watched.allowed.append("401")
    watched.page.locator("#key").wait_for()
    check(watched.page, f"login-{suffix}")
