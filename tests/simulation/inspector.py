"""Looks at the folder and compares it with what people put there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from modules.config.settings import TranscriptionSettings
from modules.jobs.job import Job, Priority
from modules.jobs.source import FileIdentity
from modules.recordings.sidecars import (
    CHECKPOINT,
    IN_PROGRESS,
    RESULT,
    RecordingPaths,
    sidecar_name,
)
from modules.storage.atomic import TEMPORARY_PREFIX
from tests.simulation.folder import Folder, Recording, fingerprint
from tests.simulation.ledger import Ledger
from tests.simulation.program import Program
from tests.simulation.violation import Violation
from tests.simulation.worker import Nature, nature_of, text_of


class Inspector:
    """Every look raises Violation if something is not as was promised."""

    def __init__(self, folder: Folder, ledger: Ledger) -> None:
        self._folder = folder
        self._ledger = ledger
        self._whole: set[tuple[int, int]] = set()
        self._judged: set[tuple[int, int]] = set()
        self._since = 0

    def mark(self) -> None:
        """From now on, what the program publishes must be about the bytes that are there now."""
        self._since = self._folder.moment

    # --- at every step ---

    def look(self) -> None:
        for path in self._folder.files(IN_PROGRESS, RESULT):
            self._check_json(path)
        self._check_presence()

    def json_is_whole(self) -> None:
        """At this very instant."""
        for path in self._folder.files(IN_PROGRESS, RESULT):
            self._parsed(path)

    def _check_json(self, path: Path) -> None:
        facts = path.lstat()
        identity = facts.st_ino, facts.st_mtime_ns
        if identity in self._judged:
            return
        self._judged.add(identity)
        content = self._parsed(path)
        # In manual/ lie those of earlier bytes, moved along.
        if content and path.name.endswith(RESULT) and not self._folder.is_manual(path):
            self._check_result(path, content)

    def _parsed(self, path: Path) -> dict[str, Any] | None:
        facts = path.lstat()
        if (facts.st_ino, facts.st_mtime_ns) in self._whole:
            return json.loads(path.read_bytes()) if path.name.endswith(RESULT) else None
        try:
            content: dict[str, Any] = json.loads(path.read_bytes())
        except ValueError as problem:
            raise Violation("torn", f"{path.name!r} is not whole") from problem
        self._whole.add((facts.st_ino, facts.st_mtime_ns))
        return content

    def _check_result(self, path: Path, result: dict[str, Any]) -> None:
        name = result["filename"]
        print_ = result["source"]["fingerprint"]
        ours = [c for c in self._folder.ever_had(name) if fingerprint(c) == print_]
        if not ours:
            raise Violation("result", f"{name!r} has a result of bytes that it never had")
        if ours[0] not in self._folder.had_since(name, self._since):
            raise Violation("stale", f"{name!r} has a result of bytes that were there before")
        sentences = text_of(ours[0], TranscriptionSettings.model_validate(result["settings"]))
        if result["transcription"]["text"] != " ".join(sentences):
            raise Violation("result", f"{name!r} has a wrong text")
        for output in result["outputs"]:
            self._check_output(path, output, sentences)

    def _check_output(self, path: Path, output: str, sentences: list[str]) -> None:
        written = self._folder.real_shared / output
        try:
            text = written.read_text()
        except OSError as problem:
            raise Violation("result", f"{path.name!r} lists {output!r}, not there") from problem
        if not all(sentence in text.replace("\n", " ") for sentence in sentences):
            raise Violation("result", f"{output!r} is not what {path.name!r} says")

    def _check_presence(self) -> None:
        for recording in list(self._folder.recordings):
            if self._folder.place_of(recording) is not None:
                recording.doomed = False
                continue
            if not recording.doomed:
                raise Violation("lost", f"{recording.name!r} is gone, or not what it was")
            self._folder.recordings.remove(recording)
            self._folder.note_absence(recording.name)

    # --- now and then ---

    def look_closely(self) -> None:
        self.look()
        for recording in self._folder.recordings:
            place = self._folder.place_of(recording)
            if place is None or place.read_bytes() != recording.content:
                raise Violation("lost", f"{recording.name!r} has other bytes")
        for relative, content in self._folder.strangers.items():
            path = self._folder.real_shared / relative
            if not path.exists() or path.read_bytes() != content:
                raise Violation("stranger", f"{relative!s} is not the program's")

    def mount_point_is_empty(self) -> None:
        litter = sorted(os.listdir(self._folder.shared))
        if litter:
            raise Violation("absence", f"{litter} was written into an empty mount point")

    def half_written(self) -> set[str]:
        """The temporary files that lie about."""
        roots = (self._folder.shared, self._folder.manual)
        return {str(path) for root in roots for path in root.rglob(f"{TEMPORARY_PREFIX}*")}

    def after_start(self, program: Program, before: set[str]) -> None:
        """What was half-written before the start is gone, and the queue is as it was promised."""
        skipped = program.files.recovery.skipped
        passed_by = [f"{self._folder.shared / folder}/" for folder in skipped]
        left = self.half_written() & before
        # What lies in a folder that could not be read at this start waits for the next one.
        left = {path for path in left if not path.startswith(tuple(passed_by))}
        if left:
            raise Violation("litter", f"{sorted(left)} outlived a start")
        places = [
            (job.priority, job.created.timestamp())
            if job.priority is Priority.API
            else (job.priority, (self._folder.shared / job.name).lstat().st_mtime)
            for job in program.scheduler.jobs()
        ]
        if places != sorted(places):
            raise Violation("order", f"after the start the queue is {places}")

    def looks_open(self, job: Job) -> bool:
        """Whether the folder says that an attempt is open."""
        return self._attempts_of(job)[-1:] == ["processing"]

    def folder_agrees(self, program: Program) -> None:
        """What the folder says of a job is what the queue says."""
        for job in program.scheduler.jobs():
            told, found = [a.status for a in job.attempts], self._attempts_of(job)
            if told != found and not self._was_dragged_back(job):
                raise Violation("journal", f"{job.name!r} has {told}, the folder says {found}")

    def _was_dragged_back(self, job: Job) -> bool:
        """Somebody laid the state out of ``manual/`` over that of a job; its turn mends it."""
        path = self._folder.real_shared / RecordingPaths(job.name).state
        return path.exists() and "moved_to_manual" in json.loads(path.read_bytes())

    def _attempts_of(self, job: Job) -> list[str]:
        path = self._folder.real_shared / RecordingPaths(job.name).state
        try:
            state = json.loads(path.read_bytes())
        except FileNotFoundError:
            return []
        return [attempt["status"] for attempt in state["attempts"]]

    # --- at the end ---

    def everything_is_settled(self, program: Program) -> None:
        """Each recording has its one result, or lies in ``manual/`` with the reason."""
        self.look_closely()
        for recording in self._folder.recordings:
            places = self._folder.places_of(recording)
            if len(places) != 1:
                raise Violation("doubled", f"{recording.name!r} lies in {places}")
            if self._folder.is_manual(places[0]):
                self._is_explained(recording, places[0])
            else:
                self._is_done(recording)
        self._nothing_is_left(program)

    def _is_done(self, recording: Recording) -> None:
        path = self._folder.shared / RecordingPaths(recording.name).result
        if not path.exists():
            raise Violation("forgotten", f"{recording.name!r} has no result")
        source = FileIdentity.model_validate(json.loads(path.read_bytes())["source"])
        if source.fingerprint != fingerprint(recording.content):
            raise Violation("forgotten", f"{recording.name!r} has a result of other bytes")
        if nature_of(recording.content) is not Nature.GOOD:
            raise Violation("result", f"{recording.name!r} cannot have one")

    def _is_explained(self, recording: Recording, place: Path) -> None:
        name = place.relative_to(self._folder.manual).as_posix()
        if not (self._folder.manual / RecordingPaths(name).error_text).exists():
            raise Violation("manual", f"{name!r} lies there without a reason")
        state = json.loads((self._folder.manual / RecordingPaths(name).state).read_bytes())
        if state.get("moved_to_manual") is not True:
            raise Violation("manual", f"{name!r} is not marked as moved")
        if not self._ledger.was_blamed(fingerprint(recording.content)):
            raise Violation("manual", f"{name!r} did nothing wrong")

    def _nothing_is_left(self, program: Program) -> None:
        lonely = {sidecar_name(n, s) for n in program.intake.recovery.orphans for s in _STATE}
        for path in self._folder.files():
            if not path.is_relative_to(self._folder.shared):
                continue
            name = path.relative_to(self._folder.shared).as_posix()
            if path.name.endswith(_STATE) and name not in lonely:
                raise Violation("litter", f"{name!r} is left though nothing is to be done")


_STATE = (IN_PROGRESS, CHECKPOINT)
