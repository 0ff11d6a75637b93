"""Where the work is done: by this machine, or by those of a Ray cluster."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, WithJsonSchema

from modules.config.section import Section
from modules.config.types import FilePath, between
from modules.messages import noted

#: More than any cluster for this has.
WORKERS_MAX = 1000

_ADDRESS = re.compile(r"^(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})$")


def _address(value: str) -> str:
    found = _ADDRESS.match(value)
    if not found or not 0 < int(found["port"]) < 65536:
        raise ValueError(noted("must be a host and a port, such as 10.0.0.1:6379"))
    return value


def _mapped(value: dict[str, str]) -> dict[str, str]:
    if not all(path.startswith("/") for pair in value.items() for path in pair):
        raise ValueError(
            noted(
                "must map absolute paths to absolute paths, such as {example}",
                example="{/srv/shared: /mnt/shared}",
            )
        )
    return value


class WorkersConfig(Section):
    """How many recordings are transcribed at the same time, and by whom.

    ``path_map``: paths here, and what they are called on the other machines.
    """

    kind: Literal["local", "ray"] = "local"
    address: Annotated[str, AfterValidator(_address)] | None = None
    max: Annotated[int, between(1, WORKERS_MAX)] = 1
    cpus_per_worker: Annotated[int, between(1, 256)] = 2
    gpus_per_worker: Annotated[float, between(0, 64)] = 0.0
    media: Literal["share", "stream"] = "share"
    path_map: Annotated[
        dict[str, str],
        AfterValidator(_mapped),
        WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}}),
    ] = {}  # noqa: RUF012 # pydantic copies it
    token_file: FilePath | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether the cluster is on this machine alone."""
        host = (self.address or "").rpartition(":")[0].strip("[]")
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"
