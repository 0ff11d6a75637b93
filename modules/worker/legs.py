"""The two channels of a telephone call, transcribed apart: their chunks, and who says them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from modules.audio.chunking import AudioChunk, Cutting, SpeechDetector, chunks
from modules.audio.legs import in_turns
from modules.audio.recording import Recording
from modules.executors.protocol import Transcribe
from modules.transcript.model import Segment
from modules.transcript.speakers import spoken_by

#: How speakers were told apart.
METHOD = "channels"


def why_together(
    command: Transcribe, recording: Recording, progress: Callable[[], None]
) -> str | None:
    """Why the channels are not transcribed apart, as asked for; None if they are."""
    # A checkpoint with legs was made from the same bytes: the two were told apart then.
    return None if command.legs else recording.why_one_leg(progress)


def leg_chunks(
    command: Transcribe,
    recording: Recording,
    detect: SpeechDetector,
    cutting: Cutting,
    progress: Callable[[], None],
) -> Iterator[AudioChunk]:
    """The chunks of both channels in turns, each from its own place on."""
    starts = command.legs or (0.0, 0.0)
    streams = [
        chunks(leg, detect, start_s, cutting)
        for leg, start_s in zip(recording.legs(starts, progress), starts, strict=True)
    ]
    return in_turns(streams, starts)


def said_by(leg: int | None, segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """Segments with the speaker of their channel: left is SPEAKER_00, right SPEAKER_01."""
    return segments if leg is None else spoken_by(segments, f"SPEAKER_{leg:02d}")
