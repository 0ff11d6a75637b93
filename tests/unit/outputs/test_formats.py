"""The transcript as files of every format."""

from __future__ import annotations

import io
import json
from typing import Any

import docx
import pytest

from modules.config.types import FORMATS
from modules.outputs.formats import render
from modules.outputs.segments_json import full_text, segment_json, with_segments
from modules.storage.atomic import to_json
from modules.transcript.model import Segment
from tests.builders import a_segment
from tests.subtitle_checks import check_subtitles

TWO = [a_segment(0.0, 2.5, "Привет, мир."), a_segment(3.0, 4.0, "Как дела?")]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("txt", ""),
        ("srt", ""),
        ("vtt", "WEBVTT\n\n"),
        ("tsv", "start\tend\ttext\n"),
        ("json", '{\n  "text": "",\n  "segments": []\n}\n'),
    ],
)
def test_an_empty_transcript_is_a_valid_file(form: str, expected: str) -> None:
    assert render(form, []).decode() == expected


def test_plain_text() -> None:
    assert render("txt", TWO).decode() == "Привет, мир. Как дела?\n"
    late = a_segment(3661.9, 3662.0, "Поздно.")
    assert render("txt", [TWO[0], late], timestamps=True).decode() == (
        "[00:00:00 - 00:00:02] Привет, мир.\n[01:01:01 - 01:01:02] Поздно.\n"
    )


def said_by(speaker: str | None, segment: Segment) -> Segment:
    return segment.model_copy(update={"speaker": speaker})


def shown(form: str, segments: list[Segment]) -> str:
    """What a reader sees of a file of this format."""
    content = render(form, segments, title="talk")
    if form != "docx":
        return content.decode()
    return "\n".join(paragraph.text for paragraph in docx.Document(io.BytesIO(content)).paragraphs)


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "json"])
def test_who_speaks_alone_has_no_label(form: str) -> None:
    alone = [said_by("SPEAKER_00", TWO[0]), said_by(None, TWO[1])]
    assert shown(form, alone) == shown(form, TWO)
    both = [said_by("SPEAKER_00", TWO[0]), said_by("SPEAKER_01", TWO[1])]
    assert "Speaker 1" in shown(form, both)
    named = [said_by("Анна", TWO[0]), said_by("Анна", TWO[1])]
    assert "Анна" in shown(form, named), "a name that a person gave says something"


def test_json_keeps_the_label_of_who_speaks_alone() -> None:
    alone = [said_by("SPEAKER_00", segment) for segment in TWO]
    assert json.loads(render("json", alone))["segments"][0]["speaker"] == "SPEAKER_00"


def test_subtitles_as_players_read_them() -> None:
    srt, vtt = render("srt", TWO).decode(), render("vtt", TWO).decode()
    assert srt == (
        "1\n00:00:00,000 --> 00:00:02,500\nПривет, мир.\n\n"
        "2\n00:00:03,000 --> 00:00:04,000\nКак дела?\n\n"
    )
    assert vtt.startswith("WEBVTT\n\n1\n00:00:00.000 --> 00:00:02.500\nПривет, мир.\n\n2\n")
    assert check_subtitles(srt, "srt", TWO) == check_subtitles(vtt, "vtt", TWO) == []


def test_subtitles_do_not_outlast_the_recording() -> None:
    assert b"--> 00:00:03,300" in render("srt", [a_segment(3.0, 3.1, "Да.")], duration_s=3.3)


def test_speech_never_becomes_markup() -> None:
    odd = [a_segment(0.0, 2.0, r"{\an8}раз \N <b>два</b> & три --> четыре")]
    odd = [odd[0].model_copy(update={"speaker": "<i>--> я"})]
    vtt, srt = render("vtt", odd).decode(), render("srt", odd).decode()
    assert vtt.count("-->") == 1, "only the line of times may have an arrow"
    assert "&lt;b&gt;два&lt;/b&gt; &amp; три --&gt;" in vtt.replace("\n", " ")
    assert "<v &lt;i&gt;--&gt; я>" in vtt
    assert "(/an8)раз /N" in srt.replace("\n", " ")
    assert "{" not in srt


def test_tables() -> None:
    plain = a_segment(0.0, 2.5, "a\tb\nc")
    assert render("tsv", [plain]) == b"start\tend\ttext\n0\t2500\ta b c\n"
    named = [said_by("SPEAKER_00", plain), said_by("Анна", plain), plain]
    assert render("tsv", named).decode() == (
        "start\tend\tspeaker\ttext\n0\t2500\tSpeaker 1\ta b c\n"
        "0\t2500\tАнна\ta b c\n0\t2500\t\ta b c\n"
    )


def test_json_holds_what_is_known() -> None:
    content = json.loads(render("json", TWO))
    assert content["text"] == full_text(TWO) == "Привет, мир. Как дела?"
    assert [s["id"] for s in content["segments"]] == [0, 1]
    assert not {"confidence", "speaker", "flags"} & set(content["segments"][0])
    known = TWO[0].model_copy(update={"speaker": "SPEAKER_00", "flags": ("filler",)})
    (segment,) = json.loads(render("json", [known]))["segments"]
    assert (segment["speaker"], segment["flags"]) == ("SPEAKER_00", ["filler"])


@pytest.mark.parametrize("segments", [[], TWO[:1], TWO])
def test_pieces_are_the_json_that_the_whole_would_be(segments: list[Segment]) -> None:
    text = 'He said: "segments": [] and left.'
    content: dict[str, Any] = {"filename": text, "transcription": {"text": text, "segments": []}}
    pieces = b"".join(with_segments(content, iter(segments)))
    content["transcription"]["segments"] = [
        {"id": number, **segment_json(segment)} for number, segment in enumerate(segments)
    ]
    assert pieces == to_json(content)


def test_docx_has_the_title() -> None:
    document = docx.Document(io.BytesIO(render("docx", TWO, title="talk")))
    assert [p.text for p in document.paragraphs] == [
        "talk",
        "[00:00:00] Привет, мир. Как дела?",
    ]


@pytest.mark.parametrize("form", FORMATS)
def test_half_characters_break_no_format(form: str) -> None:
    content = render(form, [a_segment(0.0, 1.0, "раз \ud800 два")], title="\udcff")
    assert content
    if form != "docx":
        assert "два" in content.decode()
