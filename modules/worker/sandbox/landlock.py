"""Landlock: which files can be opened, and how; no TCP, no signals to other processes.

Files that are open stay so. Looking at a name (``stat``), listing nothing and reading nothing, is
not covered by it. Source: landlock(7).
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from modules.worker.sandbox.kernel import checked, libc

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
_WRITE_FILE, _READ_FILE, _READ_FOLDER = 1 << 1, 1 << 2, 1 << 3
#: Running, reading, writing, removing and making files and folders of all kinds.
_FILES = (1 << 13) - 1
#: By the version that has them first: linking and renaming between folders, truncating, commands
#: to devices.
_REFER, _TRUNCATE, _COMMAND = (2, 1 << 13), (3, 1 << 14), (5, 1 << 15)
#: Waiting for TCP connections and making them.
_TCP = (4, 0b11)
#: No abstract Unix sockets and no signals beyond the process.
_SCOPES = (6, 0b11)
#: What a rule for a file that is no folder may allow.
_OF_A_FILE = 0b111 | _TRUNCATE[1] | _COMMAND[1]


def restrict(readable: Iterable[Path], writable: Iterable[Path], devices: Iterable[Path]) -> None:
    """Allow no files but these, for good. Call before any thread is started.

    ``writable``: folders in which files can be made and removed as well. What is not there is left
    out. Raises OSError where the kernel has no Landlock.
    """
    version = landlock_version()
    handled = _FILES | sum(bit for since, bit in (_REFER, _TRUNCATE, _COMMAND) if version >= since)
    network = _TCP[1] if version >= _TCP[0] else 0
    scopes = _SCOPES[1] if version >= _SCOPES[0] else 0
    # struct landlock_ruleset_attr; older kernels know only the beginning.
    size = 24 if version >= _SCOPES[0] else 16 if version >= _TCP[0] else 8
    attributes = struct.pack("QQQ", handled, network, scopes)[:size]
    rules = checked(libc().syscall(_CREATE, attributes, len(attributes), 0))
    reading = _READ_FILE | _READ_FOLDER
    try:
        for path in readable:
            _allow(rules, reading, path)
        for path in writable:
            _allow(rules, handled & ~_COMMAND[1] & ~1, path)
        for path in devices:
            _allow(rules, (reading | _WRITE_FILE | _COMMAND[1]) & handled, path)
        checked(libc().syscall(_RESTRICT, rules, 0))
    finally:
        os.close(rules)


def _allow(rules: int, access: int, path: Path) -> None:
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(beneath).st_mode):
            access &= _OF_A_FILE
        rule = struct.pack("=Qi", access, beneath)
        checked(libc().syscall(_ADD, rules, _PATH_BENEATH, rule, 0))
    finally:
        os.close(beneath)


def landlock_version() -> int:
    """The version of the kernel's interface. Raises OSError where it has none."""
    return checked(libc().syscall(_CREATE, None, 0, _VERSION))
