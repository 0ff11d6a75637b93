"""Callbacks: whoever asked is told by HTTP, at least once, also across restarts.

A message is a file until its receiver took it. Requests follow the Standard Webhooks
specification, https://www.standardwebhooks.com; receivers drop repeats by ``webhook-id``.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import http.client
import ipaddress
import itertools
import json
import logging
import math
import os
import re
import secrets
import socket
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

import urllib3.exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection

from modules import __version__
from modules.atomic import remove, storage_errors, sync_folder, to_json, write_whole
from modules.clock import Clock, iso
from modules.config import CallbacksConfig
from modules.errors import StorageError, TranscriberError
from modules.logger import get_logger
from modules.sidecars import parse_json

log = get_logger("Callbacks")
# It warns of odd headers with the whole address, and a query string may hold a token.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)

_URL_CHARS = 2000
_ANSWER_BYTES = 64 * 1024
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 3600.0
#: How long the thread sleeps when nothing waits, and after it was surprised.
_IDLE_S, _SURPRISED_S = 3600.0, 5.0
_GONE = 410
_SUFFIX = ".json"
#: Characters that stay as they are in a path or query; what is percent-encoded stays so too.
_TARGET_SAFE = "/?%:@!$&'()*+,;=~"
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
#: The part of IPv6 that is routed in the open; ``is_global`` also lets through what is unassigned.
_OPEN_IPV6 = ipaddress.IPv6Network("2000::/3")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


# --- which addresses may be called ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Receiver:
    """An address taken apart. ``host`` is lower-case ASCII, without the brackets of IPv6."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """For the Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _own_port(self.scheme) else f"{host}:{self.port}"


def _own_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def shown(url: str) -> str:
    """An address as it may be logged: no query, no fragment, no password."""
    bare = re.split(r"[?#]", url, maxsplit=1)[0]
    bare = re.sub(r"//[^/]*@", "//", bare)
    return bare if len(bare) <= 200 else bare[:200] + "…"


def _refused(url: str, rule: str, remedy: str | None = None) -> TranscriberError:
    return TranscriberError(
        "callback_refused",
        f"The callback address {shown(url)!r} is refused: {rule}.",
        remedy=remedy or "Give an address such as https://example.com/done.",
    )


def _refused_private(url: str, what: str) -> TranscriberError:
    return _refused(
        url,
        f"{what} is not reachable from the open internet",
        "Give a public address, or set callbacks.allow_private: true.",
    )


def _taken_apart(url: str) -> _Receiver:
    """What an address says. Raises TranscriberError where it breaks a rule of spelling."""
    if len(url) > _URL_CHARS:
        raise _refused(url, f"it is longer than {_URL_CHARS} characters")
    if any(c.isspace() or unicodedata.category(c).startswith("C") for c in url):
        raise _refused(url, "it holds spaces or control characters")
    try:
        parts = urlsplit(url)
    except ValueError:  # its words would show a password
        raise _refused(url, "it cannot be read") from None
    if parts.scheme not in ("http", "https"):
        raise _refused(url, "it must begin with http:// or https://")
    if "@" in parts.netloc:
        raise _refused(url, "it holds a user name or a password", "Sign with callbacks.secret.")
    target = quote(parts.path or "/", safe=_TARGET_SAFE)
    if parts.query:
        target += "?" + quote(parts.query, safe=_TARGET_SAFE)
    return _Receiver(parts.scheme, _host(url, parts), _port(url, parts), target)


