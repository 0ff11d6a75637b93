"""How many keys and passwords one address may try."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import TypeVar

from modules.clock import Clock
from modules.logger import get_logger

log = get_logger("Api")

Kept = TypeVar("Kept")

#: So many wrong keys in so many seconds, unless ``api.rate_limit`` allows less.
MOST, SPAN_S = 10, 60.0
#: So long an address from which the right key came is not locked by others behind it.
TRUSTED_S = 600.0
#: Addresses that are remembered; the oldest is forgotten for a new one.
_ADDRESSES = 10_000
_LOG_S = 60.0
_SPANS_S = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}


class WrongKeys:
    """Counts wrong keys by the client's address, an IPv6 one by its /64. For one thread.

    Behind a proxy all clients have one address. One of them who guesses must not lock out the
    others: where the right key came from lately, keys are still looked at, and only wrong ones are
    refused. The price is that such a client may go on to guess; only the proxy can tell it apart.
    ``on_wrong`` is called for each wrong key.
    """

    def __init__(
        self, rate_limit: str | None, clock: Clock, on_wrong: Callable[[], None] = lambda: None
    ) -> None:
        self._most, self._span_s = _allowed(rate_limit)
        self._clock = clock
        self._on_wrong = on_wrong
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()
        self._right: OrderedDict[str, float] = OrderedDict()
        self._count, self._last_from, self._logged_s = 0, "", -math.inf

    def wait_s(self, client: str) -> int:
        """Whole seconds until this address may try again; 0 if it may now."""
        tries = self._tries.get(_group(client))
        if tries is None or len(tries) < self._most:
            return 0
        return max(0, math.ceil(tries[0] + self._span_s - self._clock.monotonic()))

    def is_trusted(self, client: str) -> bool:
        """Whether the right key came from this address lately."""
        since = self._right.get(_group(client))
        return since is not None and self._clock.monotonic() - since < TRUSTED_S

    def note_right(self, client: str) -> None:
        _put(self._right, _group(client), self._clock.monotonic())

    def note_wrong(self, client: str) -> None:
        """One more, which was refused; those that came too early do not make it later."""
        if not self.wait_s(client):
            group = _group(client)
            tries = self._tries.get(group) or deque(maxlen=self._most)
            tries.append(self._clock.monotonic())
            _put(self._tries, group, tries)
        self._count += 1
        self._last_from = client
        self._on_wrong()
        self.report()

    def report(self) -> None:
        """Log how many there were, once a minute while there are any."""
        now = self._clock.monotonic()
        if not self._count or now - self._logged_s < _LOG_S:
            return
        count, client = self._count, self._last_from
        log.warning("Wrong keys or passwords: %d, the last one from %s", count, client)
        self._count, self._logged_s = 0, now


def _allowed(rate_limit: str | None) -> tuple[int, float]:
    """How many wrong keys in how many seconds: the configured rate where it is the lower one."""
    if rate_limit is not None:
        count, _, span = rate_limit.partition("/")
        if int(count) / _SPANS_S[span] < MOST / SPAN_S:
            return int(count), _SPANS_S[span]
    return MOST, SPAN_S


def _group(client: str) -> str:
    """One customer of a provider has 2**64 addresses of IPv6."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, 64), strict=False))


def _put(known: OrderedDict[str, Kept], group: str, value: Kept) -> None:
    known[group] = value
    known.move_to_end(group)
    if len(known) > _ADDRESSES:
        known.popitem(last=False)
