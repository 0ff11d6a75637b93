"""What the page says of films that are skipped, or failed and are left where they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.page.browsing import PATIENCE_MS
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import NOT_MEDIA, recording


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    config = {
        "output": {"result": "hidden", "subtitle_language": True},
        "processing": {"failed": "leave", "skip_if_subtitles": True, "growth_wait_seconds": 0},
    }
    made = ScriptedDaemon(tmp_path, config)
    (made.shared / "Alien.ru.srt").write_text("theirs")
    (made.shared / "Alien.mkv").write_bytes(recording(2))
    (made.shared / "Broken.mkv").write_bytes(NOT_MEDIA * 40)
    with made:
        made.wait_for_log(r"Broken\.mkv: .*left where it is", 3 * SOON_S)
        yield made


def test_a_skipped_film_says_why_and_can_be_transcribed(
    daemon: ScriptedDaemon, open_page: Any
) -> None:
    page = open_page(daemon).page
    page.get_by_role("heading", name="Skipped").wait_for()
    page.get_by_role("link", name="Alien.mkv").click()
    page.get_by_text("It has subtitles already: Alien.ru.srt.").wait_for()
    page.get_by_role("button", name="Transcribe it anyway").click()
    page.locator("article.text").wait_for(timeout=3 * PATIENCE_MS)
    assert (daemon.shared / "Alien.ru.srt").read_text() == "theirs"
    assert (daemon.shared / "Alien.mkv.ru.srt").exists()


def test_one_that_failed_explains_itself_and_is_tried_again(
    daemon: ScriptedDaemon, open_page: Any
) -> None:
    page = open_page(daemon).page
    page.get_by_role("link", name="Broken.mkv").click()
    page.get_by_role("heading", name="could not be transcribed").wait_for()
    page.get_by_text("What was tried").first.click()
    page.get_by_text("It is left where it is.").wait_for()
    with page.expect_response(lambda r: r.url.endswith("/retry") and r.status == 202):
        page.get_by_role("button", name="Try again").click()
    daemon.wait_for(
        lambda: daemon.log.count("left where it is") == 2, "it failed once more", 3 * SOON_S
    )
    assert (daemon.shared / "Broken.mkv").exists()
