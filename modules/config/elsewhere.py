"""Where what is made of recordings goes, as far as it leaves this machine. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from modules.config.schema import Config


def texts_go_to(config: Config) -> list[str]:
    """The hosts that finished texts are sent to, besides this machine."""
    return _elsewhere(config.summary.base_url, config.handover.url)


def stays_here(config: Config) -> bool:
    """Whether nothing is sent to another machine: no text, and not even that there is one."""
    return not texts_go_to(config) and not _elsewhere(config.callbacks.url)


def _elsewhere(*urls: str | None) -> list[str]:
    hosts = [urlsplit(url).hostname or "" for url in urls if url and not url.startswith("unix:")]
    return list(dict.fromkeys(host for host in hosts if not _is_here(host)))


def _is_here(host: str) -> bool:
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
