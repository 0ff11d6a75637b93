"""Callbacks: whoever asked is told by HTTP, at least once, also across restarts.

A message is a file until its receiver took it. Requests follow the Standard Webhooks
specification, https://www.standardwebhooks.com; receivers drop repeats by ``webhook-id``.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import itertools
import json
import math
import os
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3.exceptions
from urllib3.connection import HTTPConnection

from modules import __version__
from modules.clock import Clock, iso
from modules.config.schema import CallbacksConfig
from modules.delivery.addresses import (
    Receiver,
    is_public,
    literal,
    refused_private,
    resolve,
    shown,
    taken_apart,
)
from modules.delivery.http_post import connection_to, cut_after, exchange, signature
from modules.errors import StorageError, TranscriberError
from modules.logger import get_logger
from modules.storage.atomic import (
    parse_json,
    remove,
    storage_errors,
    sync_folder,
    to_json,
    write_whole,
)

log = get_logger("Callbacks")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 3600.0
#: How long the thread sleeps when nothing waits, and after it was surprised.
_IDLE_S, _SURPRISED_S = 3600.0, 5.0
_GONE = 410
#: How many messages that were given up are kept, the latest.
FAILED_KEPT = 1000
_SUFFIX = ".json"


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

    def __init__(
        self,
        folder: Path,
        config: CallbacksConfig,
        clock: Clock,
        on_end: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        self._folder = folder
        self._on_end = on_end
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
        receiver = taken_apart(url)
        if self._config.allow_private:
            return
        host = receiver.host.rstrip(".")
        if host == "localhost" or host.endswith(".localhost"):
            raise refused_private(url, host)
        address = literal(host)
        if address is not None and not is_public(address):
            raise refused_private(url, str(address))

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
            self._on_end("delivered")
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
        _keep_latest(failed, FAILED_KEPT)
        self._forget(message)
        self._on_end("given_up")
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
        receiver = taken_apart(message.url)
        body = message.body()
        deadline = self._clock.monotonic() + self._config.timeout_seconds
        try:
            addresses = self._addresses(message.url, receiver)
            with contextlib.closing(self._connected(receiver, addresses, deadline)) as connection:
                headers = self._headers(message, receiver, body)
                with cut_after(connection, deadline - self._clock.monotonic()):
                    return exchange(connection, receiver, body, headers)
        except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError) as error:
            told = f"The receiver does not answer: {str(error) or type(error).__name__}"
            raise TranscriberError("callback_failed", told) from error

    def _addresses(self, url: str, receiver: Receiver) -> list[str]:
        """Where the host is. Raises OSError; TranscriberError if one of its addresses is private:
        a name that also points inwards is a trick or a mistake."""
        addresses = resolve(receiver.host, receiver.port)
        for address in addresses:
            if not self._config.allow_private and not is_public(ipaddress.ip_address(address)):
                raise refused_private(url, f"{receiver.host} ({address})")
        return addresses

    def _connected(
        self, receiver: Receiver, addresses: list[str], deadline: float
    ) -> HTTPConnection:
        """An open connection to the first address that takes one. Raises as ``connect`` does."""
        problem: Exception = OSError("the host has no address")
        for address in addresses:
            rest_s = deadline - self._clock.monotonic()
            if rest_s <= 0:
                break
            connection = connection_to(receiver, address, rest_s)
            try:
                connection.connect()
            except (OSError, urllib3.exceptions.HTTPError) as error:
                connection.close()
                problem = error
            else:
                return connection
        raise problem

    def _headers(self, message: _Message, receiver: Receiver, body: bytes) -> dict[str, str]:
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
            headers["webhook-signature"] = signature(self._config.secret, signed)
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
        receiver = taken_apart(message.url)
    except TranscriberError:
        return message.url, 0
    return receiver.host, receiver.port


def _keep_latest(folder: Path, count: int) -> None:
    with storage_errors(folder):
        files = sorted(folder.glob(f"*{_SUFFIX}"), key=lambda file: file.lstat().st_mtime_ns)
    for old in files[:-count]:
        remove(old)
