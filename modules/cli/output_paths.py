"""Which files a one-off transcription writes, decided before anything is started."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path

from modules.config.types import SUBTITLE_FORMATS
from modules.errors import TranscriberError, joined
from modules.recordings.names import is_recording
from modules.recordings.sidecars import RESULT, sidecar_name, stem_of

#: The format that stands for the service's own file with everything in it.
RESULT_FORMAT = RESULT.removeprefix(".")


@dataclass(frozen=True)
class Target:
    """A recording, as the user named it, and where each of its formats goes."""

    recording: Path
    outputs: Mapping[str, Path]

    @property
    def name(self) -> str:
        return self.recording.name


def plan(
    recordings: Iterable[Path],
    formats: Sequence[str],
    folder: Path | None,
    overwrite: bool,
    language: str | None = None,
) -> tuple[list[Target], list[str]]:
    """What is to be done, and one line for each recording that cannot be.

    ``folder``: where the texts go, or None for beside each recording. ``language``: the code in the
    names of subtitles, if they have one.
    """
    chosen = list(dict.fromkeys(Path(os.path.abspath(path)) for path in recordings))
    targets: list[Target] = []
    refusals: list[str] = []
    promised = set(chosen)
    for recording in chosen:
        try:
            target = _target(recording, chosen, formats, folder or recording.parent, language)
            _refuse_taken(target, promised, overwrite)
        except TranscriberError as error:
            refusals.append(joined(": ", recording.name, error.text))
        else:
            targets.append(target)
            promised.update(target.outputs.values())
    return targets, refusals


def _target(
    recording: Path,
    chosen: Sequence[Path],
    formats: Sequence[str],
    folder: Path,
    language: str | None,
) -> Target:
    """Named by the stem, as players look for it; by the full name where two share a stem."""
    if not recording.is_file():
        message = _("This is no file.") if recording.exists() else _("There is no such file.")
        raise TranscriberError("file_not_found", message)
    base = recording.name if _shares_stem(recording, chosen, folder) else stem_of(recording.name)
    outputs = {}
    for form in formats:
        is_result = form == RESULT_FORMAT
        code = f".{language}" if language and form in SUBTITLE_FORMATS else ""
        path = folder / sidecar_name(recording.name if is_result else base, f"{code}.{form}")
        # A recording called talk.json must not be its own transcript.
        outputs[form] = folder / f"{recording.name}.{form}" if path in chosen else path
    return Target(recording, outputs)


def _shares_stem(recording: Path, chosen: Sequence[Path], folder: Path) -> bool:
    same_place = folder == recording.parent
    others = {path.name for path in chosen if not same_place or path.parent == folder}
    if same_place:
        others.update(name for name in _names_in(folder) if is_recording(name))
    stem = stem_of(recording.name)
    return any(name != recording.name and stem_of(name) == stem for name in others)


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # a folder may be entered without being listed


def _refuse_taken(target: Target, promised: set[Path], overwrite: bool) -> None:
    for path in target.outputs.values():
        if path in promised:
            message = _("{name} is already being written for another of these files.")
            message = message.format(name=path.name)
            raise TranscriberError("name_taken", message, remedy=_("Do them one by one."))
        if not overwrite:
            refuse_existing(path)


def refuse_existing(path: Path) -> None:
    """Raises TranscriberError if something is there."""
    if os.path.lexists(path):
        raise TranscriberError(
            "file_exists",
            _("{path} is there already.").format(path=path),
            remedy=_("Move it away, choose another folder with -o, or use --overwrite."),
        )
