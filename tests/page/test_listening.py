"""Sound of every kind, and the waveform, in a real browser against a real daemon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.integration.test_listening import RATE, beeps, encoded, minutes
from tests.page import made
from tests.page.test_page import HOLD_AUDIO, NEAR_S, choose, click_word, until
from tests.recordings.writing import Track, written
from tests.scripted_daemon import ScriptedDaemon
from tests.soak import SOAKING

#: Plays from here, and says where the player was when the tone was first heard.
HEAR_TONE = """
async ([from]) => {
    const audio = window.heard, context = new AudioContext();
    window.context ??= context;
    window.source ??= window.context.createMediaElementSource(audio);
    const listener = window.context.createScriptProcessor(256, 1, 1);
    let heard = null, armed = false;
    listener.onaudioprocess = ({ inputBuffer }) => {
        const turn = 2 * Math.PI * 1000 / window.context.sampleRate, twice = 2 * Math.cos(turn);
        const samples = inputBuffer.getChannelData(0);
        let one = 0, two = 0;
        for (const sample of samples) [one, two] = [sample + twice * one - two, one];
        const power = Math.sqrt(Math.max(0, one * one + two * two - twice * one * two));
        const loud = (2 * power) / samples.length > 0.3;
        if (armed && heard === null && loud) heard = audio.currentTime;
    };
    window.source.connect(listener);
    listener.connect(window.context.destination);
    await window.context.resume();
    audio.currentTime = from;
    await new Promise((done) => audio.addEventListener("seeked", done, { once: true }));
    await audio.play();
    await new Promise((done) => setTimeout(done, 150)); // what was on its way is out
    armed = true;
    for (let tries = 0; heard === null && tries < 200; tries++)
        await new Promise((done) => setTimeout(done, 10));
    audio.pause();
    listener.disconnect();
    return heard;
}
"""


@pytest.fixture
def daemon(tmp_path: Any) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path) as started:
        yield started


def finish(daemon: ScriptedDaemon, name: str, content: bytes, **result: Any) -> None:
    source = daemon.root / "source"
    source.write_bytes(content)
    segments = result.pop("segments", made.TALK)
    made.finish(daemon.shared, name, segments, source=source, **result)


def open_recording(open_page: Any, daemon: ScriptedDaemon, title: str) -> Any:
    watched = open_page(daemon)
    watched.allowed += ["ScriptProcessorNode is deprecated", "willReadFrequently"]  # by the tests
    page = watched.page
    page.add_init_script(HOLD_AUDIO)
    page.reload()
    choose(page, title)
    return page


@pytest.mark.parametrize("kind", ["wma", "amr", "aiff", "caf", "ts", "avi", "3gp", "flv"])
def test_a_click_on_a_word_plays_it_whatever_the_kind(
    daemon: ScriptedDaemon, open_page: Any, kind: str
) -> None:
    finish(daemon, f"talk.{kind}", encoded(kind, beeps(8, (1.8,))), duration_s=8.0)
    page = open_recording(open_page, daemon, "talk")
    for word, start_s in (("операторы", 1.8), ("Ваш", 4.8)):
        page.evaluate("window.sought.length = window.begun.length = 0")
        click_word(page, word)
        # A copy that is being loaded begins there, without a jump, which a busy machine tells late.
        sought = f"window.sought.some((at) => Math.abs(at - {start_s}) < {NEAR_S})"
        begun = f"window.begun.some((at) => at > {start_s - NEAR_S} && at < {start_s + 1})"
        # It is made at low priority: other tests may have all cores meanwhile.
        until(page, f"({sought} || {begun}) && !window.heard.error", seconds=120)
        until(page, f"window.heard.currentTime > {start_s}")
        page.evaluate("window.heard.pause()")
        until(page, "window.heard.paused")


def variable_mp3(sound: Any) -> bytes:
    options = {"flags": "+qscale", "global_quality": str(118 * 5)}
    return written("mp3", [Track(sound, "mp3", 44_100, options=options)])


#: A copy of AIFF is heard in its place, as exactly, by tests/integration/test_listening.py.
KINDS = ["wma", "variable.mp3", *(["aiff"] if SOAKING else [])]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_heard_after_ten_minutes_is_what_was_said_there(
    daemon: ScriptedDaemon, open_page: Any, kind: str
) -> None:
    places = (30.0, 300.0, 600.0)
    noise = np.random.default_rng(0).normal(0, 0.2, 605 * RATE)
    sound = np.where(np.arange(605 * RATE) // RATE // 40 % 2, noise, 0.0).astype(np.float32)
    tone = 0.7 * np.sin(2 * np.pi * 1000 * np.arange(RATE // 3) / RATE)
    for place in places:
        begin = round(place * RATE)
        sound[begin - RATE : begin + RATE] = 0
        sound[begin : begin + len(tone)] = tone
    content = variable_mp3(sound) if "mp3" in kind else encoded(kind, sound)
    finish(daemon, f"long.{kind}", content, duration_s=605.0)
    page = open_recording(open_page, daemon, "long")
    until(page, "window.heard.duration > 0", seconds=300)
    for place in places:
        # A machine that is busy plays late, or not at all; a seek that leads astray always does.
        tries = (page.evaluate(HEAR_TONE, [place - 0.5]) for _ in range(10))
        heard = (at is not None and abs(at - place) < NEAR_S for at in tries)
        assert any(heard), place


def test_an_original_that_does_not_play_after_all_is_replaced(
    daemon: ScriptedDaemon, open_page: Any
) -> None:
    content = written("mp4", [Track(beeps(8, ()), "ac3", 48_000, bits_per_s=96_000)])
    finish(daemon, "talk.mp4", content, duration_s=8.0)
    page = open_recording(open_page, daemon, "talk")
    click_word(page, "Ваш")
    until(page, "window.heard.currentTime > 4.8 && !window.heard.error", seconds=120)
    assert page.evaluate("window.heard.src").endswith("/audio/talk.mp4?copy=true")


def test_the_page_says_how_far_the_sound_is_and_plays_it_once_it_is_there(
    daemon: ScriptedDaemon, open_page: Any
) -> None:
    finish(daemon, "long.aiff", minutes(10), duration_s=600.0)
    page = open_recording(open_page, daemon, "long")
    page.get_by_text("The sound is being prepared: ").wait_for()
    assert not page.evaluate("document.querySelector('.map').peaks")
    click_word(page, "Ваш")
    # It is made at low priority, and other tests may have all cores.
    page.get_by_text("The sound is being prepared").wait_for(state="detached", timeout=300_000)
    until(page, "window.heard.currentTime > 4.8 && !window.heard.error")


def test_what_cannot_be_played_is_said(daemon: ScriptedDaemon, open_page: Any) -> None:
    finish(daemon, "broken.amr", b"\0this is no recording" * 50)
    watched = open_page(daemon)
    watched.allowed.append("415")
    choose(watched.page, "broken")
    watched.page.get_by_text("This recording cannot be played here").wait_for()
    assert watched.page.get_by_role("button", name="Play").is_disabled()


def test_the_recording_itself_is_downloaded(daemon: ScriptedDaemon, open_page: Any) -> None:
    content = encoded("aiff", beeps(3, ()))
    finish(daemon, "talk.aiff", content)
    page = open_recording(open_page, daemon, "talk")
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="The recording").click()
    assert download.value.path().read_bytes() == content
    assert download.value.suggested_filename == "talk.aiff"


def test_the_map_is_as_high_as_the_sound_is_loud(daemon: ScriptedDaemon, open_page: Any) -> None:
    sound = np.zeros(8 * RATE, np.float32)
    sound[4 * RATE : 6 * RATE] = beeps(2, ())
    finish(daemon, "talk.wav", written("wav", [Track(sound, "pcm_s16le", RATE)]), duration_s=8.0)
    page = open_recording(open_page, daemon, "talk")
    until(page, "document.querySelector('.map')?.heights")
    heights = page.evaluate("[...document.querySelector('.map').heights]")
    half = len(heights) // 2
    assert max(heights[: half - 1]) == 0
    assert max(heights[half : half * 3 // 2]) == 1
    drawn = page.evaluate(
        """() => {
            const map = document.querySelector('.map'), { width, height } = map;
            const context = map.getContext('2d');
            const tall = (x) => context.getImageData(Math.round(x), 0, 3, height)
                .data.filter((value, i) => i % 4 === 3 && value).length / 2;
            const speech = Array.from(Array(40).keys(), (i) => tall(width * 0.55 + 3 * i));
            return [tall(width * 0.45), Math.max(...speech)];
        }"""
    )
    assert drawn[0] <= 4
    assert drawn[1] > 20
