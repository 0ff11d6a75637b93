"""Which tracks their labels let choose, and how tracks that are heard together are told."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from modules.audio.mixing import MINUTE
from modules.audio.recording import Hearing, Limits, open_recording
from modules.audio.resampler import SAMPLE_RATE, Samples
from modules.audio.tracks import Choice, Track, Unheard, choose, tag_of
from tests.unit.audio.test_mixing import ANSWER, OTHER, TALK, detect
from tests.unit.audio.test_recording import joined


def tracks(*labels: str) -> list[Track]:
    """``ru``, ``en*`` for the one that players take, ``en-`` for a commentary, ``-`` for none."""
    return [
        Track(
            number,
            language=label.strip("*-") or None,
            is_best="*" in label,
            aside="-" in label and label != "-",
        )
        for number, label in enumerate(labels)
    ]


def chosen(labels: str, wanted: str = "auto", language: str = "ru") -> tuple[list[int], list[str]]:
    """The numbers of the tracks that are heard, from 1 on, and why each other one is not."""
    choice = choose(tracks(*labels.split()), wanted, language)
    listed = [track.number for track in choice.heard]
    assert sorted(listed + [track.number for track, _ in choice.left_out]) == list(
        range(len(labels.split()))
    )
    return [number + 1 for number in listed], [why for _, why in choice.left_out]


@pytest.mark.parametrize(
    ("labels", "language", "heard", "why"),
    [
        ("ru", "en", [1], []),
        ("- -", "ru", [1, 2], []),  # microphones of a camera
        ("ru ru", "ru", [1, 2], []),
        ("ru ru", "en", [1, 2], []),
        ("en* ru", "ru", [2], ["language"]),
        ("en* ru", "auto", [1], ["language"]),
        ("en ru*", "auto", [2], ["language"]),
        ("en ru* en", "mixed", [2], ["language", "language"]),
        ("en* fr", "ru", [1], ["language"]),
        ("en fr", "ru", [1], ["language"]),
        ("ru ru- en", "ru", [1], ["commentary", "language"]),
        ("en en-", "ru", [1], ["commentary"]),
        ("en- en-", "ru", [1, 2], []),  # nothing else is there
        ("en- ru-", "ru", [2], ["language"]),
        ("ru -", "ru", [1], ["language"]),
        ("en -", "ru", [1, 2], []),
        ("- ru-", "ru", [1], ["commentary"]),
    ],
)
def test_auto(labels: str, language: str, heard: list[int], why: list[str]) -> None:
    assert chosen(labels, "auto", language) == (heard, why)


@pytest.mark.parametrize(
    ("wanted", "heard", "why"),
    [
        ("all", [1, 2, 3], []),
        ("1", [1], ["asked", "asked"]),
        ("3", [3], ["asked", "asked"]),
        ("4", [1], ["commentary", "language"]),
        ("99", [1], ["commentary", "language"]),
        ("ru", [3], ["commentary", "language"]),
        ("en", [1], ["commentary", "language"]),
        ("fr", [1], ["commentary", "language"]),
    ],
)
def test_what_is_asked_for(wanted: str, heard: list[int], why: list[str]) -> None:
    """A number or language that the file does not have is as if nothing was asked for."""
    assert chosen("en* en- ru", wanted, "en") == (heard, why)


def test_numbers_are_those_of_all_sound_tracks() -> None:
    """One that cannot be decoded has a number too, or the numbers would not be a player's."""
    readable = [Track(0), Track(2)]
    assert choose(readable, "3", "ru").heard == (readable[1],)
    assert choose(readable, "2", "ru").heard == (readable[0], readable[1])


def test_of_no_tracks_none_is_heard() -> None:
    assert {choose([], wanted, "ru") for wanted in ("auto", "all", "1", "en")} == {Choice(())}


NO_MARK = Disposition(0)


def a_stream(disposition: Disposition = NO_MARK, **labels: str) -> Any:
    context = SimpleNamespace(channels=2, sample_rate=48_000)
    return SimpleNamespace(metadata=labels, codec_context=context, disposition=disposition)


