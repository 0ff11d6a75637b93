"""Segments in JSON: the json format, ``.result`` and the checkpoint. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from modules.storage.atomic import to_json
from modules.transcript.model import Segment
from modules.transcript.slicing import joined_text

#: Inside a JSON string the quotes would be escaped, so this is found only where it is a key.
_NO_SEGMENTS = b'"segments": []'


def transcript_json(segments: Iterable[Segment]) -> bytes:
    """The text and the segments; lone surrogates become escapes."""
    return b"".join(with_segments({"text": full_text(segments), "segments": []}, segments))


def with_segments(content: Mapping[str, Any], segments: Iterable[Segment]) -> Iterator[bytes]:
    """Yield ``content`` as JSON, with the segments in its one empty ``"segments": []``.

    The words of ten hours need not be in memory together. Raises ValueError for a number that is
    not finite.
    """
    frame = to_json(content)
    before, empty, after = frame.partition(_NO_SEGMENTS)
    assert empty, "the content has no empty list of segments"
    indent = b"\n" + b" " * (len(before) - before.rfind(b"\n") - 1)
    yield before + empty[:-1]
    begun = False
    for number, segment in enumerate(segments):
        piece = b"\n" + to_json({"id": number, **segment_json(segment)}).rstrip()
        yield b"," * begun + piece.replace(b"\n", indent + b"  ")
        begun = True
    yield indent * begun + empty[-1:] + after


def segment_json(segment: Segment) -> dict[str, object]:
    """A segment for our JSON files; unknown values are absent."""
    unknown = set() if segment.flags else {"flags"}
    return segment.model_dump(exclude_none=True, exclude=unknown)


def full_text(segments: Iterable[Segment]) -> str:
    """All segments in one line of text."""
    return joined_text(segment.text for segment in segments)
