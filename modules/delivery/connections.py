"""Connections to one address that another thread can break off, from the first packet on.

A host that drops packets lets ``connect`` wait for as long as the whole request may take, and a
TLS server that says nothing does the same a step later.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import threading

import urllib3.exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection

from modules.clock import Clock
from modules.delivery.addresses import Receiver


class Interrupter:
    """Breaks off the connection that it was given last. ``cut`` may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: socket.socket | None = None
        self._is_cut = False

    def close(self) -> None:
        """The connection is no longer needed."""
        with self._lock:
            self._let_go()

    def hold(self, opened: socket.socket) -> None:
        """From now on break off this one. Raises OSError if all is to be broken off already."""
        # A duplicate, as TLS takes the descriptor out of the object that it is given.
        with self._lock:
            self._let_go()
            if self._is_cut:
                raise ConnectionAbortedError(errno.ECONNABORTED, os.strerror(errno.ECONNABORTED))
            self._held = opened.dup()

    def cut(self) -> None:
        """Whatever waits for the connection, or is about to make one, fails at once."""
        with self._lock, contextlib.suppress(OSError):
            self._is_cut = True
            if self._held:
                self._held.shutdown(socket.SHUT_RDWR)

    def _let_go(self) -> None:
        if self._held:
            self._held.close()
            self._held = None


def connected(
    receiver: Receiver,
    addresses: list[str],
    deadline: float,
    clock: Clock,
    interrupter: Interrupter,
) -> HTTPConnection:
    """An open connection to the first address that takes one. Raises as ``connect`` does."""
    problem: Exception = OSError("the host has no address")
    for address in addresses:
        rest_s = deadline - clock.monotonic()
        if rest_s <= 0:
            break
        connection = _connection_to(receiver, address, rest_s, interrupter)
        try:
            connection.connect()
        except (OSError, urllib3.exceptions.HTTPError) as error:
            connection.close()
            problem = error
        else:
            return connection
    raise problem


def _connection_to(
    receiver: Receiver, address: str, timeout_s: float, interrupter: Interrupter
) -> HTTPConnection:
    """A connection to exactly this address, whatever the name may resolve to by now.

    urllib3's pools would add retries, redirects and reuse, none of which is wanted here.
    """
    made: _Plain | _Secured
    if receiver.scheme == "http":
        made = _Plain(address, receiver.port, timeout=timeout_s)
    else:
        # The certificate is checked against the name, not against the address.
        made = _Secured(address, receiver.port, timeout=timeout_s, server_hostname=receiver.host)
    made.interrupter, made.seconds = interrupter, timeout_s
    return made


class _Plain(HTTPConnection):
    interrupter: Interrupter
    seconds: float

    def _new_conn(self) -> socket.socket:
        return _opened(self.host, self.port, self.seconds, self.interrupter)


class _Secured(HTTPSConnection):
    interrupter: Interrupter
    seconds: float

    def _new_conn(self) -> socket.socket:
        return _opened(self.host, self.port, self.seconds, self.interrupter)


def _opened(address: str, port: int, timeout_s: float, interrupter: Interrupter) -> socket.socket:
    """A TCP connection. Raises OSError; TimeoutError after ``timeout_s``."""
    found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    family, kind, protocol, _, where = found[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setblocking(False)
        _require_none(opened.connect_ex(where), errno.EINPROGRESS)
        # Only now: a socket that does not connect yet cannot be shut down.
        interrupter.hold(opened)
        _wait(opened, timeout_s)
        opened.settimeout(timeout_s)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        opened.close()
        raise
    return opened


def _wait(opened: socket.socket, timeout_s: float) -> None:
    """Until the connection is made, has failed, or was cut."""
    poll = select.poll()
    poll.register(opened, select.POLLOUT)
    if not poll.poll(timeout_s * 1000):
        raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
    _require_none(opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    opened.getpeername()  # cut while it was made: there is no error, and no other end


def _require_none(number: int, *fine: int) -> None:
    if number not in (0, *fine):
        raise OSError(number, os.strerror(number))
