"""Row 9: speech that is hardly there, and noise that must not become speech."""

from __future__ import annotations

from functools import partial

from tests.recordings.row import QUEUE, RU, STILL_RIGHT, Row
from tests.recordings.sound import Samples, hiss, hum, joined, quieter, spoken, zeros
from tests.recordings.waves import FLOAT, floats, pcm, wav
from tests.recordings.writing import Track, written


def _far(name: str, decibels: float) -> Samples:
    return quieter(spoken(name), decibels)


def _loud_then_quiet() -> Samples:
    """Somebody at the microphone, and a minute later somebody at the other end of the room."""
    return joined(spoken("ru"), zeros(60.055), _far("queue", 45), zeros(30))


_QUIET = partial(Row, kind="quiet speech", met="arkiv#376, meetily#712, VoiceInk#639")
_NOTHING = partial(
    Row, kind="noise and no speech", met="tried by hand", text="", languages=(),
    absent=("partial: ",), notes=("no speech was found",),
)  # fmt: skip

ROWS = (
    _QUIET("quiet-50-dB.wav", make=lambda: wav(pcm(_far("ru", 50)))),
    _QUIET("quiet-55-dB.aiff", make=lambda: written(
        "aiff", [Track(_far("queue", 55), "pcm_s24be", 16_000)],
    ), text=QUEUE),
    _QUIET("quiet-60-dB.flac", make=lambda: written(
        "flac", [Track(_far("ru", 60), "flac", 16_000, options={"sample_fmt": "s32"})],
    ), wrong=STILL_RIGHT),
    _QUIET("float-54-dB.wav", make=lambda: wav(floats(_far("ru", 54)), 1, 32, FLOAT)),
    _QUIET("quiet-45-dB.mp3", make=lambda: written(
        "mp3", [Track(_far("queue", 45), "libmp3lame", 44_100)],
    ), text=QUEUE),
    _QUIET("quiet-50-dB.opus", make=lambda: written("ogg", [Track(_far("ru", 50), "libopus")])),
    _QUIET("quiet-45-dB-mu-law.wav", make=lambda: written(
        "wav", [Track(_far("ru", 45), "pcm_mulaw", 8_000)],
    ), wrong=STILL_RIGHT),
    _QUIET("quiet-in-hiss.flac", make=lambda: written(
        "flac", [Track(_far("queue", 40) + hiss(7.552, 75), "flac", 16_000)],
    ), text=QUEUE, wrong=STILL_RIGHT),
    _QUIET(
        "far-away-a-minute-later.wav",
        make=lambda: wav(pcm(_loud_then_quiet())),
        text=f"{RU} {QUEUE}",
        times=(("наши", 67.2, 0.4),),
    ),
    _NOTHING("quiet-hiss.wav", make=lambda: wav(pcm(hiss(12, 62)))),
    _NOTHING("quiet-hum.mp3", make=lambda: written(
        "mp3", [Track(quieter(hum(12), 50) + hiss(12, 70), "libmp3lame", 44_100)],
    )),
)  # fmt: skip