def _port(url: str, parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise _refused(url, "its port must be a number between 1 and 65535")
    return port or _own_port(parts.scheme)


def _host(url: str, parts: SplitResult) -> str:
    """The host in ASCII: other letters and digits, which may spell an IP too, are mapped first."""
    host = parts.hostname or ""
    if ":" in host:
        with contextlib.suppress(ValueError):
            # A zone (fe80::1%eth0) is a name on this machine, not a place to be called.
            if "%" not in host:
                return str(ipaddress.IPv6Address(host))
        raise _refused(url, "its IPv6 address cannot be read")
    try:
        host = host.encode("idna").decode("ascii").lower()
    except ValueError:
        raise _refused(url, "its host is no valid name") from None
    if not host.strip("."):
        raise _refused(url, "it names no host")
    if not re.fullmatch(r"[a-z0-9._-]+", host):
        raise _refused(url, "its host is no valid name")
    return host


def _literal(host: str) -> _Address | None:
    """The IP that a host spells, also as ``2130706433``, ``0x7f.1`` or ``0177.0.0.1``."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host)
    # The C library's own reader, as it would also read it when the message is sent.
    with contextlib.suppress(OSError):
        return ipaddress.IPv4Address(socket.inet_aton(host))
    return None


def is_public(address: _Address) -> bool:
    """Whether everybody means the same machine by it, also behind IPv4-in-IPv6 disguises."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _NAT64:
        inner = ipaddress.IPv4Address(address.packed[-4:])
    if inner is not None:
        return is_public(inner)
    return address in _OPEN_IPV6 and address.is_global


def resolve(host: str, port: int) -> list[str]:
    """The IP addresses of a host, the best first. Raises OSError. Tests replace it."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


# --- one request ------------------------------------------------------------------------------


def _connection(receiver: _Receiver, address: str, timeout_s: float) -> HTTPConnection:
    """A connection to just this address, whatever the name may mean by now.

    urllib3's pools would add retries, redirects and reuse, none of which is wanted here.
    """
    if receiver.scheme == "http":
        return HTTPConnection(address, receiver.port, timeout=timeout_s)
    # The certificate is checked against the name, not against the address.
    return HTTPSConnection(address, receiver.port, timeout=timeout_s, server_hostname=receiver.host)


@contextlib.contextmanager
def _cut_after(connection: HTTPConnection, seconds: float) -> Iterator[None]:
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
    connection: HTTPConnection, receiver: _Receiver, body: bytes, headers: dict[str, str]
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


def _signature(secret: str, signed: bytes) -> str:
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode("ascii")


# --- messages ---------------------------------------------------------------------------------


@dataclass(slots=True)
class _Message:
    """A file of the folder. Only the sender changes it once ``due_s`` is finite."""

    id: str
    url: str
    payload: dict[str, Any]
    created: str
    attempts: int = 0
    error: str | None = None
    #: By the monotonic clock; infinite while the file is being written.
    due_s: float = math.inf
    #: Nobody needs to be told any more; only the file may still be there.
    over: bool = False
    #: Keeps the order within a millisecond.
    number: int = field(default_factory=itertools.count().__next__)

    def content(self) -> bytes:
        """The file. Raises ValueError for what JSON cannot hold."""
        return to_json(
            {
                "id": self.id,
                "url": self.url,
                "creation_time": self.created,
                "attempts": self.attempts,
                "error": self.error,
                "payload": self.payload,
            }
        )

    def body(self) -> bytes:
        text = json.dumps(self.payload, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", errors="backslashreplace")  # as in to_json

    def __str__(self) -> str:
        return f"{self.id} to {shown(self.url)}"


def _read(path: Path) -> _Message:
    """A message from its file. Raises StorageError, or TranscriberError if it is corrupt."""
    with storage_errors(path):
        found = parse_json(path.read_bytes(), path.name)
    error = found.get("error")
    message = _Message(
        id=path.name.removesuffix(_SUFFIX),
        url=_checked(found, "url", str),
        payload=_checked(found, "payload", dict),
        created=_checked(found, "creation_time", str),
        attempts=max(0, _checked(found, "attempts", int)),
        error=error if isinstance(error, str) else None,
    )
    if found.get("id") != message.id or not re.fullmatch(r"[\w-]{1,100}", message.id, re.ASCII):
        raise TranscriberError("corrupt_sidecar", "the id inside is not the file's name")
    try:
        message.content()
    except ValueError as problem:
        raise TranscriberError("corrupt_sidecar", str(problem)) from problem
    return message


def _checked(found: dict[str, Any], name: str, kind: type) -> Any:
    value = found.get(name)
    if type(value) is not kind:  # not isinstance: true is no number of attempts
        raise TranscriberError("corrupt_sidecar", f"{name} is missing or wrong")
    return value


def _pause_s(attempts: int) -> float:
    # The exponent is held down too: 2.0**1024 overflows.
    return min(_FIRST_PAUSE_S * 2.0 ** min(max(attempts - 1, 0), 16), _LONGEST_PAUSE_S)


# --- the sender -------------------------------------------------------------------------------


class Callbacks:
    """Keeps messages in ``folder`` until they are delivered, given up (``failed/``) or unwanted.

    ``check`` and ``notify`` may be called from any thread, ``tick`` from one at a time.
    """

    def __init__(self, folder: Path, config: CallbacksConfig, clock: Clock) -> None:
        self._folder = folder
        self._config = config
        self._clock = clock
        self._waiting: dict[str, _Message] = {}
        self._lock = threading.Lock()
        self._taken_up = False
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def check(self, url: str) -> None:
        """Refuse an address that could never be called, without asking the network.

        Raises TranscriberError ``callback_refused``. What a name means is checked when it is
        called, for it can change.
        """
        receiver = _taken_apart(url)
        if self._config.allow_private:
            return
        host = receiver.host.rstrip(".")
        if host == "localhost" or host.endswith(".localhost"):
            raise _refused_private(url, host)
        address = _literal(host)
        if address is not None and not is_public(address):
            raise _refused_private(url, str(address))

    def notify(self, url: str, payload: dict[str, Any], key: str | None = None) -> None:
        """Have ``payload`` posted to ``url``; returns once that is on disk. Raises StorageError.

        Two calls with the same ``key`` send the same message id, which tells the receiver that
        a restart came between.
        """
        created = iso(self._clock.utc_now())
        message = _Message(f"msg_{key or secrets.token_hex(16)}", url, payload, created)
        content = message.content()
        # Known before it lies there, so that the taking up of old files does not find it as well.
        with self._lock:
            self._waiting[message.id] = message
        try:
            with storage_errors(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._path(message), content)
        except StorageError:
            self._forget(message)
            raise
        message.due_s = self._clock.monotonic()
        self._wake.set()

    def start(self) -> None:
        """Send in a thread of our own, beginning with what an earlier run left."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="callbacks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread. A request in flight may finish; what waits stays on disk."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(self._config.timeout_seconds + 1)
            if self._thread.is_alive():
                log.warning("A callback hangs and is left behind; it is sent again after a restart")
            self._thread = None

    def tick(self) -> float:
        """Send what is due. Answers how many seconds may pass before the next tick."""
        if not self._taken_up:
            self._take_up()
        silent: set[tuple[str, int]] = set()
        for message in self._due():
            if self._stopping.is_set():
                break
            self._handle(message, silent)
        now = self._clock.monotonic()
        with self._lock:
            rests = [message.due_s - now for message in self._waiting.values()]
        return min([_IDLE_S, *(max(0.0, rest) for rest in rests)])

    def _run(self) -> None:
        while not self._stopping.is_set():
            wait_s = self._tick_safely()
            self._wake.wait(wait_s)
            self._wake.clear()

    def _tick_safely(self) -> float:
        try:
            return self.tick()
        except Exception:  # the door of this thread: a surprise must not silence all callbacks
            log.exception("The sender of callbacks was surprised and goes on")
            return _SURPRISED_S

    # --- taking up what lies there ---

    def _take_up(self) -> None:
        """Learn what an earlier run left; all of it is due at once. Raises StorageError."""
        try:
            with storage_errors(self._folder), os.scandir(self._folder) as listed:
                names = [e.name for e in listed if e.is_file(follow_symlinks=False)]
        except StorageError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            names = []
        found = [self._take_in(self._folder / n) for n in names if n.endswith(_SUFFIX)]
        left = [message for message in found if message is not None]
        for message in left:
            message.due_s = self._clock.monotonic()
        with self._lock:
            self._waiting.update((message.id, message) for message in left)
        self._taken_up = True
        if left:
            log.info("%d callbacks of an earlier run are sent now", len(left))

    def _take_in(self, path: Path) -> _Message | None:
        """The message in a file; None for our own new ones and for those that are no good."""
        with self._lock:
            if path.name.removesuffix(_SUFFIX) in self._waiting:
                return None
        try:
            return _read(path)
        except StorageError as error:
            log.warning("The callback %s cannot be read and is left: %s", path.name, error)
        except TranscriberError as error:
            log.warning("The callback %s is corrupt and put aside: %s", path.name, error)
            with contextlib.suppress(OSError):
                path.replace(path.with_name(path.name + ".corrupt"))
        return None

    # --- sending ---

    def _due(self) -> list[_Message]:
        now = self._clock.monotonic()
        with self._lock:
            due = [message for message in self._waiting.values() if message.due_s <= now]
        return sorted(due, key=lambda message: (message.created, message.number))

    def _handle(self, message: _Message, silent: set[tuple[str, int]]) -> None:
        """One attempt, and what follows from it on disk. Never raises for a receiver or a disk."""
        if not message.over and message.attempts < self._config.max_attempts:
            if _where(message) in silent:
                # One receiver that hangs costs a round one timeout, however much waits for it.
                self._put_off(message, _FIRST_PAUSE_S)
                return
            if not self._attempt(message):
                silent.add(_where(message))
        try:
            self._file(message)
        except StorageError as error:
            log.warning("The file of callback %s cannot be changed: %s", message, error)
            self._put_off(message, _pause_s(message.attempts))

    def _attempt(self, message: _Message) -> bool:
        """Try once; False if the receiver did not answer at all."""
        message.attempts += 1
        try:
            status = self._post(message)
        except TranscriberError as error:
            message.error = str(error)
        else:
            message.error = f"The receiver answered {status}."
            message.over = 200 <= status < 300 or status == _GONE
            if message.over:
                gone = ", and wants no more of it" if status == _GONE else ""
                log.info("Callback %s: the receiver answered %d%s", message, status, gone)
            return True
        finally:
            # Also after a surprise: such a message must not be the first in line for ever.
            self._put_off(message, _pause_s(message.attempts))
        return False

    def _file(self, message: _Message) -> None:
        """Bring the file up to what became of the message. Raises StorageError."""
        path = self._path(message)
        if message.over:
            remove(path)
            self._forget(message)
            return
        write_whole(path, message.content())
        if message.attempts < self._config.max_attempts:
            again_s = max(0.0, message.due_s - self._clock.monotonic())
            log.warning(
                "Callback %s failed, next try in %.0f s: %s", message, again_s, message.error
            )
            return
        failed = self._folder / "failed"
        with storage_errors(failed):
            failed.mkdir(exist_ok=True)
            path.replace(failed / path.name)
        sync_folder(failed)
        self._forget(message)
        log.error(
            "Callback %s is given up after %d attempts and kept in %s: %s",
            message,
            message.attempts,
            failed,
            message.error,
        )

    def _post(self, message: _Message) -> int:
        """Post a message; returns the status of the answer.

        Raises TranscriberError if the address is refused or nobody answers there.
        """
        receiver = _taken_apart(message.url)
        body = message.body()
        deadline = self._clock.monotonic() + self._config.timeout_seconds
        try:
            addresses = self._addresses(message.url, receiver)
            with contextlib.closing(self._connected(receiver, addresses, deadline)) as connection:
                headers = self._headers(message, receiver, body)
                with _cut_after(connection, deadline - self._clock.monotonic()):
                    return _exchange(connection, receiver, body, headers)
        except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError) as error:
            told = f"The receiver does not answer: {str(error) or type(error).__name__}"
            raise TranscriberError("callback_failed", told) from error

    def _addresses(self, url: str, receiver: _Receiver) -> list[str]:
        """Where the host is. Raises OSError; TranscriberError if one of its addresses is private:
        a name that also points inwards is a trick or a mistake."""
        addresses = resolve(receiver.host, receiver.port)
        for address in addresses:
            if not self._config.allow_private and not is_public(ipaddress.ip_address(address)):
                raise _refused_private(url, f"{receiver.host} ({address})")
        return addresses

    def _connected(
        self, receiver: _Receiver, addresses: list[str], deadline: float
    ) -> HTTPConnection:
        """An open connection to the first address that takes one. Raises as ``connect`` does."""
        problem: Exception = OSError("the host has no address")
        for address in addresses:
            rest_s = deadline - self._clock.monotonic()
            if rest_s <= 0:
                break
            connection = _connection(receiver, address, rest_s)
            try:
                connection.connect()
            except (OSError, urllib3.exceptions.HTTPError) as error:
                connection.close()
                problem = error
            else:
                return connection
        raise problem

    def _headers(self, message: _Message, receiver: _Receiver, body: bytes) -> dict[str, str]:
        """The headers of one attempt: the id stays, the time and with it the signature do not."""
        timestamp = str(int(self._clock.utc_now().timestamp()))
        headers = {
            "Host": receiver.authority,
            "Content-Type": "application/json",
            "User-Agent": f"audio-transcriber/{__version__}",
            "Connection": "close",
            "webhook-id": message.id,
            "webhook-timestamp": timestamp,
        }
        if self._config.secret:
            signed = f"{message.id}.{timestamp}.".encode() + body
            headers["webhook-signature"] = _signature(self._config.secret, signed)
        return headers

    # --- small things ---

    def _path(self, message: _Message) -> Path:
        return self._folder / f"{message.id}{_SUFFIX}"

    def _put_off(self, message: _Message, seconds: float) -> None:
        message.due_s = self._clock.monotonic() + seconds

    def _forget(self, message: _Message) -> None:
        with self._lock:
            self._waiting.pop(message.id, None)


def _where(message: _Message) -> tuple[str, int]:
    """The machine and port that a message is for, as far as its address can be read."""
    try:
        receiver = _taken_apart(message.url)
    except TranscriberError:
        return message.url, 0
    return receiver.host, receiver.port
