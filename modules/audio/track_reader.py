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

#: After so many parts that are no sound, one behind the other, nothing more is looked for.
_SILENT_LINKS_MAX = 1000


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
        self._is_first = True

    @property
    def samples(self) -> int:
        return self._decoding.samples if self._decoding else 0

    @property
    def damage(self) -> str | None:
        """What is missing, in plain words; None if nothing is known to be."""
        if self._decoding is None:
            return None
        sound_s = self._sound_s if self._is_first else None
        return self._decoding.damage(sound_s, self._facts.cut_off)

    def sound(self, lines: int) -> Iterator[Samples]:
        """See ``Decoding.sound``; of ``lines`` lines, whatever the file has further on."""
        base: int | None = 0
        while base is not None:
            end = self._end_of(base)
            with opened(self._source, base, end) as container:
                stream = sound_track(container, self._source, self._number)
                self._decoding = Decoding(
                    self._source, container, stream, self._limits, self._facts.duration_s, lines,
                    earlier=self._decoding,
                )  # fmt: skip
                try:
                    yield from self._decoding.sound()
                except MediaError as error:
                    if self._is_first or error.code != "no_sound_decoded":
                        raise
                    self._decoding.broken_off = True  # the parts before it are heard
            base = self._next(base, end)

    def _end_of(self, base: int) -> int | None:
        """Where the part of a chained file ends that begins there; None at the end of the file.

        Each part is read by itself: at a codec that differs from the one before, FFmpeg leaves out
        what follows, up to a part of the same codec, and says nothing.
        """
        return next_link(self._source, base) if is_chained(self._source) else None

    def _next(self, base: int, end: int | None) -> int | None:
        """Where the next part of a chained file begins that has sound."""
        assert self._decoding is not None
        is_ogg = self._facts.format_name.startswith("ogg")
        if end is None and is_ogg and self._decoding.broken_off and self._is_first:
            end = next_link(self._source, base)
        for _ in range(_SILENT_LINKS_MAX):
            if end is None:
                return None
            if self._is_sound(end):
                self._is_first = False
                return end
            end = next_link(self._source, end)
        return None

    def _is_sound(self, base: int) -> bool:
        try:
            with opened(self._source, base, self._end_of(base)) as container:
                sound_track(container, self._source, self._number)
        except MediaError:
            return False
        return True
