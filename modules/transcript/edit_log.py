"""``NAME.edit.json``: the corrections of a transcript, and how they are carried to a new one. Pure.

``.result`` is never changed. What people did is a list of operations on it, in order; the texts and
the page show both together.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modules.messages import noted
from modules.transcript.edited import EditConflictError, EditedText, conflict
from modules.transcript.model import Dropped, Segment
from modules.transcript.operations import (
    OPERATIONS_MAX,
    Confirm,
    Operation,
    RenameSpeaker,
    RestoreDropped,
    SetSpeaker,
    Undo,
    Words,
    effective,
    keeps_places,
    segments_named,
)
from modules.transcript.timed_words import timed_words

#: In a new transcript of the same recording, a word is looked for within so many seconds.
_NEAR_S = 1.0
#: A segment that reaches to a second begins at most so many segments before it.
_BEFORE = 20

Operations = Annotated[tuple[Operation, ...], Field(max_length=2 * OPERATIONS_MAX)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Facts(BaseModel):
    """What lists show of a corrected text; ``flagged_seconds``: how much of it is doubtful."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    flagged_seconds: float
    word_count: int
    speakers: list[str]

    @classmethod
    def of(cls, segments: Sequence[Segment]) -> Facts:
        doubtful_s = sum(each.end - each.start for each in segments if each.flags)
        return cls(
            flagged_seconds=round(doubtful_s, 3),
            word_count=sum(len(each.text.split()) for each in segments),
            speakers=sorted({each.speaker for each in segments if each.speaker}),
        )


