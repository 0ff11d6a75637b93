"""What ``scripted_worker.py`` and ``scripted_live.py`` hear in chunks, and where they note it."""

from __future__ import annotations

import os
import zlib

from modules.config.settings import TranscriptionSettings
from modules.transcript.model import Chunk, Segment, Word

#: The length of a chunk of a WAV file, or of a session.
SECOND = 1.0
_SYLLABLES = "ба ве ги до жу зе ка ло мы ню па ры со ту фэ ха".split()


def pieces(sound: bytes, rate: int) -> list[bytes]:
    """The seconds of raw 16-bit sound; the last one may be shorter."""
    return [sound[at : at + 2 * rate] for at in range(0, len(sound), 2 * rate)]


def text_of(piece: bytes, index: int) -> str:
    """What is said in a chunk: follows from its bytes and its number."""
    number = zlib.crc32(piece + str(index).encode())
    return "".join(_SYLLABLES[number >> shift & 15] for shift in range(0, 16, 4)).capitalize() + "."


def said_in(piece: bytes, index: int, settings: TranscriptionSettings) -> str:
    """The same, as the settings want it."""
    text = text_of(piece, index)
    if settings.task == "translate":
        text = f"EN {text}"
    prompt = settings.initial_prompt or settings.hotwords
    return f"[{prompt}] {text}" if prompt and index == 0 else text


def chunk_of(text: str, start_s: float, length_s: float) -> Chunk:
    """A finished chunk, without what counts it."""
    end_s = start_s + length_s / 2
    segment = Segment(
        start=start_s,
        end=end_s,
        text=text,
        confidence=0.9,
        words=(Word(word=text, start=start_s, end=end_s, confidence=0.9),),
        avg_logprob=-0.25,
        no_speech_prob=0.01,
    )
    return Chunk(
        task_id=0,
        start_s=start_s,
        position_s=start_s + length_s,
        speech_s=length_s / 2,
        segments=(segment,),
        language="ru",
        detected_language="ru",
        language_probability=0.99,
    )


def noted_chunk(kind: str, index: int) -> None:
    """Note that a chunk is transcribed, if a test wants to know."""
    path = os.environ.get("SCRIPTED_CHUNKS")
    if path:
        with open(path, "a", encoding="ascii") as file:
            file.write(f"{kind} {index}\n")
