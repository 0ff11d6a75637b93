"""The page with the real engine: from a file that is dropped to a word that is heard."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.recordings import SAMPLES
from tests.daemon_process import DaemonProcess
from tests.page.test_page import HOLD_AUDIO, NEAR_S, click_word, until

pytestmark = pytest.mark.acceptance


def test_a_recording_is_dropped_read_and_heard(russian: DaemonProcess, open_page: Any) -> None:
    page = open_page(russian).page
    page.add_init_script(HOLD_AUDIO)
    page.reload()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").first.click()
    chooser.value.set_files(SAMPLES / "please-hold-ru.wav")
    page.locator("article.text span").first.wait_for(timeout=120_000)
    result = russian.wait_for_result("please-hold-ru.wav")
    said = [w for s in result["transcription"]["segments"] for w in s["words"]]
    word = next(w for w in said if w["word"] == "операторы")
    click_word(page, "операторы")
    until(page, "window.played && window.sought.length")
    assert abs(page.evaluate("window.sought[0]") - word["start"]) < NEAR_S
    until(page, "CSS.highlights.get('playing').size === 1")


def test_a_text_is_corrected_exported_and_found(russian: DaemonProcess, open_page: Any) -> None:
    russian.wait_for_result(russian.put(SAMPLES / "please-hold-ru.wav", "corrected.wav"))
    page = open_page(russian).page
    page.get_by_role("link", name="corrected").click()
    page.locator("article.text span").first.wait_for()
    for word, typed in (("операторы", "специалисты"), ("линии", "проводе")):
        click_word(page, word, times=2)
        span = page.locator("article.text span[contenteditable]")
        said = span.inner_text()
        page.keyboard.press("ControlOrMeta+a")
        page.keyboard.type(said.replace(word, typed))
        page.keyboard.press("Enter")
        until(page, f"document.querySelector('article.text').textContent.includes('{typed}')")
    page.get_by_text("Saved", exact=True).wait_for()
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="srt").click()
    text = download.value.path().read_text(encoding="utf-8")
    assert "специалисты" in text
    assert "проводе" in text
    beside = russian.shared / "corrected.srt"
    russian.wait_for(lambda: "специалисты" in beside.read_text("utf-8"), "it is in the file")
    # Another form of the word that was typed.
    page.keyboard.press("/")
    page.keyboard.type("специалистами")
    hit = page.locator("a.hit, .hits a, a:has(mark)").first
    hit.wait_for(timeout=90_000)
    assert "специалисты" in hit.inner_text()
