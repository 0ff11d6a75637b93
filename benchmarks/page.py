"""How fast the page is with much on it: a text of 24 hours, its corrections, players that pause.

    python -m benchmarks.page [--hours 24] [--slowed 4]

A daemon with a scripted worker, a real Chromium. The recording is made: as many words as running
speech has, in segments of twelve, and a file of silence of that length. Figures are medians of
``ROUNDS``; ``--slowed`` divides the speed of the browser's processor for the first view.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import tempfile
import time
import urllib.request
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from benchmarks.measure import end_in_order, table
from modules.machine.processor import processor
from tests.page import made
from tests.page.browsing import address_of, program
from tests.scripted_daemon import ScriptedDaemon

ROUNDS = 5
WORDS_PER_S = 2.5
NAME = "A whole day.wav"
PLAYERS, CLIENTS, ASKS = 20, 200, 20


def long_recording(folder: Path, hours: float) -> int:
    """Put it there with its text; returns how many words that has."""
    seconds, each = int(hours * 3600), 12
    length_s = each / WORDS_PER_S
    segments = [
        made.segment(
            f"Это слово номер {number} из очень длинной записи целого *дня и ещё.",
            number * length_s,
            each_s=0.9 * length_s / each,
            speaker=f"SPEAKER_0{number // 20 % 3}",
        )
        for number in range(int(seconds / length_s))
    ]
    sound = folder.parent / "silence.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", ""))
        for _ in range(seconds // 600):
            file.writeframes(b"\x80" * 8000 * 600)
    made.finish(folder, NAME, segments, source=sound, duration_s=seconds)
    return sum(len(segment["words"]) for segment in segments)


def opening(browser: Any, address: str, slowed: float) -> float:
    """Seconds from the address to the text on the screen, in a browser that knows nothing yet."""
    context = browser.new_context(viewport={"width": 1280, "height": 820})
    page = context.new_page()
    if slowed > 1:
        context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slowed})
    began = time.monotonic()
    page.goto(address, wait_until="commit")
    page.locator("article.text span, .state h1, .item").first.wait_for()
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    took = time.monotonic() - began
    context.close()
    return took


def seeking(browser: Any, address: str) -> list[float]:
    """Seconds until the player stands at a place that is clicked on the map, far from the last."""
    context = browser.new_context(viewport={"width": 1280, "height": 820})
    page = context.new_page()
    page.add_init_script(
        "const Real = Audio; window.Audio = function () { return (window.heard = new Real()); };"
    )
    page.goto(address)
    page.locator("article.text span").first.wait_for()
    box = page.locator(".map").bounding_box()
    took = []
    for share in (0.9, 0.1, 0.7, 0.3, 0.5):
        began = time.monotonic()
        page.mouse.click(box["x"] + share * box["width"], box["y"] + 10)
        while page.evaluate("window.heard.seeking || window.heard.readyState < 2"):
            page.wait_for_timeout(5)
        took.append(time.monotonic() - began)
    context.close()
    return took


#: Notes for each key how long it takes until the browser has drawn what it did.
WATCH_KEYS = """
window.strokes = [];
document.addEventListener("keydown", () => {
    const began = performance.now();
    requestAnimationFrame(() => setTimeout(() => window.strokes.push(performance.now() - began)));
}, true);
"""


def typing(browser: Any, address: str) -> tuple[list[float], float]:
    """Seconds of each keystroke in a correction, and until the correction is stored."""
    context = browser.new_context(viewport={"width": 1280, "height": 820})
    page = context.new_page()
    page.goto(address)
    page.locator("article.text span").first.wait_for()
    page.evaluate(WATCH_KEYS)
    page.locator("article.text").focus()
    page.keyboard.press("e")
    page.locator("article.text span[contenteditable]").wait_for()
    page.keyboard.type("Несколько слов, исправленных не спеша, так что их успевают и сохранить. ",
                       delay=60)  # fmt: skip
    strokes = page.evaluate("window.strokes")
    page.keyboard.press("Enter")
    began = time.monotonic()
    page.get_by_text("Saved", exact=True).wait_for()
    took = time.monotonic() - began
    context.close()
    return [each / 1000 for each in strokes], took


def answering(address: str) -> list[float]:
    """Seconds of each answer of ``/status``, with players that hold their connections."""
    port = int(address.rpartition(":")[2])
    players = []
    for _ in range(PLAYERS):
        player = socket.create_connection(("127.0.0.1", port), timeout=10)
        request = "GET /audio/A%20whole%20day.wav HTTP/1.1\r\nHost: localhost\r\n\r\n"
        player.sendall(request.encode())
        player.recv(100)
        players.append(player)

    def asks(_: int) -> list[float]:
        took = []
        for _ in range(ASKS):
            began = time.monotonic()
            url = f"{address}/status/talk.wav"
            with urllib.request.urlopen(url, timeout=30) as answer:  # nosec B310 # always http
                answer.read()
            took.append(time.monotonic() - began)
            time.sleep(1.0)
        return took

    with ThreadPoolExecutor(CLIENTS) as pool:
        found = [each for took in pool.map(asks, range(CLIENTS)) for each in took]
    for player in players:
        player.close()
    return sorted(found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--slowed", type=float, default=4)
    options = parser.parse_args()
    end_in_order()
    print(processor())
    with (
        tempfile.TemporaryDirectory() as scratch,
        ScriptedDaemon(Path(scratch)) as daemon,
        sync_playwright() as playwright,
    ):
        address = address_of(daemon)
        browser = playwright.chromium.launch(
            executable_path=program(), args=["--no-sandbox", "--mute-audio"]
        )
        first = [opening(browser, address, options.slowed) for _ in range(ROUNDS)]
        words = long_recording(daemon.shared, options.hours)
        link = f"{address}/#name=A+whole+day.wav"
        long = [opening(browser, link, 1) for _ in range(ROUNDS)]
        seeks = seeking(browser, link)
        strokes, stored = typing(browser, link)
        browser.close()
        made.talk(daemon.shared, "talk.wav")
        answers = answering(address)
    p99 = 1000 * answers[int(0.99 * len(answers))]
    rows = [
        ("figure", "median", "most"),
        _row(f"first view, slowed {options.slowed:g} times", first),
        _row(f"text of {options.hours:g} h, {words} words", long),
        _row("seeking on the map", seeks),
        _row("a keystroke in a correction", strokes),
        _row("until it is stored", [stored]),
        _row(f"/status, {CLIENTS} clients, {PLAYERS} paused players", answers),
    ]
    print(f"{table(rows)}\np99 of /status: {p99:.0f} ms")


def _row(what: str, took: list[float]) -> tuple[str, str, str]:
    return what, f"{1000 * statistics.median(took):.0f} ms", f"{1000 * max(took):.0f} ms"


if __name__ == "__main__":
    main()
