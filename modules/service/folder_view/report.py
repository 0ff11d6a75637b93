"""Every recording of the shared and the manual folder, from the files alone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from modules.config.schema import Config
from modules.errors import TranscriberError
from modules.recordings.names import is_recording, is_visible_folder
from modules.recordings.sidecars import EDITS, IN_PROGRESS, RESULT, RecordingPaths
from modules.recordings.skipped import is_skipped
from modules.recordings.store import RecordingStore
from modules.service import folder_orders
from modules.service.folder_view.rows import (
    Row,
    State,
    failed_row,
    finished_row,
    ignored_row,
    lonely_row,
    skipped_row,
    untouched_row,
    working_row,
)
from modules.service.folder_view.sidecar_reader import read_state
from modules.storage import beneath
from modules.watching.scan import Scan, scan
from modules.watching.stability import FileSample

_ORDER = {state: place for place, state in enumerate(State)}
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_SIDECARS = (IN_PROGRESS, RESULT, EDITS)
#: Names whose kind is remembered; more than a folder should hold.
_KINDS_KEPT = 500_000
#: How many names stand for all that are skipped.
_EXAMPLES = 3
#: A name of so many characters is never cut for a sidecar, whatever they are.
_SURELY_SHORT = 50


@dataclass
class Report:
    """``not_looked_into``: subfolders that the service passes by. ``problems``: one line each.

    ``skipped``: how many files are no recordings by their names; ``examples``: some of them.
    """

    rows: list[Row] = field(default_factory=list)
    not_looked_into: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    skipped: int = 0
    examples: list[str] = field(default_factory=list)


def report(config: Config, files: RecordingStore) -> Report:
    """The whole report, finished ones first. Raises OSError if the share cannot be listed."""
    return Reporter(config, files).look()


#: What is known of a finished recording holds as long as these files are the same.
_Seen = tuple[FileSample | None, ...]


class Reporter:
    """Looks at the two folders, as often as it is asked. What did not change is not read again."""

    def __init__(self, config: Config, files: RecordingStore) -> None:
        self._config = config
        self._files = files
        self._manual = inside(config.manual_directory, config.shared_directory)
        self._kinds: dict[str, bool] = {}
        self._known: dict[tuple[str, str], tuple[_Seen, Row | None]] = {}
        self._kept: dict[tuple[str, str], tuple[_Seen, Row | None]] = {}

    def look(self) -> Report:
        """Every recording, finished ones first. Raises OSError if the share cannot be listed."""
        self._kept = {}
        self._files.ignored.reload()
        beside = self._files.folder.sidecars == self._files.folder.path
        seen = scan(
            self._config.shared_directory,
            recursive=self._config.watch.recursive,
            wants_file=lambda name: self._is_recording(name) or (beside and _is_sidecar(name)),
            wants_folder=lambda name: is_visible_folder(name) and name != self._manual,
            is_skipped=is_skipped,
        )
        seen.files.update(self._sidecars_elsewhere())
        rows = self._shared_rows(seen) + self._manual_rows()
        rows.sort(key=lambda row: (_ORDER[row.state], row.when or _LONG_AGO))
        # Nothing is kept of deleted files.
        self._known = self._kept
        examples = sorted(seen.examples.values())[:_EXAMPLES]
        return Report(rows, sorted(seen.skipped), seen.problems, seen.passed_over, examples)

    def _sidecars_elsewhere(self) -> dict[str, FileSample]:
        """Those that do not lie beside the recordings, by the names that they would have there."""
        folder = self._files.folder
        if folder.sidecars == folder.path:
            return {}
        with contextlib.suppress(FileNotFoundError):  # before the first start
            return scan(
                folder.sidecars,
                recursive=self._config.watch.recursive,
                wants_file=_is_sidecar,
                wants_folder=is_visible_folder,
            ).files
        return {}

    def _is_recording(self, name: str) -> bool:
        """Asked of each name at each look."""
        kind = self._kinds.get(name)
        if kind is None:
            if len(self._kinds) > _KINDS_KEPT:
                self._kinds.clear()
            kind = self._kinds[name] = is_recording(name)
        return kind

    def _once(
        self, place: str, name: str, seen: _Seen, read: Callable[[], Row | None]
    ) -> Row | None:
        """What was read of a recording, anew only if its files changed."""
        key = (place, name)
        before = self._known.get(key)
        found = before if before and before[0] == seen else (seen, read())
        self._kept[key] = found
        return found[1]

    def _shared_rows(self, seen: Scan) -> list[Row]:
        rows, claimed = [], set()
        ordered = _ordered(self._files.folder.path)
        for name, sample in seen.files.items():
            if self._is_recording(name):
                state, result, edits = name + IN_PROGRESS, name + RESULT, name + EDITS
                if len(name) > _SURELY_SHORT:
                    paths = RecordingPaths(name)
                    state, result, edits = paths.state, paths.result, paths.edits
                claimed |= {state, result, edits}
                rows.append(
                    (self._working(name, sample) if state in seen.files else None)
                    or self._finished(name, sample, seen.files.get(result), seen.files.get(edits))
                    or self._ignored(name, sample)
                    or (self._skipped(name, sample) if name not in ordered else None)
                    or untouched_row(name, sample, ordered)
                )
        for sidecar in seen.files.keys() - claimed:
            if not self._is_recording(sidecar) and not sidecar.endswith(EDITS):
                corrected = seen.files.get(sidecar.removesuffix(RESULT) + EDITS)
                row = self._lonely(sidecar, seen.files[sidecar], corrected)
                rows += [row] if row else []
        return rows

    def _working(self, name: str, sample: FileSample) -> Row | None:
        return working_row(name, sample, self._files)

    def _finished(
        self, name: str, sample: FileSample, result: FileSample | None, edits: FileSample | None
    ) -> Row | None:
        if result is None:
            return None
        seen = (sample, result, edits)
        return self._once("shared", name, seen, lambda: finished_row(name, sample, self._files))

    def _ignored(self, name: str, sample: FileSample) -> Row | None:
        kind = self._files.ignored.kind_of(name)
        return ignored_row(name, sample, kind) if kind else None

    def _skipped(self, name: str, sample: FileSample) -> Row | None:
        with contextlib.suppress(TranscriberError):
            if subtitles := self._files.subtitles.beside(name):
                return skipped_row(name, sample, subtitles)
        return None

    def _lonely(self, sidecar: str, sample: FileSample, edits: FileSample | None) -> Row | None:
        seen = (sample, edits)
        return self._once("shared", sidecar, seen, lambda: lonely_row(sidecar, self._files))

    def _manual_rows(self) -> list[Row]:
        manual = self._config.manual_directory
        try:
            seen = scan(
                manual,
                recursive=True,
                wants_file=self._is_recording,
                wants_folder=is_visible_folder,
            )
        except OSError:
            return []
        # What explains it is there before the recording is.
        rows = (
            self._once("manual", name, (sample,), partial(failed_row, manual, name, sample))
            for name, sample in seen.files.items()
        )
        return [row for row in rows if row]


def _is_sidecar(name: str) -> bool:
    return name.endswith(_SIDECARS)


def inside(folder: Path, root: Path) -> str | None:
    """The path of a folder relative to another, if it lies inside."""
    real, real_root = Path(os.path.realpath(folder)), Path(os.path.realpath(root))
    return real.relative_to(real_root).as_posix() if real.is_relative_to(real_root) else None


def _ordered(shared: Path) -> dict[object, float]:
    """The names in orders that no daemon has carried out yet, and since when they lie there."""
    names: dict[object, float] = {}
    with contextlib.suppress(OSError):
        folder = folder_orders.folder(shared)
        for path in (folder / name for name in beneath.names_in(folder)):
            with contextlib.suppress(TranscriberError, OSError):
                name = (read_state(path) or {}).get("filename")
                if isinstance(name, str):
                    names[name] = beneath.lstat(path).st_mtime
    return names
