"""What every output format promises, checked for each row of the table in ``formats.py``."""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import docx
import pytest

from modules.config.types import FORMATS
from modules.outputs.base import OutputFormat, RenderOptions
from modules.outputs.formats import OUTPUT_FORMATS, render
from modules.transcript.model import Segment
from modules.transcript.transcript import Transcript
from tests.builders import a_chunk, a_segment, a_word

ROWS = list(OUTPUT_FORMATS.values())
each_format = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
PLAIN = RenderOptions()
ALL = RenderOptions(timestamps=True, duration_s=5.0, title="Talk")
TALK = [
    a_segment(0.0, 2.5, "Good morning.", (a_word("Good", 0.0, 1.0), a_word("morning.", 1.0, 2.5))),
    a_segment(3.0, 4.0, "Как дела?"),
]
HEBREW, ARABIC = "שלום עולם", "مرحبا بالعالم"
LONG_WORD = "Donau" * 2000


def text_of(row: OutputFormat, segments: Any, options: RenderOptions = PLAIN) -> str:
    """What a reader of the file sees; for a document its paragraphs."""
    content = row.write(segments, options)
    if "charset=utf-8" in row.media_type or row.media_type.endswith("json"):
        return content.decode("utf-8")
    return "\n".join(p.text for p in docx.Document(io.BytesIO(content)).paragraphs)


def said_by(speaker: str, segment: Segment) -> Segment:
    return segment.model_copy(update={"speaker": speaker})


# --- the table ----------------------------------------------------------------------------------


def test_the_table_has_a_row_for_each_name_in_the_configuration_and_no_more() -> None:
    assert tuple(OUTPUT_FORMATS) == FORMATS
    assert [row.name for row in ROWS] == list(FORMATS)


@each_format
def test_a_media_type_is_well_formed(row: OutputFormat) -> None:
    assert re.fullmatch(r"[a-z]+/[a-z0-9.+-]+(; charset=utf-8)?", row.media_type)
    assert row.media_type.startswith("text/") <= row.media_type.endswith("; charset=utf-8")


def test_media_types_differ() -> None:
    assert len({row.media_type for row in ROWS}) == len(ROWS)


@each_format
def test_rendering_by_name_uses_the_row(row: OutputFormat) -> None:
    assert render(row.name, TALK, True, 5.0, "Talk") == row.write(TALK, ALL)


# --- every row ----------------------------------------------------------------------------------


@each_format
@pytest.mark.parametrize("options", [PLAIN, ALL], ids=["plain", "all options"])
def test_the_same_transcript_gives_the_same_bytes(
    row: OutputFormat, options: RenderOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = row.write(TALK, options)
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert isinstance(first, bytes)
    assert row.write(TALK, options) == first


@each_format
def test_text_is_utf_8_and_complete(row: OutputFormat) -> None:
    text = text_of(row, TALK)
    assert "morning." in text
    assert "Как дела?" in text


@each_format
def test_a_transcript_without_segments_gives_a_valid_file(row: OutputFormat) -> None:
    assert text_of(row, []).isascii()


@each_format
def test_a_segment_without_text_does_no_harm(row: OutputFormat) -> None:
    assert "дела" in text_of(row, [a_segment(0.0, 1.0, ""), TALK[1]])


@each_format
def test_speakers_are_named_in_the_text(row: OutputFormat) -> None:
    named = [said_by("SPEAKER_00", TALK[0]), said_by("SPEAKER_11", TALK[1])]
    text = text_of(row, named)
    first, second = ("SPEAKER_00", "SPEAKER_11") if row.name == "json" else (
        "Speaker 1", "Speaker 12",
    )  # fmt: skip
    assert 0 <= text.find(first) < text.find(second)
    assert "speaker" not in text_of(row, TALK).lower()


@each_format
@pytest.mark.parametrize("phrase", [HEBREW, ARABIC], ids=["Hebrew", "Arabic"])
def test_right_to_left_text_keeps_the_order_of_its_characters(
    row: OutputFormat, phrase: str
) -> None:
    assert phrase in text_of(row, [a_segment(0.0, 2.0, f"{phrase}.")])


@each_format
def test_a_very_long_word_is_kept_whole_or_cut_but_never_shortened(row: OutputFormat) -> None:
    text = text_of(row, [a_segment(0.0, 60.0, f"{LONG_WORD}.")])
    # A subtitle shows it in several cues: numbers and times are between them.
    assert "".join(re.findall(r"[Donau]+", text)).count("Donau") >= 2000


@each_format
def test_times_over_a_day_are_right(row: OutputFormat) -> None:
    start = 100 * 3600 + 61.0
    text = text_of(row, [a_segment(start, start + 2, "Late.")], RenderOptions(timestamps=True))
    expected = {"tsv": "360061000\t360063000", "json": "360061.0"}.get(row.name, "100:01:01")
    assert expected in text


@each_format
def test_words_without_times_do_no_harm(row: OutputFormat) -> None:
    words = (a_word("Good"), a_word("morning.", 1.0, 2.0))
    assert "morning." in text_of(row, [a_segment(0.0, 2.0, "Good morning.", words)])


@each_format
def test_lone_surrogates_do_no_harm(row: OutputFormat) -> None:
    text = text_of(row, [a_segment(0.0, 1.0, "раз \ud800 два")], RenderOptions(title="\udcff"))
    assert "два" in text


@each_format
def test_control_characters_do_no_harm(row: OutputFormat) -> None:
    assert "ends" in text_of(row, [a_segment(0.0, 1.0, "it \x00\x0b ends")])


@each_format
def test_segments_may_come_from_a_transcript_that_is_made_anew_each_time(
    row: OutputFormat,
) -> None:
    transcript = Transcript([a_chunk(0, "слово"), a_chunk(1, "дело")])
    assert row.write(transcript, PLAIN) == row.write(list(transcript), PLAIN)


@each_format
def test_nothing_is_written_to_disk(row: OutputFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    with _only_reading(monkeypatch):
        assert row.write(TALK, ALL)


@contextlib.contextmanager
def _only_reading(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Reject every file that is opened to be written, and every new folder."""
    plain_open, os_open = builtins.open, os.open

    def reading_only(file: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
        assert not set(mode) & set("wax+"), f"{file} is opened to be written"
        return plain_open(file, mode, *rest, **options)

    def os_reading_only(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        assert not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT), f"{path} may be written"
        return os_open(path, flags, *rest, **options)

    def refused(path: Any, *_: Any) -> None:
        raise AssertionError(f"a folder is made: {path}")

    with monkeypatch.context() as patched:
        patched.setattr(builtins, "open", reading_only)
        patched.setattr(io, "open", reading_only)
        patched.setattr(os, "open", os_reading_only)
        patched.setattr(os, "mkdir", refused)
        yield


def test_a_document_has_no_time_of_writing() -> None:
    content = OUTPUT_FORMATS["docx"].write(TALK, ALL)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
