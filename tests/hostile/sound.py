"""The good recordings that the hostile ones are made from: the same bytes in every run."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from tests.hostile.structure import boxes, find

Samples = NDArray[np.float32]

RATE = 16_000
#: No date, no random number, no version of the encoder in the file.
BITEXACT = {"fflags": "+bitexact"}
_SPEECH = Path(__file__).parents[2] / "samples" / "please-hold-ru.wav"
#: "В данный момент все операторы заняты."
_SPEECH_S = 2.7


@dataclass(frozen=True)
class Form:
    """A way to write sound: container, codec, rate, and a film beside it."""

    container: str
    codec: str
    rate: int
    film: bool = False
    bits_per_s: int = 0


FORMS = {
    "wav": Form("wav", "pcm_s16le", 16_000),
    "mp3": Form("mp3", "libmp3lame", 44_100),
    "flac": Form("flac", "flac", 16_000),
    "ogg": Form("ogg", "libopus", 48_000),
    "m4a": Form("ipod", "aac", 44_100),
    "mp4": Form("mp4", "aac", 44_100, True),
    "mkv": Form("matroska", "libopus", 48_000, True),
    "webm": Form("webm", "libopus", 48_000),
    "ts": Form("mpegts", "aac", 44_100, True),
    "aac": Form("adts", "aac", 44_100),
    "amr": Form("amr", "libopencore_amrnb", 8_000),
    "avi": Form("avi", "libmp3lame", 44_100, True),
    "wma": Form("asf", "wmav2", 44_100, bits_per_s=64_000),
    "aiff": Form("aiff", "pcm_s16be", 16_000),
    "caf": Form("caf", "pcm_s16be", 16_000),
    "au": Form("au", "pcm_s16be", 16_000),
    "w64": Form("w64", "pcm_s16le", 16_000),
    "ac3": Form("ac3", "ac3", 48_000),
    "flv": Form("flv", "aac", 44_100, True),
    "mpg": Form("mpeg", "mp2", 44_100),
    "3gp": Form("3gp", "libopencore_amrnb", 8_000),
    "mov": Form("mov", "aac", 44_100, True),
}


def tone(seconds: float, hertz: float = 440.0) -> Samples:
    """Sound without speech in it: it costs the model nothing."""
    time = np.arange(round(seconds * RATE)) / RATE
    wave_: Samples = (0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)
    return wave_


def _speech() -> Samples:
    with wave.open(str(_SPEECH)) as file:
        assert file.getframerate() == RATE
        pcm = file.readframes(round(_SPEECH_S * RATE))
    spoken: Samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
    return spoken


@cache
def beep(form: str, seconds: float = 1.5) -> bytes:
    """A tone and nothing else."""
    return written(tone(seconds), FORMS[form])


@cache
def speech(form: str) -> bytes:
    """A short sentence."""
    return written(_speech(), FORMS[form])


@cache
def speech_and_beep(form: str) -> bytes:
    """A short sentence and then a tone of three seconds, in which it can be cut."""
    return written(np.concatenate([_speech(), tone(3.0)]), FORMS[form])


def written(samples: Samples, form: Form) -> bytes:
    """Mono sound of 16 kHz as the bytes of a file."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form.container, options=BITEXACT) as output:
        film: Any = _film_track(output) if form.film else None
        stream: Any = output.add_stream(form.codec, rate=form.rate, layout="mono")
        stream.codec_context.options = {"flags": "+bitexact"}
        if form.bits_per_s:
            stream.bit_rate = form.bits_per_s
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=form.rate)
        for frame in [*_frames(samples), None]:
            for part in resampler.resample(frame):
                output.mux(stream.encode(part))
        output.mux(stream.encode(None))
        if film:
            _add_film(output, film, len(samples) / RATE)
    return index_in_front(buffer.getvalue()) if form.container == "mp4" else buffer.getvalue()


def index_in_front(data: bytes) -> bytes:
    """An MP4 file with its ``moov`` before the sound, as for the web."""
    head, index = find("mp4", data, "ftyp"), find("mp4", data, "moov")
    moov = bytearray(data[index.start : index.end])
    for table in (part for part in boxes(bytes(moov)) if part.label == "stco"):
        count = int.from_bytes(moov[table.start + 12 : table.start + 16], "big")
        for at in range(table.start + 16, table.start + 16 + 4 * count, 4):
            offset = int.from_bytes(moov[at : at + 4], "big") + len(moov)
            moov[at : at + 4] = offset.to_bytes(4, "big")
    return data[: head.end] + bytes(moov) + data[head.end : index.start] + data[index.end :]


def mute_film(container: str = "mp4") -> bytes:
    """Pictures without any sound."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options=BITEXACT) as output:
        _add_film(output, _film_track(output), 1.0)
    return buffer.getvalue()


def _frames(samples: Samples) -> list[av.AudioFrame]:
    frames = []
    for start in range(0, len(samples), 4096):
        part = np.ascontiguousarray(samples[None, start : start + 4096])
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), start
        frames.append(frame)
    return frames


def _film_track(output: Any) -> Any:
    stream = output.add_stream("mpeg4" if output.format.name != "flv" else "flv1", rate=5)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    stream.codec_context.options = {"flags": "+bitexact"}
    return stream


def _add_film(output: Any, stream: Any, seconds: float) -> None:
    for number in range(round(5 * seconds)):
        frame = av.VideoFrame.from_ndarray(np.full((72, 64), number, np.uint8), format="yuv420p")
        frame.pts = number
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
