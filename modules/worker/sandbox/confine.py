"""What the WhisperX process gives up before it opens the first recording; and so does the one that
makes listening copies.

It reads files from unknown senders with code that has had vulnerabilities. So it reads nothing but
the recording that it is handed, programs and weights; writes nothing but temporary files; opens no
connection, starts no process and reaches no other one; and it has the lowest priority, and is the
first to be killed when the machine runs out of memory.
Sources: seccomp(2), landlock(7), prctl(2), proc_pid_oom_score_adj(5).
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.worker.sandbox import landlock, privileges, seccomp
from modules.worker.sandbox.readable import cards, devices, readable

#: Python's audit events of everything that reaches for the network.
_CONNECTING = frozenset(
    f"socket.{what}"
    for what in (
        "connect", "sendto", "sendmsg", "getaddrinfo", "gethostbyname", "gethostbyaddr",
        "getnameinfo",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Places:
    """``weights``: folders of models. ``scratch``: the folder for temporary files, ours alone;
    None: there are none.

    ``private``: folders that must not be readable; that they are not is tried.
    """

    weights: tuple[Path, ...]
    scratch: Path | None
    private: tuple[Path, ...] = ()


def apply(places: Places, *, background: bool = False) -> tuple[str, ...]:
    """Give up what transcribing does not need, for good. Call before any thread is started.

    ``background``: run only while nobody else wants the processor or the disk.
    Returns what this machine does not know or not allow, a line each.
    """
    # Finding one would try several folders.
    tempfile.tempdir = str(places.scratch or os.devnull)
    files = _Files(places)
    lower_priority = privileges.yield_to_all if background else privileges.lower_priority
    missing = list(
        _refused(
            ("lower priority", lower_priority),
            ("first to be killed when memory runs out", privileges.raise_oom_score),
            ("no core dumps, no large files", privileges.limit_files),
            ("no new privileges", privileges.forbid_new_privileges),
            ("a user of its own", files.become_nobody),
            ("fewer capabilities", files.drop_capabilities),
            ("reads and writes no other files", files.restrict),
            ("opens no connection, starts no process", _filter_calls),
        )
    )
    return (*missing, *files.exposed())


def _refused(*steps: tuple[str, Callable[[], None]]) -> Iterable[str]:
    """Take every step; a line for each that this machine refuses."""
    for what, step in steps:
        try:
            step()
        except (OSError, AttributeError, ValueError) as error:
            yield f"{what} ({error})"


class _Files:
    """The steps that depend on where files are. Links are followed while everything is readable."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._readable = readable(places.weights)
        self._devices = devices()
        #: Kept open, so that the kernel does not forget which folder the rule is about.
        self._own = os.open("/proc/self", os.O_PATH) if sys.platform == "linux" else -1
        self._restricted = False

    def become_nobody(self) -> None:
        if os.geteuid() == 0:
            landlock.landlock_version()  # raises where there is none: all would be readable
        privileges.become_nobody(self._places.scratch, cards())

    def drop_capabilities(self) -> None:
        privileges.drop_capabilities()

    def restrict(self) -> None:
        scratch = self._places.scratch
        landlock.restrict(self._readable, (scratch,) if scratch else (), self._devices)
        self._restricted = True

    def exposed(self) -> Iterable[str]:
        """A line for each private folder that can be read in spite of all."""
        for folder in self._places.private if self._restricted else ():
            try:
                os.scandir(folder).close()
            except OSError:
                continue
            yield f"reads no other files ({folder} is in a folder of programs or weights)"


def _filter_calls() -> None:
    # The hook first: it tells Python code in words what the kernel only refuses.
    sys.addaudithook(_refuse_with_a_message)
    seccomp.install()


def _refuse_with_a_message(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _CONNECTING:
        raise PermissionError(errno.EACCES, "the WhisperX process opens no connection")
