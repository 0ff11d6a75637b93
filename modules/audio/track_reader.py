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
#: Its first byte, and the one behind its last; None at the end of the file.
_Part = tuple[int, int | None]


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
        self._is_chained = is_chained(source)

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
        part: _Part | None = (0, self._end_of(0))
        while part is not None:
            with opened(self._source, *part) as container:
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
            part = self._next(part)

    def _end_of(self, base: int) -> int | None:
        """Where the part of a chained file ends that begins there; None at the end of the file.

        Each part is read by itself: at a codec that differs from the one before, FFmpeg leaves out
        what follows, up to a part of the same codec, and says nothing.
        """
        return next_link(self._source, base) if self._is_chained else None

    def _next(self, part: _Part) -> _Part | None:
        """The next part of a chained file that has sound."""
        assert self._decoding is not None
        base, start = part
        is_ogg = self._facts.format_name.startswith("ogg")
        if start is None and is_ogg and self._decoding.broken_off and self._is_first:
            start = next_link(self._source, base)
        for _ in range(_SILENT_LINKS_MAX):
            if start is None:
                return None
            following = (start, self._end_of(start))
            if self._is_sound(following):
                self._is_first = False
                return following
            start = next_link(self._source, start)
        return None

    def _is_sound(self, part: _Part) -> bool:
        try:
            with opened(self._source, *part) as container:
                sound_track(container, self._source, self._number)
        except MediaError:
            return False
        return True
