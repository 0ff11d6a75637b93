"""Files that could not be read, or not wholly, and may still be growing: when is that final?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from modules.clock import Clock
from modules.errors import MediaError, TranscriberError, noted
from modules.jobs.job import MAY_BE_GROWING, Job
from modules.recordings.shared_folder import SharedFolder
from modules.storage import beneath
from modules.storage.atomic import storage_errors
from modules.watching.open_writers import has_writer, leases_tell
from modules.watching.stability import FileSample

#: What the beginning of a file says, whatever may follow.
_FINAL_CODES = frozenset(
    {"bad_sample_rate", "encrypted", "too_long", "too_many_channels", "unsupported_codec"}
)


class Growth:
    """Remembers which failed files were seen in which state. For runners, each of
    its own files.

    ``wait_s``: how long a file must not have changed before its failure is final; 0 for at once.
    """

    def __init__(
        self,
        folder: SharedFolder,
        wait_s: float,
        clock: Clock,
        ask_writer: Callable[[Path], bool | None] = has_writer,
    ) -> None:
        self._folder = folder
        self._wait_s = wait_s
        self._clock = clock
        self._ask_writer = ask_writer
        #: Since when (monotonic seconds) a file is known in a state.
        self._seen: dict[str, tuple[FileSample, float]] = {}

    def left_s(self, job: Job, error: TranscriberError) -> float:
        """Seconds until this failure is final, if the file does not change; 0 if it is now.

        Raises StorageError.
        """
        if job.uploaded or not isinstance(error, MediaError) or error.code in _FINAL_CODES:
            return 0.0
        path = self._folder.at(job.name)
        with storage_errors(path):
            facts = beneath.lstat(path)
        sample, now = FileSample.of(facts), self._clock.monotonic()
        known, since = self._seen.get(job.name, (None, now))
        if known != sample:
            since = now
            self._seen[job.name] = (sample, since)
        unchanged_s = max(now - since, self._age_s(sample))
        if unchanged_s >= self._wait_s and self._is_open(path):
            return self._wait_s
        return max(0.0, self._wait_s - unchanged_s)

    def forget(self, name: str) -> None:
        """The job is over."""
        self._seen.pop(name, None)

    def _age_s(self, sample: FileSample) -> float:
        """Seconds since the last change; 0 where the clocks differ and nothing can be said."""
        now_ns = self._clock.utc_now().timestamp() * 1e9
        if sample.ctime_ns > now_ns:
            return 0.0
        # Tools set the mtime to anything, also to the future.
        changed_ns = max(t for t in (sample.ctime_ns, sample.mtime_ns) if t <= now_ns)
        return (now_ns - changed_ns) / 1e9

    def _is_open(self, path: Path) -> bool:
        """Whether a process is known to have the file open for writing."""
        return leases_tell(self._folder.path) and self._ask_writer(path) is True


def growing(error: TranscriberError) -> TranscriberError:
    """Why the job waits, for people who look at it meanwhile."""
    return TranscriberError(
        MAY_BE_GROWING,
        noted("Waiting: the file may still be growing. So far: {why}", why=error.message),
        details=error.details,
    )
