"""The names of the files beside a recording."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modules.config.languages import subtitle_codes
from modules.config.types import DURATION_HOURS_MAX, FORMATS, SUBTITLE_FORMATS
from modules.storage.transfer import NAME_MAX

IN_PROGRESS = ".in_progress"
RESULT = ".result"
CHECKPOINT = ".checkpoint"
ERROR_TEXT = ".error.txt"
#: What people corrected in the text.
EDITS = ".edit.json"
#: The settings of one recording.
SETTINGS = ".settings.yaml"
#: What a language model made of the text: for programs, and for people.
SUMMARY = ".summary.json"
SUMMARY_TEXT = ".summary.md"

#: What is read of a sidecar at most; others may have written it. A result holds every word with its
#: times, up to 3 MB for an hour. By the longest recording that can be configured, not by the one
#: that is: a result must stay readable when the configuration changes.
RESULT_BYTES_MAX = max(64, 4 * DURATION_HOURS_MAX) * 2**20
STATE_BYTES_MAX = 4 * 2**20
EDITS_BYTES_MAX = 8 * 2**20
ERROR_TEXT_BYTES_MAX = 2**20
SUMMARY_BYTES_MAX = 4 * 2**20


@dataclass(frozen=True)
class RecordingPaths:
    """The files beside a recording; all are paths relative to the folder that ``name`` is in."""

    name: str

    @property
    def state(self) -> str:
        return sidecar_name(self.name, IN_PROGRESS)

    @property
    def result(self) -> str:
        return sidecar_name(self.name, RESULT)

    @property
    def checkpoint(self) -> str:
        return sidecar_name(self.name, CHECKPOINT)

    @property
    def error_text(self) -> str:
        return sidecar_name(self.name, ERROR_TEXT)

    @property
    def edits(self) -> str:
        return sidecar_name(self.name, EDITS)

    @property
    def settings(self) -> str:
        return sidecar_name(self.name, SETTINGS)

    @property
    def summary(self) -> str:
        return sidecar_name(self.name, SUMMARY)

    @property
    def summary_text(self) -> str:
        return sidecar_name(self.name, SUMMARY_TEXT)


def sidecar_name(name: str, suffix: str) -> str:
    """The sidecar of a recording; both are paths relative to the share.

    The checkpoint is hidden. A name that would grow past the limit of the file system is cut and
    gets a hash; the file then holds the original name inside.
    """
    folder, _, base = name.rpartition("/")
    head = "." if suffix == CHECKPOINT else ""
    if len(os.fsencode(head + base + suffix)) > NAME_MAX:
        digest = hashlib.sha256(os.fsencode(base)).hexdigest()[:16]
        room = NAME_MAX - len(os.fsencode(head + suffix)) - len(digest) - 1
        base = os.fsencode(base)[:room].decode("utf-8", errors="ignore") + "~" + digest
    sidecar = head + base + suffix
    return f"{folder}/{sidecar}" if folder else sidecar


def recording_of(sidecar: str, content: Mapping[str, Any]) -> str:
    """The recording that a ``.in_progress`` or ``.result`` belongs to.

    Its own name tells, unless it was cut; then the name inside does.
    """
    for suffix in (IN_PROGRESS, RESULT):
        if sidecar.endswith(suffix):
            inside = content.get("filename")
            if isinstance(inside, str) and _fits(inside, suffix, sidecar):
                return inside
            return sidecar.removesuffix(suffix)
    raise ValueError(f"{sidecar} is no sidecar")


def _fits(name: str, suffix: str, sidecar: str) -> bool:
    try:
        return sidecar_name(name, suffix) == sidecar
    except UnicodeEncodeError:
        return False  # no file system has such a name


def own_outputs(name: str, listed: Iterable[Any]) -> tuple[str, ...]:
    """Those of the listed texts that could have been written for a recording, by their names."""
    return tuple(
        output
        for output in listed
        if isinstance(output, str)
        and (form := output.rpartition(".")[2]) in FORMATS
        and (
            output in output_names(name, form)
            or ((code := language_in(output)) and output in output_names(name, form, code))
        )
    )


def output_names(name: str, form: str, language: str | None = None) -> Iterator[str]:
    """What the text of a recording may be called, the best first: by the stem, by its full name.

    ``language``: the code that subtitles have before their ending; other texts have none.
    """
    code = f".{language}" if language and form in SUBTITLE_FORMATS else ""
    for base in (stem_of(name), name, *(f"{name} ({n})" for n in range(2, 99))):
        yield sidecar_name(base, f"{code}.{form}")


def language_in(output: str) -> str | None:
    """The code of a language that the name of subtitles has before its ending, if it has one."""
    rest, _, form = output.rpartition(".")
    code = rest.rpartition(".")[2]
    return code if form in SUBTITLE_FORMATS and code in subtitle_codes() else None


def stem_of(name: str) -> str:
    """``talk`` for ``talk.mp4``, with its folder."""
    folder, _, base = name.rpartition("/")
    stem = os.path.splitext(base)[0]
    return f"{folder}/{stem}" if folder else stem
