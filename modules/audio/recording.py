"""The only door through which recordings are opened, used in the child process alone; sound that
is still arriving has `streamed.py`.

``open_recording`` looks a file over and refuses what is none; ``Recording.blocks`` decodes it as
a stream, so memory stays flat at any length. PyAV does the work, with no path, no protocol, a
closed list of containers and no video decoder.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from modules.audio.decoder import Facts, Limits, lines_of
from modules.audio.errors import empty_file, not_readable
from modules.audio.legs import apart, why_not_apart
from modules.audio.mixing import MINUTE, Detector, Stereo, Tracks, minutes
from modules.audio.pieces import loud, regroup
from modules.audio.probe import probe
from modules.audio.resampler import SAMPLE_RATE, Samples
from modules.audio.source import Source
from modules.audio.track_reader import TrackReader
from modules.audio.tracks import Choice, Unheard, choose
from modules.errors import TranscriberError

__all__ = ["SAMPLE_RATE", "Hearing", "Limits", "Recording", "Samples", "open_recording"]


@dataclass(frozen=True)
class Hearing:
    """What of a recording is meant. ``detect``: finds speech, to tell which channels and tracks
    have any; without it all are mixed alike. ``tracks`` and ``language``: the settings
    ``audio_tracks`` and ``language``; ``as_they_are``: mix the channels of stereo whatever is in
    them.
    """

    detect: Detector | None = None
    tracks: str = "auto"
    language: str = "auto"
    as_they_are: bool = False


class Recording:
    """An opened recording and what its container says about it. Use as a context manager.

    ``duration_s`` is None where the container does not say, or says what cannot be.
    """

    def __init__(self, source: Source, limits: Limits, facts: Facts, hearing: Hearing) -> None:
        self.duration_s = facts.duration_s
        self.format_name = facts.format_name
        self.codec = facts.codec
        self.sample_rate = facts.sample_rate
        self.channels = facts.channels
        self.has_video = facts.has_video
        self._facts = facts
        self._source = source
        self._limits = limits
        self._detect = hearing.detect
        self._as_they_are = hearing.as_they_are
        self.choice: Choice = choose(facts.tracks, hearing.tracks, hearing.language)
        self._readers: list[TrackReader] = []
        self._stereo: list[Stereo] = []
        self._mixer: Tracks | None = None

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._source.close()

    @property
    def read_fraction(self) -> float:
        """Share of the file's bytes that the present pass has read, 0 to 1."""
        return self._source.fraction if self._readers else 0.0

    @property
    def decoded_s(self) -> float:
        """Seconds of sound that the present pass has decoded, skipped ones included."""
        return max((reader.samples for reader in self._readers), default=0) / SAMPLE_RATE

    @property
    def partial(self) -> str | None:
        """What the present pass found missing or damaged, in plain words; None if nothing."""
        return next((reader.damage for reader in self._readers if reader.damage), None)

    @property
    def left_out(self) -> tuple[Unheard, ...]:
        """The tracks and channels that the present pass did not hear, and why."""
        count = len(self._facts.tracks)
        found = [Unheard("track", track.label, count, why) for track, why in self.choice.left_out]
        if self._mixer and (unheard_s := round(self._mixer.left_out_s, 3)):
            others = self.choice.heard[1:]
            found += [Unheard("track", t.label, count, "simultaneous", unheard_s) for t in others]
        for stereo in self._stereo:
            for label, silenced_s in zip(("left", "right"), stereo.silenced_s, strict=True):
                if silenced_s:
                    found.append(Unheard("channel", label, 2, "no_speech", round(silenced_s, 3)))
        return tuple(found)

    def blocks(self, start_s: float = 0.0, block_s: float = 1.0) -> Iterator[Samples]:
        """The sound from ``start_s`` on: float32, mono, 16 kHz, within -1..1, shape ``(n,)``.

        Every block but the last holds ``block_s`` seconds. The samples are the same whatever
        ``start_s`` is, so it always decodes from the beginning. One pass at a time.
        Raises MediaError and StorageError, and nothing that comes from a library.
        """
        with library_errors(self._source):
            yield from loud(self._mono(), start_s, block_s)

    def why_one_leg(self, progress: Callable[[], None] = lambda: None) -> str | None:
        """Why ``legs`` is not for this recording; None if its two channels are two speakers.

        Reads as much of it as that takes. Raises what ``blocks`` raises.
        """
        heard = self.choice.heard
        if len(heard) > 1:
            return f"{len(heard)} sound tracks are heard"
        count = heard[0].channels if heard else self.channels
        if lines_of(count) != 2:
            return f"the recording has {count} channel{'s' * (count != 1)}"
        with library_errors(self._source):
            return why_not_apart(minutes(_noted(self._lines(), progress)), self._detect)

    def legs(
        self, starts: tuple[float, float], progress: Callable[[], None] = lambda: None
    ) -> list[Iterator[Samples]]:
        """As ``blocks``, but each channel for itself, from its own place on, in one pass."""
        channels = apart(_noted(self._lines(), progress))
        return [self._leg(line, start) for line, start in zip(channels, starts, strict=True)]

    def _leg(self, line: Iterator[Samples], start_s: float) -> Iterator[Samples]:
        with library_errors(self._source):
            yield from loud(line, start_s, 1.0)

    def _lines(self) -> Iterator[Samples]:
        """Both channels of the only track that is heard, shape ``(2, n)``."""
        only = next(iter(self.choice.heard), None)
        self._stereo, self._mixer = [], None
        self._readers = [TrackReader(self._source, self._limits, self._facts, only)]
        return self._readers[0].sound(2)

    def _mono(self) -> Iterator[Samples]:
        """All that is heard as one line, shape ``(n,)``."""
        heard = self.choice.heard
        self._stereo = []
        if len(heard) < 2:
            only = heard[0] if heard else None
            channels = only.channels if only else self.channels
            self._readers = [TrackReader(self._source, self._limits, self._facts, only)]
            yield from self._track(self._readers[0], channels)
            return
        with contextlib.ExitStack() as opened:
            twins = (opened.enter_context(self._source.twin()) for _ in heard[1:])
            self._readers = [
                TrackReader(source, self._limits, self._facts, track)
                for source, track in zip((self._source, *twins), heard, strict=True)
            ]
            tracks = [
                regroup(self._track(reader, track.channels), MINUTE)
                for reader, track in zip(self._readers, heard, strict=True)
            ]
            self._mixer = Tracks(self._detect) if self._detect else None
            yield from _together(tracks, self._mixer)

    def _track(self, reader: TrackReader, channels: int) -> Iterator[Samples]:
        """A track as one line; of stereo the channels that speak."""
        lines = lines_of(channels)
        sound = reader.sound(lines)
        if lines == 1:
            yield from (piece[0] for piece in sound)
        elif self._detect is None or self._as_they_are:
            yield from (piece.mean(axis=0) for piece in sound)
        else:
            stereo = Stereo(self._detect)
            self._stereo.append(stereo)
            yield from map(stereo.mixed, minutes(sound))


