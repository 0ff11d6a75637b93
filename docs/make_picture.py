"""Draws docs/pictures/at-work.svg: ``.venv/bin/python -m docs.make_picture``, a minute.

Nothing in it is made up: a real service does the samples, longer recordings that are made of them
and one that was cut off, and what is typed meanwhile is shown with what it answered.
"""

from __future__ import annotations

import io
import os
import pty
import shlex
import signal
import subprocess
import tempfile
import threading
import wave
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

from tests.daemon_process import PROJECT, DaemonProcess

PICTURE = PROJECT / "docs" / "pictures" / "at-work.svg"
COLUMNS, LINES = 94, 16
LECTURE = "Lecture 12.wav"
#: Their minutes.
LONG = {LECTURE: 4, "Board meeting.wav": 25, "Совещание 21 ноября.wav": 40}
CUT_OFF = "Interview.mp4"
WATCHED_S = 4.0
TYPED = (
    ".venv/bin/python transcriber.py status --watch",
    "cat shared/queue-ru.txt",
    f"head -n 3 'manual/{CUT_OFF}.error.txt'",
)
#: As rich has it, less its fonts from the net: a picture in a page may fetch nothing.
SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">
{matrix}
</g>
</g>
</svg>
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = {"whisperx": {"language": "auto"}, "processing": {"worker_hang_seconds": 600}}
        daemon = DaemonProcess(Path(folder), config)
        with daemon:
            daemon.wait_until_warm()
            drop_recordings(daemon)
            daemon.wait_until_half_done(LECTURE, timeout_s=600)
            shown = [(words, answer_to(words, daemon)) for words in TYPED]
    draw(shown)


def drop_recordings(daemon: DaemonProcess) -> None:
    """One after the other; the lecture is under way for a while, and others wait behind it."""
    samples = PROJECT / "samples"
    for name in ("please-hold-ru.wav", "please-hold-en.flac", "queue-ru.mp4"):
        daemon.put(samples / name)
        daemon.wait_for_result(name)
    film = (samples / "queue-ru.mp4").read_bytes()
    (daemon.shared / CUT_OFF).write_bytes(film[: len(film) // 2])
    daemon.wait_until_in_manual(CUT_OFF)
    for name, minutes in LONG.items():
        write_long(samples / "please-hold-ru.wav", daemon.shared / name, minutes)
        daemon.wait_for_log(rf"{name}: queued")


def write_long(sample: Path, target: Path, minutes: int) -> None:
    with wave.open(str(sample)) as source, wave.open(str(target), "wb") as long:
        long.setparams(source.getparams())
        sound = source.readframes(source.getnframes())
        seconds = source.getnframes() / source.getframerate()
        long.writeframes(sound * round(minutes * 60 / seconds))


def answer_to(words: str, daemon: DaemonProcess) -> str:
    """What it prints on a terminal, with its colours; the latest screen of one that goes on."""
    program, *rest = shlex.split(words)
    command = daemon.command(*rest[1:]) if program.endswith("python") else [program, *rest]
    environment = daemon.environment() | {
        "COLUMNS": str(COLUMNS), "LINES": str(LINES),
        "TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    goes_on = "--watch" in rest
    ours, theirs = pty.openpty()
    with subprocess.Popen(  # nosec B603 # our own words, no shell
        command, cwd=daemon.root, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        if goes_on:
            threading.Timer(WATCHED_S, process.terminate).start()
        answer = read_all(ours)
    if process.returncode != (128 + signal.SIGTERM if goes_on else 0):
        raise daemon.failure(f"{words!r} ended with {process.returncode}: {answer}")
    return latest_screen(answer) if goes_on else answer


def latest_screen(answer: str) -> str:
    """What stands behind the last step to the top left, up to where the screen is given back."""
    return answer.rpartition("\x1b[H")[2].partition("\x1b[?")[0]


def read_all(terminal: int) -> str:
    pieces = []
    try:
        while piece := os.read(terminal, 65536):
            pieces.append(piece)
    except OSError:  # how a terminal says that nobody writes any more
        pass
    finally:
        os.close(terminal)
    return b"".join(pieces).decode().replace("\r\n", "\n")


def draw(shown: list[tuple[str, str]]) -> None:
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for words, answer in shown:
        console.print(Text.assemble(("$ ", "green"), (words, "bold")))
        console.print(Text.from_ansi(answer.rstrip()))
        console.print()
    svg = console.export_svg(
        title="audio-transcriber", theme=SVG_EXPORT_THEME, code_format=SVG, unique_id="at-work"
    )
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
