"""Bugs put in on purpose: a simulation that does not find them finds nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modules.executors.base import HandOut
from modules.intake.recovery import JobRecovery
from modules.jobs.job import Job
from modules.jobs.ready_queue import ReadyQueue
from modules.jobs.scheduler import Scheduler
from modules.recordings import recovery, state_store
from modules.recordings.recovery import Found
from modules.recordings.shared_folder import SharedFolder
from modules.recordings.sidecars import RecordingPaths
from modules.recordings.state_store import StateStore
from modules.runner import failure_policy, publishing
from modules.runner.common import Common
from modules.runner.failure_policy import FailurePolicy
from modules.runner.job_run import JobRun
from modules.runner.publishing import Publisher
from modules.runner.runner import Runner
from modules.runner.source_check import SourceCheck
from modules.storage.atomic import storage_errors, to_json, write_whole
from modules.transcript.model import Chunk


@dataclass(frozen=True)
class Bug:
    """``put_in`` makes the program wrong; the simulation must break one of ``invariants``.

    ``workers``: with how many of them it shows.
    """

    put_in: Callable[[pytest.MonkeyPatch], None]
    invariants: frozenset[str]
    workers: int = 1

    @property
    def name(self) -> str:
        return self.put_in.__name__


def publishes_without_another_look(patch: pytest.MonkeyPatch) -> None:
    real = Runner._publish

    def publish(self: Runner, *arguments: Any) -> None:
        with patch.context() as blind:
            blind.setattr(SourceCheck, "current", lambda s, job, **_: s._scheduler.get(job.name))
            real(self, *arguments)

    patch.setattr(Runner, "_publish", publish)


def takes_the_last_first(patch: pytest.MonkeyPatch) -> None:
    real = Scheduler.__init__

    def init(self: Scheduler, *arguments: Any) -> None:
        real(self, *arguments)
        self._sequence = itertools.count(10**9, -1)

    patch.setattr(Scheduler, "__init__", init)


def forgets_what_had_yielded(patch: pytest.MonkeyPatch) -> None:
    real = JobRecovery._needs_job

    def needs_job(self: JobRecovery, found: Found) -> bool:
        yielded = [a for a in found.job.attempts if a.status == "interrupted"]
        return real(self, found) and not yielded

    patch.setattr(JobRecovery, "_needs_job", needs_job)


def blames_the_file_for_the_disk(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FailurePolicy, "_hold", FailurePolicy._fail)


def drops_the_state_before_the_result(patch: pytest.MonkeyPatch) -> None:
    real = Publisher.publish

    def publish(self: Publisher, job: Job, *arguments: Any) -> None:
        StateStore(self._folder).drop(job.name)
        real(self, job, *arguments)

    patch.setattr(Publisher, "publish", publish)


def writes_the_result_before_the_texts(patch: pytest.MonkeyPatch) -> None:
    real = Publisher.publish

    def publish(
        self: Publisher, job: Job, segments: Any, result: dict[str, Any], *rest: Any
    ) -> None:
        path = self._folder.at(RecordingPaths(job.name).result)
        write_whole(path, to_json(result))
        real(self, job, segments, result, *rest)

    patch.setattr(Publisher, "publish", publish)


def writes_in_place(patch: pytest.MonkeyPatch) -> None:
    def write(path: Path, content: bytes) -> None:
        with storage_errors(path), open(path, "wb") as file:
            file.write(content)

    patch.setattr(publishing, "write_whole", write)
    for place in (publishing, state_store):
        patch.setattr(place, "write_own", write)


def begins_before_the_attempt_is_written(patch: pytest.MonkeyPatch) -> None:
    real = JobRun.on_accepted

    def on_accepted(self: JobRun) -> None:
        with patch.context() as silent:
            silent.setattr(StateStore, "save", lambda *_: None)
            real(self)

    patch.setattr(JobRun, "on_accepted", on_accepted)


def believes_an_empty_mount_point(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SharedFolder, "require", lambda self: None)


def leaves_temporary_files(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovery, "TEMPORARY_PREFIX", "never")


def counts_late_chunks(patch: pytest.MonkeyPatch) -> None:
    def on_delivery(self: JobRun, handout: HandOut, chunk: Chunk) -> bool:
        self.on_chunk(chunk)
        self._taken += 1
        return True

    patch.setattr(JobRun, "on_delivery", on_delivery)


def ignores_the_life_of_a_handout(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Common, "handout_of", lambda self, job: HandOut("any", "any", 1))
    patch.setattr(Scheduler, "order_of", lambda self, name: 1 if self._runs.own(name) else None)


def gives_a_file_to_two_workers(patch: pytest.MonkeyPatch) -> None:
    real = ReadyQueue.pop
    patch.setattr(ReadyQueue, "pop", lambda self, now, besides=(): real(self, now))


def blames_the_file_for_its_machine(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(failure_policy, "LOST_NODES", 1)


BUGS = (
    Bug(publishes_without_another_look, frozenset({"stale", "result"})),
    Bug(takes_the_last_first, frozenset({"order"})),
    Bug(forgets_what_had_yielded, frozenset({"work", "litter"})),
    Bug(blames_the_file_for_the_disk, frozenset({"attempts"})),
    Bug(drops_the_state_before_the_result, frozenset({"work"})),
    Bug(writes_the_result_before_the_texts, frozenset({"result"})),
    Bug(writes_in_place, frozenset({"torn"})),
    Bug(begins_before_the_attempt_is_written, frozenset({"attempts"})),
    Bug(believes_an_empty_mount_point, frozenset({"absence", "forgotten", "litter"})),
    Bug(leaves_temporary_files, frozenset({"litter"})),
    Bug(counts_late_chunks, frozenset({"late"}), workers=3),
    Bug(ignores_the_life_of_a_handout, frozenset({"late"}), workers=3),
    Bug(gives_a_file_to_two_workers, frozenset({"twice"}), workers=3),
    Bug(blames_the_file_for_its_machine, frozenset({"attempts"}), workers=3),
)
