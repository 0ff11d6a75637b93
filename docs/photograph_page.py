"""Takes docs/pictures/page.png: ``.venv/bin/python -m docs.photograph_page``, a minute.

A real service does the recordings of ``docs.make_picture``, and a real Chromium shows its page.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from docs.make_picture import LECTURE, drop_recordings, write_long
from tests.daemon_process import PROJECT, DaemonProcess
from tests.page.browsing import address_of, program
from tests.page.test_page import until

PICTURE = PROJECT / "docs" / "pictures" / "page.png"
OPENED = "Announcements.wav"
SIZE = {"width": 1180, "height": 700}
#: Where the player stands, in seconds.
AT_S = 9.0


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        config = {"whisperx": {"language": "auto"}, "processing": {"worker_hang_seconds": 600}}
        daemon = DaemonProcess(Path(folder), config)
        with daemon:
            daemon.wait_until_warm()
            sample = PROJECT / "samples" / "please-hold-ru.wav"
            write_long(sample, daemon.shared / OPENED, minutes=1)
            daemon.wait_for_result(OPENED)
            drop_recordings(daemon)
            daemon.wait_until_half_done(LECTURE, timeout_s=600)
            browser = playwright.chromium.launch(executable_path=program(), args=["--no-sandbox"])
            page = browser.new_page(viewport=SIZE, locale="en-GB", color_scheme="light")
            page.goto(f"{address_of(daemon)}/#name={OPENED}&t={AT_S}")
            page.locator("article.text span").first.wait_for()
            until(page, "document.querySelector('.map')?.heights")  # the waveform is drawn
            page.wait_for_timeout(500)
            page.screenshot(path=PICTURE)
            browser.close()


if __name__ == "__main__":
    main()
