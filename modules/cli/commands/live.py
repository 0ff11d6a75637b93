"""``live``: words in the terminal as they are spoken; at the end the recording is in the share."""

from __future__ import annotations

import shutil
import signal
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from gettext import gettext as _
from types import FrameType
from typing import Any

from modules.cli.live_client import LiveClient
from modules.cli.live_source import open_source
from modules.cli.printable import printable
from modules.cli.session import complain, configured, say
from modules.errors import TranscriberError

_PALE, _PLAIN, _FRESH_LINE = "\x1b[2m", "\x1b[0m", "\r\x1b[2K"


def run(options: Namespace) -> int:
    """1 if it could not be done."""
    config = configured(options)
    words = Terminal() if sys.stdout.isatty() else Lines()
    try:
        source = open_source(options.source, options.device, options.pace)
        start = {
            "type": "start", "language": options.language, "rate": source.rate,
            "name": options.name or "",
        }  # fmt: skip
        client = LiveClient(config.api, source, start, words.show)
        previous = signal.signal(signal.SIGINT, _stops(client))
        try:
            stored = client.run()
        finally:
            signal.signal(signal.SIGINT, previous)
    except TranscriberError as error:
        complain(error.text)
        return 1
    say(_("The recording is {name}.").format(name=stored["recording"]))
    return 0


def _stops(client: LiveClient) -> Any:
    """Ctrl-C ends the speaking; a second one ends the program."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        client.stop()

    return on_signal


class Lines:
    """A line for each utterance."""

    def show(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "final" and message["text"]:
            print(printable(message["text"]), flush=True)


class Terminal:
    """The utterance that is being spoken: firm words, and pale ones that may change."""

    def __init__(self) -> None:
        self._firm: list[str] = []

    def show(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind == "final":
            self._firm = []
            text = printable(message["text"])
            sys.stdout.write(_FRESH_LINE + (f"{text}\n" if text else ""))
        elif kind == "commit":
            self._firm += _words(message)
            self._draw(())
        elif kind == "partial":
            self._draw(_words(message))
        sys.stdout.flush()

    def _draw(self, pale: Sequence[str]) -> None:
        firm, rest = "".join(self._firm).lstrip(), "".join(pale)
        room = shutil.get_terminal_size().columns - 1
        whole = firm + rest
        cut = max(0, len(whole) - room)  # the newest words matter most
        firm_shown, rest_shown = firm[cut:], rest[max(0, cut - len(firm)) :]
        sys.stdout.write(f"{_FRESH_LINE}{firm_shown}{_PALE}{rest_shown}{_PLAIN}")


def _words(message: Mapping[str, Any]) -> list[str]:
    return [printable(each["word"]) for each in message["words"]]
