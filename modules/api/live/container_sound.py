"""The sound of a client that sends a container: WebM, Ogg, MP4 in fragments, and a few more."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from modules.api import forms
from modules.api.uploads.kinds import HEAD_BYTES, ending_by_content
from modules.errors import TranscriberError, noted
from modules.live.containers import ContainerFeed, Containers
from modules.live.note import Container
from modules.live.session import Session

#: Enough to tell one kind from another.
_HEAD_BYTES_MIN = 64
_KINDS: dict[str, Container] = {kind: kind for kind in get_args(Container)}


class ContainerSound:
    """``begin(kind)`` begins the session, once the first bytes tell the kind."""

    def __init__(self, containers: Containers, begin: Callable[[Container], Session]) -> None:
        self._containers = containers
        self._begin = begin
        self._head = b""
        self._feed: ContainerFeed | None = None

    def add(self, data: bytes) -> None:
        """Raises TranscriberError for what is no such container, or cannot be kept."""
        if self._feed is None:
            data = self._head = self._head + data
            if len(data) < _HEAD_BYTES_MIN:
                return
            kind = kind_of(data)
            self._feed = self._containers.begin(self._begin(kind), kind)
        self._feed.add(data)

    def flush(self) -> None:
        if self._feed:
            self._feed.flush()

    def finish(self) -> bool:
        """The session ends when all is decoded; False if there is none."""
        if self._feed:
            self._feed.finish()
        return self._feed is not None

    @property
    def failure(self) -> TranscriberError | None:
        """Why nothing could be decoded."""
        return self._feed.failure if self._feed else None


def kind_of(head: bytes) -> Container:
    """Raises TranscriberError ``invalid_request`` for what is no container."""
    kind = _KINDS.get(ending_by_content(head[:HEAD_BYTES]) or "")
    if kind is None:
        raise forms.invalid(
            noted(
                "The sound is in no container that is understood live: send WebM, Ogg, MP4 in "
                "fragments, WAV, FLAC or MP3, or state encoding and sample_rate"
            )
        )
    return kind
