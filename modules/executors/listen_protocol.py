"""What the processes that make listening copies, and decode live sound, send: pieces, each with its
kind and its length.

It is never trusted: ``Pieces`` refuses what is unknown or too large.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Literal

from pydantic import Field

from modules.config.message_field import MessageText, WithMessage
from modules.config.settings import Frozen
from modules.errors import CODE_CHARS, MESSAGE_CHARS

_HEAD = struct.Struct(">BI")
#: No piece is longer, in bytes.
PIECE_BYTES_MAX = 2**20
#: Peaks in a second, one byte each, and the bytes of MP3 in one.
PEAKS_PER_S, SOUND_BYTES_PER_S = 20, 4000
HEAD_BYTES = 144


class Kind(IntEnum):
    """SOUND: frames of the MP3, in order; HEAD: its first frame, which comes last. PEAKS: one byte
    each, in order. PROGRESS: a percentage, one byte. FAILED: a ``Failure`` in JSON. DONE: all is
    sent. Of live sound: SAMPLES, as they are written to its file, and READ: how many bytes of the
    container were decoded, of which all samples were sent; eight bytes."""

    SOUND = 1
    HEAD = 2
    PEAKS = 3
    PROGRESS = 4
    FAILED = 5
    DONE = 6
    SAMPLES = 7
    READ = 8


Piece = tuple[Kind, bytes]


class Failure(WithMessage):
    """Why there is no sound. ``fault``: the file's, or that of the disk it lies on."""

    code: str = Field(max_length=CODE_CHARS)
    message: MessageText = Field(max_length=MESSAGE_CHARS)
    fault: Literal["media", "storage", "worker"]


class Wish(Frozen):
    """What is wanted of a recording. ``sound``: the MP3, too, not only the peaks.

    ``tracks`` and ``language``: the settings ``audio_tracks`` and ``language`` of its
    transcription; ``first_alone``: of the tracks that these leave, only the first was heard.
    """

    sound: bool
    tracks: str = "auto"
    language: str = "auto"
    first_alone: bool = False


class MalformedError(Exception):
    """What came can be no piece of ours."""


def packed(kind: Kind, content: bytes = b"") -> bytes:
    """A piece as it is sent; ``content`` is at most ``PIECE_BYTES_MAX`` long."""
    return _HEAD.pack(kind, len(content)) + content


class Pieces:
    """Takes bytes as they come, gives out whole pieces."""

    def __init__(self) -> None:
        self._held = bytearray()

    def add(self, data: bytes) -> Iterator[Piece]:
        """The pieces that are complete with these bytes. Raises MalformedError."""
        self._held += data
        while len(self._held) >= _HEAD.size:
            number, length = _HEAD.unpack_from(self._held)
            if number not in Kind.__members__.values() or length > PIECE_BYTES_MAX:
                raise MalformedError(f"kind {number} with {length} bytes")
            end = _HEAD.size + length
            if len(self._held) < end:
                return
            piece = Kind(number), bytes(self._held[_HEAD.size : end])
            del self._held[:end]
            yield piece
