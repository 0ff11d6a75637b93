"""Which pages of other sites may use the API, and what browsers are answered about it (CORS)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from modules.config.schema import ApiConfig
from modules.config.types import EVERY_ORIGIN

Headers = tuple[tuple[str, str], ...]

_METHODS = "GET, HEAD, POST, PATCH, DELETE"
#: What pages may read besides what they always may.
_READABLE = (
    "Location, Retry-After, Content-Disposition, Tus-Resumable, Upload-Offset, Upload-Length, "
    "Upload-Expires, Upload-Metadata"
)
_NAMES = re.compile(r"[\w-]+(\s*,\s*[\w-]+)*", re.ASCII)
_NAMES_CHARS = 1000
#: How long a browser need not ask again, in seconds.
_KNOWN_S = 600


class Cors:
    """The sites of ``api.cors_origins``. Nothing here depends on the key, which is checked too."""

    def __init__(self, config: ApiConfig) -> None:
        self._every = EVERY_ORIGIN in config.cors_origins
        self._origins = frozenset(config.cors_origins) - {EVERY_ORIGIN}

    def trusts(self, origin: str) -> bool:
        """Whether the site is named; only then may its pages do what needs no key."""
        return origin.lower() in self._origins

    def knows(self, origin: str | None) -> bool:
        """Whether pages of the site may read answers."""
        return origin is not None and (self._every or self.trusts(origin))

    def is_preflight(self, method: str, headers: Mapping[str, str]) -> bool:
        """Whether a browser asks, for such a page, what it may send; names in lower case."""
        asks = method == "OPTIONS" and "access-control-request-method" in headers
        return asks and self.knows(headers.get("origin"))

    def headers(self, origin: str | None) -> Headers:
        """For every answer, to errors too."""
        if not self._every and not self._origins:
            return ()
        vary = ("Vary", "Origin")
        if origin is None or not self.knows(origin):
            return (vary,)
        return (
            vary,
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Expose-Headers", _READABLE),
        )

    def preflight(self, headers: Mapping[str, str]) -> Headers:
        """What such a page may send, besides ``headers``."""
        wanted = headers.get("access-control-request-headers", "").strip()
        named = len(wanted) <= _NAMES_CHARS and _NAMES.fullmatch(wanted)
        network = headers.get("access-control-request-private-network") == "true"
        return (
            ("Access-Control-Allow-Methods", _METHODS),
            *((("Access-Control-Allow-Headers", wanted),) if named else ()),
            # Without it, Chrome lets no page of the internet reach a private address.
            *((("Access-Control-Allow-Private-Network", "true"),) if network else ()),
            ("Access-Control-Max-Age", str(_KNOWN_S)),
        )
