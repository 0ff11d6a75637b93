"""Ports for programs that are told theirs, or that come back to the one that they had."""

from __future__ import annotations

import random
import socket
from pathlib import Path

#: Above what Ray gives its workers: 10002 to 19999.
_LOWEST = 20_000
#: What Linux begins with, unless it says something else; elsewhere it begins later.
_USUAL_EPHEMERAL = 32_768
# Not the seeded one: the processes of one run would choose the same.
_RANDOM = random.SystemRandom()


def free_port() -> int:
    """One on which nobody listens, and that no connection gets by chance before it is used."""
    for _ in range(1000):
        port = _RANDOM.randrange(_LOWEST, first_ephemeral())
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise AssertionError("no port is free")


def first_ephemeral() -> int:
    """From here on the system gives ports to outgoing connections, and to whoever asks for any."""
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        return _USUAL_EPHEMERAL
    return first if first > 2 * _LOWEST else _USUAL_EPHEMERAL
