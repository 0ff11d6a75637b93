"""A real browser on the page of a real daemon; whatever it complains of fails the test.

The fixtures are known to all tests, by ``tests/conftest.py``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.scripted_daemon import SOON_S

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDE, NARROW = (1280, 820), (375, 700)
#: Long enough for a busy machine; what is waited for is there at once on a quiet one.
PATIENCE_MS = 60_000


def program() -> str:
    """A browser of the system. Playwright's own would be a download from its makers."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        reason = "there is no Chromium: apt-get install chromium fonts-dejavu-core"
        if os.environ.get("TRANSCRIBER_BROWSER") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="session")
def playwright() -> Iterator[Any]:
    """There can be one in a process."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Any) -> Iterator[Any]:
    chromium = playwright.chromium.launch(
        executable_path=program(),
        args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--mute-audio"],
    )
    yield chromium
    chromium.close()


def address_of(daemon: Any) -> str:
    found: str = daemon.wait_for_log(r"Listening on (http://[^/\s]+)", SOON_S)[1]
    return found


@dataclass
class Watched:
    """A page, and what must not happen on it. ``allowed``: parts of complaints that are right."""

    page: Any
    address: str
    complaints: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def listen(self) -> None:
        page = self.page
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", self._said)
        page.on("request", self._asked)

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((f"{self.address}/", "blob:", "data:")):
            self.complaints.append(f"asks another host: {request.url}")

    def wrong(self) -> list[str]:
        return [c for c in self.complaints if not any(part in c for part in self.allowed)]


@pytest.fixture
def open_page(browser: Any) -> Iterator[Any]:
    """Opens the page of a daemon: ``open_page(daemon, locale=…, size=…, dark=…)``."""
    opened: list[tuple[Any, Watched]] = []

    def open_it(
        daemon: Any,
        locale: str = "en-GB",
        size: tuple[int, int] = WIDE,
        dark: bool = False,
        path: str = "/",
        **options: Any,
    ) -> Watched:
        context = browser.new_context(
            locale=locale,
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            **options,
        )
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        watched = Watched(page, address_of(daemon))
        watched.listen()
        opened.append((context, watched))
        page.goto(f"{watched.address}{path}")
        return watched

    yield open_it
    wrong = [each for _, watched in opened for each in watched.wrong()]
    for context, _ in opened:
        context.close()
    assert not wrong, wrong
