"""Pieces of sound and peaks, as they come through a pipe."""

from __future__ import annotations

import pytest

from modules.executors.listen_protocol import (
    PIECE_BYTES_MAX,
    Kind,
    MalformedError,
    Pieces,
    packed,
)


@pytest.mark.parametrize("size", [1, 3, 7, 10**6])
def test_pieces_come_whole_however_they_are_cut(size: int) -> None:
    sent = [
        (Kind.SOUND, bytes(1000)),
        (Kind.PROGRESS, b"\x28"),
        (Kind.PEAKS, b""),
        (Kind.DONE, b""),
    ]
    stream = b"".join(packed(*piece) for piece in sent)
    pieces = Pieces()
    came = [
        piece
        for start in range(0, len(stream), size)
        for piece in pieces.add(stream[start : start + size])
    ]
    assert came == sent


@pytest.mark.parametrize(
    "data",
    [b"hello world", b"\0" * 5, packed(Kind.SOUND)[:1] + (PIECE_BYTES_MAX + 1).to_bytes(4, "big")],
)
def test_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        list(Pieces().add(data))
