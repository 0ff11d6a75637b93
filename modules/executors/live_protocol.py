"""The live channel between the daemon and its WhisperX child: one JSON object a line, both ways.

It is a Unix socket of its own, handed over with the command ``Live``, so that live sound never
waits behind the commands and events of files. Sound does not travel on it: the daemon appends
samples to a file, whose open descriptor comes with ``OpenSession``, and says how many are there.
The child is never trusted: ``parse_live_event`` refuses what is unknown or too large.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from modules.config.settings import Frozen, TranscriptionSettings
from modules.errors import CODE_CHARS, MESSAGE_CHARS
from modules.transcript.model import Chunk, Turn, Word
from modules.weights.files import ModelSpec

#: No event is longer, in bytes: a chunk of 30 s of fast speech has 40 kB.
LIVE_LINE_BYTES_MAX = 2**18
#: No window has so many words.
_WORDS_MAX = 500

Session = Annotated[int, Field(gt=0)]
Words = Annotated[tuple[Word, ...], Field(max_length=_WORDS_MAX)]
#: What voices are called, in the order in which they appear.
Speaker = Annotated[str, Field(pattern=r"^SPEAKER_[0-9]{2}$")]


class TextOrder(Frozen):
    """Transcribe a session as the file that it becomes, chunk by chunk while it grows.

    With this ``model`` and no other, from ``start_s`` on; ``known_language``: what ``auto`` found
    before that.
    """

    model: ModelSpec
    start_s: float = 0.0
    known_language: str | None = None


class OpenSession(Frozen):
    """Begin with a session, or go on after the child was replaced.

    With it comes the descriptor of its sound, open for reading: raw signed 16 bit little-endian
    mono, ``rate`` samples a second, of which ``samples`` are there. What lies before ``from_s``
    was committed before. ``step_s``: seconds between two passes, None for finals only;
    ``silence_s``: so much silence ends an utterance. ``text``: None if no text is wanted but that
    which is spoken. ``speakers``: who spoke before, so that voices keep their names.
    """

    op: Literal["open"] = "open"
    session: Session
    rate: int
    samples: int = 0
    from_s: float = 0.0
    settings: TranscriptionSettings
    known_language: str | None = None
    step_s: float | None = 1.0
    silence_s: float = 0.5
    text: TextOrder | None = None
    speakers: tuple[Turn, ...] = ()


class Sound(Frozen):
    """So many samples of a session are in its file by now."""

    op: Literal["sound"] = "sound"
    session: Session
    samples: int


class Flush(Frozen):
    """End the utterance with the samples that are there; answered by ``flushed`` after its
    final."""

    op: Literal["flush"] = "flush"
    session: Session


class Pace(Frozen):
    """Change the step between two passes; None: finals only. ``hurries``: where more sound waits
    than there is time for, finals are quick ones of several utterances, or it is skipped."""

    op: Literal["pace"] = "pace"
    session: Session
    step_s: float | None
    hurries: bool = False


class CloseSession(Frozen):
    """No more sound comes. ``discard``: nothing is wanted any more; else what is left is
    transcribed first. Answered by ``closed``."""

    op: Literal["close"] = "close"
    session: Session
    discard: bool = False


LiveCommand = OpenSession | Sound | Flush | Pace | CloseSession
LIVE_COMMANDS: TypeAdapter[LiveCommand] = TypeAdapter(
    Annotated[LiveCommand, Field(discriminator="op")]
)


class Speech(Frozen):
    """Speech began or ended, at that second of the session."""

    kind: Literal["speech"] = "speech"
    session: Session
    speaking: bool
    at_s: float


class Partial(Frozen):
    """What is heard behind the last commit; the next partial or commit replaces it."""

    kind: Literal["partial"] = "partial"
    session: Session
    words: Words


class Commit(Frozen):
    """Words that will not change any more; times from the start of the session."""

    kind: Literal["commit"] = "commit"
    session: Session
    words: Words
    language: str | None = None


class Final(Frozen):
    """An utterance is over. ``words`` are all of its words: those that were committed, unchanged,
    and those that were not yet, which are committed by this. ``speaker``: whose voice it is, where
    that was asked for and can be told."""

    kind: Literal["final"] = "final"
    session: Session
    start_s: float
    end_s: float
    text: str
    words: Words
    language: str | None = None
    speaker: Speaker | None = None


class Skipped(Frozen):
    """There was no time to hear a part of a session."""

    kind: Literal["skipped"] = "skipped"
    session: Session
    from_s: float
    to_s: float


class Worked(Frozen):
    """A pass is over: sound was heard up to ``upto_s``, which took ``busy_s`` seconds of the
    session's share of the model, ``waited_s`` of them waiting for others."""

    kind: Literal["worked"] = "worked"
    session: Session
    upto_s: float
    busy_s: float
    waited_s: float = 0.0


class Working(Frozen):
    """The model works for a session: said when it begins with something, about once a second where
    it shows progress, and, with ``busy`` false, when it rests. The end of a pass is ``worked``."""

    kind: Literal["working"] = "working"
    session: Session
    lane: Literal["pass", "text"]
    busy: bool = True


class Reading(Frozen):
    """Commands are read, or what they bring is heard: said about once a second meanwhile, of
    whichever session."""

    kind: Literal["reading"] = "reading"
    session: Session


class Flushed(Frozen):
    """The utterance was ended as asked; what it said came before."""

    kind: Literal["flushed"] = "flushed"
    session: Session


class Closed(Frozen):
    """Nothing more comes of this session."""

    kind: Literal["closed"] = "closed"
    session: Session


class LiveFailed(Frozen):
    """A session failed in the child and is closed there; its sound is not touched."""

    kind: Literal["failed"] = "failed"
    session: Session
    code: Annotated[str, Field(max_length=CODE_CHARS)]
    message: Annotated[str, Field(max_length=MESSAGE_CHARS)]


class Text(Frozen):
    """A chunk of a session is finished, as ``TextOrder`` asked for; they come in order, counted
    from 1 on since the session was opened."""

    kind: Literal["text"] = "text"
    session: Session
    chunk: Chunk


class TextFailed(Frozen):
    """No more ``text`` comes of this session; live it is heard on."""

    kind: Literal["text_failed"] = "text_failed"
    session: Session
    message: Annotated[str, Field(max_length=MESSAGE_CHARS)]


LiveEvent = (
    Speech | Partial | Commit | Final | Worked | Working | Reading | Flushed | Closed | LiveFailed
    | Text | TextFailed | Skipped
)  # fmt: skip
_EVENTS: TypeAdapter[LiveEvent] = TypeAdapter(Annotated[LiveEvent, Field(discriminator="kind")])


def parse_live_event(line: bytes) -> LiveEvent | None:
    """The event in a line, or None if it is torn, too large or not one of ours."""
    if len(line) > LIVE_LINE_BYTES_MAX:
        return None
    try:
        return _EVENTS.validate_json(line)
    except ValidationError:
        return None
