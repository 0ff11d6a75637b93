"""Sentences over the borders of chunks, and the text of parts and wholes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.transcript.model import Chunk, Segment, Word
from modules.transcript.sentences import MAX_SEGMENT_CHARS, MAX_SEGMENT_S
from modules.transcript.slicing import concatenate, joined_text, slice_words, word_offsets
from modules.transcript.transcript import segments_of
from tests.builders import a_chunk


def said(text: str, start: float, each: float = 0.4, sep: str = " ") -> Segment:
    """A segment whose words are equally long."""
    words = tuple(
        Word(word=word, start=start + i * each, end=start + (i + 1) * each, confidence=0.5)
        for i, word in enumerate(text.split(sep) if sep else text)
    )
    return Segment(
        start=start, end=start + len(words) * each, text=text, confidence=0.5, words=words
    )


def chunk(*segments: Segment) -> Chunk:
    return a_chunk(0, segments=segments)


def texts(*chunks: Chunk) -> list[str]:
    return [segment.text for segment in segments_of(chunks)]


def test_a_sentence_that_goes_on_in_the_next_chunk_is_one_segment() -> None:
    first = chunk(said("Добрый день.", 0), said("Мы поехали в", 1))
    second = chunk(said("Москву на неделю.", 2.4), said("Потом вернулись.", 4))
    found = list(segments_of((first, second)))
    assert [s.text for s in found] == [
        "Добрый день.", "Мы поехали в Москву на неделю.", "Потом вернулись.",
    ]  # fmt: skip
    assert (found[1].start, found[1].end) == (1, pytest.approx(3.6))
    assert [w.word for w in found[1].words] == "Мы поехали в Москву на неделю.".split()


@pytest.mark.parametrize(
    ("before", "after", "gap"),
    [("Готово.", "Дальше.", 0.1), ("мы поехали", "Москву.", 1.5), ("Что?", "Да.", 0.2)],
)
def test_what_has_ended_is_left_alone(before: str, after: str, gap: float) -> None:
    first = said(before, 0)
    assert texts(chunk(first), chunk(said(after, first.end + gap))) == [before, after]


def test_another_language_begins_another_sentence() -> None:
    russian = said("мы поехали", 0).model_copy(update={"language": "ru"})
    english = said("and came back", 0.9).model_copy(update={"language": "en"})
    assert len(list(segments_of((chunk(russian), chunk(english))))) == 2


def test_a_sentence_that_grows_too_long_is_cut_at_its_best_place() -> None:
    first = said("мы долго ехали по дороге в большой город", 0, each=1)
    second = said("где живут друзья, а потом ещё дальше на север.", 8.1, each=1)
    found = list(segments_of((chunk(first), chunk(second))))
    assert " ".join(s.text for s in found) == f"{first.text} {second.text}"
    assert all(s.end - s.start <= MAX_SEGMENT_S for s in found)
    assert found[0].text.endswith("друзья,")


def test_a_sentence_may_go_over_several_chunks() -> None:
    parts = [chunk(said(text, start)) for text, start in (("раз", 0), ("два", 0.5), ("три.", 1))]
    assert texts(*parts) == ["раз два три."]


def test_empty_chunks_between_change_nothing() -> None:
    assert texts(chunk(said("раз", 0)), chunk(), chunk(said("два.", 0.6))) == ["раз два."]


def test_of_two_figures_the_worse_is_told() -> None:
    good = said("раз", 0).model_copy(
        update={"avg_logprob": -0.1, "no_speech_prob": 0.1, "flags": ("filler",)}
    )
    bad = said("два", 1).model_copy(
        update={"avg_logprob": -0.9, "no_speech_prob": None, "flags": ("repetition", "filler")}
    )
    both = concatenate(good, bad)
    assert (both.avg_logprob, both.no_speech_prob) == (-0.9, 0.1)
    assert both.flags == ("filler", "repetition")
    assert both.compression_ratio is None


@pytest.mark.parametrize(
    ("texts", "line"),
    [
        (["Да.", "Нет."], "Да. Нет."),
        (["今日は。", "明日。"], "今日は。明日。"),
        (["да", "", "нет"], "да нет"),
        ([], ""),
        (["OK", "今日"], "OK今日"),
    ],
)
def test_texts_are_joined_as_their_scripts_are_written(texts: list[str], line: str) -> None:
    assert joined_text(texts) == line


@given(
    st.lists(st.text("абв.", min_size=1, max_size=6), min_size=2, max_size=12),
    st.data(),
)
def test_the_parts_of_a_segment_make_the_whole(words: list[str], data: st.DataObject) -> None:
    segment = said(" ".join(words), 3)
    begins = word_offsets(segment)
    cut = data.draw(st.integers(1, len(words) - 1))
    left, right = (
        slice_words(segment, begins, 0, cut),
        slice_words(segment, begins, cut, len(words)),
    )
    assert (left.words + right.words, f"{left.text} {right.text}") == (segment.words, segment.text)
    assert segment.start <= left.start <= left.end <= right.start <= right.end <= segment.end
    assert concatenate(left, right) == segment


SEGMENTS = st.lists(
    st.tuples(st.text("абвГ.,! ", min_size=1, max_size=60).filter(str.split), st.floats(0, 2)),
    max_size=6,
)


@given(st.lists(SEGMENTS, max_size=4))
def test_no_word_is_lost_and_none_is_moved(plan: list[list[tuple[str, float]]]) -> None:
    now, chunks = 0.0, []
    for segments in plan:
        made = []
        for text, gap in segments:
            made.append(said(" ".join(text.split()), now + gap))
            now = made[-1].end
        chunks.append(chunk(*made))
    before = [word for c in chunks for s in c.segments for word in s.words]
    found = list(segments_of(chunks))
    assert [word for segment in found for word in segment.words] == before
    assert " ".join(s.text for s in found) == " ".join(w.word for w in before)
    times = [time for segment in found for time in (segment.start, segment.end)]
    assert times == sorted(times)
    joined = {id(s) for s in found} - {id(s) for c in chunks for s in c.segments}
    for segment in found:
        small = segment.end - segment.start <= MAX_SEGMENT_S + 0.01
        fits = small and len(segment.text) <= MAX_SEGMENT_CHARS
        assert fits or len(segment.words) < 4 or id(segment) not in joined
