"""The files beside the recordings: identity, state, atomic publication, recovery at start.

Names are paths relative to the share, with ``/``. Every method that touches the disk raises
StorageError when the folder cannot be used just now.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.clock import Clock
from modules.config.settings import TranscriptionSettings
from modules.errors import StorageError, TranscriberError
from modules.jobs.job import Job
from modules.jobs.source import FINGERPRINT_BYTES, FileIdentity
from modules.logger import get_logger
from modules.outputs.render import render, with_segments
from modules.recordings import checkpoint, manual, manual_return, settings_files
from modules.recordings.names import STATE_FOLDER, is_recording, is_visible_folder
from modules.recordings.settings_files import Stated
from modules.recordings.sidecars import (
    CHECKPOINT,
    ERROR_TEXT,
    IN_PROGRESS,
    RESULT,
    output_names,
    own_outputs,
    recording_of,
    sidecar_name,
    stem_of,
)
from modules.recordings.state import job_from_json, job_to_json
from modules.storage import transfer
from modules.storage.atomic import (
    TEMPORARY_PREFIX,
    parse_json,
    remove,
    storage_errors,
    to_json,
    write_whole,
)
from modules.transcript.model import Segment

log = get_logger("FileManager")

#: Less room than this is none: the state of a job and its texts would not find any.
_PROBE_BYTES = 2**16


@dataclass(frozen=True)
class Found:
    """A ``.in_progress`` found at start: its job, and whether the recording is still there."""

    job: Job
    has_recording: bool
    moved: bool


class RecordingStore:
    """All file access of the daemon inside ``shared`` and ``manual``."""

    def __init__(self, shared: Path, manual_directory: Path, clock: Clock) -> None:
        self.shared = shared
        self.manual = manual_directory
        self.state = shared / STATE_FOLDER
        #: While this file exists nothing is started; so a pause survives a restart.
        self.pause_flag = self.state / "paused"
        self._clock = clock
        #: Folders in the share that might not be read at start; "." is the share itself.
        self._passed_by: set[str] = set()

    def prepare(self) -> None:
        """Create the folders that must be there. Raises StorageError."""
        for folder in (self.shared, self.manual, self.state):
            with storage_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)

    def check_writable(self) -> None:
        """Raises StorageError if the share cannot be written to just now."""
        self._require_share()
        # An empty file finds its place on a full disk too.
        probe = self.state / "writable"
        write_whole(probe, bytes(_PROBE_BYTES))
        remove(probe)

    # --- identity ---

    def path(self, name: str) -> Path:
        """Where a name lies."""
        return self.shared / name

    def is_there(self, name: str) -> bool:
        """Whether the recording exists as a regular file. Raises StorageError if unknowable."""
        path = self.path(name)
        try:
            for folder in list(path.relative_to(self.shared).parents)[:-1]:
                if not stat.S_ISDIR((self.shared / folder).lstat().st_mode):
                    return False  # links are not followed: they may lead out of the share
            return stat.S_ISREG(path.lstat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            self._require_share()  # nothing is concluded from absence while that is away
            return False
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return False
            raise StorageError("storage_error", f"{path}: {error}") from error

    def _require_share(self) -> None:
        """Our own folder tells the share from an empty mount point, which is left untouched."""
        with storage_errors(self.state):
            is_there = self.state.is_dir()
        if not is_there:
            raise StorageError(
                "share_unavailable", f"The shared folder is unavailable. ({self.shared})"
            )

    @staticmethod
    def _is_taken(path: Path) -> bool:
        """Whether anything has this name. Raises StorageError if that cannot be told."""
        with storage_errors(path):
            return transfer.is_taken(path)

    def source(self, name: str) -> FileIdentity:
        """Size, mtime and fingerprint of a recording. Raises StorageError, also if it is gone."""
        return self._source_at(self.path(name))

    @staticmethod
    def _source_at(path: Path) -> FileIdentity:
        with storage_errors(path):
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with open(os.open(path, flags), "rb") as file:
                facts = os.fstat(file.fileno())
                digest = hashlib.sha256(str(facts.st_size).encode())
                digest.update(file.read(FINGERPRINT_BYTES))
                file.seek(max(0, facts.st_size - FINGERPRINT_BYTES))
                digest.update(file.read(FINGERPRINT_BYTES))
        return FileIdentity(
            size=facts.st_size, mtime_ns=facts.st_mtime_ns, fingerprint=digest.hexdigest()
        )

    def is_still(self, name: str, source: FileIdentity) -> bool:
        """Whether the recording is the file that ``source`` describes."""
        return self.is_there(name) and self._is_at(self.path(name), source)

    def _is_at(self, path: Path, source: FileIdentity) -> bool:
        with storage_errors(path):
            facts = path.lstat()
        if facts.st_size != source.size:
            return False
        return facts.st_mtime_ns == source.mtime_ns or self._source_at(path).same_as(source)

    # --- settings beside recordings ---

    def stated(
        self,
        name: str,
        base: TranscriptionSettings,
        wishes: Mapping[str, Any] | None = None,
        in_manual: bool = False,
    ) -> Stated:
        """What the files beside a recording ask for, under the wishes of a request.

        ``in_manual``: its own file may still lie there. Raises SettingsError, StorageError.
        """
        moved_to = self.manual if in_manual else None
        found = settings_files.stated(self.shared, name, base, wishes, moved_to)
        self._require_share()  # or files that are away would pass for none
        return found

    def has_begun(self, job: Job) -> bool:
        """Whether anything was tried or done for a job; then its settings stand."""
        return bool(job.attempts) or self._is_taken(self.checkpoint_path(job.name))

    def tell_of_settings(self, file: str, complaints: Sequence[str]) -> None:
        """Write beside a settings file what is wrong with it, or remove that if nothing is.

        What somebody else has put there stays as it is. Raises StorageError.
        """
        self._require_share()
        settings_files.tell(self.shared, file, complaints)

    # --- state ---

    def save(self, job: Job) -> None:
        """Write the job's ``.in_progress``."""
        self._require_share()
        write_whole(self.shared / sidecar_name(job.name, IN_PROGRESS), to_json(job_to_json(job)))

    def drop_state(self, name: str) -> None:
        """Remove ``.in_progress`` and the checkpoint of a recording."""
        self._require_share()  # or what is away would pass for removed
        # In this order: whatever is left by a crash in between is found, and removed, at start.
        remove(self.shared / sidecar_name(name, CHECKPOINT))
        remove(self.shared / sidecar_name(name, IN_PROGRESS))

    def drop_checkpoint(self, name: str) -> None:
        """Remove the checkpoint alone: it is about other bytes."""
        remove(self.checkpoint_path(name))

    def drop_in_progress(self, name: str) -> None:
        """Remove ``.in_progress`` alone; the checkpoint is kept for whoever wants to look."""
        self._require_share()
        remove(self.shared / sidecar_name(name, IN_PROGRESS))

    def checkpoint_path(self, name: str) -> Path:
        return self.shared / sidecar_name(name, CHECKPOINT)

    def read_checkpoint(self, job: Job) -> checkpoint.Checkpoint:
        """The finished chunks of this job; empty if they belong to other bytes or settings."""
        if job.source is None:
            return checkpoint.Checkpoint()
        header = checkpoint.Header(settings=job.settings, source=job.source)
        return checkpoint.read(self.checkpoint_path(job.name), header)

    def open_checkpoint(self, job: Job, sound: checkpoint.Checkpoint) -> checkpoint.Writer:
        """A writer that goes on after the sound part."""
        assert job.source is not None
        self._require_share()
        header = checkpoint.Header(settings=job.settings, source=job.source)
        return checkpoint.Writer(self.checkpoint_path(job.name), header, sound)

    # --- results ---

    def read_result(self, name: str) -> dict[str, Any] | None:
        """The ``.result`` of a recording, or None if there is none that can be read."""
        return self._read_result_under(self.shared, name)

    def _read_result_under(self, root: Path, name: str) -> dict[str, Any] | None:
        path = root / sidecar_name(name, RESULT)
        with storage_errors(path):
            try:
                if not _has_real_folders(root, name) or not stat.S_ISREG(path.lstat().st_mode):
                    return None
                content = path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None
        try:
            return parse_json(content, path.name)
        except TranscriberError as error:
            log.warning("%s cannot be used (%s)", path.name, error)
            return None

    def is_done(self, name: str) -> bool:
        """Whether the recording has a result, and is still the file that it was made from."""
        return self.is_result_of(name, self.read_result(name) or {})

    def is_result_of(self, name: str, result: Mapping[str, Any]) -> bool:
        """Whether a result was made from the recording as it is now."""
        source = result.get("source")
        try:
            return bool(source) and self.is_still(name, FileIdentity.model_validate(source))
        except ValueError:
            return False

    def plan_outputs(self, name: str, formats: Sequence[str]) -> tuple[str, ...]:
        """Names for the texts beside a recording, in the order of ``formats``.

        The stem, as players look for it; the full name where another recording shares the stem or
        a file of that name is not ours. Ours are those that the last result lists.
        """
        ours = set(self.outputs(name))
        stem = stem_of(name)
        shared_stem = self._shares_stem(name, stem)
        return tuple(self._free_output(name, form, ours, shared_stem) for form in formats)

    def outputs(self, name: str) -> tuple[str, ...]:
        """The texts that the last result of a recording lists.

        Only those that could be its own: a ``.result`` may come from anywhere, and must not lay
        hands on other files.
        """
        listed = (self.read_result(name) or {}).get("outputs")
        return own_outputs(name, listed if isinstance(listed, list) else ())

    def _shares_stem(self, name: str, stem: str) -> bool:
        folder = self.path(name).parent
        prefix = name.rpartition("/")[0]
        start = stem.rpartition("/")[2]  # seen at a glance, be there 100,000 others
        with storage_errors(folder):
            alike = [entry for entry in os.listdir(folder) if entry.startswith(start)]
        beside = (f"{prefix}/{entry}" if prefix else entry for entry in alike)
        return any(b != name and stem_of(b) == stem and is_recording(b) for b in beside)

    def _free_output(self, name: str, form: str, ours: set[str], shared_stem: bool) -> str:
        for candidate in itertools.islice(output_names(name, form), int(shared_stem), None):
            if candidate in ours or not self._is_taken(self.shared / candidate):
                return candidate
        raise TranscriberError("no_free_name", f"No name is free for the {form} of {name}.")

    def publish(
        self,
        job: Job,
        segments: Iterable[Segment],
        result: dict[str, Any],
        timestamps: bool,
    ) -> None:
        """Write the texts and then the ``.result``, each whole; ``segments`` go into all of them.

        ``result["outputs"]`` were planned and saved with the job before, so that a crash between
        two of them leaves nothing that the next run takes for somebody else's. A text that cannot
        be made is left out, and the result says so: it is never worth the transcript.
        """
        self._require_share()
        title = stem_of(job.name).rpartition("/")[2]
        ours = self.outputs(job.name)
        for output in list(result["outputs"]):
            form = output.rpartition(".")[2]
            try:
                content = render(form, segments, timestamps, result["duration_seconds"], title)
            except Exception as error:
                log.exception("%s could not be made", output)
                result["outputs"].remove(output)
                note = f"output: {output} could not be made ({error})"
                result["metadata"].setdefault("notes", []).append(note)
            else:
                name = self._name_for(job.name, output, content, ours)
                result["outputs"][result["outputs"].index(output)] = name
                write_whole(self.shared / name, content)
        whole = with_segments(result, segments)
        write_whole(self.shared / sidecar_name(job.name, RESULT), whole)

    def _name_for(self, name: str, planned: str, content: bytes, ours: Sequence[str]) -> str:
        """The planned name, or another where somebody has taken it since it was planned.

        What a crashed run of this job wrote under it has the same content.
        """
        path = self.shared / planned
        with storage_errors(path):
            if planned in ours or not self._is_taken(path) or _holds(path, content):
                return planned
        return self._free_output(name, planned.rpartition(".")[2], set(ours), False)

    # --- manual ---

    def move_to_manual(self, job: Job, explanation: str) -> Path:
        """Move a recording and its service files away, with a text that says why.

        Raises StorageError, also if another file took its name meanwhile; that one stays.
        """
        state = job_to_json(job) | {"moved_to_manual": True}
        source = job.source
        return manual.move(
            self.shared,
            self.manual,
            job.name,
            self.outputs(job.name),
            state,
            explanation,
            is_same=lambda path: source is None or self._is_at(path, source),
        )

    def is_in_manual(self, name: str) -> bool:
        """Whether a recording of this name lies in ``manual/``."""
        return is_recording(name) and _is_file_under(self.manual, name)

    def failures(self) -> list[manual.Failure]:
        """The recordings in ``manual/``, by name. Raises StorageError."""
        return manual.listing(self.manual)

    def failure(self, name: str) -> manual.Failure | None:
        """One recording in ``manual/``, or None if it is not there."""
        return manual.failure(self.manual, name) if self.is_in_manual(name) else None

    def failed_state(self, name: str) -> dict[str, Any]:
        """The state of a recording in ``manual/``, empty if it has none. Raises StorageError."""
        return manual.state_of(self.manual, name) if self.is_in_manual(name) else {}

    def bring_back(self, name: str, ordered: Job | None = None) -> None:
        """Move a recording from ``manual/`` back into the share, without what was made from it.

        Its settings come along; where the share has some for it already, those hold. ``ordered``:
        the new job, saved before the recording is there, so that no crash parts the two. A repeat
        goes on where the last one was interrupted. Raises TranscriberError if it is not there or
        the name is taken, StorageError.
        """
        if not self.is_in_manual(name):
            raise TranscriberError("file_not_found", f"There is no file {name!r} in manual/.")
        self._require_share()
        if self._is_taken(self.path(name)) and not self._is_returned(name):
            raise _name_taken(name)
        if ordered:
            with storage_errors(self.path(name)):
                self.path(name).parent.mkdir(parents=True, exist_ok=True)
            self.save(ordered)
        if not manual_return.bring_back(self.manual, self.shared, name):
            if ordered:
                self.drop_in_progress(name)
            raise _name_taken(name)
        self._delete_under(self.manual, name, ())

    def _is_returned(self, name: str) -> bool:
        return self.is_there(name) and manual_return.is_returned(self.manual, self.shared, name)

    def end_return(self, name: str) -> None:
        """Remove from ``manual/`` what an interrupted return left. Raises StorageError."""
        manual_return.end_return(self.manual, self.shared, name)
        if not self._is_taken(self.manual / name):
            for suffix in (CHECKPOINT, ERROR_TEXT, IN_PROGRESS):
                remove(self.manual / sidecar_name(name, suffix))

    def delete(self, name: str, planned: Sequence[str]) -> list[str]:
        """Delete a recording, here and in ``manual/``, with every file that was made from it.

        ``planned``: texts that a run was about to write. Returns what was there, names in the
        share as they are, those in manual with its folder in front. The recording goes first, so
        that whatever interrupts this, it is not transcribed once more. Raises StorageError.
        """
        self._require_share()
        deleted = self._delete_under(self.shared, name, planned)
        prefix = self.manual.name
        return deleted + [f"{prefix}/{n}" for n in self._delete_under(self.manual, name, ())]

    def _delete_under(self, root: Path, name: str, planned: Sequence[str]) -> list[str]:
        with storage_errors(root / name):
            if not _has_real_folders(root, name):
                return []
        listed = (self._read_result_under(root, name) or {}).get("outputs")
        outputs = own_outputs(name, listed if isinstance(listed, list) else ())
        service = (sidecar_name(name, s) for s in (RESULT, CHECKPOINT, ERROR_TEXT, IN_PROGRESS))
        own = settings_files.own_files(root, name)
        names = dict.fromkeys([name, *outputs, *planned, *own, *service])
        return [each for each in names if remove(root / each)]

    def was_moved(self, job: Job) -> bool:
        """Whether this very job ended in ``manual/``, with its recording."""
        with storage_errors(self.manual / job.name):
            return manual.moved_before(self.manual, job.name, job.job_id) is not None

    # --- at start ---

    def recover(self, recursive: bool) -> list[Found]:
        """Every readable ``.in_progress``, as a job. Corrupt ones are set aside.

        Temporary files that a crash left behind are removed. What may not be read below the share
        itself is passed by.
        """
        found = []
        with storage_errors(self.state):
            lying_about = [*self.manual.rglob("*"), *self.state.rglob("*")]
        for left in lying_about:
            if left.name.startswith(TEMPORARY_PREFIX):
                remove(left)
        for folder in self._folders(recursive):
            if folder and not self._may_be_read(folder):
                self._pass_by(PermissionError(errno.EACCES, "denied", str(self.path(folder))))
                continue
            for entry in self._entries(folder):
                if entry.startswith(TEMPORARY_PREFIX):
                    remove(self.shared / folder / entry)
                elif entry.endswith(IN_PROGRESS) and not entry.startswith("."):
                    found += self._recover_one(f"{folder}/{entry}" if folder else entry)
        return found

    def overlooked(self, name: str) -> list[Found]:
        """The state of a recording whose folder might not be read at start. Raises StorageError."""
        if self._passed_by.isdisjoint(folder.as_posix() for folder in Path(name).parents):
            return []
        return self._recover_one(sidecar_name(name, IN_PROGRESS))

    def _pass_by(self, error: OSError) -> None:
        """What may not be read is passed by; a disk that does not answer is no empty folder."""
        path = Path(error.filename or self.shared)
        if not isinstance(error, PermissionError):
            with storage_errors(path):
                raise error
        log.warning("%s may not be read and is passed by", path)
        self._passed_by.add(path.relative_to(self.shared).as_posix())

    def _may_be_read(self, folder: str) -> bool:
        """By trying: ``os.access`` takes a disk that does not answer for a no, too."""
        path = self.shared / folder
        with storage_errors(path):
            try:
                os.listdir(path)
                os.lstat(f"{path}/.")
            except PermissionError:
                return False
        return True

    def _folders(self, recursive: bool) -> Iterator[str]:
        yield ""
        if recursive:
            for folder, subfolders, _ in os.walk(self.shared, onerror=self._pass_by):
                relative = os.path.relpath(folder, self.shared)
                prefix = "" if relative == "." else f"{relative}/"
                subfolders[:] = [
                    s
                    for s in subfolders
                    if is_visible_folder(prefix + s) and not os.path.islink(os.path.join(folder, s))
                ]
                yield from (prefix + s for s in subfolders)

    def _entries(self, folder: str) -> list[str]:
        with storage_errors(self.shared / folder):
            return sorted(os.listdir(self.shared / folder))

    def _recover_one(self, sidecar: str) -> list[Found]:
        path = self.shared / sidecar
        with storage_errors(path):
            if not path.is_file():
                return []
            content = path.read_bytes()
        try:
            value = parse_json(content, sidecar)
            name = recording_of(sidecar, value)
            job = job_from_json(name, value)
        except TranscriberError as error:
            aside = self.state / "corrupt" / path.name
            with storage_errors(aside):
                aside.parent.mkdir(exist_ok=True)
                os.replace(path, aside)
            log.warning("%s was set aside as %s (%s)", sidecar, aside, error)
            return []
        return [Found(job, self.is_there(name), bool(value.get("moved_to_manual")))]

    def drop_leftovers(self, name: str) -> None:
        """Remove what an earlier life of a recording left, here and in ``manual/``."""
        self.drop_state(name)
        remove(self.shared / sidecar_name(name, ERROR_TEXT))
        self.end_return(name)

    def set_aside(self, name: str) -> None:
        """Move a ``.in_progress`` without a recording, and its checkpoint, to ``manual/``."""
        for suffix in (CHECKPOINT, IN_PROGRESS):
            manual_return.set_aside(self.shared, self.manual, sidecar_name(name, suffix))

    def mtime_order(self, job: Job) -> int:
        """The recording's file time, for the order at start; if need be as it was known before."""
        try:
            return self.path(job.name).lstat().st_mtime_ns
        except OSError:
            return job.source.mtime_ns if job.source else 0


def _name_taken(name: str) -> TranscriberError:
    return TranscriberError(
        "name_taken",
        f"The shared folder has a file {name!r} already.",
        remedy="Rename or delete that one first.",
    )


def _has_real_folders(root: Path, name: str) -> bool:
    """Whether the way to a file leads through folders only: a link may lead out of the share."""
    folders = list(Path(name).parents)[:-1]
    return all((root / f).is_dir() and not (root / f).is_symlink() for f in folders)


def _holds(path: Path, content: bytes) -> bool:
    """Whether a regular file has just this content."""
    facts = path.lstat()
    same_size = stat.S_ISREG(facts.st_mode) and facts.st_size == len(content)
    return same_size and path.read_bytes() == content


def _is_file_under(root: Path, name: str) -> bool:
    """Raises StorageError if that cannot be told."""
    with storage_errors(root / name):
        return _has_real_folders(root, name) and transfer.is_regular(root / name)
