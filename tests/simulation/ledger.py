"""What the program said and did, and what it must not say or do after that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from modules.clock import Clock
from modules.config.settings import TranscriptionSettings
from modules.intake.recovery import WORTH_A_DEATH_S
from modules.jobs.events import Event
from modules.jobs.job import Job, Priority, Status
from modules.runner.failure_policy import LOST_NODES
from tests.simulation.violation import Violation

#: What the worker hands over at a time, in seconds of sound.
CHUNK_S = 10.0


class Ledger:
    """Hears every transition of every job, and what the worker is asked to do."""

    def __init__(self, clock: Clock, max_attempts: int, tell: Callable[[str], None]) -> None:
        self._clock = clock
        self._max_attempts = max_attempts
        self._tell = tell
        self._jobs: dict[str, Job] = {}
        self._places: dict[str, tuple[Priority, int]] = {}
        self._next_place = 0
        #: Failures of the worker's by the bytes that it had: no more may ever be counted.
        self._caused: Counter[str] = Counter()
        #: Chunks that the program took, by name, bytes and settings: they are safe.
        self._delivered: dict[tuple[str, str, str], int] = {}
        #: How often a recording killed the machine before its first chunk.
        self._kills: Counter[str] = Counter()
        #: By name: the bytes that an attempt has which is not over, and the sound that it gained.
        self._open: dict[str, tuple[str, float]] = {}
        #: What each worker has in hand, as the workers say.
        self._hands: dict[int, str] = {}
        #: Machines lost by the bytes that they had.
        self._nodes_lost: Counter[str] = Counter()
        self.begun = 0
        self.surprised = False

    def jobs(self) -> list[Job]:
        """Every job that is to be done, as it was told last."""
        return list(self._jobs.values())

    def new_life(self, looks_open: Callable[[Job], bool] = lambda job: False) -> None:
        """The program died: what it will say begins anew.

        ``looks_open``: whether an attempt that had ended could not be written down any more.
        """
        for job in self._jobs.values():
            if job.source and job.name not in self._open and looks_open(job):
                self._caused[job.source.fingerprint] += 1
        for print_, gained_s in self._open.values():
            if gained_s < WORTH_A_DEATH_S:
                self._caused[print_] += 1
        self._open.clear()
        self._hands.clear()
        self._jobs.clear()
        self._places.clear()

    def void(self, name: str) -> None:
        """Somebody changed the file or asked for another text: work on it may begin anew."""
        for key in [key for key in self._delivered if key[0] == name]:
            del self._delivered[key]
        self._kills.pop(name, None)

    def asked_to_go(self, name: str) -> None:
        """A removal may fail; then nobody writes any more that its attempt ended."""
        job = self._jobs.get(name)
        if job and job.source:
            self._caused[job.source.fingerprint] += 1

    # --- the queue ---

    def hear(self, event: Event) -> None:
        job = event.job
        self._check_attempts(job)
        if event.kind != "transition":
            if job.name in self._jobs:
                self._jobs[job.name] = job  # which bytes it is about is known by now
            return
        self._tell(f"{job.status} {job.name!a} {_in_short(job)}".rstrip())
        before = self._jobs.get(job.name)
        # One that runs may be promoted.
        if job.status is Status.RUNNING and not (before and before.status is Status.RUNNING):
            self._check_order(job)
        if job.status is not Status.RUNNING:
            self._open.pop(job.name, None)
        if job.finished:
            self._jobs.pop(job.name, None)
            self._places.pop(job.name, None)
            return
        place = self._places.get(job.name)
        if place is None or place[0] is not job.priority:
            self._next_place += 1
            self._places[job.name] = (job.priority, self._next_place)
        self._jobs[job.name] = job

    def _check_order(self, job: Job) -> None:
        """First in, first out; what was ordered before what was found."""
        now = self._clock.monotonic()
        own = self._places.get(job.name)
        if own is None:
            raise Violation("order", f"{job.name!r} runs and was never taken in")
        for other in self._jobs.values():
            is_due = other.status is Status.QUEUED or (
                other.status is Status.WAITING and other.not_before <= now
            )
            # One whose cancelled run has not ended yet cannot be taken.
            is_due = is_due and other.name not in self._hands.values()
            if other.name != job.name and is_due and self._places[other.name] < own:
                raise Violation("order", f"{job.name!r} runs before {other.name!r}")

    def _check_attempts(self, job: Job) -> None:
        failed = sum(attempt.status == "failed" for attempt in job.attempts)
        if failed > self._max_attempts:
            raise Violation("attempts", f"{job.name!r} has {failed} failed attempts")
        if failed and (job.source is None or failed > self._caused[job.source.fingerprint]):
            raise Violation(
                "attempts", f"{job.name!r} is blamed for what it did not do: {job.error}"
            )
        if job.error and job.error.code == "unexpected_error" and not self.surprised:
            raise Violation("surprise", f"{job.name!r}: {job.error.message}")

    # --- the worker ---

    def begins(
        self, worker: int, name: str, print_: str, settings: TranscriptionSettings, first: int
    ) -> None:
        """A worker is asked to begin at a chunk."""
        if name in self._hands.values():
            raise Violation("twice", f"{name!r} is given to a second worker")
        self._hands[worker] = name
        self._open[name] = (print_, 0.0)
        self.begun += 1
        safe = self._delivered.get(_key(name, print_, settings), 0)
        if first < safe:
            raise Violation("work", f"{name!r} begins at chunk {first}, though {safe} were safe")

    def ends(self, worker: int) -> None:
        """It has the recording no more."""
        self._hands.pop(worker, None)

    def took(self, name: str, print_: str, settings: TranscriptionSettings, index: int) -> None:
        """The program took a chunk, and answered that it is safe.

        Not if the file was replaced in the instant when it was looked at: that is found out later.
        """
        if name in self._open:
            self._open[name] = (print_, self._open[name][1] + CHUNK_S)
        job = self._jobs.get(name)
        if job and job.source and job.source.fingerprint == print_:
            self._delivered[_key(name, print_, settings)] = index + 1

    def counts(self, print_: str) -> None:
        """The worker fails in a way that is the file's own fault."""
        self._caused[print_] += 1

    def loses_node(self, print_: str) -> None:
        """A machine is lost that had these bytes; from the third on it is their own fault."""
        self._nodes_lost[print_] += 1
        if self._nodes_lost[print_] >= LOST_NODES:
            self._caused[print_] += 1

    def kills(self, name: str) -> None:
        """A recording takes the machine down before anything of it was done."""
        self._kills[name] += 1
        if self._kills[name] > self._max_attempts:
            raise Violation("attempts", f"{name!r} killed the machine {self._kills[name]} times")

    def was_blamed(self, print_: str) -> bool:
        return self._caused[print_] > 0


def _in_short(job: Job) -> str:
    tried = " ".join(attempt.status for attempt in job.attempts)
    return f"{tried} {job.error.code}" if job.error else tried


def _key(name: str, print_: str, settings: TranscriptionSettings) -> tuple[str, str, str]:
    return name, print_, settings.model_dump_json()
