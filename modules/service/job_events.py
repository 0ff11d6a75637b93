"""What follows from job events: the index of jobs, speed estimates, metrics, webhooks, and
what finished texts go to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from modules.clock import Clock, iso
from modules.config.schema import Config
from modules.delivery.webhooks import Webhooks
from modules.errors import StorageError
from modules.jobs.estimates import Estimates
from modules.jobs.events import Event
from modules.jobs.index import JobIndex
from modules.jobs.job import Cause, Job, Priority, Status
from modules.logger import get_logger
from modules.service.metrics import Metrics

log = get_logger("JobEvents")


class TextReceiver(Protocol):
    """What each finished text goes to: the hand-over, the summaries."""

    def note(self, name: str, job_id: str) -> None:
        """Keep on disk that it has to. Never raises."""


class JobEvents:
    """Receives every event, in the thread that caused it."""

    def __init__(
        self,
        config: Config,
        index: JobIndex,
        estimates: Estimates,
        callbacks: Webhooks,
        receivers: Sequence[TextReceiver],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._config = config
        self._index = index
        self._estimates = estimates
        self._callbacks = callbacks
        self._receivers = receivers
        self._metrics = metrics
        self._clock = clock
        #: The stage of each running job by its name, and since when.
        self._stages: dict[str, tuple[str, float]] = {}

    def on_event(self, event: Event) -> None:
        job = event.job
        if job.status is Status.RUNNING:
            self._measure_stage(job.name, job.progress.stage)
        elif event.kind == "transition":
            self._measure_stage(job.name, None)
        if job.finished and job.cause is not Cause.REPLACED:
            self.note_end(job)
            self._measure_job(job)
        elif event.kind == "transition" and job.priority is Priority.API:
            self._note(job, None)

    def note_end(self, job: Job) -> None:
        """Note in the index how a job ended, send the webhooks, and have its text sent on."""
        fate = str(job.cause or job.status)
        self._note(job, fate)
        if job.status is Status.COMPLETED:
            for receiver in self._receivers:
                receiver.note(job.name, job.job_id)
        urls = job.callback_urls or (self._config.callbacks.url,)
        for number, url in enumerate(filter(None, urls)):
            try:
                self._callbacks.notify(url, self._message(job, fate), f"{job.job_id}-{number}")
            except StorageError as error:
                log.error("%s: its callback could not be kept: %s", job.name, error)

    def _message(self, job: Job, fate: str) -> dict[str, object]:
        return {
            "type": f"transcription.{fate}",
            "timestamp": iso(self._clock.utc_now()),
            "data": {
                "filename": job.name,
                "job_id": job.job_id,
                "status": fate,
                "api_clients": list(job.clients),
                "settings": job.settings.model_dump(),
                "duration_seconds": job.duration_s,
                "outputs": list(job.outputs),
                "error": job.error.model_dump() if job.error else None,
                "result": f"/result/{job.job_id}",
            },
        }

    def _note(self, job: Job, fate: str | None) -> None:
        self._index.note(job.job_id, job.name, fate, iso(self._clock.utc_now()))

    def _measure_job(self, job: Job) -> None:
        work_s = sum(attempt.running_seconds for attempt in job.attempts)
        done = job.status is Status.COMPLETED
        audio_s = job.duration_s if done else None
        self._metrics.finished(str(job.status), audio_s, work_s if done else None)
        if audio_s and job.source and work_s:
            self._estimates.learn(job.settings, audio_s, work_s, job.name, job.source.size)

    def _measure_stage(self, name: str, stage: str | None) -> None:
        now, before = self._clock.monotonic(), self._stages.get(name)
        if before and before[0] != stage:
            self._metrics.stage(before[0], now - before[1])
            self._stages.pop(name, None)
        if stage:
            self._stages.setdefault(name, (stage, now))
