"""Server-sent events: what happens to jobs, as it happens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from modules.jobs.events import Event, Events
from modules.recordings.spellings import normalized
from modules.service.waiting import CHECK_S, Disconnected

#: A line now and then keeps proxies from closing a silent connection.
KEEP_ALIVE_S = 15.0


def stream(
    events: Events,
    after: int | None,
    name: str | None,
    content: Callable[[Event], dict[str, Any]],
    over: Disconnected,
) -> Iterator[bytes]:
    """The text of the stream, until the client leaves, falls behind, or the program ends."""
    listener = events.subscribe(after)
    try:
        yield b"retry: 2000\n\n"
        silent_s = 0.0
        while not over() and not listener.lost:
            taken = listener.take(CHECK_S)
            silent_s = 0.0 if taken else silent_s + CHECK_S
            for event in taken:
                if name is None or normalized(event.job.name) == normalized(name):
                    yield _message(event, content(event))
            if silent_s >= KEEP_ALIVE_S:
                silent_s = 0.0
                yield b": still here\n\n"
    finally:
        events.unsubscribe(listener)


def _message(event: Event, content: dict[str, Any]) -> bytes:
    data = json.dumps(content, ensure_ascii=False, allow_nan=False)
    text = f"id: {event.number}\nevent: {event.kind}\ndata: {data}\n\n"
    return text.encode("utf-8", errors="backslashreplace")
