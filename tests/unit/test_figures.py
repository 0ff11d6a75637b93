"""The figures in the documents are those that were measured: docs/bench.json."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
BENCH = json.loads((PROJECT / "docs" / "bench.json").read_text("utf-8"))
RUNS = {trial["key"]: trial["runs"] for trial in BENCH["trials"]}
#: Rows of README.md, README.ru.md and performance.md, and what they are about.
SHORT = {
    "a message of 10 s": "10", "a recording of 600 s": "600",
    "100 voice messages at once": "messages",
    "сообщение, 10 с": "10", "запись, 600 с": "600",
    "100 голосовых сообщений одновременно": "messages",
}  # fmt: skip
MEMORY = ("the most memory, 600 s", "пиковое потребление памяти, 600 с")
LONG = {"10 s": "10", "57 s": "60", "600 s": "600", "3597 s": "3600"}
PROGRAMS = {"warm daemon": "daemon", "whisperx": "command", "batches": "batched"}
#: How long an hour takes, in the words of every page that says so.
HOUR = {
    "README.md": "less than three minutes for an hour of audio",
    "docs/guide.md": "an hour of audio less than three minutes",
    "docs/troubleshooting.md": "less than three minutes for an hour of audio",
    "README.ru.md": "час звука меньше чем за три минуты",
    "docs/ru/guide.md": "час звука — меньше трёх минут",
}
TEN_SECONDS = {
    "docs/guide.md": "a message of ten seconds takes about two seconds",
    "docs/ru/guide.md": "сообщение в десять секунд занимает около двух секунд",
}
SPEAKERS = {
    "docs/guide.md": "about two seconds of processor time for each minute of audio",
    "docs/troubleshooting.md": "about two seconds of processor time more for each minute of audio",
    "docs/transcripts.md": "about two seconds of processor time for each minute of audio",
    "docs/ru/guide.md": "На каждую минуту звука уходит около двух секунд процессорного времени",
}


def page(name: str) -> str:
    return (PROJECT / name).read_text("utf-8")


def rows(name: str) -> list[list[str]]:
    lines = [line for line in page(name).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def number(cell: str) -> str:
    found = re.search(r"\d+(?:[.,]\d+)?", cell)
    assert found, f"{cell} holds no number"
    return found.group().replace(",", ".")


def is_rounded(shown: str, measured: float) -> bool:
    digits = len(shown.partition(".")[2])
    return abs(float(shown) - measured) <= 0.5000001 * 10.0**-digits


def wall(key: str, run: str) -> float:
    return float(RUNS[key][run]["wall_s"])


@pytest.mark.parametrize("name", ["README.md", "README.ru.md"])
def test_the_comparison_in_the_readme_is_what_was_measured(name: str) -> None:
    seen = 0
    for title, ours, theirs, times, *_ in (row for row in rows(name) if len(row) >= 4):
        if key := SHORT.get(title):
            seen += 1
            ratio = RUNS[key]["command"]["times_the_daemon"]["median"]
            assert is_rounded(number(ours), wall(key, "daemon")), title
            assert is_rounded(number(theirs), wall(key, "command")), title
            assert is_rounded(number(times), ratio), title
        elif title in MEMORY:
            seen += 1
            for cell, run in ((ours, "daemon"), (theirs, "command")):
                assert is_rounded(number(cell), RUNS["600"][run]["peak_pss_mb"]), title
    assert seen == 4


def test_the_table_of_performance_is_what_was_measured() -> None:
    seen = 0
    table = [row for row in rows("docs/performance.md") if len(row) == 6]
    for title, took, _cpu, memory, *_rest in table:
        length, _, program = title.partition(": ")
        run = next((run for word, run in PROGRAMS.items() if word in program), None)
        if length in LONG and run:
            seen += 1
            assert is_rounded(number(took), wall(LONG[length], run)), title
            assert is_rounded(number(memory), RUNS[LONG[length]][run]["peak_pss_mb"]), title
    assert seen == 12


@pytest.mark.parametrize("name", HOUR)
def test_an_hour_takes_as_long_in_every_document(name: str) -> None:
    assert HOUR[name] in page(name)
    assert 120 < wall("3600", "daemon") < 180


@pytest.mark.parametrize("name", TEN_SECONDS)
def test_ten_seconds_take_as_long_in_every_document(name: str) -> None:
    assert TEN_SECONDS[name] in page(name)
    assert round(wall("10", "daemon")) == 2


@pytest.mark.parametrize("name", SPEAKERS)
def test_speakers_take_as_long_in_every_document(name: str) -> None:
    assert SPEAKERS[name] in page(name)
    measured = re.search(
        r"takes ([\d.]+) to ([\d.]+) s of CPU for a minute", page("docs/performance.md")
    )
    assert measured
    assert float(measured.group(1)) < 2.0 < float(measured.group(2))


@pytest.mark.parametrize("name", sorted({*HOUR, *SPEAKERS}))
def test_no_document_has_another_figure_beside_it(name: str) -> None:
    """Whatever is said of a minute or an hour of audio is one of the phrases above."""
    text = page(name)
    for phrases in (HOUR, SPEAKERS, TEN_SECONDS):
        text = text.replace(phrases.get(name, "\0"), "")
    other = (
        r"seconds? \w* ?for each minute|minutes for an hour|hour of audio|минуту звука|час звука"
    )
    assert not re.findall(other, text)
