"""The transcript as people and players want it."""

from __future__ import annotations

import itertools
import json
import textwrap

import pysubs2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.outputs import CUE_S, FORMATS, LINE_CHARS, clock, cues, full_text, render
from modules.protocol import Segment
from tests.builders import a_segment, a_word

TWO = [a_segment(0.0, 2.5, "Привет, мир."), a_segment(3.0, 4.0, "Как дела?")]


def timed(text: str, each: float = 0.5, start: float = 0.0) -> Segment:
    words = tuple(
        a_word(word, start + each * i, start + each * (i + 1))
        for i, word in enumerate(text.split())
    )
    return a_segment(start, start + each * len(words), text, words)


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
    assert render(form, []) == expected


def test_plain_text_has_paragraphs_at_pauses() -> None:
    later = a_segment(10.0, 11.0, "Потом.")
    assert render("txt", [*TWO, later]) == "Привет, мир. Как дела?\n\nПотом.\n"


def test_plain_text_with_times_has_a_line_a_segment() -> None:
    late = a_segment(3661.9, 3662.0, "Поздно.")
    assert render("txt", [TWO[0], late], timestamps=True) == (
        "[00:00:00 - 00:00:02] Привет, мир.\n[01:01:01 - 01:01:02] Поздно.\n"
    )
    assert clock(90061) == "25:01:01"


def test_subtitles_as_players_read_them() -> None:
    assert render("srt", TWO) == (
        "1\n00:00:00,000 --> 00:00:02,500\nПривет, мир.\n\n"
        "2\n00:00:03,000 --> 00:00:04,000\nКак дела?\n\n"
    )
    assert render("vtt", TWO).startswith(
        "WEBVTT\n\n1\n00:00:00.000 --> 00:00:02.500\nПривет, мир.\n\n2\n"
    )


def test_tables_and_json() -> None:
    assert render("tsv", [a_segment(0.0, 2.5, "a\tb\nc")]) == "start\tend\ttext\n0\t2500\ta b c\n"
    content = json.loads(render("json", TWO))
    assert content["text"] == full_text(TWO) == "Привет, мир. Как дела?"
    assert [s["id"] for s in content["segments"]] == [0, 1]
    assert "confidence" not in content["segments"][0], "what is not known is absent"


def test_long_sentences_are_cut_at_words() -> None:
    found = cues([timed("слово " * 40)])
    assert len(found) > 1
    assert " ".join(cue.text for cue in found) == " ".join(["слово"] * 40)
    for cue in found:
        assert cue.end - cue.start <= CUE_S
        assert len(textwrap.wrap(cue.text, LINE_CHARS)) <= 2


def test_a_sentence_that_fits_is_left_whole() -> None:
    assert [cue.text for cue in cues([timed("Раз два три.")])] == ["Раз два три."]


def test_words_without_spaces_get_none() -> None:
    words = tuple(a_word(sign, i * 1.0, i + 1.0) for i, sign in enumerate("今日はいい天気です" * 2))
    found = cues([a_segment(0.0, 18.0, "今日はいい天気です" * 2, words)])
    assert len(found) > 1
    assert "".join(cue.text for cue in found) == "今日はいい天気です" * 2


def test_text_without_word_times_is_cut_too() -> None:
    found = cues([a_segment(10.0, 40.0, "слово " * 60)])
    assert all(cue.end - cue.start <= CUE_S + 0.001 for cue in found)
    assert (found[0].start, len(found) > 4) == (10.0, True)


def test_a_cue_too_short_to_read_stays_as_long_as_it_may() -> None:
    short = [a_segment(0.0, 0.1, "Раз."), a_segment(0.5, 0.6, "Два."), a_segment(9.0, 9.1, "Три.")]
    assert [(c.start, c.end) for c in cues(short)] == [(0.0, 0.5), (0.5, 1.5), (9.0, 10.0)]


def test_speech_never_becomes_markup() -> None:
    odd = [a_segment(0.0, 2.0, r"{\an8}раз \N <b>два</b> & три --> четыре")]
    vtt, srt = render("vtt", odd), render("srt", odd)
    assert vtt.count("-->") == 1, "only the line of times may have an arrow"
    assert "&lt;b&gt;два&lt;/b&gt; &amp; три --&gt;" in vtt.replace("\n", " ")
    assert "(/an8)раз /N" in srt
    assert "{" not in srt


TEXTS = st.lists(
    st.text("абвгд{}\\<>&今 ,.", min_size=1, max_size=15).filter(str.strip), min_size=1, max_size=40
)


@given(st.lists(st.tuples(TEXTS, st.floats(0.01, 3.0), st.floats(0, 5)), max_size=6), st.booleans())
def test_cues_are_in_order_never_overlap_and_lose_nothing(
    spoken: list[tuple[list[str], float, float]], with_words: bool
) -> None:
    segments: list[Segment] = []
    now = 0.0
    for words, each, pause in spoken:
        segment = timed(" ".join(words), round(each, 3), round(now, 3))
        segments.append(segment if with_words else segment.model_copy(update={"words": ()}))
        now = segments[-1].end + pause
    found = cues(segments)
    said = "".join("".join(cue.text for cue in found).split())
    assert said == "".join("".join(s.text for s in segments).split())
    for before, after in itertools.pairwise(found):
        assert before.start < before.end <= after.start
    for form in FORMATS:
        text = render(form, segments)
        assert text.endswith("\n") or not segments
    shown = pysubs2.SSAFile.from_string(render("srt", segments), format_="srt")
    assert len(shown) == len([c for c in found if c.text])
