"""The log: ``[YYYY-MM-DD HH:MM:SS] [LEVEL] [MODULE] Message`` on stdout, in local time.

One record is one line, whatever is in a file name; a traceback follows on indented lines.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TextIO

#: What would break the line or disguise it: control characters, line separators, marks that turn
#: the direction of writing, and the surrogates that stand for undecodable bytes in a file name.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

#: Libraries that log every step at INFO or DEBUG; only their warnings concern our reader.
_TALKATIVE = ("filelock", "urllib3", "waitress", "watchdog", "werkzeug")


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")


def one_line(text: str) -> str:
    r"""The text with unsafe characters spelled out, as in ``\n`` or ``\udcff``."""
    return UNSAFE.sub(_escape, text)


class LineFormatter(logging.Formatter):
    """Formats a record as the module's docstring says; leaves the record as it was."""

    def format(self, record: logging.LogRecord) -> str:
        when = self.formatTime(record, "%Y-%m-%d %H:%M:%S")
        message = one_line(record.getMessage())
        lines = [f"[{when}] [{record.levelname}] [{one_line(record.name)}] {message}"]
        if record.exc_info:
            lines += self.formatException(record.exc_info).split("\n")
        if record.stack_info:
            lines += self.formatStack(record.stack_info).split("\n")
        # Indented, so that nothing in a traceback can be taken for a record of its own.
        return "\n    ".join([lines[0], *map(one_line, lines[1:])])


class ConsoleHandler(logging.StreamHandler[TextIO]):
    """Our one handler; its type lets ``setup_logging`` find it again."""


def setup_logging(level: str, stream: TextIO | None = None) -> None:
    """Log from ``level`` up to ``stream`` (stdout). Called again, it replaces what it set up."""
    target = stream if stream is not None else sys.stdout
    reconfigure = getattr(target, "reconfigure", None)
    if reconfigure is not None:
        # A console that is not UTF-8 must not cost us the line.
        reconfigure(errors="backslashreplace")
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, ConsoleHandler)]:
        root.removeHandler(old)
    handler = ConsoleHandler(target)
    handler.setFormatter(LineFormatter())
    root.addHandler(handler)
    root.setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    # It calls every ordinary stop an error; whether events work is watched by us.
    logging.getLogger("watchdog.observers.inotify").setLevel(logging.CRITICAL)


def get_logger(name: str) -> logging.Logger:
    """The logger of a part of the program, named as the log shows it: ``FileManager``."""
    return logging.getLogger(name)
