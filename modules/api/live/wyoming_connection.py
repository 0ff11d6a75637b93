"""Wyoming's events on a TCP connection: a line of JSON, then more JSON, then bytes, each of a
length that the line says.

Source: the README of the package ``wyoming``. That package reads lengths without a bound.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from modules.api import forms
from modules.api.live.connection import CLOSING_S, Connection
from modules.api.live.json_text import parsed
from modules.errors import TranscriberError, noted

#: Of one event: its line, the JSON behind it, and the sound behind that.
_LINE_BYTES, _DATA_BYTES, _PAYLOAD_BYTES = 8 * 1024, 64 * 1024, 256 * 1024


class EventClient(Protocol):
    """What the thread calls."""

    def on_event(self, kind: str, data: Mapping[str, Any], payload: bytes) -> None: ...
    def on_nonsense(self, error: TranscriberError) -> None: ...
    def on_room(self) -> None: ...


class WyomingConnection(Connection):
    """One that sends no event for five minutes is given up: the protocol has no ping of its own."""

    silent_s = 300.0
    _client: EventClient

    _held: bytearray

    def run(self, client: EventClient) -> None:
        """Serve until it is closed."""
        self._client, self._held = client, bytearray()
        self.serve(client.on_room)

    def send_event(self, kind: str, data: Mapping[str, Any]) -> None:
        content = json.dumps(dict(data), ensure_ascii=False).encode(errors="replace")
        line = {"type": kind, "version": "1.0.0", "data_length": len(content)}
        self.send(json.dumps(line).encode() + b"\n" + content)

    def send(self, text: bytes) -> None:
        if self._close_by is None:
            self._unsent += text

    def close(self, code: int, reason: str = "") -> None:
        """Wyoming has neither codes nor reasons."""
        if self._close_by is None:
            self._close_by = self._monotonic() + CLOSING_S
            self._shut = True

    @property
    def _is_closed(self) -> bool:
        return False  # it is over when the other side has closed, or took too long

    def _end_of_data(self) -> None:
        pass

    def _receive(self, data: bytes) -> None:
        self._held += data
        try:
            while self._close_by is None and (event := self._next()):
                self._client.on_event(*event)
        except TranscriberError as error:
            self._held.clear()
            self._client.on_nonsense(error)
        if self._close_by is not None:
            self._held.clear()

    def _next(self) -> tuple[str, dict[str, Any], bytes] | None:
        """The next event that is complete. Raises TranscriberError ``invalid_request``."""
        end = self._held.find(b"\n", 0, _LINE_BYTES + 1)
        if end < 0:
            if len(self._held) > _LINE_BYTES or not b"{".startswith(self._held[:1]):
                raise _nonsense()  # also for a browser, which begins with GET or POST
            return None
        head = parsed(bytes(self._held[:end]))
        if head is None or not isinstance(head.get("type"), str):
            raise _nonsense()
        data_bytes = _length(head.get("data_length"), _DATA_BYTES)
        payload_bytes = _length(head.get("payload_length"), _PAYLOAD_BYTES)
        begin, middle = end + 1, end + 1 + data_bytes
        if len(self._held) < middle + payload_bytes:
            return None
        data = head.get("data") if isinstance(head.get("data"), dict) else {}
        more = parsed(bytes(self._held[begin:middle]), _DATA_BYTES) if data_bytes else {}
        if more is None:
            raise _nonsense()
        payload = bytes(self._held[middle : middle + payload_bytes])
        del self._held[: middle + payload_bytes]
        return head["type"], {**(data or {}), **more}, payload


def _length(value: object, most: int) -> int:
    """Raises TranscriberError."""
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise _nonsense()
    return value


def _nonsense() -> TranscriberError:
    return forms.invalid(
        noted(
            "This is no event of the Wyoming protocol, or a larger one than {kib} KiB",
            kib=_PAYLOAD_BYTES // 1024,
        )
    )
