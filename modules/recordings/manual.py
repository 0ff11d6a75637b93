"""``manual/``: where recordings go that could not be transcribed, with all that belongs to them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.errors import StorageError, TranscriberError, noted
from modules.recordings.error_texts import explain
from modules.recordings.names import is_recording
from modules.recordings.sidecars import ERROR_TEXT_BYTES_MAX, STATE_BYTES_MAX, RecordingPaths
from modules.recordings.state import job_from_json, shown
from modules.storage import beneath
from modules.storage.atomic import (
    put_aside_unless,
    remove,
    storage_errors,
    to_json,
    write_own,
)
from modules.storage.safe_open import read_json, read_regular
from modules.storage.transfer import (
    are_equal,
    free_name,
    is_regular,
    is_taken,
    names_like,
    take_along,
    transfer,
)
from modules.storage.tree import files_below


@dataclass(frozen=True)
class Places:
    """The folders that a recording, what we keep of it, and its texts move from."""

    recordings: Path
    sidecars: Path
    texts: Path


def move(
    places: Places,
    manual: Path,
    name: str,
    outputs: Sequence[str],
    state: dict[str, Any],
    explanation: str,
    is_same: Callable[[Path], bool],
) -> Path:
    """Move a recording, its service files and its texts to ``manual/``, under free names.

    ``state`` becomes the ``.in_progress`` there. The explanation is written first and the recording
    goes last: whatever interrupts, the recording is in one of the two places and a repeated move
    ends the same. ``is_same`` tells whether a file is the one that the explanation is about: one
    that took its name meanwhile goes back. Returns where the recording is now. Raises StorageError.
    """
    shared = places.recordings
    target = _target(shared, manual, name, str(state["job_id"]))
    here, there = RecordingPaths(name), RecordingPaths(target)
    write_own(manual / there.error_text, explanation.encode(errors="replace"))
    write_own(manual / there.state, to_json(state | {"filename": target}))
    _take_belongings(places, manual, here, there, outputs)
    transfer(shared / name, manual / target)
    # Asked of what was moved, not before: it could be replaced between a look and the move.
    if not is_same(manual / target):
        transfer(manual / target, shared / name)
        remove(manual / there.error_text)
        remove(manual / there.state)
        raise StorageError(
            "file_changed", noted("{name} was replaced while it was moved to manual/.", name=name)
        )
    remove(places.sidecars / here.state)
    return manual / target


def _take_belongings(
    places: Places,
    manual: Path,
    here: RecordingPaths,
    there: RecordingPaths,
    outputs: Sequence[str],
) -> None:
    edits = places.sidecars / here.edits
    with storage_errors(edits):
        if is_regular(edits):  # what is there is of an earlier one of this name
            put_aside_unless(manual / there.edits, lambda _: False)
    take_along(places.sidecars, manual, here.edits, there.edits)
    for output in outputs:
        take_along(places.texts, manual, output, _renamed(output, here.name, there.name))
    # The result after what it lists, or a repeated move would not know of that.
    take_along(places.sidecars, manual, here.checkpoint, there.checkpoint)
    take_along(places.texts, manual, here.summary_text, there.summary_text)
    take_along(places.sidecars, manual, here.summary, there.summary)
    take_along(places.sidecars, manual, here.result, there.result)
    take_along(places.recordings, manual, here.settings, there.settings)


def _target(shared: Path, manual: Path, name: str, job_id: str) -> str:
    """The name that a recording gets in ``manual/``, in a folder that exists."""
    with storage_errors(shared / name):
        target = moved_before(manual, name, job_id)
        if target and not are_equal(shared / name, manual / target):
            target = None
        target = target or free_name(manual, name)
    folder = (manual / target).parent
    with storage_errors(folder):
        beneath.make_folders(folder)
    return target


@dataclass(frozen=True)
class Failure:
    """A recording in ``manual/``. ``state``: its ``.in_progress``; empty if there is none.

    ``is_left``: it failed where it was, and was not moved.
    """

    name: str
    size: int
    state: dict[str, Any]
    explanation: str | None
    is_left: bool = False

    def explained(self, language: str) -> str | None:
        """The explanation in ``en`` or ``ru``; as it lies there if it cannot be said anew."""
        try:
            job = job_from_json(self.name, self.state)
        except TranscriberError:
            return self.explanation
        known = self.explanation is not None and job.error is not None
        if not known or job.error is None:
            return self.explanation
        return explain(job, job.error, language, left=self.is_left)


def listing(manual: Path) -> list[Failure]:
    """Every recording in ``manual/``, by name. Raises StorageError."""
    with storage_errors(manual):
        names = [name for name in files_below(manual) if is_recording(name.rpartition("/")[2])]
    found = (failure(manual, name) for name in sorted(names))
    return [each for each in found if each]


def failure(manual: Path, name: str) -> Failure | None:
    """What is known of one recording there; None if it is not there."""
    state: dict[str, Any] = {}
    explanation = None
    with contextlib.suppress(StorageError):
        state = shown(state_of(manual, name))
    with contextlib.suppress(OSError):
        text = read_regular(manual / RecordingPaths(name).error_text, ERROR_TEXT_BYTES_MAX)
        explanation = text.decode("utf-8", "replace")
    try:
        return Failure(name, beneath.lstat(manual / name).st_size, state, explanation)
    except OSError:
        return None


def state_of(manual: Path, name: str) -> dict[str, Any]:
    """The ``.in_progress`` of a recording there; empty if there is none that makes sense.

    Raises StorageError if it cannot be read at present.
    """
    path = manual / RecordingPaths(name).state
    with storage_errors(path):
        try:
            return read_json(path, STATE_BYTES_MAX) if is_regular(path) else {}
        except TranscriberError:
            return {}


def moved_before(manual: Path, name: str, job_id: str) -> str | None:
    """The name in ``manual/`` under which this job's recording lies already, if it does."""
    for candidate in names_like(name):
        if not is_taken(manual / candidate):
            return None
        with contextlib.suppress(OSError, TranscriberError):
            state = read_json(manual / RecordingPaths(candidate).state, STATE_BYTES_MAX)
            if state.get("job_id") == job_id:
                return candidate
    return None


def _renamed(output: str, name: str, target: str) -> str:
    return target + output[len(name) :] if output.startswith(name) else output
