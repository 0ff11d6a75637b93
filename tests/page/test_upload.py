"""Uploads in a real browser that break off: the daemon is killed, the page is reloaded."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders import until
from tests.page.browsing import Watched
from tests.scripted_daemon import SOON_S, ScriptedDaemon

MIB = 2**20
SIZE, PER_S = 24 * MIB, 6 * MIB
LOST = ("ERR_CONNECTION_REFUSED", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET", "ERR_SOCKET")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    """It transcribes nothing, so that what landed stays as it is."""
    with ScriptedDaemon(tmp_path / "daemon") as started:
        (started.shared / ".transcriber" / "paused").touch()
        yield started


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "long talk.wav"
    path.write_bytes(b"RIFF\0\0\0\0WAVE" + random.Random(1).randbytes(SIZE))
    return path


def slowly(watched: Watched) -> Watched:
    session = watched.page.context.new_cdp_session(watched.page)
    session.send("Network.enable")
    session.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": PER_S},
    )
    return watched


def choose(page: Any, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").first.click()
    chooser.value.set_files(path)


def parts(daemon: ScriptedDaemon) -> list[Path]:
    return list((daemon.shared / ".transcriber" / "uploads").glob("*.part"))


def wait_for_bytes(page: Any, daemon: ScriptedDaemon, least: int) -> None:
    def there() -> bool:
        page.wait_for_timeout(50)
        return any(path.stat().st_size >= least for path in parts(daemon))

    until(there, f"{least} bytes came", SOON_S)


def wait_until_whole(page: Any, daemon: ScriptedDaemon, talk: Path) -> None:
    landed = daemon.shared / talk.name

    def there() -> bool:
        page.wait_for_timeout(50)
        return landed.exists()

    until(there, "the upload ended", 3 * SOON_S)
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (talk, landed)]
    assert digests[0] == digests[1]
    assert [n for n in daemon.files() if n.endswith(".wav")] == [talk.name]
    assert parts(daemon) == []
    page.get_by_role("heading", name="long talk").wait_for()
    page.locator(".uploads .item").wait_for(state="detached")


def test_an_upload_goes_on_when_the_daemon_is_back(
    daemon: ScriptedDaemon, open_page: Any, talk: Path
) -> None:
    watched = slowly(open_page(daemon))
    page, port = watched.page, int(watched.address.rpartition(":")[2])
    watched.allowed.extend(LOST)
    choose(page, talk)
    wait_for_bytes(page, daemon, 10 * MIB)
    daemon.kill()
    row = page.locator(".uploads .item")
    row.get_by_text("connection lost, goes on by itself").wait_for()
    [part] = parts(daemon)
    kept = part.stat().st_size
    assert kept < SIZE
    daemon.configure({"api": {"port": port}})
    daemon.start()
    until(lambda: page.wait_for_timeout(50) or part.exists(), "it was kept", SOON_S)
    wait_until_whole(page, daemon, talk)


def test_after_a_reload_the_same_file_goes_on(
    daemon: ScriptedDaemon, open_page: Any, talk: Path
) -> None:
    watched = slowly(open_page(daemon))
    page = watched.page
    begun: list[str] = []
    page.on("request", lambda r: begun.append(r.url) if r.method == "POST" else None)
    choose(page, talk)
    wait_for_bytes(page, daemon, 10 * MIB)
    page.reload()
    page.locator(".uploads .item").get_by_text("choose or drop the file again").wait_for()
    choose(page, talk)
    page.locator(".uploads .item").get_by_text("% uploaded").wait_for()
    wait_until_whole(page, daemon, talk)
    assert [url for url in begun if url.endswith("/files")] == [f"{watched.address}/files"]


def test_another_window_does_not_ask_for_the_file(
    daemon: ScriptedDaemon, open_page: Any, talk: Path
) -> None:
    watched = slowly(open_page(daemon))
    choose(watched.page, talk)
    wait_for_bytes(watched.page, daemon, MIB)
    other = watched.page.context.new_page()
    other.goto(f"{watched.address}/")
    other.get_by_role("button", name="Choose files").first.wait_for()
    other.wait_for_timeout(1000)  # longer than the windows need to find out
    assert other.locator(".uploads .item").count() == 0
    watched.page.get_by_role("button", name="Cancel: long talk.wav").click()
    watched.page.locator(".uploads .item").wait_for(state="detached")


def test_an_upload_is_cancelled(daemon: ScriptedDaemon, open_page: Any, talk: Path) -> None:
    page = slowly(open_page(daemon)).page
    choose(page, talk)
    wait_for_bytes(page, daemon, MIB)
    page.get_by_role("button", name="Cancel: long talk.wav").click()
    page.locator(".uploads .item").wait_for(state="detached")
    until(lambda: page.wait_for_timeout(50) or not parts(daemon), "it was removed", SOON_S)
    page.reload()
    page.get_by_role("button", name="Choose files").first.wait_for()
    assert page.locator(".uploads .item").count() == 0
    assert "long talk.wav" not in daemon.files()


def test_what_is_no_recording_is_said(
    daemon: ScriptedDaemon, open_page: Any, tmp_path: Path
) -> None:
    watched = open_page(daemon)
    watched.allowed.append("415")
    letter = tmp_path / "letter.mp3"
    letter.write_text("Dear all, this is only a letter, and nobody speaks in it. " * 200)
    choose(watched.page, letter)
    watched.page.locator(".uploads").get_by_text("is no recording").wait_for()
    watched.page.reload()
    watched.page.get_by_role("button", name="Choose files").first.wait_for()
    watched.page.wait_for_timeout(1000)  # longer than it takes to remember what was left
    assert watched.page.locator(".uploads .item").count() == 0
    choose(watched.page, letter)
    watched.page.get_by_role("button", name="Dismiss: letter.mp3").click()
    watched.page.locator(".uploads .item").wait_for(state="detached")


def test_it_waits_for_the_key_and_goes_on(tmp_path: Path, open_page: Any, talk: Path) -> None:
    with ScriptedDaemon(tmp_path / "locked", {"api": {"key": "secret"}}) as daemon:
        (daemon.shared / ".transcriber" / "paused").touch()
        watched = slowly(open_page(daemon))
        watched.allowed.append("401")
        page = watched.page

        def log_in() -> None:
            page.get_by_label("Key or password").fill("secret")
            page.get_by_role("button", name="Open").click()

        log_in()
        choose(page, talk)
        wait_for_bytes(page, daemon, 2 * MIB)
        page.context.clear_cookies()
        page.get_by_role("heading", name="Enter the key").wait_for()
        log_in()
        wait_until_whole(page, daemon, talk)
