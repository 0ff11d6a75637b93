"""A person speaks on the page: the real Chromium, with human speech in its microphone."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.page import browsing, made
from tests.page.browsing import Watched, address_of, program
from tests.page.test_page import until
from tests.scripted_daemon import ScriptedDaemon

#: Sound that begins when the test says so, as on a machine whose sound device is slow to open.
SLOW_TO_START = """
const Real = AudioContext;
window.AudioContext = class extends Real {
  constructor(options) {
    super(options);
    this.suspend();
    window.context = this;
  }
  resume() {
    return new Promise((go) => { window.begin = () => go(super.resume()); });
  }
};
"""
#: Firefox before 148: no microphone in a context of another rate than that of the sound device.
DOES_NOT_CONVERT = """
const Real = AudioContext, rate = RATE;
window.contexts = [];
window.AudioContext = class extends Real {
  constructor(options) {
    super({ sampleRate: rate, ...options });
    contexts.push(this);
  }
  createMediaStreamSource(stream) {
    if (this.sampleRate !== rate) throw new DOMException("another rate", "NotSupportedError");
    return super.createMediaStreamSource(stream);
  }
};
"""

#: A person who takes their time to answer whether the page may use the microphone.
ASKS_LONG = """
const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = (wanted) => new Promise((go) => {
  window.allow = async () => go((window.given = await real(wanted)));
});
"""


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


def test_sound_that_begins_late_or_is_interrupted(speaking: Watched) -> None:
    page = speaking.page
    page.add_init_script(SLOW_TO_START)
    page.reload()
    page.get_by_role("button", name="Start").click()
    page.get_by_role("heading", name="You are not heard").wait_for()
    go_on = page.get_by_role("button", name="Go on")
    go_on.wait_for()
    page.evaluate("begin()")
    go_on.wait_for(state="hidden")
    page.get_by_role("heading", name="You are heard").wait_for()
    page.locator(".text.live p", has_text="w1").first.wait_for()
    page.evaluate("context.suspend()")
    go_on.click()
    page.evaluate("begin()")
    go_on.wait_for(state="hidden")
    page.locator(".text.live p", has_text="w4").first.wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator("article.text:not(.live)").wait_for()


def test_where_no_sound_came_the_page_says_so(daemon: ScriptedDaemon, speaking: Watched) -> None:
    page = speaking.page
    page.add_init_script(SLOW_TO_START)
    page.reload()
    page.get_by_role("button", name="Start").click()
    page.get_by_role("heading", name="You are not heard").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("alert").get_by_text("No sound came from the microphone").wait_for()
    page.get_by_role("button", name="Speak again").click()
    page.get_by_role("button", name="Start").wait_for()
    assert not list(daemon.shared.glob("*.wav"))


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_a_browser_that_does_not_convert(
    daemon: ScriptedDaemon, speaking: Watched, rate: int
) -> None:
    page = speaking.page
    page.add_init_script(DOES_NOT_CONVERT.replace("RATE", str(rate)))
    page.reload()
    start(speaking)
    page.locator(".text.live p", has_text="w2").first.wait_for()
    states = page.evaluate("contexts.map(({ sampleRate, state }) => [sampleRate, state])")
    assert states == [[16_000, "closed"], [rate, "running"]]
    page.get_by_role("button", name="Stop").click()
    page.locator("article.text:not(.live)").wait_for()
    [stored] = daemon.shared.glob("*.wav")
    assert sound_of(stored)


def test_who_stops_before_the_microphone_is_given_is_not_heard(
    daemon: ScriptedDaemon, speaking: Watched
) -> None:
    page = speaking.page
    page.add_init_script(ASKS_LONG)
    page.reload()
    page.get_by_role("button", name="Start").click()
    page.get_by_role("heading", name="May the page use the microphone?").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("heading", name="Not recorded any more").wait_for()
    page.evaluate("allow()")
    until(page, "given.getTracks().every(({ readyState }) => readyState === 'ended')")
    page.get_by_role("button", name="Speak again").click()
    page.get_by_role("button", name="Start").click()
    page.get_by_role("heading", name="May the page use the microphone?").wait_for()
    page.evaluate("allow()")
    page.locator(".text.live p", has_text="w1").first.wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator("article.text:not(.live)").wait_for()
    assert len(list(daemon.shared.glob("*.wav"))) == 1


def sound_of(path: Path) -> bytes:
    with wave.open(str(path)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
        return sound.readframes(sound.getnframes())
