"""One signed HTTP request to an address that was checked, bounded in time and size."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import http.client
import socket
import threading
from collections.abc import Iterator

import urllib3.exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection

from modules.delivery.addresses import Receiver

_ANSWER_BYTES = 64 * 1024


def connection_to(receiver: Receiver, address: str, timeout_s: float) -> HTTPConnection:
    """A connection to just this address, whatever the name may mean by now.

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


def exchange(
    connection: HTTPConnection, receiver: Receiver, body: bytes, headers: dict[str, str]
) -> int:
    """Send a message over an open connection; returns the status of the answer."""
    connection.request(
        "POST", receiver.target, body, headers, preload_content=False, decode_content=False
    )
    answer = connection.getresponse()
    # The status is all we want; but a receiver that is cut off amid its answer may call it an
    # error and repent.
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