class EditLog(BaseModel):
    """The content of the file.

    ``transcript_sha256``: of the text that the operations were made for (see ``digest``).
    ``fingerprint``: of the recording, if it is known. ``not_applied``: operations on an earlier
    transcript that did not fit the present one. ``outputs``: the SHA-256 of what was
    written into each text, and of what was there before. ``facts``: what is different in the
    metadata of the ``.result`` with this ``job_id``.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    format: Literal[1] = 1
    transcript_sha256: Sha256
    fingerprint: Sha256 | None = None
    ops: Operations = ()
    not_applied: Operations = ()
    outputs: dict[str, tuple[Sha256, ...]] = {}
    facts: Facts | None = None
    job_id: str | None = None

    @property
    def version(self) -> str:
        """Changes with every operation, and with the transcript."""
        return f"{self.transcript_sha256[:12]}-{len(self.ops)}"

    def since(self, version: str) -> tuple[Operation, ...] | None:
        """What was done since a version; None if it is of another transcript, or of none."""
        text, _, count = version.partition("-")
        if text != self.transcript_sha256[:12] or not count.isdecimal():
            return None
        return self.ops[int(count) :] if int(count) <= len(self.ops) else None

    @model_validator(mode="after")
    def _check_ids(self) -> EditLog:
        if len({each.id for each in self.ops}) < len(self.ops):
            raise ValueError("two operations have one id")
        return self

    def is_for(self, fingerprint: str | None) -> bool:
        """Whether they were made for this recording, and not for an earlier one of its name."""
        return None in (fingerprint, self.fingerprint) or fingerprint == self.fingerprint


def digest(segments: Iterable[Segment], dropped: Iterable[Dropped] = ()) -> str:
    """SHA-256 of the texts, times and speakers of all segments, and of what was left out."""
    whole = hashlib.sha256()
    lines = [f"{s.start:.3f} {s.end:.3f} {s.speaker} {s.text}\n" for s in segments]
    lines += [f"{d.start:.3f} {d.end:.3f} - {d.text}\n" for d in dropped]
    for line in lines:
        whole.update(line.encode(errors="backslashreplace"))
    return whole.hexdigest()


def log_for(
    log: EditLog | None,
    segments: Sequence[Segment],
    dropped: Sequence[Dropped],
    fingerprint: str | None,
) -> EditLog:
    """The log as it applies to a transcript: a new one if there is none, or if it is about another
    recording; carried over if it was made for another transcript of this one."""
    current = digest(segments, dropped)
    if log is None or not log.is_for(fingerprint):
        return EditLog(transcript_sha256=current, fingerprint=fingerprint)
    if log.transcript_sha256 == current:
        return log
    text, kept, lost = EditedText(segments, dropped), [], list(log.not_applied)
    starts = [segment.start for segment in segments]
    for operation in effective(log.ops):
        found = _moved(operation, text, starts)
        try:
            if found is None:
                raise conflict(noted("It is not there."))
            text.apply(found)
            kept.append(found)
        except EditConflictError:
            lost.append(operation)
    return log.model_copy(
        update={
            "transcript_sha256": current,
            "ops": tuple(kept),
            "not_applied": tuple(lost[-OPERATIONS_MAX:]),
        }
    )


def appended(
    log: EditLog,
    segments: Sequence[Segment],
    dropped: Sequence[Dropped],
    version: str,
    operations: Sequence[Operation],
    at: str,
) -> tuple[EditLog, EditedText]:
    """The log with further operations, made on an older or the present ``version``, and the text
    with all of them.

    Those that the log has already, by their id, are not repeated. Raises EditConflictError, and
    nothing of it counts, where somebody else changed the same segments since, or one does not fit.
    """
    theirs = _theirs(log, version, operations)
    known = {operation.id for operation in log.ops}
    ops, draft = list(log.ops), _Draft(segments, dropped, log.ops)
    for operation in operations:
        if operation.id in known:
            continue
        known.add(operation.id)
        if segments_named(operation, ops) & theirs:
            raise conflict(noted("Somebody else changed this passage meanwhile."))
        new = operation.model_copy(update={"at": at, "span": draft.text(ops).span_of(operation)})
        if isinstance(new, Undo):
            _require_independent(new, ops)
        ops.append(new)
        draft.add(new)
    text = draft.text(ops)
    if {each.id for each in text.skipped} - draft.skipped:
        raise depends()
    if len(ops) > OPERATIONS_MAX:
        message = noted("A text can have {most} corrections.", most=OPERATIONS_MAX)
        raise EditConflictError("too_many_corrections", message)
    update = {"ops": tuple(ops), "facts": Facts.of(text.segments)}
    return log.model_copy(update=update), text


class _Draft:
    """The text while operations are added; after undos it is made anew when it is needed."""

    def __init__(
        self,
        segments: Sequence[Segment],
        dropped: Sequence[Dropped],
        operations: Sequence[Operation],
    ) -> None:
        self._base = segments, dropped
        self._text: EditedText | None = EditedText(segments, dropped, operations)
        #: What did not fit before anything was added.
        self.skipped = frozenset(each.id for each in self._text.skipped)

    def text(self, operations: Sequence[Operation]) -> EditedText:
        if self._text is None:
            self._text = EditedText(*self._base, operations)
        return self._text

    def add(self, operation: Operation) -> None:
        if isinstance(operation, Undo) or self._text is None:
            self._text = None
        else:
            self._text.apply(operation)


def depends() -> EditConflictError:
    message = noted("What was done after it depends on it.")
    return EditConflictError("edit_depends", message, remedy=noted("Undo that first."))


def _require_independent(undo: Undo, ops: Sequence[Operation]) -> None:
    """Raises EditConflictError if the undo would move words that later operations are about."""
    place = next((n for n, each in enumerate(ops) if each.id == undo.of), None)
    if place is None:
        raise conflict(noted("There is no operation {of!r} to undo.", of=undo.of))
    target = ops[place]
    seen: set[str] = set()
    while isinstance(target, Undo) and target.id not in seen:
        seen.add(target.id)
        target = next((each for each in ops if each.id == target.of), target)
    if keeps_places(target):
        return
    named = segments_named(target)
    later = effective(ops)
    after = later[later.index(target) + 1 :] if target in later else effective(ops[place + 1 :])
    if any(segments_named(each) & named for each in after):
        raise depends()


def _theirs(log: EditLog, version: str, operations: Sequence[Operation]) -> frozenset[str]:
    """The segments that others changed since a version."""
    since = log.since(version)
    if since is None:
        raise conflict(noted("The transcript was made anew since."))
    sent = {operation.id for operation in operations}
    named = (segments_named(each, log.ops) for each in since if each.id not in sent)
    return frozenset[str]().union(*named)


# --- a new transcript of the same recording -----------------------------------------------------


def _moved(operation: Operation, text: EditedText, starts: Sequence[float]) -> Operation | None:
    """The operation for another transcript, found by its time and its words; None if it is not
    there, or cannot be told. ``starts``: of the transcript's own segments."""
    if isinstance(operation, RenameSpeaker):
        return operation
    if operation.span is None:
        return None
    start_s = operation.span[0]
    if isinstance(operation, Words | Confirm) and operation.was:
        return _moved_words(operation, text, _near(text, starts, start_s), start_s)
    if isinstance(operation, SetSpeaker):
        for key in _near(text, starts, start_s):
            segment = text.get(key)
            is_near = segment and abs(segment.start - start_s) <= _NEAR_S
            if segment and is_near and segment.speaker == operation.was:
                return operation.model_copy(update={"segment": key})
    if isinstance(operation, RestoreDropped):
        for number, each in text.dropped:
            if each.text == operation.was and abs(each.start - start_s) <= _NEAR_S:
                return operation.model_copy(update={"dropped": number})
    return None


def _near(text: EditedText, starts: Sequence[float], start_s: float) -> list[str]:
    """The ids of the segments around a second, and of all that operations made."""
    first = max(0, bisect.bisect_left(starts, start_s - _NEAR_S) - _BEFORE)
    after = bisect.bisect_right(starts, start_s + _NEAR_S)
    return [*map(str, range(first, after)), *text.made]


def _moved_words(
    operation: Words | Confirm, text: EditedText, near: Iterable[str], start_s: float
) -> Words | Confirm | None:
    count = len(operation.was)
    places: list[tuple[float, str, int]] = []
    for key in near:
        segment = text.get(key)
        if not segment or not segment.start - _NEAR_S <= start_s <= segment.end + _NEAR_S:
            continue
        words = timed_words(segment)
        for first in range(len(words) - count + 1):
            far = abs((words[first].start or 0.0) - start_s)
            said = tuple(word.word for word in words[first : first + count])
            if far <= _NEAR_S and said == operation.was:
                places.append((far, key, first))
    if not places:
        return None
    _, key, first = min(places)
    return operation.model_copy(update={"segment": key, "first": first, "after": first + count})
