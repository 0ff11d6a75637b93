"""Which addresses a webhook may be sent to."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import re
import socket
import unicodedata
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

from modules.errors import TranscriberError, noted

# It warns of odd headers with the whole address, and a query string may hold a token.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)

_URL_CHARS = 2000
#: Characters that stay as they are in a path or query; what is percent-encoded stays so too.
_TARGET_SAFE = "/?%:@!$&'()*+,;=~"
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
#: The part of IPv6 that is routed in the open; ``is_global`` also lets through what is unassigned.
_OPEN_IPV6 = ipaddress.IPv6Network("2000::/3")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Receiver:
    """An address taken apart. ``host`` is lower-case ASCII, without the brackets of IPv6."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """For the Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _own_port(self.scheme) else f"{host}:{self.port}"


def _own_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def shown(url: str) -> str:
    """An address as it may be logged: no query, no fragment, no password."""
    bare = re.split(r"[?#]", url, maxsplit=1)[0]
    bare = re.sub(r"//[^/]*@", "//", bare)
    return bare if len(bare) <= 200 else bare[:200] + "…"


def _refused(url: str, rule: str, remedy: str | None = None) -> TranscriberError:
    return TranscriberError(
        "callback_refused",
        noted("The callback address {url!r} is refused: {rule}.", url=shown(url), rule=rule),
        remedy=remedy or noted("Give an address such as https://example.com/done."),
    )


def refused_private(url: str, what: str) -> TranscriberError:
    return _refused(
        url,
        noted("{what} is not reachable from the open internet", what=what),
        noted("Give a public address, or set callbacks.allow_private: true."),
    )


def taken_apart(url: str) -> Receiver:
    """What an address says. Raises TranscriberError where it breaks a rule of spelling."""
    if len(url) > _URL_CHARS:
        raise _refused(url, noted("it is longer than {url_chars} characters", url_chars=_URL_CHARS))
    if any(c.isspace() or unicodedata.category(c).startswith("C") for c in url):
        raise _refused(url, noted("it holds spaces or control characters"))
    try:
        parts = urlsplit(url)
    except ValueError:  # its words would show a password
        raise _refused(url, noted("it cannot be read")) from None
    if parts.scheme not in ("http", "https"):
        raise _refused(url, noted("it must begin with http:// or https://"))
    if "@" in parts.netloc:
        raise _refused(
            url, noted("it holds a user name or a password"), noted("Sign with callbacks.secret.")
        )
    target = quote(parts.path or "/", safe=_TARGET_SAFE)
    if parts.query:
        target += "?" + quote(parts.query, safe=_TARGET_SAFE)
    return Receiver(parts.scheme, _host(url, parts), _port(url, parts), target)


def _port(url: str, parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise _refused(url, noted("its port must be a number between 1 and 65535"))
    return port or _own_port(parts.scheme)


def _host(url: str, parts: SplitResult) -> str:
    """The host in ASCII: other letters and digits, which may spell an IP too, are mapped first."""
    host = parts.hostname or ""
    if ":" in host:
        with contextlib.suppress(ValueError):
            # A zone (fe80::1%eth0) is a name on this machine, not a place to be called.
            if "%" not in host:
                return str(ipaddress.IPv6Address(host))
        raise _refused(url, noted("its IPv6 address cannot be read"))
    try:
        host = host.encode("idna").decode("ascii").lower()
    except ValueError:
        raise _refused(url, noted("its host is no valid name")) from None
    if not host.strip("."):
        raise _refused(url, noted("it names no host"))
    if not re.fullmatch(r"[a-z0-9._-]+", host):
        raise _refused(url, noted("its host is no valid name"))
    return host


def literal(host: str) -> Address | None:
    """The IP that a host spells, also as ``2130706433``, ``0x7f.1`` or ``0177.0.0.1``."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host)
    # The C library's own reader, as it would also read it when the message is sent.
    with contextlib.suppress(OSError):
        return ipaddress.IPv4Address(socket.inet_aton(host))
    return None


def is_public(address: Address) -> bool:
    """Whether it names the same machine everywhere, also behind IPv4-in-IPv6 disguises."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _NAT64:
        inner = ipaddress.IPv4Address(address.packed[-4:])
    if inner is not None:
        return is_public(inner)
    return address in _OPEN_IPV6 and address.is_global


def resolve(host: str, port: int) -> list[str]:
    """The IP addresses of a host, the best first. Raises OSError. Tests replace it."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
