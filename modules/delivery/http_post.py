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
from urllib3.connection import HTTPConnection

from modules.clock import Clock
from modules.delivery.addresses import Receiver, is_public, refused_private, resolve
from modules.delivery.connections import Interrupter, connected
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
        rest_s = deadline - clock.monotonic()
        with (
            contextlib.closing(Interrupter()) as interrupter,
            cut_after(interrupter, rest_s),
        ):
            connection = connected(receiver, addresses, deadline, clock, interrupter)
            with contextlib.closing(connection):
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


@contextlib.contextmanager
def cut_after(interrupter: Interrupter, seconds: float) -> Iterator[None]:
    """End an exchange that lasts too long: a socket's timeout starts anew with every byte."""
    timer = threading.Timer(max(0.0, seconds), interrupter.cut)
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
