"""One signed HTTP request to an address that was checked, bounded in time and size."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import http.client
import ipaddress
import socket
import threading
from collections.abc import Iterator

import urllib3.exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection

from modules.clock import Clock
from modules.delivery.addresses import Receiver, is_public, refused_private, resolve
from modules.errors import TranscriberError, noted, reason_of

_ANSWER_BYTES = 64 * 1024


def post(
    url: str,
    receiver: Receiver,
    body: bytes,
    headers: dict[str, str],
    timeout_s: float,
    allow_private: bool,
    clock: Clock,
) -> int:
    """Post a body to the first of the receiver's addresses that answers; returns the status.

    Raises TranscriberError if an address is refused, or none answers within ``timeout_s``.
    """
    deadline = clock.monotonic() + timeout_s
    try:
        addresses = _addresses(url, receiver, allow_private)
        connection = connected(receiver, addresses, deadline, clock)
        rest_s = deadline - clock.monotonic()
        with contextlib.closing(connection), cut_after(connection, rest_s):
            return _exchange(connection, receiver, body, headers)
    except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError) as error:
        message = noted("The receiver does not answer: {reason}", reason=why_no_answer(error))
        raise TranscriberError("callback_failed", message) from error


def why_no_answer(error: Exception) -> str:
    """In words for people: urllib3 wraps what the system said."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, socket.gaierror):
            return noted("its host is not known")
        if isinstance(found, OSError) and found.errno is not None:
            return reason_of(found)
        found = found.__cause__ or found.__context__
    return str(error) or noted("the connection broke off")


def _addresses(url: str, receiver: Receiver, allow_private: bool) -> list[str]:
    """Where the host is. Raises OSError; TranscriberError if one of its addresses is private:
    a name that also points inwards is a trick or a mistake."""
    addresses = resolve(receiver.host, receiver.port)
    for address in addresses:
        if not allow_private and not is_public(ipaddress.ip_address(address)):
            raise refused_private(url, f"{receiver.host} ({address})")
    return addresses


def connected(
    receiver: Receiver, addresses: list[str], deadline: float, clock: Clock
) -> HTTPConnection:
    """An open connection to the first address that takes one. Raises as ``connect`` does."""
    problem: Exception = OSError("the host has no address")
    for address in addresses:
        rest_s = deadline - clock.monotonic()
        if rest_s <= 0:
            break
        connection = _connection_to(receiver, address, rest_s)
        try:
            connection.connect()
        except (OSError, urllib3.exceptions.HTTPError) as error:
            connection.close()
            problem = error
        else:
            return connection
    raise problem


def _connection_to(receiver: Receiver, address: str, timeout_s: float) -> HTTPConnection:
    """A connection to exactly this address, whatever the name may resolve to by now.

    urllib3's pools would add retries, redirects and reuse, none of which is wanted here.
    """
    if receiver.scheme == "http":
        return HTTPConnection(address, receiver.port, timeout=timeout_s)
    # The certificate is checked against the name, not against the address.
    return HTTPSConnection(address, receiver.port, timeout=timeout_s, server_hostname=receiver.host)


@contextlib.contextmanager
def cut_after(connection: HTTPConnection, seconds: float) -> Iterator[None]:
    """End an exchange that lasts too long: a socket's timeout starts anew with every byte."""
    held = connection.sock

    def cut() -> None:
        with contextlib.suppress(OSError):
            held.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, seconds), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _exchange(
    connection: HTTPConnection, receiver: Receiver, body: bytes, headers: dict[str, str]
) -> int:
    """Send a message over an open connection; returns the status of the answer."""
    connection.request(
        "POST", receiver.target, body, headers, preload_content=False, decode_content=False
    )
    answer = connection.getresponse()
    # Only the status counts; but a receiver that is cut off in the middle of its answer may take
    # that for an error and undo its work.
    with contextlib.suppress(OSError, http.client.HTTPException, urllib3.exceptions.HTTPError):
        answer.read(_ANSWER_BYTES)
    answer.close()
    return answer.status


def _key(secret: str) -> bytes:
    """The key in a secret: base64 after ``whsec_``, else the text itself."""
    encoded = secret.removeprefix("whsec_")
    if encoded != secret:
        padded = encoded.rstrip("=")
        padded += "=" * (-len(padded) % 4)
        with contextlib.suppress(binascii.Error, ValueError):
            return base64.b64decode(padded, validate=True) or secret.encode()
    return secret.encode()


def signature(secret: str, signed: bytes) -> str:
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode("ascii")
