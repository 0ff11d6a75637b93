"""What a process opened and where it connected, as ``strace`` wrote it down."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_CALLS = (
    "open,openat,openat2,creat,socket,connect,sendto,sendmsg,bind,execve,clone,clone3,fork,vfork"
)
_WRITTEN_S = 30.0
_LINE = re.compile(rb"^(?P<thread>\d+) +(?P<call>\w+)\((?P<rest>.*)$")
_RESUMED = re.compile(rb"^(?P<thread>\d+) +<\.\.\. (?P<call>\w+) resumed>(?P<rest>.*)$")
_OPENED = re.compile(rb"= \d+<(?P<path>[^\n]*)>(?:\(deleted\))?$")
_FAMILY = re.compile(rb"^(AF_\w+)")
_STARTED = re.compile(rb"= (\d+)$")


@dataclass(frozen=True)
class Call:
    """One system call: its name, its arguments and what came of it."""

    name: str
    rest: bytes

    @property
    def writes(self) -> bool:
        """Whether a file was opened for more than reading."""
        return any(flag in self.rest for flag in (b"O_WRONLY", b"O_RDWR", b"O_CREAT"))

    @property
    def path(self) -> str | None:
        """The file that was opened, wherever links led; None if nothing was."""
        found = _OPENED.search(self.rest) if self.name.startswith(("open", "creat")) else None
        return os.fsdecode(_unescaped(found["path"])) if found else None

    @property
    def family(self) -> str | None:
        """Of which kind a socket is; None for other calls."""
        found = _FAMILY.search(self.rest) if self.name == "socket" else None
        return found[1].decode() if found else None


@dataclass(frozen=True)
class Trace:
    """The calls of one process and of all its threads and children, in order."""

    calls: tuple[Call, ...]

    @classmethod
    def read(cls, path: Path, process: int, daemon: int) -> Trace:
        """What ``strace`` wrote of a process, once it has written that the daemon ended."""
        deadline = time.monotonic() + _WRITTEN_S
        ended = re.compile(rb"^%d +\+\+\+ " % daemon, re.MULTILINE)
        while not ended.search(text := path.read_bytes()):
            assert time.monotonic() < deadline, "strace did not write that the daemon ended"
            time.sleep(0.05)
        lines = text.splitlines()
        family = _family(lines, process)
        return cls(tuple(call for thread, call in _calls(lines) if thread in family))

    def opened(self) -> list[Call]:
        """Every call that opened a file, in order."""
        return [call for call in self.calls if call.path is not None]

    def internet(self) -> list[Call]:
        """Every call that reaches for the network, whether it succeeded or not."""
        return [
            call
            for call in self.calls
            if call.family in ("AF_INET", "AF_INET6") or b"sa_family=AF_INET" in call.rest
        ]


def strace_prefix(output: Path) -> list[str]:
    """The command before the daemon's; it becomes the daemon, and the tracer is a grandchild."""
    command = ["strace", "-D", "-f", "--seccomp-bpf", "-q", "-y", "-s", "4096"]
    return [*command, "-e", f"trace={_CALLS}", "-e", "signal=none", "-o", str(output)]


@cache
def why_no_strace() -> str | None:
    """Why system calls cannot be watched here, or None."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    command = [*strace_prefix(Path(os.devnull)), sys.executable, "-c", ""]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return None if done.returncode == 0 else f"strace does not work here: {done.stderr.strip()}"


def _family(lines: list[bytes], process: int) -> set[int]:
    """A process, its threads and children. What one of them does may stand before its birth."""
    started = []
    for thread, call in _calls(lines):
        number = _STARTED.search(call.rest)
        if call.name in ("clone", "clone3", "fork", "vfork") and number:
            started.append((thread, int(number[1])))
    family, before = {process}, 0
    while len(family) > before:
        before = len(family)
        family |= {child for parent, child in started if parent in family}
    return family


def _calls(lines: Iterable[bytes]) -> Iterator[tuple[int, Call]]:
    """Who called, and what; a call that was interrupted by another's line is put together."""
    cut: dict[int, bytes] = {}
    for line in lines:
        found = _LINE.match(line) or _RESUMED.match(line)
        if found is None:
            continue
        thread, rest = int(found["thread"]), found["rest"]
        if rest.endswith(b" <unfinished ...>"):
            cut[thread] = rest.removesuffix(b" <unfinished ...>")
        else:
            yield thread, Call(found["call"].decode(), cut.pop(thread, b"") + rest)


def _unescaped(text: bytes) -> bytes:
    return text.decode("unicode_escape").encode("latin-1")
