"""Recordings in other formats, made from the samples with PyAV; and silence."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import av
from av.audio import AudioStream

SAMPLES = Path(__file__).resolve().parent.parent.parent / "samples"
_SIZE = (160, 120)
_FRAMES_PER_S = 5


@dataclass(frozen=True)
class Form:
    """A way to write a recording; with a picture it is a video."""

    extension: str
    codec: str
    rate_hz: int
    picture: bool = False


FORMS = (
    Form("mp3", "libmp3lame", 44_100),
    Form("m4a", "aac", 44_100),
    Form("opus", "libopus", 48_000),
    Form("webm", "libopus", 48_000),
    Form("mkv", "aac", 48_000, picture=True),
    Form("wav", "pcm_mulaw", 8_000),
)


def encode(source: Path, target: Path, form: Form) -> None:
    """``source`` as mono sound of that form, with a black picture where it has one."""
    with av.open(str(source)) as recording, av.open(str(target), "w") as container:
        sound = container.add_stream(form.codec, rate=form.rate_hz, layout="mono")
        assert isinstance(sound, AudioStream)
        if form.picture:
            _add_black(container, seconds=5)
        resampler = av.AudioResampler(format=sound.format, layout="mono", rate=form.rate_hz)
        for frame in [*recording.decode(audio=0), None]:
            for part in resampler.resample(frame):
                container.mux(sound.encode(part))
        container.mux(sound.encode())


def silent_video(target: Path, seconds: float = 5) -> None:
    """A video that has no sound track."""
    with av.open(str(target), "w") as container:
        _add_black(container, seconds)


def silence(target: Path, seconds: float) -> None:
    """A wav in which nothing is heard."""
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(2 * round(seconds * 16_000)))


def _add_black(container: av.container.OutputContainer, seconds: float) -> None:
    picture = container.add_stream("mpeg4", rate=_FRAMES_PER_S)
    picture.width, picture.height = _SIZE
    picture.pix_fmt = "yuv420p"
    frame = av.VideoFrame(*_SIZE, "yuv420p")
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    for index in range(round(seconds * _FRAMES_PER_S)):
        frame.pts = index
        container.mux(picture.encode(frame))
    container.mux(picture.encode())
