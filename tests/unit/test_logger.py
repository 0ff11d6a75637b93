"""The log line: its form, one line for each record, and never an exception."""

from __future__ import annotations

import io
import logging
import re
import time
from collections.abc import Iterator

import pytest

from modules.logger import ConsoleHandler, LineFormatter, get_logger, one_line, setup_logging


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    """Leave the root logger as it was found."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    root.setLevel(level)  # also clears what loggers remember about levels


@pytest.fixture
def console() -> io.StringIO:
    stream = io.StringIO()
    setup_logging("INFO", stream)
    return stream


def record(message: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("FileManager", logging.INFO, "x.py", 1, message, values, None)


def test_form_of_a_line() -> None:
    entry = record("Scanning %s", "/input")
    entry.created = time.mktime((2025, 10, 29, 14, 30, 15, 0, 0, -1))  # local time
    assert LineFormatter().format(entry) == (
        "[2025-10-29 14:30:15] [INFO] [FileManager] Scanning /input"
    )


def test_name_of_a_part_stands_in_its_lines(console: io.StringIO) -> None:
    get_logger("Scheduler").error("stopped")
    assert re.fullmatch(r"\[[-0-9]+ [:0-9]+] \[ERROR] \[Scheduler] stopped\n", console.getvalue())


def test_russian_and_emoji_stay_readable() -> None:
    assert one_line("Запись №1 — ёж 🎙 \u200d «а»") == "Запись №1 — ёж 🎙 \u200d «а»"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("a\r\tb", r"a\r\tb"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\x85", r"\x85"),
        ("\u2028", r"\u2028"),
        ("\u202e3pm.exe", r"\u202e3pm.exe"),
        (b"caf\xe9.mp3".decode("utf-8", "surrogateescape"), r"caf\udce9.mp3"),
    ],
)
def test_what_breaks_or_disguises_a_line_is_spelled_out(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_one_record_is_one_line(console: io.StringIO) -> None:
    get_logger("Watcher").info("found %s", "a\n[2025-01-01 00:00:00] [ERROR] [X] forged\x0b")
    assert len(console.getvalue().splitlines()) == 1


def test_traceback_follows_on_indented_lines(console: io.StringIO) -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        get_logger("Runner").exception("failed")
    head, *trace = console.getvalue().splitlines()
    assert head.endswith("[ERROR] [Runner] failed")
    assert trace[0] == "    Traceback (most recent call last):"
    assert trace[-2:] == ["    ValueError: first", "    second"]
    assert all(line.startswith("    ") for line in trace)


def test_record_is_left_for_other_handlers() -> None:
    entry = record("a\nb")
    LineFormatter().format(entry)
    assert entry.getMessage() == "a\nb"
    assert entry.exc_text is None


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_console_of_any_encoding_gets_the_line(encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    setup_logging("INFO", stream)
    get_logger("FileManager").info("файл \udcff.mp3")
    stream.flush()
    line = raw.getvalue().decode(encoding)
    expected = "файл" if encoding == "utf-8" else r"\u0444\u0430\u0439\u043b"
    assert line.endswith(f"[FileManager] {expected} \\udcff.mp3\n")


def test_level_decides(console: io.StringIO) -> None:
    get_logger("Watcher").debug("unseen")
    setup_logging("DEBUG", console)
    get_logger("Watcher").debug("seen")
    assert "unseen" not in console.getvalue()
    assert "[DEBUG] [Watcher] seen" in console.getvalue()


def test_libraries_only_warn(console: io.StringIO) -> None:
    setup_logging("DEBUG", console)
    logging.getLogger("watchdog.observers").debug("in-event")
    logging.getLogger("watchdog.observers").warning("queue is full")
    assert "in-event" not in console.getvalue()
    assert "[WARNING] [watchdog.observers] queue is full" in console.getvalue()


def test_second_set_up_replaces_the_first(console: io.StringIO) -> None:
    later = io.StringIO()
    setup_logging("INFO", later)
    get_logger("Daemon").info("once")
    assert console.getvalue() == ""
    assert later.getvalue().count("once") == 1
    handlers = logging.getLogger().handlers
    assert sum(isinstance(handler, ConsoleHandler) for handler in handlers) == 1


def test_lines_go_to_stdout_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging("INFO")
    get_logger("Daemon").error("hello")
    shown = capsys.readouterr()
    assert "hello" in shown.out
    assert shown.err == ""
