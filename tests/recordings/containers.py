"""Rows 1, 13 and 14: containers, codec tags and endings that were refused or passed by."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.recordings.row import QUEUE, STILL_RIGHT, Row
from tests.recordings.sound import spoken, together
from tests.recordings.waves import dss, nist, pcm
from tests.recordings.writing import Track, written


def _one(
    container: str, codec: str, rate: int = 48_000, name: str = "ru", film: str = ""
) -> Callable[[], bytes]:
    return lambda: written(container, [Track(spoken(name), codec, rate)], film)


def _lpcm() -> bytes:
    """As Blu-ray recorders write it: packets of 192 bytes, and a type of sound of their own."""
    track = Track(together(spoken("ru"), spoken("ru")), "pcm_bluray", layout="stereo")
    return written("mpegts", [track], "mpeg2video", options={"mpegts_m2ts_mode": "1"})


def _dss() -> bytes:
    return dss(written("g723_1", [Track(spoken("ru"), "g723_1", 8_000, bits_per_s=6_300)]))


def _nist() -> bytes:
    return nist(pcm(spoken("ru")), len(spoken("ru")))


_TAG = partial(Row, kind="a codec tag with a byte above 0x7F", met="gigastt#188")
_FORM = partial(Row, kind="a kind of recording that is seldom met", met="whishper#103")
_ENDING = partial(Row, kind="an ending that is seldom met", met="mila#69, FileConverter#318")

ROWS = (
    _TAG("aac-in.avi", make=_one("avi", "aac", name="queue", film="mpeg4"), text=QUEUE),
    _TAG("flac-in.avi", make=_one("avi", "flac", 16_000, film="mpeg4")),
    _TAG("g722.wav", make=_one("wav", "g722", 16_000)),
    _TAG("lpcm-in.m2ts", make=_lpcm),
    _TAG("flac-in.wav", make=_one("wav", "flac", 16_000)),
    _TAG("ac3-in.ts", make=_one("mpegts", "ac3", film="mpeg2video", name="queue"), text=QUEUE),
    _TAG("eac3-in.ts", make=_one("mpegts", "eac3")),
    _FORM("dictaphone-lp.dss", make=_dss, wrong=STILL_RIGHT),
    _FORM("nist.sph", make=_nist),
    _FORM("ircam.ircam", make=_one("ircam", "pcm_s16le", 16_000)),
    _FORM("blaster.voc", make=_one("voc", "pcm_s16le", 16_000, name="queue"), text=QUEUE),
    _FORM("native.sox", make=_one("sox", "pcm_s32le", 16_000)),
    _ENDING("recorder.3gpp", make=_one("3gp", "libopencore_amrnb", 8_000), wrong=STILL_RIGHT),
    _ENDING("New Recording 7.qta", make=_one("mov", "alac", 48_000)),
    _ENDING("camera.mxf", make=_one("mxf", "pcm_s16le", film="mpeg2video", name="queue"),
            text=QUEUE),
    _ENDING("song.mp4a", make=_one("ipod", "aac", 44_100)),
    _ENDING("speech.spx.ogx", make=_one("ogg", "libopus")),
    _ENDING("dvr.wtv", make=_one("wtv", "mp2", film="mpeg2video")),
)  # fmt: skip
