"""Rows 6 and 7: several sound tracks, of which one or more are meant."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from av.stream import Disposition

from tests.recordings.row import EN, QUEUE, RU, STILL_RIGHT, Row
from tests.recordings.sound import Samples, hiss, joined, spoken, zeros
from tests.recordings.writing import Track, written


def _recorded(
    container: str, codec: str, *sounds: Samples, film: str = "mpeg4"
) -> Callable[[], bytes]:
    return lambda: written(container, [Track(each, codec) for each in sounds], film)


def _labelled(
    container: str,
    *tracks: tuple[str, str, str, Disposition],
    codec: str = "aac",
    film: str = "mpeg4",
) -> Callable[[], bytes]:
    """Tracks of (sample, language, title, disposition)."""
    made = (
        Track(spoken(name), codec, language=language, title=title, disposition=marks)
        for name, language, title, marks in tracks
    )
    return lambda: written(container, list(made), film)


_NONE, _DEFAULT = Disposition(0), Disposition.default
_ASIDE = Disposition.comment
_TURNS = joined(spoken("ru"), zeros(8.5)), joined(zeros(7.9), spoken("queue"))

_SEVERAL = partial(Row, kind="several microphones or programs", met="noScribe#242, whishper#142")
_LANGUAGES = partial(Row, kind="tracks in several languages", met="subgen#165")

ROWS = (
    _SEVERAL(
        "obs-silent-first.mkv",
        make=_recorded("matroska", "aac", zeros(7), spoken("ru")),
    ),
    _SEVERAL(
        "obs-both-speak-in-turn.mp4",
        make=_recorded("mp4", "aac", *_TURNS),
        text=f"{RU} {QUEUE}",
        times=(("наши", 8.2, 0.5),),
    ),
    _SEVERAL(
        "camera-second-of-two-speaks.mov",
        make=_recorded("mov", "pcm_s16le", hiss(7.5, 55), spoken("queue")),
        text=QUEUE,
    ),
    _SEVERAL(
        "three-tracks-two-silent.mp4",
        make=_recorded("mp4", "aac", zeros(7), zeros(7), spoken("ru")),
    ),
    _SEVERAL(
        "camera-third-of-four-speaks.mxf",
        make=_recorded(
            "mxf", "pcm_s16le", hiss(7, 60), zeros(7), spoken("ru"), hiss(7, 50, 3),
            film="mpeg2video",
        ),
    ),
    _SEVERAL(
        "asked-for-the-second.mkv",
        make=_recorded("matroska", "libopus", spoken("ru"), spoken("queue")),
        text=QUEUE,
        settings={"audio_tracks": "2"},
        left_out=(("track", "1", "asked"),),
    ),
    _SEVERAL(
        "asked-for-all.mkv",
        make=_recorded("matroska", "libopus", *_TURNS),
        text=f"{RU} {QUEUE}",
        settings={"audio_tracks": "all"},
    ),
    _LANGUAGES(
        "eng-default.mkv",
        make=_labelled(
            "matroska", ("en", "eng", "", _DEFAULT), ("ru", "rus", "", _NONE)
        ),
        left_out=(("track", "1 (en", "language"),),
        warnings=("track_left_out",),
    ),
    _LANGUAGES(
        "rus-second.mp4",
        make=_labelled("mp4", ("en", "eng", "", _DEFAULT), ("queue", "rus", "", _NONE)),
        text=QUEUE,
        left_out=(("track", "1 (en", "language"),),
        warnings=("track_left_out",),
    ),
    _LANGUAGES(
        "eng-wanted.ts",
        make=_labelled(
            "mpegts", ("ru", "rus", "", _NONE), ("en", "eng", "", _NONE),
            codec="mp2", film="mpeg2video",
        ),
        text=EN,
        settings={"language": "en"},
        languages=("en",),
        left_out=(("track", "1 (ru", "language"),),
        warnings=("track_left_out",),
    ),
    _LANGUAGES(
        "commentary-by-mark.mkv",
        make=_labelled(
            "matroska", ("queue", "rus", "", _ASIDE), ("ru", "rus", "", _NONE)
        ),
        left_out=(("track", "1 (ru", "commentary"),),
    ),
    _LANGUAGES(
        "commentary-by-title.mkv",
        make=_labelled(
            "matroska",
            ("queue", "rus", "Комментарии режиссёра", _DEFAULT), ("ru", "rus", "", _NONE),
        ),
        left_out=(("track", "1 (ru", "commentary"),),
    ),
    _LANGUAGES(
        "unlabelled-rivals.mkv",
        make=_labelled("matroska", ("ru", "", "", _NONE), ("en", "", "", _NONE)),
        left_out=(("track", "2", "simultaneous"),),
        warnings=("track_left_out",),
        wrong=STILL_RIGHT,
    ),
)  # fmt: skip