def open_recording(
    recording: Path | int, limits: Limits, hearing: Hearing = Hearing()
) -> Recording:
    """Look a file over and decode its first packets. The caller closes what it gets.

    ``recording``: a path, or a descriptor of a regular file, which stays the caller's.
    Raises MediaError if it is no recording or over a limit, StorageError if it cannot be read.
    """
    source = Source(recording)
    try:
        if not source.size:
            raise empty_file()
        with library_errors(source):
            return Recording(source, limits, probe(source, limits), hearing)
    except BaseException:
        source.close()
        raise


@contextlib.contextmanager
def library_errors(source: Source) -> Iterator[None]:
    """The boundary: whatever a library raises about a file becomes an error of ours.

    Memory that runs out is not the file's error, and passes.
    """
    try:
        yield
    except (TranscriberError, MemoryError):
        raise
    except Exception as error:
        source.raise_failure()
        raise not_readable(source, f"{type(error).__name__}: {error}") from error


def _together(tracks: list[Iterator[Samples]], mixer: Tracks | None) -> Iterator[Samples]:
    """Tracks side by side, minute by minute, the shorter ones filled up with silence."""
    while True:
        parts = [next(track, _NOTHING) for track in tracks]
        longest = max(map(len, parts))
        if not longest:
            return
        lines = [np.pad(part, (0, longest - len(part))) for part in parts]
        yield mixer.mixed(lines) if mixer else np.mean(lines, axis=0)


_NOTHING: Samples = np.zeros(0, dtype=np.float32)


def _noted(pieces: Iterable[Samples], progress: Callable[[], None]) -> Iterator[Samples]:
    for piece in pieces:
        progress()
        yield piece
