"""Which protocol is spoken at which path."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qs

from modules.api import forms
from modules.api.live import deepgram
from modules.api.live.client import LiveClient
from modules.api.live.realtime import RealtimeClient
from modules.api.live.session_client import MessageClient, Surroundings
from modules.api.live.vosk import VoskClient
from modules.api.live.web_socket import WebSocket
from modules.errors import noted

#: Deepgram takes a hundred hotwords, each a field of its own.
_FIELDS_MAX = 200

#: What serves one connection.
NewClient = Callable[[WebSocket, Surroundings], MessageClient]

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
        try:
            given = parse_qs(query, keep_blank_values=True, max_num_fields=_FIELDS_MAX)
        except ValueError:
            raise forms.invalid(noted("the address has too many fields")) from None
        return partial(deepgram.DeepgramClient, query=deepgram.query_of(given))
    return {LIVE: LiveClient, REALTIME: RealtimeClient, VOSK: VoskClient}.get(path)
