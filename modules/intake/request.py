"""A request for a recording's text: as a client states it, and as it is after its one check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modules.config.settings import TranscriptionSettings
from modules.recordings.checkpoint import Begun


@dataclass(frozen=True)
class TranscriptionRequest:
    """What a client asks for, unchecked. ``wishes``: the settings that the request states.

    ``uploaded``: the file came with the request, so nobody else writes to it. ``begun``: what was
    transcribed of it before, while it was recorded.
    """

    name: str
    wishes: Mapping[str, Any] = field(default_factory=dict)
    client: str | None = None
    job_id: str | None = None
    callback_urls: tuple[str, ...] = ()
    force: bool = False
    uploaded: bool = False
    begun: Begun | None = None


@dataclass(frozen=True)
class CheckedRequest:
    """A request that can be carried out. Only ``service.request_checks`` constructs it.

    ``settings``: the configuration's, under those beside the recording, under the request's own.
    """

    request: TranscriptionRequest
    settings: TranscriptionSettings
