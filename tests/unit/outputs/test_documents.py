"""Running text: paragraphs, txt and docx."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile

import docx as python_docx
import pytest
from docx.document import Document
from hypothesis import given
from hypothesis import strategies as st

from modules.outputs.base import clock
from modules.outputs.documents import docx, paragraphs, plain_text
from modules.transcript.model import Segment
from tests.builders import a_segment

TWO = [a_segment(0.0, 2.5, "Привет, мир."), a_segment(3.0, 4.0, "Как дела?")]


def by(speaker: str | None, segment: Segment) -> Segment:
    return segment.model_copy(update={"speaker": speaker})


def opened(content: bytes) -> Document:
    return python_docx.Document(io.BytesIO(content))


def test_a_paragraph_begins_after_a_sentence_and_a_long_pause() -> None:
    assert plain_text([*TWO, a_segment(6.5, 7.0, "Потом.")]) == (
        "Привет, мир. Как дела?\n\nПотом.\n"
    )
    assert plain_text([*TWO, a_segment(5.9, 7.0, "Потом.")]).count("\n") == 1, "a short pause"


def test_a_pause_within_a_sentence_begins_none() -> None:
    broken = [a_segment(0.0, 2.0, "Мы пошли"), a_segment(9.0, 10.0, "домой.")]
    assert plain_text(broken) == "Мы пошли домой.\n"


def test_long_paragraphs_end_at_shorter_pauses() -> None:
    often = [a_segment(5.0 * i, 5.0 * i + 4, "Слово " * 20 + "конец.") for i in range(20)]
    lengths = [len(text) for text in plain_text(often).split("\n\n")]
    assert len(lengths) > 1
    assert all(400 < length < 560 for length in lengths[:-1])


RUNNING = {
    "ru": (
        "В данный момент все операторы заняты, поэтому мы просим вас немного подождать.",
        "Иванов А. С. пришёл в 9 ч. утра и принёс письма, журналы и т.д. для архива.",
        "Ваш вызов будет принят в порядке очереди!",
    ),
    "en": (
        "All of our operators are busy at the moment, so please stay on the line for a while.",
        "Mr. Smith came at 9 a.m. with the letters, the journals etc. for the archive.",
        "Will your call be answered in turn?",
    ),
}


#: So many words make segments that end with an abbreviation.
WORDS = {"ru": 7, "en": 6}


def spoken_without_pause(language: str, speaker: str | None = None) -> list[Segment]:
    """Minutes of it, cut into segments in the middle of sentences too."""
    pieces, count = [], WORDS[language]
    for sentence in RUNNING[language] * 15:
        words = sentence.split()
        pieces += [" ".join(words[i : i + count]) for i in range(0, len(words), count)]
    return [by(speaker, a_segment(3.0 * i, 3.0 * i + 2.9, text)) for i, text in enumerate(pieces)]


@pytest.mark.parametrize("language", ["ru", "en"])
def test_running_speech_is_split_at_the_ends_of_sentences(language: str) -> None:
    segments = spoken_without_pause(language)
    found = plain_text(segments).rstrip("\n").split("\n\n")
    assert " ".join(found) == " ".join(segment.text for segment in segments)
    assert len(found) > 3
    for text in found:
        assert text.endswith(tuple(sentence.split()[-1] for sentence in RUNNING[language]))
        assert text.startswith(tuple(sentence.split()[0] for sentence in RUNNING[language]))
    assert max(map(len, found)) < 720


def test_sentences_in_segments_of_their_own_make_paragraphs_of_about_600_characters() -> None:
    texts = [sentence for _ in range(30) for sentence in RUNNING["en"]]
    segments = [a_segment(5.0 * i, 5.0 * i + 4.9, text) for i, text in enumerate(texts)]
    lengths = [len(text) for text in plain_text(segments).split("\n\n")]
    assert all(540 < length < 660 for length in lengths[:-1])


def test_an_endless_sentence_is_one_paragraph() -> None:
    endless = [a_segment(3.0 * i, 3.0 * i + 2.9, "и вот мы идём дальше,") for i in range(100)]
    assert len(list(paragraphs(endless))) == 1


def test_a_speakers_sentence_is_whole_in_its_paragraph() -> None:
    first = spoken_without_pause("ru", "SPEAKER_00")
    for paragraph in paragraphs(first):
        assert paragraph.segments[-1].text.endswith((".", "!"))
    assert [p.name for p in paragraphs(first)].count("Speaker 1") == 1


def test_another_speaker_begins_a_paragraph_and_is_named() -> None:
    talk = [by("SPEAKER_00", TWO[0]), by("SPEAKER_01", TWO[1]), by(None, a_segment(4, 5, "Шум."))]
    assert plain_text(talk) == "Speaker 1: Привет, мир.\n\nSpeaker 2: Как дела?\n\nШум.\n"
    assert plain_text(talk, timestamps=True) == (
        "[00:00:00 - 00:00:02] Speaker 1: Привет, мир.\n"
        "[00:00:03 - 00:00:04] Speaker 2: Как дела?\n[00:00:04 - 00:00:05] Шум.\n"
    )


def test_one_speaker_is_named_once() -> None:
    talk = [by("SPEAKER_00", s) for s in [*TWO, a_segment(20.0, 21.0, "Потом.")]]
    assert plain_text(talk) == "Speaker 1: Привет, мир. Как дела?\n\nПотом.\n"


def test_clocks_go_beyond_a_day() -> None:
    assert clock(90061.9) == "25:01:01"


def test_a_document_for_word() -> None:
    doubtful = a_segment(4.0, 5.0, "Продолжение следует").model_copy(update={"flags": ("filler",)})
    talk = [by("SPEAKER_00", s) for s in [*TWO, doubtful]]
    talk.append(by("SPEAKER_01", a_segment(3661.0, 3662.0, "Ещё.")))
    document = opened(docx(talk, "Беседа"))
    title, first, second = document.paragraphs
    assert (title.text, document.core_properties.title) == ("Беседа", "Беседа")
    assert first.text == "[00:00:00] Speaker 1: Привет, мир. Как дела? Продолжение следует"
    assert [run.text for run in first.runs if run.bold] == ["Speaker 1: "]
    assert [run.text for run in first.runs if run.italic] == [" Продолжение следует"]
    assert str(first.runs[0].font.color.rgb) == "808080"
    assert second.text == "[01:01:01] Speaker 2: Ещё."
    assert document.core_properties.author == ""


def test_the_same_text_is_the_same_bytes() -> None:
    content = docx(TWO, "a")
    assert content == docx(TWO, "a")
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        assert {entry.date_time for entry in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_without_a_title_and_without_text() -> None:
    assert opened(docx([])).paragraphs == []


@given(st.text(st.characters(exclude_categories=[]), max_size=30), st.text(max_size=300))
def test_any_text_makes_a_document(text: str, title: str) -> None:
    odd = text + "\x00\x0b\ud800\ufffe" + "<&>"
    document = opened(docx([by(text or None, a_segment(0.0, 1.0, odd))], title))
    assert document.paragraphs[-1].text.endswith("<&>")


def test_nothing_of_docx_is_loaded_before_it_is_wanted() -> None:
    code = (
        "import sys, modules.outputs.formats;"
        "sys.exit('docx' in sys.modules or 'lxml' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
