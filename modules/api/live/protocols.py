"""Which protocol is spoken at which path."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qs

from modules.api.live import deepgram
from modules.api.live.client import LiveClient
from modules.api.live.realtime import RealtimeClient
from modules.api.live.session_client import SessionClient, Surroundings
from modules.api.live.vosk import VoskClient
from modules.api.live.web_socket import WebSocket

#: What serves one connection.
NewClient = Callable[[WebSocket, Surroundings], SessionClient]

#: Here is the page, too: only a request that begins a WebSocket is for Vosk's protocol.
VOSK = "/"
LIVE, REALTIME, DEEPGRAM = "/live", "/v1/realtime", "/v1/listen"
#: Browsers cannot send headers: they name a protocol, and some a key behind it.
SUBPROTOCOLS = ("realtime", "token")


def protocol_of(path: str, query: str) -> NewClient | None:
    """None for a path at which nothing is spoken.

    Raises TranscriberError for a query that cannot be served.
    """
    if path == DEEPGRAM:
        asked = deepgram.query_of(parse_qs(query, keep_blank_values=True, max_num_fields=200))
        return partial(deepgram.DeepgramClient, query=asked)
    return {LIVE: LiveClient, REALTIME: RealtimeClient, VOSK: VoskClient}.get(path)
