"""Corrections applied to a transcript: what changes, and what must not."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.outputs.formats import OUTPUT_FORMATS, render
from modules.transcript.edited import EditConflictError, EditedText
from modules.transcript.model import Segment
from modules.transcript.operations import (
    Confirm,
    Join,
    Operation,
    RenameSpeaker,
    RestoreDropped,
    SetSpeaker,
    Split,
    Undo,
    Words,
    effective,
)
from modules.transcript.slicing import joined_text, word_offsets
from modules.transcript.timed_words import timed_words
from tests.unit.transcript.edits import DROPPED, operation, segment, transcripts


def edited(segments: list[Segment], *operations: Operation) -> list[Segment]:
    text = EditedText(segments, DROPPED, operations)
    assert text.skipped == []
    return text.segments


def words(first: int, after: int, was: str, now: str, key: str = "0") -> Words:
    return Words(
        id="w", segment=key, first=first, after=after,
        was=tuple(was.split()), now=tuple(now.split()),
    )  # fmt: skip


TALK = [
    segment("мы до говор подписали вчера".split(), 0.0, "SPEAKER_00"),
    segment("да конечно".split(), 5.0, "SPEAKER_01"),
]


def test_the_same_number_of_words_keeps_the_time_of_each() -> None:
    (changed, _) = edited(TALK, words(3, 5, "подписали вчера", "подписали завтра"))
    before = TALK[0].words
    assert changed.text == "мы до говор подписали завтра"
    assert [(w.start, w.end) for w in changed.words] == [(w.start, w.end) for w in before]
    assert changed.words[4].checked == "edited"
    assert changed.words[4].confidence is None
    assert changed.words[0] == before[0]


def test_another_number_of_words_shares_the_stretch_by_letters() -> None:
    (changed, _) = edited(TALK, words(1, 3, "до говор", "договор"))
    assert changed.text == "мы договор подписали вчера"
    (joined,) = [w for w in changed.words if w.word == "договор"]
    assert (joined.start, joined.end) == (0.5, 1.4)
    (changed, _) = edited(TALK, words(1, 3, "до говор", "наш большой договор"))
    times = [(round(w.start or 0, 3), round(w.end or 0, 3)) for w in changed.words[1:4]]
    assert times == [(0.5, 0.659), (0.659, 1.029), (1.029, 1.4)]


def test_words_are_put_in_and_taken_out() -> None:
    assert edited(TALK, words(0, 0, "", "вчера"))[0].text == "вчера мы до говор подписали вчера"
    assert edited(TALK, words(5, 5, "", "днём."))[0].text == "мы до говор подписали вчера днём."
    assert edited(TALK, words(1, 3, "до говор", ""))[0].text == "мы подписали вчера"
    gone = edited(TALK, words(0, 2, "да конечно", "", key="1"))
    assert [each.text for each in gone] == [TALK[0].text]


def test_text_without_words_can_be_corrected() -> None:
    bare = Segment(start=1.0, end=3.0, text="до говор")
    (changed,) = edited([bare], words(0, 2, "до говор", "договор"))
    assert (changed.text, changed.words[0].start, changed.words[0].end) == ("договор", 1.0, 3.0)


def test_what_changed_meanwhile_is_not_written_over() -> None:
    text = EditedText(TALK)
    for wrong in (
        words(1, 3, "до горы", "договор"),
        words(4, 9, "вчера", "завтра"),
        words(0, 1, "мы", "вы", key="7"),
        RenameSpeaker(id="r", was="SPEAKER_09", now="Мария"),
        SetSpeaker(id="s", segment="0", was=None, now="Мария"),
        Split(id="t", segment="1", at_word=2),
        Join(id="j", segment="1", following="0"),
        RestoreDropped(id="d", dropped=0, was="another"),
    ):
        with pytest.raises(EditConflictError):
            text.apply(wrong)
    assert text.segments == TALK


def test_confirmed_words_are_no_longer_doubtful() -> None:
    doubtful = TALK[1].model_copy(update={"flags": ("low_probability",)})
    half = Confirm(id="c1", segment="0", first=0, after=1, was=("да",))
    rest = Confirm(id="c2", segment="0", first=1, after=2, was=("конечно",))
    (one,) = edited([doubtful], half)
    assert (one.words[0].checked, one.words[1].checked) == ("confirmed", None)
    assert one.flags == ("low_probability",)
    (both,) = edited([doubtful], half, rest)
    assert both.flags == ()


def test_speakers_get_names_and_become_one() -> None:
    first = RenameSpeaker(id="r1", was="SPEAKER_00", now="Мария")
    second = RenameSpeaker(id="r2", was="SPEAKER_01", now="Мария")
    named = edited(TALK, first, second)
    assert {each.speaker for each in named} == {"Мария"}
    assert {word.speaker for each in named for word in each.words} == {"Мария"}
    (_, other) = edited(TALK, SetSpeaker(id="s", segment="1", was="SPEAKER_01", now="Пётр"))
    assert other.speaker == "Пётр"


def test_a_segment_is_split_and_joined_again() -> None:
    split = Split(id="half", segment="0", at_word=3)
    parts = edited(TALK, split)
    assert [each.text for each in parts] == ["мы до говор", "подписали вчера", "да конечно"]
    assert (parts[0].end, parts[1].start) == (1.4, 1.5)
    whole = edited(TALK, split, Join(id="j", segment="0", following="half"))
    assert [each.text for each in whole] == [each.text for each in TALK]


def test_text_that_was_left_out_is_put_back() -> None:
    found = edited(TALK, RestoreDropped(id="back", dropped=0, was=DROPPED[0].text))
    assert [each.text for each in found] == [TALK[0].text, DROPPED[0].text, TALK[1].text]
    assert found[1].words[0].checked == "confirmed"


@given(data=st.data(), segments=transcripts())
def test_whatever_is_done_the_text_stays_sound(data: Any, segments: list[Segment]) -> None:
    """Its words stand in it in order, with times inside of its segment, and every format can be
    written; an operation that does not fit changes nothing."""
    text, ops = EditedText(segments, DROPPED), list[Operation]()
    for _ in range(data.draw(st.integers(1, 12))):
        new = operation(data.draw, text, ops)
        if new.op == "undo":
            text = EditedText(segments, DROPPED, [*ops, new])
        else:
            before = list(text)
            try:
                text.apply(new)
            except EditConflictError:
                assert list(text) == before
                continue
        ops.append(new)
    for each in text.segments:
        assert each.text == each.text.strip() != ""
        said = timed_words(each)
        assert len(word_offsets(each.model_copy(update={"words": said}))) == len(said)
        for word in said:
            assert word.start is not None
            assert word.end is not None
            assert each.start - 1e-6 <= word.start <= word.end <= each.end + 1e-6
    for form in OUTPUT_FORMATS:
        render(form, text.segments)
    assert [e.id for e in EditedText(segments, DROPPED, ops).skipped] == [
        e.id for e in text.skipped
    ]


@given(data=st.data(), segments=transcripts())
def test_undoing_the_last_operation_gives_the_text_before_it(
    data: Any, segments: list[Segment]
) -> None:

    text, ops = EditedText(segments, DROPPED), list[Operation]()
    states = [list(text)]
    for _ in range(data.draw(st.integers(1, 8))):
        new = operation(data.draw, text, [])
        try:
            text.apply(new)
        except EditConflictError:
            continue
        ops.append(new)
        states.append(list(text))
    undone = [*ops]
    for count, last in enumerate(reversed(ops), start=1):
        undone.append(Undo(id=f"u{count}", of=last.id))
        assert list(EditedText(segments, DROPPED, undone)) == states[len(ops) - count]
    for count, last in enumerate(reversed(undone[len(ops) :]), start=1):
        undone.append(Undo(id=f"r{count}", of=last.id))
        assert list(EditedText(segments, DROPPED, undone)) == states[count]


def test_an_undo_of_an_undo_does_it_again() -> None:
    ops = [words(1, 3, "до говор", "договор")]

    chain = [*ops, *(Undo(id=f"u{n}", of="w" if n == 0 else f"u{n - 1}") for n in range(4))]
    found = [bool(effective(chain[: n + 1])) for n in range(5)]
    assert found == [True, False, True, False, True]


@given(data=st.data(), segments=transcripts())
def test_only_the_words_that_are_named_change(data: Any, segments: list[Segment]) -> None:
    text = EditedText(segments)
    new = operation(data.draw, text, [])
    if not isinstance(new, Words):
        return
    before = timed_words(dict(text)[new.segment])
    others = {key: each for key, each in text if key != new.segment}
    text.apply(new)
    assert {key: each for key, each in text if key != new.segment} == others
    changed = text.get(new.segment)
    said = timed_words(changed) if changed else ()
    assert said[: new.first] == before[: new.first]
    behind = len(before) - new.after
    assert said[len(said) - behind :] == before[new.after :]
    assert tuple(w.word for w in said[new.first : len(said) - behind]) == new.now
    if changed:
        assert "".join(changed.text.split()) == "".join(joined_text(w.word for w in said).split())
    times = [w.start or 0 for w in said]
    assert all(a <= b for a, b in itertools.pairwise(times))
