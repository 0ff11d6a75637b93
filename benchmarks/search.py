"""How fast words are found in many recordings, and what the index costs.

    python -m benchmarks.search [--words 1000000] [--recordings 200]

A daemon with a scripted worker finds recordings with made texts: words of this project's Russian
and English documents in several forms, and rare made ones, as often as words are in speech. Its
index is made while nothing else runs; then it is asked over HTTP. The words are the same each time.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from benchmarks.measure import end_in_order, table
from modules.machine.processor import processor
from modules.search.stems import tokens
from tests.daemon_process import PROJECT
from tests.page import made
from tests.page.browsing import address_of
from tests.scripted_daemon import ScriptedDaemon

SEED = 20
WORDS_OF_SEGMENT, S_OF_WORD = 12, 0.4
QUERIES = 200
WAIT_S = 900.0
ENDINGS = ("", "а", "у", "ом", "е", "ы", "ов", "ам", "ами", "ах", "ого", "ые", "ить", "ил", "ит")
SYLLABLES = "ка ро ни ве ста ло му те ри бо за не ди гу ша пре кон дор ми ля".split()


def vocabulary(dice: random.Random) -> list[str]:
    """Distinct forms, the more frequent first: those of the documents, then made ones."""
    files = [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")]
    counts: dict[str, int] = {}
    for path in sorted(files):
        for token in tokens(re.sub(r"`.*?`", "", path.read_text("utf-8"))):
            if token.word.isalpha():
                counts[token.word] = counts.get(token.word, 0) + 1
    real = sorted(counts, key=lambda word: -counts[word])
    forms = [
        word + ending
        for word in real
        if len(word) > 4 and re.fullmatch("[а-я]+[^аеиоуыэюяйь]", word)
        for ending in ENDINGS
    ]
    rare = ["".join(dice.choices(SYLLABLES, k=dice.randint(2, 4))) for _ in range(40_000)]
    dice.shuffle(forms)
    return list(dict.fromkeys([*real, *forms, *rare]))


class Speech:
    """Words as often as by Zipf's law."""

    def __init__(self) -> None:
        self.dice = random.Random(SEED)  # nosec B311 # the same each time
        self.words = vocabulary(self.dice)
        self._weights = list(accumulate(1 / (rank + 2.7) for rank in range(len(self.words))))

    def say(self, count: int) -> list[str]:
        return self.dice.choices(self.words, cum_weights=self._weights, k=count)

    def segments(self, words: int) -> Iterator[dict[str, Any]]:
        for number in range(words // WORDS_OF_SEGMENT):
            text = " ".join(self.say(WORDS_OF_SEGMENT)).capitalize() + "."
            start = round(number * WORDS_OF_SEGMENT * S_OF_WORD, 2)
            yield made.segment(text, start, S_OF_WORD, speaker=f"SPEAKER_0{number // 9 % 3}")

    def queries(self) -> Iterator[str]:
        """What people type: frequent and rare words, two, a phrase, a beginning, a mistake."""
        for number in range(QUERIES):
            one, two = self.say(2)
            rare = self.dice.choice([word for word in self.words[:20_000] if len(word) > 5])
            at = self.dice.randrange(1, len(rare) - 1)
            yield (
                rare, one, f"{rare} ", f"{one} {two}", f'"{one} {two}"', rare[:4],
                rare[:at] + rare[at + 1 :], f"{one} {rare}",
            )[number % 8]  # fmt: skip


def ask(address: str, typed: str) -> dict[str, Any]:
    url = f"{address}/search?{urlencode({'q': typed})}"
    with urllib.request.urlopen(url, timeout=60) as answer:  # nosec B310 # always http
        found: dict[str, Any] = json.load(answer)
    return found


def rebuild(address: str) -> float:
    """Seconds until all are indexed, from the start of the daemon's server."""
    began, most = time.monotonic(), 0
    while time.monotonic() - began < WAIT_S:
        pending = ask(address, "")["pending"]
        most = max(most, pending)
        if most and not pending:
            return time.monotonic() - began
        time.sleep(0.1)
    raise SystemExit(f"not indexed within {WAIT_S:g} s")


def timed(address: str, queries: Sequence[str]) -> tuple[list[float], int]:
    """Seconds of each, sorted; and how many found something."""
    took, found = [], 0
    for typed in queries:
        began = time.monotonic()
        found += bool(ask(address, typed)["hits"])
        took.append(time.monotonic() - began)
    return sorted(took), found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--words", type=int, default=1_000_000)
    parser.add_argument("--recordings", type=int, default=200)
    options = parser.parse_args()
    end_in_order()
    print(processor())
    speech, each = Speech(), options.words // options.recordings
    with tempfile.TemporaryDirectory() as scratch:
        daemon = ScriptedDaemon(Path(scratch))
        with daemon:
            address_of(daemon)
            before_mb = daemon.memory_mb()[0]
        for number in range(options.recordings):
            made.finish(daemon.shared, f"talk {number:03}.wav", list(speech.segments(each)))
        with daemon:
            address = address_of(daemon)
            took_s = rebuild(address)
            after_mb = daemon.memory_mb()[0]
            nothing, _ = timed(address, [""] * QUERIES)
            took, found = timed(address, list(speech.queries()))
            asked_mb = daemon.memory_mb()[0]
        size_mb = (daemon.shared / ".transcriber" / "search.sqlite").stat().st_size / 2**20
    rows = [
        ("figure", "value"),
        (f"{options.words} words, {len(speech.words)} different, indexed", f"{took_s:.0f} s"),
        ("size of the index", f"{size_mb:.1f} MiB"),
        (f"{QUERIES} queries ({found} found something): median", _ms(statistics.median(took))),
        ("p95", _ms(took[int(0.95 * len(took))])),
        ("most", _ms(took[-1])),
        ("p95 of a query without a word, for comparison", _ms(nothing[int(0.95 * len(nothing))])),
        ("the daemon's memory without recordings", f"{before_mb:.0f} MB"),
        ("once all were indexed", f"{after_mb:.0f} MB"),
        ("after the queries", f"{asked_mb:.0f} MB"),
    ]
    print(table(rows))


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"


if __name__ == "__main__":
    main()
