"""One sound track from its first sample to its last, through all parts of a chained file."""

from __future__ import annotations

from collections.abc import Iterator

from modules.audio.decoder import Decoding, Facts, Limits
from modules.audio.headers import is_chained, next_link
from modules.audio.probe import opened, sound_track
from modules.audio.resampler import Samples
from modules.audio.source import Source
from modules.audio.tracks import Track
from modules.errors import MediaError

#: A file of more parts that are no sound is not looked at further.
_LINKS_MAX = 1000


class TrackReader:
    """One pass over a track. ``source`` is its own, as tracks are read side by side.

    ``track``: None if there is one that can be decoded, but FFmpeg found it only later.
    ``lines``: as in ``Decoding``.
    """

    def __init__(self, source: Source, limits: Limits, facts: Facts, track: Track | None) -> None:
        self._source = source
        self._limits = limits
        self._facts = facts
        # By its number only where there is a choice: FFmpeg may find more tracks on the way.
        self._number = track.number if track and len(facts.tracks) > 1 else None
        self._sound_s = track.sound_s if track else None
        self._decoding: Decoding | None = None
        self._before = 0  # samples of parts that are done

    @property
    def samples(self) -> int:
        return self._before + (self._decoding.samples if self._decoding else 0)

    @property
    def damage(self) -> str | None:
        """What is missing, in plain words; None if nothing is known to be."""
        if self._decoding is None:
            return None
        return self._decoding.damage(None if self._before else self._sound_s, self._facts.cut_off)

    def sound(self, lines: int) -> Iterator[Samples]:
        """See ``Decoding.sound``; of ``lines`` lines, whatever the file has further on."""
        base: int | None = 0
        while base is not None:
            with opened(self._source, base) as container:
                stream = sound_track(container, self._source, self._number)
                self._decoding = Decoding(
                    self._source, container, stream, self._limits, self._facts.duration_s, lines
                )
                yield from self._decoding.sound()
            base = self._next(base)

    def _next(self, base: int) -> int | None:
        """Where a part of a chained file begins that FFmpeg does not read by itself: it stops at a
        codec that differs from the one before, without a word."""
        decoding = self._decoding
        assert decoding is not None
        if not (decoding.broken_off or is_chained(self._source)):
            return None
        heard, link = base + decoding.heard_until, next_link(self._source, base)
        for _ in range(_LINKS_MAX):
            if link is None:
                return None
            if link > heard and self._is_sound(link):
                self._before += decoding.samples
                return link
            link = next_link(self._source, link)
        return None

    def _is_sound(self, base: int) -> bool:
        try:
            with opened(self._source, base) as container:
                sound_track(container, self._source, self._number)
        except MediaError:
            return False
        return True
