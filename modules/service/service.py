"""What clients can ask for, whatever the protocol. The API only words the answers."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from modules.clock import Clock, iso
from modules.config.recording_settings import checked_settings
from modules.config.settings import TranscriptionSettings
from modules.errors import TranscriberError
from modules.intake.request import TranscriptionRequest
from modules.intake.requests import Removed, Requests, Submitted
from modules.jobs.index import JobIndex
from modules.jobs.job import Job
from modules.jobs.scheduler import Scheduler
from modules.recordings import spellings
from modules.recordings.manual import Failure
from modules.recordings.names import is_recording
from modules.recordings.store import RecordingStore
from modules.service.answers import Accepted, Text, View
from modules.service.request_checks import RequestChecks
from modules.service.status import StatusReader
from modules.service.submission import Submission
from modules.service.waiting import Disconnected
from modules.storage.atomic import remove, write_whole


class TranscriptionService:
    """The list of what can be asked for; the parts do the work. Thread-safe."""

    def __init__(
        self,
        scheduler: Scheduler,
        files: RecordingStore,
        requests: Requests,
        checks: RequestChecks,
        status: StatusReader,
        submission: Submission,
        index: JobIndex,
        clock: Clock,
    ) -> None:
        self._scheduler = scheduler
        self._files = files
        self._requests = requests
        self._checks = checks
        self._status = status
        self._submission = submission
        self._index = index
        self._clock = clock

    # --- texts ---

    def check(self, request: TranscriptionRequest) -> TranscriptionSettings:
        """The settings that a file of this name would be done with.

        Raises TranscriberError if it could not be done as requested.
        """
        return self._checks.check(request).settings

    def promote(self, request: TranscriptionRequest) -> Submitted | None:
        """Put a request in that has no settings of its own; see ``Submission.promote``."""
        return self._submission.promote(request)

    def transcribe(
        self, request: TranscriptionRequest, wait: bool | None, disconnected: Disconnected
    ) -> Accepted | Text:
        """Submit a request, and wait for its text; see ``Submission.transcribe``."""
        return self._submission.transcribe(request, wait, disconnected)

    def result(self, key: str) -> Accepted | Text:
        """The text of a file or a job; see ``Submission.result``."""
        return self._submission.result(key)

    # --- state ---

    def status(self, key: str) -> View:
        """The state of a file or a job; ``key`` is a file name or a job id."""
        return self._status.status(key)

    def view(self, job: Job) -> View:
        """A job as it currently stands in the queue."""
        return self._status.view(job)

    def queue(self) -> Iterator[View]:
        """Every job that is still to be done, in order."""
        return self._status.queue()

    def failures(self) -> list[tuple[View, Failure]]:
        """What lies in ``manual/``."""
        return [(self._status.view_of_failure(f), f) for f in self._files.manual.failures()]

    # --- changes ---

    def delete(self, key: str) -> Removed:
        """Forget and delete, at once; says what was found.

        Raises TranscriberError if there is nothing.
        """
        # What is deleted must be named, not be at the end of some path.
        job, name = self._status.resolve(key, paths=False)
        name = job.name if job else name
        if name is None:
            raise self._status.not_found(key)
        self._checks.check_name(name)
        removed = self._requests.remove(name)
        if not (removed.deleted or removed.interrupted or removed.dequeued):
            raise self._status.not_found(name)
        latest = self._index.latest(name)
        job_id = job.job_id if job else latest.job_id if latest else uuid.uuid4().hex
        self._index.note(job_id, name, "deleted", iso(self._clock.utc_now()))
        return removed

    def retry(self, name: str, client: str | None) -> Accepted:
        """Take a file back out of ``manual/``, or try one again that was left where it is.

        Raises TranscriberError, StorageError.
        """
        asked, name = name, spellings.meant(name, (self._files.manual.path,))
        if not self._files.manual.has(name):
            left = self._files.meant(asked)
            if is_recording(left) and self._files.left.state_of(left):
                checked = self._checks.check_return(left, client, in_manual=False)
                if submitted := self._requests.submit(checked):
                    return self._submission.accepted(submitted.job, client)
        job = self._requests.bring_back(self._checks.check_return(name, client))
        return self._submission.accepted(job, client)

    def redo(self, name: str, wishes: object) -> Submitted:
        """Transcribe a recording of the share, whatever there is of it already.

        ``wishes``: settings by their keys, as somebody wrote them. Raises TranscriberError,
        StorageError.
        """
        tree = wishes if isinstance(wishes, dict) else {}
        settings, problems = checked_settings(tree)
        if problems:
            raise TranscriberError(
                "invalid_settings", f"{'; '.join(line for _, line in problems)}."
            )
        name = self._files.meant(name)
        self._checks.check_name(name)
        if not self._files.folder.is_there(name):
            raise self._status.not_found(name)
        submitted = self._submission.submit(TranscriptionRequest(name, settings, force=True))
        assert submitted is not None, "with force no text is in the way"
        return submitted

    def pause(self) -> None:
        """Start no more jobs; survives a restart. Raises StorageError."""
        write_whole(self._files.pause_flag, b"")
        self._scheduler.pause()

    def resume(self) -> None:
        """Start jobs again. Raises StorageError."""
        remove(self._files.pause_flag)
        self._scheduler.resume()

    @property
    def paused(self) -> bool:
        return self._scheduler.paused
