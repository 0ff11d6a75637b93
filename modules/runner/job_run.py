"""One run of one job through the executor: its task, and what each chunk changes."""

from __future__ import annotations

from collections.abc import Callable

from modules.clock import Clock
from modules.config.schema import Config
from modules.errors import NodeLostError, noted
from modules.executors.base import HandOut, Outcome, Task
from modules.executors.protocol import Started
from modules.executors.tasks import task_for
from modules.jobs.job import Job, Progress
from modules.jobs.scheduler import Scheduler
from modules.logger import get_logger
from modules.outputs.segments_json import segment_json
from modules.recordings.checkpoint import Checkpoint, Writer
from modules.recordings.state_writer import StateWriter
from modules.recordings.store import RecordingStore
from modules.transcript.model import Chunk
from modules.weights.files import ModelSpec

log = get_logger("Runner")

#: How much earlier than the checkpoint ends a chunk may begin.
_ROUNDING_S = 0.5


class JobRun:
    """Keeps checkpoint, progress and ``.in_progress`` in step with the worker's chunks."""

    def __init__(
        self,
        job: Job,
        config: Config,
        scheduler: Scheduler,
        files: RecordingStore,
        journal: StateWriter,
        clock: Clock,
        handout: HandOut,
    ) -> None:
        self._job = job
        self._config = config
        self._scheduler = scheduler
        self._files = files
        self._journal = journal
        self._clock = clock
        self._handout = handout
        #: How many chunks of this hand-out counted.
        self._taken = 0
        self._sound: Checkpoint = files.states.read_checkpoint(job)
        self._resumed_at_s = self._sound.chunks.position_s
        self._writer: Writer | None = None
        self._duration_s: float | None = None
        self._began: float | None = None
        self._stood_still_s = 0.0
        #: All finished chunks, those of earlier runs included.
        self.chunks = self._sound.chunks

    @property
    def resumed_at_s(self) -> float:
        """Seconds of audio that earlier runs have done."""
        return self._resumed_at_s

    @property
    def began(self) -> bool:
        """Whether the worker was given the file."""
        return self._began is not None

    @property
    def ran_s(self) -> float:
        """Seconds since the worker got the file, without standstills; 0 before."""
        if self._began is None:
            return 0.0
        return max(0.0, self._clock.monotonic() - self._began - self._stood_still_s)

    def task(self, spec: ModelSpec) -> Task:
        """The task for the executor, from the end of the checkpoint on."""
        settings = self._job.settings
        number, attempts = self._job.attempt_number, self._job.attempts
        spent = sum(a.running_seconds for a in attempts if a.attempt_number == number)
        return task_for(
            self._files.folder.at(self._job.name),
            settings,
            spec,
            self._config,
            start_s=self._resumed_at_s,
            legs=self.chunks.legs,
            known_language=self.chunks.language if settings.language == "auto" else None,
            spent_s=spent,
            handout=self._handout,
        )

    def on_accepted(self) -> None:
        """The attempt is written down before it begins. Raises StorageError."""
        self._began = self._clock.monotonic()
        position_s = self._resumed_at_s
        # Together, or who cancels the job now would find its checkpoint left behind.
        with self._journal.quiet():
            accepted = self._change(
                lambda job: (
                    job.evolve(position_s=position_s, error=None)
                    .open_attempt(self._clock.utc_now())
                    .advance(Progress(stage="processing_audio", percentage=job.progress.percentage))
                )
            )
            if accepted:
                self._writer = self._files.states.open_checkpoint(self._job, self._sound)

    def on_started(self, started: Started) -> None:
        self._duration_s = started.duration_s
        self._scheduler.update(self._job.name, lambda j: j.evolve(duration_s=started.duration_s))

    def on_standstill(self, seconds: float) -> None:
        """Time in which neither this process nor, perhaps, its worker ran."""
        self._stood_still_s += seconds

    def on_chunk(self, chunk: Chunk) -> None:
        """Checkpoint first, then the state that points to it. Raises StorageError."""
        if self._writer is None:
            return  # cancelled before it began
        self._writer.append(chunk)
        self.chunks.append(chunk)
        self._change(
            lambda job: job.evolve(
                position_s=self.chunks.position_s,
                last_segments=tuple(segment_json(segment) for segment in chunk.segments),
            ).advance(Progress(stage="processing_audio", percentage=self._percentage(chunk)))
        )

    def on_delivery(self, handout: HandOut, chunk: Chunk) -> bool:
        """A chunk from a worker elsewhere counts if it goes on where the checkpoint ends.

        Raises NodeLostError if one before it is missing, StorageError.
        """
        mine = self._scheduler.order_of(self._job.name) == handout.order
        if not mine or handout != self._handout or chunk.number <= self._taken:
            log.info("%s: a late chunk was not counted (%s)", self._job.name, handout.order)
            return False
        if chunk.number > self._taken + 1 or not self._continues(chunk):
            raise _interrupted_delivery(f"chunk {chunk.number} after {self._taken}")
        self.on_chunk(chunk)
        self._taken = chunk.number
        return True

    def check_end(self, outcome: Outcome) -> None:
        """That the end is the one of this hand-out, and nothing before it is missing.

        Raises NodeLostError.
        """
        if outcome.handout is None or outcome.done is None:
            return
        if outcome.handout != self._handout or outcome.done.chunks != self._taken:
            raise _interrupted_delivery(f"{outcome.done.chunks} chunks at the end of {self._taken}")

    def _continues(self, chunk: Chunk) -> bool:
        """Whether it begins where the checkpoint ends, or after a pause; of its own leg."""
        covered_s = self.chunks.position_s
        if chunk.leg is not None:
            covered_s = self.chunks.legs[chunk.leg] if self.chunks.legs else 0.0
        return covered_s - _ROUNDING_S <= chunk.start_s and covered_s < chunk.position_s

    def close(self) -> None:
        if self._writer:
            self._writer.close()

    def _change(self, change: Callable[[Job], Job]) -> Job | None:
        changed = self._scheduler.update(self._job.name, change)
        if changed:
            self._journal.record(changed)
        return changed

    def _percentage(self, chunk: Chunk) -> int:
        """0 to 99; by the share of the file that was read where no duration is known."""
        duration_s, position_s = self._duration_s, self.chunks.position_s
        if duration_s and position_s <= duration_s * 1.01:
            done = position_s / duration_s
        else:
            done = chunk.read_fraction
        return max(0, min(99, int(done * 100)))


def _interrupted_delivery(what: str) -> NodeLostError:
    return NodeLostError(
        "chunks_missing",
        noted("A worker on another machine did not deliver all of the text."),
        details=what,
    )
