"""What is noted of a session beside its sound, and the name that its recording gets. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from modules.recordings.names import is_recording

ID = re.compile(r"[0-9a-f]{32}")
NAME_CHARS = 100
RATE_MIN, RATE_MAX = 8_000, 48_000
ENDING = ".wav"
#: Kinds of containers that can be decoded as they arrive, by the endings of their recordings.
Container = Literal["webm", "mkv", "ogg", "mp4", "m4a", "wav", "flac", "mp3"]
#: Of silence that ends an utterance: unless a client says something else, and the bounds of that.
SILENCE_S, SILENCE_MIN_S, SILENCE_MAX_S = 0.5, 0.2, 5.0


def _is_recording(name: str) -> str:
    if not is_recording(name):
        raise ValueError("must be the name of a recording")
    return name


Rate = Annotated[int, Field(ge=RATE_MIN, le=RATE_MAX)]


class SessionNote(BaseModel):
    """What a session is. It lies where others may write, and is only believed if it is plausible.

    ``wishes``: the settings that the client stated. ``silence_s``: so much of silence ends an
    utterance. ``created``: local time, as people read it. ``container``: what its sound came in.
    ``landing``: the name in the share that its sound has, or is about to get; ``finished``:
    nothing is left to be done; ``discarded``: nothing of it is wanted.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    format: Literal[1] = 1
    rate: Rate
    name: str | None = Field(default=None, max_length=NAME_CHARS)
    wishes: dict[str, Any] = Field(default_factory=dict)
    silence_s: float = Field(default=SILENCE_S, ge=SILENCE_MIN_S, le=SILENCE_MAX_S)
    client: str = Field(default="", max_length=64)
    created: str = Field(pattern=r"^\d{4}-\d\d-\d\d \d\d-\d\d$")
    container: Container | None = None
    landing: Annotated[str, AfterValidator(_is_recording)] | None = None
    job_id: str | None = Field(default=None, max_length=64)
    finished: bool = False
    discarded: bool = False


def created_at(moment: datetime) -> str:
    """The beginning of a recording's name."""
    return moment.strftime("%Y-%m-%d %H-%M")


def recording_name(note: SessionNote, folder: str, ending: str = ENDING) -> str:
    """``live/2026-11-28 14-03 standup.wav``; without the name if no recording can have it."""
    prefix = f"{folder}/" if folder else ""
    plain = f"{prefix}{note.created}{ending}"
    # What Windows refuses in names becomes a space, too: the share may be read from there.
    printable = "".join(
        c if c.isprintable() and c not in '/\\:*?"<>|' else " " for c in note.name or ""
    )
    title = " ".join(printable.split()).strip(". ")
    wanted = f"{prefix}{note.created} {title}{ending}"
    fits = len(wanted.rpartition("/")[2].encode(errors="replace")) <= 255
    return wanted if title and fits and is_recording(wanted) else plain
