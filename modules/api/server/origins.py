"""Which pages of the web may use the API: those of its own address, and of trusted sites."""

from __future__ import annotations

import functools
import ipaddress
import re
import socket
import threading
from collections.abc import Mapping

from modules.api.server.cors import Cors
from modules.api.server.refusals import Refusal, refusal
from modules.config.schema import ApiConfig
from modules.config.types import HOST_NAME
from modules.messages import noted

_USUAL_PORTS = {"http": 80, "https": 443}

#: ``host[:port]``, as in the Host header.
_AUTHORITY = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]+)(?::([0-9]{0,5}))?")

#: What other containers call this one (compose.yaml, docs/container.md), and this machine.
_CONTAINER_NAMES = (
    "audio-transcriber", "transcriber", "transcriber-gpu",
    "host.docker.internal", "host.containers.internal",
)  # fmt: skip
#: The resolver may be slow or silent; the name that it knows is then known later.
_RESOLVER_S = 1.0


class OriginCheck:
    """What web pages may do in a browser: the API's own everything, those of others nothing,
    unless ``api.cors_origins`` has them.

    A browser sends what a page of any site asks for, a password of HTTP Basic with it, and names
    in ``Origin`` whose page it is. Where a site's name suddenly resolves to our address (DNS
    rebinding), its page counts as ours, may read the answers, and is known by that name alone.
    """

    def __init__(self, config: ApiConfig) -> None:
        self._names = {config.host.lower().removesuffix("."), *config.trusted_hosts}
        self._own_names = own_names()
        self._cors = Cors(config)

    def refuse(self, method: str, headers: Mapping[str, str]) -> Refusal | None:
        """Before the body is there; ``headers`` with names in lower case. Holds for /health too:
        it names recordings, and monitoring sends no Origin.
        """
        return self._foreign(method, headers) or self._unknown(headers)

    def _foreign(self, method: str, headers: Mapping[str, str]) -> Refusal | None:
        origin, host = headers.get("origin"), headers.get("host", "")
        # Pages cannot send these headers unasked (CORS), and are only told yes if they are known.
        scheme = headers.get("authorization", "").lower().partition(" ")[0]
        if (
            origin is None
            or scheme == "bearer"
            or headers.get("x-api-key")
            or _same_place(origin, host)
        ):
            return None
        # A browser may have added a password by itself.
        if self._cors.trusts(origin) and scheme != "basic":
            return None
        if self._cors.is_preflight(method, headers):
            return None
        return refusal(
            403, "cross_site",
            noted(
                "The request comes from a page of another site: Origin is {origin!r}, "
                "Host is {host!r}.",
                origin=origin[:200], host=host[:200],
            ),
            noted(
                "Send a key as X-API-Key or as a Bearer token, or no Origin, or add the site to "
                "api.cors_origins. A proxy has to pass Host on as it came."
            ),
        )  # fmt: skip

    def _unknown(self, headers: Mapping[str, str]) -> Refusal | None:
        host = headers.get("host")
        if not host:  # no browser leaves it out
            return None
        place = _place(host)
        if place is None:
            why = noted("The request is not proper HTTP: Host is {host!r}.", host=host[:200])
            return refusal(400, "bad_request", why, noted("Check the client."))
        name = place[0]
        if name in self._names or name in self._own_names or _address(name) is not None:
            return None
        return refusal(
            403, "unknown_host",
            noted("The name {name!r} in Host is not known here.", name=name),
            noted(
                "Add {name!r} to api.trusted_hosts in config.yaml, or use the IP address.",
                name=name,
            ),
        )  # fmt: skip


def _place(authority: str) -> tuple[str, int | None] | None:
    """Host and port of ``host[:port]``: in lower case, without a final dot and brackets."""
    parts = _AUTHORITY.fullmatch(authority.lower())
    if parts is None:
        return None
    host, port = parts[1], int(parts[2]) if parts[2] else None
    if host.startswith("["):
        address = _address(host[1:-1])
        return (str(address), port) if address and address.version == 6 else None
    name = host.removesuffix(".")
    return (name, port) if HOST_NAME.fullmatch(name) else None


def _same_place(origin: str, host: str) -> bool:
    """Host has no scheme, and TLS may end before us: a port left out is that of Origin's."""
    scheme, _, authority = origin.lower().partition("://")
    page, ours, usual = _place(authority), _place(host), _USUAL_PORTS.get(scheme)
    if page is None or ours is None or usual is None:
        return False
    return (page[0], page[1] or usual) == (ours[0], ours[1] or usual)


@functools.cache
def own_names() -> set[str]:
    """What this machine is called: localhost, its name, that name for mDNS and with its domain.

    The set may still grow, for the domain is asked for, and nobody waits long for the answer.
    """
    host = socket.gethostname().lower()
    names = {"localhost", *_CONTAINER_NAMES, host, host.partition(".")[0]}
    names.add(f"{host.partition('.')[0]}.local")

    def ask() -> None:
        names.add(socket.getfqdn().lower().removesuffix("."))

    asking = threading.Thread(target=ask, name="own-name", daemon=True)
    asking.start()
    asking.join(_RESOLVER_S)
    return names


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
