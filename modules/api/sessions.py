"""Browsers that were let in with a key: a signed cookie, of which nothing is kept here."""

from __future__ import annotations

import hashlib
import hmac
import time

from werkzeug.http import parse_cookie

from modules.config.schema import ApiConfig

COOKIE = "transcriber_session"
#: Thirty days.
LASTS_S = 30 * 86_400


class Sessions:
    """Makes and checks the values of the cookie.

    They are signed with what is asked for at the door: where that changes, all of them end.
    """

    def __init__(self, config: ApiConfig) -> None:
        secrets = (config.key, config.user, config.password)
        self._key = None
        if any(secrets):
            joined = "\0".join(secret or "" for secret in secrets).encode()
            self._key = hashlib.sha256(b"session\0" + joined).digest()

    def begin(self) -> str | None:
        """A value that lets a browser in for LASTS_S seconds; None where everybody may come in."""
        return self._signed(int(time.time()) + LASTS_S) if self._key else None

    def admits(self, cookies: str) -> bool:
        """Whether a ``Cookie`` header holds such a value, and it has not expired."""
        given = parse_cookie(cookies).get(COOKIE, "")
        until = given.partition(".")[0]
        if self._key is None or not (until.isascii() and until.isdigit() and len(until) < 16):
            return False
        right = self._signed(int(until)).encode()
        is_ours = hmac.compare_digest(given.encode(errors="replace"), right)
        return is_ours and time.time() < int(until)

    def _signed(self, until: int) -> str:
        assert self._key is not None
        return f"{until}.{hmac.new(self._key, str(until).encode(), hashlib.sha256).hexdigest()}"
