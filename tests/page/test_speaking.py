"""A person speaks on the page: the real Chromium, with human speech in its microphone."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.page import browsing, made
from tests.page.browsing import Watched, address_of, program
from tests.scripted_daemon import ScriptedDaemon


@pytest.fixture(scope="module")
def listening_browser(playwright: Any) -> Iterator[Any]:
    """Chromium that hears the sample again and again, as if a person spoke it."""
    chromium = playwright.chromium.launch(
        executable_path=program(),
        args=[
            "--no-sandbox", "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={made.SPEECH}",
        ],
    )  # fmt: skip
    yield chromium
    chromium.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path) as started:
        yield started


@pytest.fixture
def speaking(daemon: ScriptedDaemon, listening_browser: Any) -> Iterator[Watched]:
    context = listening_browser.new_context(locale="en-GB", permissions=["microphone"])
    context.set_default_timeout(browsing.PATIENCE_MS)
    watched = Watched(context.new_page(), address_of(daemon))
    watched.listen()
    watched.page.goto(f"{watched.address}/")
    watched.page.get_by_role("link", name="Speak").click()
    yield watched
    wrong = watched.wrong()
    context.close()
    assert not wrong, wrong


def start(watched: Watched) -> None:
    watched.page.get_by_role("button", name="Start").click()
    watched.page.get_by_role("heading", name="You are heard").wait_for()


def test_what_is_said_appears_and_is_stored(daemon: ScriptedDaemon, speaking: Watched) -> None:
    page = speaking.page
    start(speaking)
    page.locator(".text.live p").first.wait_for()
    page.locator(".text.live p", has_text="w2").first.wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator("article.text:not(.live)").wait_for()
    [stored] = daemon.shared.glob("*.wav")
    assert sound_of(stored)


def test_a_session_goes_on_after_a_reload(daemon: ScriptedDaemon, speaking: Watched) -> None:
    page = speaking.page
    start(speaking)
    page.locator(".text.live p", has_text="w2").first.wait_for()
    page.reload()
    page.get_by_role("heading", name="You are heard").wait_for()
    page.locator(".text.live p", has_text="w0").first.wait_for()
    page.locator(".text.live p", has_text="w4").first.wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator("article.text:not(.live)").wait_for()
    assert len(list(daemon.shared.glob("*.wav"))) == 1


def sound_of(path: Path) -> bytes:
    with wave.open(str(path)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
        return sound.readframes(sound.getnframes())
