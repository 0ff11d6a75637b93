"""Webhooks: HTTP requests about ended jobs, sent at least once, also across restarts.

Requests follow the Standard Webhooks specification, https://www.standardwebhooks.com; receivers
drop repeats by ``webhook-id``.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modules import __version__
from modules.clock import Clock
from modules.config.schema import CallbacksConfig
from modules.delivery.addresses import (
    Receiver,
    is_public,
    literal,
    refused_private,
    shown,
    taken_apart,
)
from modules.delivery.http_post import post, signature
from modules.delivery.outbox import Item, Outbox
from modules.errors import StorageError, TranscriberError
from modules.jobs.backoff import Backoff
from modules.jobs.thread_loop import ThreadLoop
from modules.logger import get_logger

log = get_logger("Callbacks")

_PAUSES = Backoff(first_s=5.0, longest_s=3600.0)
#: How long the thread sleeps without items, and after an unexpected error.
_IDLE_S, _FAILED_S = 3600.0, 5.0
_GONE = 410
#: So many receivers are sent to at once: one that answers slowly holds up nobody else.
RECEIVERS_AT_ONCE = 8
#: So long a receiver is sent to before another that waits has its turn.
_TURN_S = 1.0


class Webhooks:
    """Sends the items of an outbox: to each receiver one at a time, to several at once.

    ``check`` and ``notify`` may be called from any thread, ``tick`` from one at a time. ``on_end``
    gets "delivered" or "given_up". A receiver is a machine and a port, whatever the path.
    """

    def __init__(
        self,
        folder: Path,
        config: CallbacksConfig,
        clock: Clock,
        on_end: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        self._outbox = Outbox(folder, clock)
        self._on_end = on_end
        self._config = config
        self._clock = clock
        self._busy: dict[tuple[str, int], threading.Thread] = {}
        self._turns: dict[tuple[str, int], int] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        #: What is done to files of the outbox and to the count of outcomes is done one by one.
        self._filing = threading.Lock()
        self._loop = ThreadLoop(
            "callbacks", self._start_deliveries, failure_pause_s=_FAILED_S,
            on_error=self._report,
        )  # fmt: skip

    def check(self, url: str) -> None:
        """Refuse an address that could never be called, without asking the network.

        Raises TranscriberError ``callback_refused``. What a name resolves to is checked when it is
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

        Two calls with the same ``key`` send the same message id, which lets the receiver drop a
        repeat after a restart.
        """
        self._outbox.put(url, payload, key)
        self._loop.wake()

    @property
    def silent_s(self) -> float:
        """How long the thread has given no sign of life."""
        return self._loop.silent_s

    def start(self) -> None:
        """Send in a thread of our own, beginning with what an earlier run left."""
        self._loop.start()

    def stop(self) -> None:
        """End the threads. A request in flight may finish; what waits stays on disk."""
        deadline = time.monotonic() + self._config.timeout_seconds + 1
        ended = self._loop.stop(self._config.timeout_seconds + 1)
        for thread in self._threads():
            thread.join(max(0.0, deadline - time.monotonic()))
        if not ended or any(thread.is_alive() for thread in self._threads()):
            log.warning("A callback hangs and is left behind; it is sent again after a restart")

    def tick(self) -> float:
        """Send what is due, in this thread. Answers how many seconds may pass before the next."""
        for items in self._due_by_receiver().values():
            self._deliver(items)
        return min(_IDLE_S, self._outbox.next_due_in_s())

    def _start_deliveries(self) -> float:
        """Let threads send what is due; each wakes the loop at its end."""
        due = self._due_by_receiver()
        # Those that had no turn yet, then those that had theirs longest ago.
        for receiver in sorted(due, key=lambda one: self._turns.get(one, 0)):
            with self._lock:
                if self._loop.stopping or len(self._busy) >= RECEIVERS_AT_ONCE:
                    break
                if receiver in self._busy:
                    continue
                thread = threading.Thread(
                    target=self._deliver_and_wake, args=(receiver, due[receiver]),
                    name="callback", daemon=True,
                )  # fmt: skip
                self._busy[receiver] = thread
                thread.start()
            self._turns[receiver] = next(self._numbers)
        self._turns = {one: turn for one, turn in self._turns.items() if one in due}
        return self._pause_s()

    def _pause_s(self) -> float:
        """Until something is due that no busy receiver is to get; its thread's end is a wake."""
        with self._lock:
            busy, is_full = set(self._busy), len(self._busy) >= RECEIVERS_AT_ONCE
        if is_full:
            return _IDLE_S
        return min(_IDLE_S, self._outbox.next_due_in_s(lambda item: _endpoint(item) not in busy))

    def _threads(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._busy.values())

    def _report(self) -> None:
        log.exception("Sending callbacks met an unexpected error and goes on")

    def _due_by_receiver(self) -> dict[tuple[str, int], list[Item]]:
        """What is due, in order."""
        found: dict[tuple[str, int], list[Item]] = {}
        for item in self._outbox.due():
            found.setdefault(_endpoint(item), []).append(item)
        return found

    def _deliver_and_wake(self, receiver: tuple[str, int], items: list[Item]) -> None:
        try:
            self._deliver(items, self._clock.monotonic() + _TURN_S)
        except Exception:  # noqa: BLE001 # logged, as in the loop: the others go on
            self._report()
        finally:
            with self._lock:
                self._busy.pop(receiver, None)
            self._loop.wake()

    def _deliver(self, items: list[Item], until_s: float = math.inf) -> None:
        """Send to one receiver, in order, until its turn is over; at least one."""
        is_silent = False
        for item in items:
            if self._loop.stopping:
                return
            is_silent = self._handle(item, is_silent)
            if not is_silent and self._clock.monotonic() >= until_s:
                return

    def _handle(self, item: Item, is_silent: bool) -> bool:
        """One attempt, and what follows from it on disk; whether the receiver is silent.

        Never raises for a receiver or a disk.
        """
        if not item.over and item.attempts < self._config.max_attempts:
            if is_silent:
                # A receiver that hangs costs a round one timeout, however much waits for it.
                self._outbox.put_off(item, _PAUSES.first_s)
                return True
            is_silent = not self._attempt(item)
        try:
            with self._filing:
                self._file(item)
        except StorageError as error:
            log.warning("The file of callback %s cannot be changed: %s", _label(item), error)
            self._outbox.put_off(item, _PAUSES.pause_s(item.attempts))
        return is_silent

    def _attempt(self, item: Item) -> bool:
        """Try once; False if the receiver did not answer at all."""
        item.attempts += 1
        try:
            status = self._post(item)
        except TranscriberError as error:
            item.error = str(error)
        else:
            item.error = f"The receiver answered {status}."
            item.over = 200 <= status < 300 or status == _GONE
            if item.over:
                unwanted = ", and wants no more of it" if status == _GONE else ""
                log.info("Callback %s: the receiver answered %d%s", _label(item), status, unwanted)
            return True
        finally:
            # Also after an unexpected error: or such an item would be the first in line for ever.
            self._outbox.put_off(item, _PAUSES.pause_s(item.attempts))
        return False

    def _file(self, item: Item) -> None:
        """Update the file after an attempt. Raises StorageError."""
        if item.over:
            self._outbox.remove(item)
            self._on_end("delivered")
            return
        self._outbox.save(item)
        if item.attempts < self._config.max_attempts:
            again_s = max(0.0, item.due_s - self._clock.monotonic())
            log.warning(
                "Callback %s failed, next try in %.0f s: %s", _label(item), again_s, item.error
            )
            return
        failed = self._outbox.give_up(item)
        self._on_end("given_up")
        log.error(
            "Callback %s is given up after %d attempts and kept in %s: %s",
            _label(item), item.attempts, failed, item.error,
        )  # fmt: skip

    def _post(self, item: Item) -> int:
        """Post an item; returns the status of the answer. Raises TranscriberError."""
        receiver = taken_apart(item.target)
        body = item.body()
        headers = self._headers(item, receiver, body)
        timeout_s, private = self._config.timeout_seconds, self._config.allow_private
        return post(item.target, receiver, body, headers, timeout_s, private, self._clock)

    def _headers(self, item: Item, receiver: Receiver, body: bytes) -> dict[str, str]:
        """The headers of one attempt: the id stays, the time and with it the signature do not."""
        timestamp = str(int(self._clock.utc_now().timestamp()))
        headers = {
            "Host": receiver.authority,
            "Content-Type": "application/json",
            "User-Agent": f"audio-transcriber/{__version__}",
            "Connection": "close",
            "webhook-id": item.id,
            "webhook-timestamp": timestamp,
        }
        if self._config.secret:
            signed = f"{item.id}.{timestamp}.".encode() + body
            headers["webhook-signature"] = signature(self._config.secret, signed)
        return headers


def _label(item: Item) -> str:
    """An item as the log names it."""
    return f"{item.id} to {shown(item.target)}"


def _endpoint(item: Item) -> tuple[str, int]:
    """The machine and port that an item is for, as far as its address can be read."""
    try:
        receiver = taken_apart(item.target)
    except TranscriberError:
        return item.target, 0
    return receiver.host, receiver.port
