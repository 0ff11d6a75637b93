"""The only door through which media is opened, used in the child process alone.

``open_recording`` looks a file over and refuses what is none; ``Recording.blocks`` decodes it as
a stream, so memory stays flat at any length. PyAV does the work, with no path, no protocol, a
closed list of containers and no video decoder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from modules.audio.decoder import Decoding, Facts, Limits
from modules.audio.errors import empty_file
from modules.audio.probe import opened, probe, sound_track
from modules.audio.resampler import SAMPLE_RATE, Samples
from modules.audio.source import Source

__all__ = ["SAMPLE_RATE", "Limits", "Recording", "Samples", "open_recording"]


class Recording:
    """An opened recording and what its container says about it. Use as a context manager.

    ``duration_s`` is None where the container does not say, or says what cannot be.
    """

    def __init__(self, source: Source, limits: Limits, facts: Facts) -> None:
        self.duration_s = facts.duration_s
        self.format_name = facts.format_name
        self.codec = facts.codec
        self.sample_rate = facts.sample_rate
        self.channels = facts.channels
        self.has_video = facts.has_video
        self._facts = facts
        self._source = source
        self._limits = limits
        self._decoding: Decoding | None = None

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
        return self._source.fraction if self._decoding else 0.0

    @property
    def decoded_s(self) -> float:
        """Seconds of sound that the present pass has decoded, skipped ones included."""
        return self._decoding.samples / SAMPLE_RATE if self._decoding else 0.0

    @property
    def partial(self) -> str | None:
        """What the present pass found missing or damaged, in plain words; None if nothing."""
        return self._decoding.damage(self._facts) if self._decoding else None

    def blocks(self, start_s: float = 0.0, block_s: float = 1.0) -> Iterator[Samples]:
        """The sound from ``start_s`` on: float32, mono, 16 kHz, within -1..1, shape ``(n,)``.

        Every block but the last holds ``block_s`` seconds. The samples are the same whatever
        ``start_s`` is, so it always decodes from the beginning. One pass at a time.
        Raises MediaError and StorageError.
        """
        self._decoding = None
        with opened(self._source) as container:
            stream = sound_track(container, self._source)
            self._decoding = Decoding(
                self._source, container, stream, self._limits, self.duration_s
            )
            pieces = _skip(self._decoding.mono(), round(start_s * SAMPLE_RATE))
            yield from _regroup(pieces, max(1, round(block_s * SAMPLE_RATE)))


def open_recording(path: Path, limits: Limits) -> Recording:
    """Look a file over and decode its first packets. The caller closes what it gets.

    Raises MediaError if it is no recording or over a limit, StorageError if it cannot be read.
    """
    source = Source(path)
    try:
        if not source.size:
            raise empty_file()
        return Recording(source, limits, probe(source, limits))
    except BaseException:
        source.close()
        raise


def _skip(pieces: Iterable[Samples], count: int) -> Iterator[Samples]:
    for piece in pieces:
        if count < len(piece):
            yield piece[count:]
        count = max(0, count - len(piece))


def _regroup(pieces: Iterable[Samples], size: int) -> Iterator[Samples]:
    """The same samples in blocks of ``size``; the last one may be shorter."""
    held: list[Samples] = []
    count = 0
    for piece in pieces:
        held.append(piece)
        count += len(piece)
        if count < size:
            continue
        joined = np.concatenate(held)
        whole = count - count % size
        for start in range(0, whole, size):
            yield joined[start : start + size].copy()
        held, count = [joined[whole:]], count - whole
    if count:
        yield np.concatenate(held)
