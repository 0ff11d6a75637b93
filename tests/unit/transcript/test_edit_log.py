"""The log of corrections: several people at once, and a new transcript of the same recording."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from modules.transcript.edit_log import EditLog, appended, digest, log_for
from modules.transcript.edited import EditConflictError, EditedText
from modules.transcript.model import Segment
from modules.transcript.operations import (
    Confirm,
    Operation,
    RenameSpeaker,
    RestoreDropped,
    Split,
    Undo,
    Words,
)
from tests.unit.transcript.edits import DROPPED, operation, segment, transcripts

NOW = "2024-01-31T10:00:00.000Z"
PRINT = "a" * 64
TALK = [
    segment("мы до говор подписали вчера".split(), 0.0, "SPEAKER_00"),
    segment("да конечно".split(), 5.0, "SPEAKER_01"),
]


def new_log(segments: list[Segment] = TALK) -> EditLog:
    return log_for(None, segments, DROPPED, PRINT)


def add(log: EditLog, *ops: Operation, version: str | None = None) -> EditLog:
    return appended(log, TALK, DROPPED, version or log.version, ops, NOW)[0]


def words(key: str, first: int, was: str, now: str, segment_id: str = "0") -> Words:
    said = tuple(was.split())
    return Words(
        id=key, segment=segment_id, first=first, after=first + len(said), was=said,
        now=tuple(now.split()),
    )  # fmt: skip


def texts(log: EditLog, segments: list[Segment] = TALK) -> list[str]:
    return [each.text for each in EditedText(segments, DROPPED, log.ops).segments]


def test_an_operation_is_stored_with_its_time_and_place() -> None:
    log = add(new_log(), words("a", 1, "до говор", "договор"))
    assert (log.ops[0].at, log.ops[0].span) == (NOW, (0.5, 1.4))
    again = EditLog.model_validate_json(log.model_dump_json(exclude_none=True))
    assert again == log


def test_who_works_elsewhere_is_not_disturbed() -> None:
    start = new_log()
    mine = add(start, words("a", 1, "до говор", "договор"))
    both = add(mine, words("b", 0, "да", "ну", "1"), version=start.version)
    assert texts(both) == ["мы договор подписали вчера", "ну конечно"]


def test_the_same_segment_is_a_conflict() -> None:
    start = new_log()
    mine = add(start, words("a", 1, "до говор", "договор"))
    for theirs in (words("b", 0, "мы", "вы"), Split(id="b", segment="0", at_word=1)):
        with pytest.raises(EditConflictError, match="Somebody else"):
            add(mine, theirs, version=start.version)
    undone = add(mine, Undo(id="u", of="a"))
    with pytest.raises(EditConflictError, match="Somebody else"):
        add(undone, words("b", 0, "мы", "вы"), version=mine.version)


def test_what_is_sent_twice_counts_once() -> None:
    start, mine = new_log(), words("a", 1, "до говор", "договор")
    once = add(start, mine)
    assert add(once, mine, version=start.version) == once
    more = add(once, mine, words("b", 0, "мы", "вы"), version=start.version)
    assert texts(more)[0] == "вы договор подписали вчера"


def test_what_others_rely_on_cannot_be_undone() -> None:
    log = add(new_log(), words("a", 1, "до говор", "договор"), words("b", 1, "договор", "акт"))
    with pytest.raises(EditConflictError, match="depends"):
        add(log, Undo(id="u", of="a"))
    with pytest.raises(EditConflictError, match="no operation"):
        add(log, Undo(id="u", of="nothing"))
    assert texts(add(log, Undo(id="u1", of="b"), Undo(id="u2", of="a"))) == texts(new_log())


def test_an_undo_that_would_move_later_work_is_refused() -> None:
    """Also where there are no words by which that would be noticed."""
    joined = words("a", 1, "до говор", "договор")
    for later in (
        Words(id="b", segment="0", first=3, after=3, was=(), now=("не",)),
        Split(id="b", segment="0", at_word=2),
    ):
        with pytest.raises(EditConflictError, match="depends"):
            add(add(new_log(), joined, later), Undo(id="u", of="a"))
    same = add(new_log(), words("a", 1, "до", "под"), words("b", 3, "подписали", "видели"))
    assert texts(add(same, Undo(id="u", of="a")))[0] == "мы до говор видели вчера"


def test_ids_are_those_of_one_operation_each() -> None:
    twice = add(
        new_log(), Split(id="s", segment="0", at_word=2), Split(id="s", segment="0", at_word=1)
    )
    assert [each.id for each in twice.ops] == ["s"]
    content = twice.model_dump(mode="json", exclude_none=True)
    content["ops"] *= 2
    with pytest.raises(ValidationError, match="one id"):
        EditLog.model_validate(content)


def test_undos_of_each_other_end() -> None:
    ops = [Undo(id="a", of="b"), Undo(id="b", of="a"), Undo(id="c", of="c")]
    log = new_log().model_copy(update={"ops": tuple(ops)})
    assert texts(log) == texts(new_log())
    assert texts(add(log, Undo(id="d", of="a"), words("e", 0, "мы", "вы")))[0].startswith("вы")


@pytest.mark.parametrize("version", ["", "x", "-1", "0123456789ab-0", "{}-99", "{}-", "{}-x"])
def test_a_version_that_never_was_is_a_conflict(version: str) -> None:
    log = new_log()
    with pytest.raises(EditConflictError):
        add(log, words("a", 0, "мы", "вы"), version=version.format(log.version[:12]) or "?")


def test_corrections_are_carried_to_a_new_transcript() -> None:
    log = add(
        new_log(),
        words("a", 1, "до говор", "договор"),
        words("b", 1, "договор", "Договор"),
        RenameSpeaker(id="r", was="SPEAKER_00", now="Мария"),
        Confirm(id="c", segment="1", first=0, after=1, was=("да",)),
        Split(id="s", segment="0", at_word=2),
        RestoreDropped(id="d", dropped=0, was=DROPPED[0].text),
    )
    anew = [
        segment(["мы"], 0.0, "SPEAKER_00"),
        segment("до говор подписали позавчера".split(), 0.6, "SPEAKER_00"),
        segment("да конечно".split(), 9.0, "SPEAKER_01"),
    ]
    carried = log_for(log, anew, DROPPED, PRINT)
    text = EditedText(anew, DROPPED, carried.ops)
    assert text.skipped == []
    assert sorted(each.text for each in text.segments) == sorted(
        ["мы", DROPPED[0].text, "Договор подписали позавчера", "да конечно"]
    )
    assert [each.speaker for each in text.segments if each.speaker] == ["Мария"] * 2 + [
        "SPEAKER_01"
    ]
    assert [each.id for each in carried.not_applied] == ["c", "s"]
    assert carried.transcript_sha256 == digest(anew, DROPPED)
    assert log_for(carried, anew, DROPPED, PRINT) == carried


def test_another_recording_of_this_name_gets_none_of_it() -> None:
    log = add(new_log(), words("a", 0, "мы", "вы"))
    assert log_for(log, TALK, DROPPED, "b" * 64).ops == ()
    assert log_for(log, TALK, DROPPED, None) == log


@given(data=st.data(), segments=transcripts())
def test_two_people_see_the_same_text_and_nothing_accepted_is_lost(
    data: Any, segments: list[Segment]
) -> None:
    """Each works on a version that may be old. What was accepted is in the log for good, and the
    text is the same for both when they have read it."""
    log = log_for(None, segments, DROPPED, PRINT)
    seen = dict.fromkeys(("one", "other"), log)
    accepted: list[str] = []
    for _ in range(data.draw(st.integers(1, 12))):
        who = data.draw(st.sampled_from(sorted(seen)))
        mine = seen[who]
        new = operation(data.draw, EditedText(segments, DROPPED, mine.ops), list(mine.ops))
        try:
            log, text = appended(log, segments, DROPPED, mine.version, [new], NOW)
        except EditConflictError:
            pass
        else:
            accepted.append(new.id)
            assert list(text) == list(EditedText(segments, DROPPED, log.ops))
        if data.draw(st.booleans()):
            seen[who] = log
    assert [each.id for each in log.ops] == accepted
    stored = log.model_dump_json(exclude_none=True)
    assert EditLog.model_validate_json(stored) == log, "it would not be read as it was written"
    assert EditedText(segments, DROPPED, log.ops).skipped == []


@given(data=st.data(), before=transcripts(), after=transcripts())
def test_carrying_over_keeps_every_operation_somewhere(
    data: Any, before: list[Segment], after: list[Segment]
) -> None:
    log = log_for(None, before, DROPPED, PRINT)
    for _ in range(data.draw(st.integers(1, 6))):
        new = operation(data.draw, EditedText(before, DROPPED, log.ops), [])
        try:
            log, _ = appended(log, before, DROPPED, log.version, [new], NOW)
        except EditConflictError:
            continue
    carried = log_for(log, after, DROPPED, PRINT)
    assert EditedText(after, DROPPED, carried.ops).skipped == []
    if digest(before, DROPPED) != digest(after, DROPPED):
        kept = [each.id for each in (*carried.ops, *carried.not_applied)]
        assert sorted(kept) == sorted(each.id for each in log.ops)
