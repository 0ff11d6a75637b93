"""One HTTP question to an address out of the configuration, bounded in time and size."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable
from contextlib import AbstractContextManager

import urllib3.exceptions

from modules.clock import Clock
from modules.delivery.addresses import Receiver, resolve
from modules.delivery.connections import Interrupter, connected
from modules.delivery.http_post import cut_after, why_no_answer
from modules.errors import TranscriberError, noted

#: Holds for as long as a question is in flight; it gets what breaks it off.
InFlight = Callable[[Callable[[], None]], AbstractContextManager[None]]


def ask(
    receiver: Receiver,
    body: bytes,
    headers: dict[str, str],
    timeout_s: float,
    limit_bytes: int,
    clock: Clock,
    in_flight: InFlight,
) -> tuple[int, bytes]:
    """Post a body; returns the status and the whole answer.

    The address may be private: who calls has it from the operator. Raises TranscriberError
    ``no_reply`` if there is none within ``timeout_s``, or a larger one than ``limit_bytes``.
    """
    deadline = clock.monotonic() + timeout_s
    try:
        with (
            contextlib.closing(Interrupter()) as interrupter,
            in_flight(interrupter.cut),
            cut_after(interrupter, timeout_s),
        ):
            addresses = resolve(receiver.host, receiver.port)
            connection = connected(receiver, addresses, deadline, clock, interrupter)
            with contextlib.closing(connection):
                connection.request(
                    "POST", receiver.target, body, headers,
                    preload_content=False, decode_content=False,
                )  # fmt: skip
                answer = connection.getresponse()
                content = answer.read(limit_bytes + 1)
    except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError) as error:
        is_late = clock.monotonic() >= deadline
        raise _no_answer(error, timeout_s if is_late else None) from error
    if len(content) > limit_bytes:
        raise _no_reply(noted("The answer has more than {most} bytes", most=limit_bytes))
    return answer.status, content


def _no_answer(error: Exception, after_s: float | None) -> TranscriberError:
    """``after_s``: the seconds that it had, if they were not enough."""
    late = None if after_s is None else noted("not within {seconds} s", seconds=f"{after_s:g}")
    why = late or why_no_answer(error)
    return _no_reply(noted("The server does not answer: {why}", why=why))


def _no_reply(why: str) -> TranscriberError:
    return TranscriberError("no_reply", why)