@pytest.mark.parametrize(
    ("labels", "language"),
    [
        ({"language": "rus"}, "ru"),
        ({"LANGUAGE": "eng"}, "en"),
        ({"language": "en-US"}, "en"),
        ({"language": "und"}, None),
        ({"language": ""}, None),
        ({"language": "auto"}, None),
        ({"language": "mul"}, None),
        ({"language": "zxx"}, None),
        ({"language": "\x00\xff"}, None),
        ({}, None),
    ],
)
def test_the_language_of_a_track(labels: dict[str, str], language: str | None) -> None:
    assert Track.of(0, a_stream(**labels), False, None).language == language


@pytest.mark.parametrize(
    "stream",
    [
        a_stream(Disposition.comment),
        a_stream(Disposition.visual_impaired),
        a_stream(Disposition.hearing_impaired | Disposition.default),
        a_stream(title="Director's Commentary"),
        a_stream(TITLE="Комментарии режиссёра"),
        a_stream(title="Audio description"),
        a_stream(name="Тифлокомментарий"),
    ],
)
def test_what_speaks_about_the_film_is_aside(stream: Any) -> None:
    assert Track.of(0, stream, False, None).aside


def test_a_plain_track_is_not_aside() -> None:
    assert not Track.of(0, a_stream(Disposition.default, title="Stereo"), True, None).aside


def test_the_label_for_people() -> None:
    assert Track(0).label == "1"
    assert Track(1, "en", "Commentary").label == "2 (en, Commentary)"
    assert Track(2, None, "Gäste").label == "3 (Gäste)"


def test_a_tag_with_bytes_that_are_no_letters_is_no_tag() -> None:
    class Stream:
        @property
        def codec_tag(self) -> str:
            raise UnicodeDecodeError("ascii", b"\xff", 0, 1, "ordinal not in range")

    assert tag_of(Stream()) == ""  # type: ignore[arg-type]
    assert tag_of(SimpleNamespace(codec_tag="mp4a")) == "mp4a"  # type: ignore[arg-type]


# In a recording


def written(path: Path, *sounds: Samples) -> Path:
    with av.open(str(path), "w", format="matroska") as output:
        streams: list[Any] = [
            output.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono") for _ in sounds
        ]
        longest = max(map(len, sounds))
        for start in range(0, longest, SAMPLE_RATE):
            for stream, sound in zip(streams, sounds, strict=True):
                part = sound[None, start : start + SAMPLE_RATE]
                if not part.size:
                    continue
                frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
                frame.sample_rate, frame.pts = SAMPLE_RATE, start
                frame.time_base = Fraction(1, SAMPLE_RATE)
                output.mux(stream.encode(frame))
    return path


def heard(path: Path, wanted: str = "auto") -> tuple[Samples, Sequence[Unheard]]:
    with open_recording(path, Limits(), Hearing(detect, wanted)) as recording:
        samples = joined(recording)
        assert np.array_equal(joined(recording, 61.5), samples[round(61.5 * SAMPLE_RATE) :])
        assert recording.partial is None
        assert recording.decoded_s == len(samples) / SAMPLE_RATE
        return samples, recording.left_out


def test_tracks_that_speak_at_once_are_told(tmp_path: Path) -> None:
    """A film in two languages whose tracks have no labels."""
    path = written(tmp_path / "film.mkv", TALK, OTHER)
    samples, left_out = heard(path)
    assert np.abs(samples - TALK).max() < 1e-3
    assert left_out == (Unheard("track", "2", 2, "simultaneous", 60.0),)
    samples, left_out = heard(path, "2")
    assert np.abs(samples - OTHER).max() < 1e-3
    assert left_out == (Unheard("track", "1", 2, "asked"),)


def test_tracks_of_different_length_are_heard_to_the_end_of_the_longer(tmp_path: Path) -> None:
    long = np.concatenate([ANSWER, TALK[: 30 * SAMPLE_RATE]])
    samples, left_out = heard(written(tmp_path / "two.mkv", TALK, long))
    assert len(samples) == MINUTE + 30 * SAMPLE_RATE
    assert left_out == ()
    assert np.abs(samples[1_000:MINUTE] - (TALK + ANSWER)[1_000:] / 2).max() < 1e-3
