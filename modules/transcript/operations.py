"""The operations by which people correct a transcript, as they are stored and sent.

A segment of the transcript has its number as id, "12"; a segment that an operation made has the id
of that operation. So ids stay the same, whatever others do meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal
from unicodedata import category

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

#: Of one text. More than there are words in most recordings.
OPERATIONS_MAX = 20_000
_NO_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})
_WORDS_MAX, _WORD_CHARS, _NAME_CHARS = 5_000, 500, 80

OperationId = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,39}$")]
SegmentId = Annotated[str, Field(pattern=r"^([0-9]{1,7}|[A-Za-z][A-Za-z0-9_-]{0,39})$")]
Index = Annotated[int, Field(ge=0, le=10**7)]
#: A span of the recording in seconds.
Span = tuple[float, float]


def _as_word(text: str) -> str:
    if not text.strip() or text != text.strip():
        raise ValueError("must have no spaces around it, and not be empty")
    if any(category(sign) in _NO_TEXT for sign in text):
        raise ValueError("must have no control characters and no breaks of lines")
    return text


def _text_schema(chars: int) -> WithJsonSchema:
    """As ``_as_word`` has it."""
    sign, rest = r"[^\s\x00-\x1f\x7f-\x9f]", r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]"
    return WithJsonSchema(
        {"type": "string", "pattern": f"^{sign}({rest}*{sign})?$", "minLength": 1,
         "maxLength": chars}
    )  # fmt: skip


Spoken = Annotated[
    str,
    Field(min_length=1, max_length=_WORD_CHARS),
    AfterValidator(_as_word),
    _text_schema(_WORD_CHARS),
]
Spokens = Annotated[tuple[Spoken, ...], Field(max_length=_WORDS_MAX)]
#: What stands in the transcript may be anything.
Before = Annotated[
    tuple[Annotated[str, Field(max_length=10_000)], ...], Field(max_length=_WORDS_MAX)
]
Speaker = Annotated[
    str,
    Field(min_length=1, max_length=_NAME_CHARS),
    AfterValidator(_as_word),
    _text_schema(_NAME_CHARS),
]


class _Operation(BaseModel):
    """``id``: made by the client, so that an operation that is sent again is known.

    ``at``: when it was accepted, in UTC. ``by``: the name that a person gave. ``span``: where in
    the recording it is, by which it is found again in a new transcript. The service sets ``at`` and
    ``span``.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        populate_by_name=True,
        serialize_by_alias=True,
    )

    id: OperationId
    at: Annotated[str, Field(max_length=40)] | None = None
    by: Annotated[str, Field(max_length=_NAME_CHARS)] | None = None
    span: Span | None = None


class Words(_Operation):
    """Words ``first`` to ``after`` of a segment, which ``was``, are ``now`` others."""

    op: Literal["words"] = "words"
    segment: SegmentId
    first: Index = Field(alias="from")
    after: Index = Field(alias="to")
    was: Before
    now: Spokens


class Confirm(_Operation):
    """Words ``first`` to ``after`` of a segment, which are these, were said."""

    op: Literal["confirm"] = "confirm"
    segment: SegmentId
    first: Index = Field(alias="from")
    after: Index = Field(alias="to")
    was: Before


class SetSpeaker(_Operation):
    """Another speaker says a segment."""

    op: Literal["speaker"] = "speaker"
    segment: SegmentId
    was: Annotated[str, Field(max_length=10_000)] | None = None
    now: Speaker | None = None


class RenameSpeaker(_Operation):
    """A speaker has another name everywhere. That of another speaker makes both one."""

    op: Literal["rename_speaker"] = "rename_speaker"
    was: Annotated[str, Field(min_length=1, max_length=10_000)]
    now: Speaker


class Split(_Operation):
    """A segment ends before its word ``at``; the rest is a new one."""

    op: Literal["split"] = "split"
    segment: SegmentId
    at_word: Index = Field(alias="word", ge=1)


class Join(_Operation):
    """A segment and the one after it become one."""

    op: Literal["join"] = "join"
    segment: SegmentId
    following: SegmentId = Field(alias="with")


class RestoreDropped(_Operation):
    """Text that was left out as invented was said. ``dropped``: its number."""

    op: Literal["restore_dropped"] = "restore_dropped"
    dropped: Index
    was: Annotated[str, Field(max_length=10_000)]


class Undo(_Operation):
    """An earlier operation is as if it had never been; also an undo."""

    op: Literal["undo"] = "undo"
    of: OperationId


Operation = Annotated[
    Words | Confirm | SetSpeaker | RenameSpeaker | Split | Join | RestoreDropped | Undo,
    Field(discriminator="op"),
]


def effective(operations: Sequence[Operation]) -> list[Operation]:
    """What is left when undos are done: neither they nor what they undo."""
    undone: set[str] = set()
    kept: list[Operation] = []
    for operation in reversed(operations):
        if operation.id in undone:
            continue
        if isinstance(operation, Undo):
            undone.add(operation.of)
        else:
            kept.append(operation)
    return kept[::-1]


def segments_named(operation: Operation, earlier: Iterable[Operation] = ()) -> frozenset[str]:
    """The ids of the segments that an operation is about. For an undo, of what it undoes."""
    by_id, seen = {each.id: each for each in earlier}, set[str]()
    while isinstance(operation, Undo):
        undone = by_id.get(operation.of)
        if undone is None or undone.id in seen:
            return frozenset()
        seen.add(undone.id)
        operation = undone
    if isinstance(operation, Join):
        return frozenset({operation.segment, operation.following})
    if isinstance(operation, RenameSpeaker):
        return frozenset()
    if isinstance(operation, RestoreDropped):
        return frozenset({operation.id})
    made = {operation.id} if isinstance(operation, Split) else frozenset[str]()
    return frozenset({operation.segment}) | made


def keeps_places(operation: Operation) -> bool:
    """Whether every other word has the number that it would have without the operation."""
    if isinstance(operation, Words):
        return len(operation.was) == len(operation.now)
    return isinstance(operation, Confirm | SetSpeaker | RenameSpeaker)
