"""How long things take on this very machine, learned from what it has done."""

from __future__ import annotations

import heapq
import math
import threading
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pydantic import Field

from modules.config.settings import Frozen, TranscriptionSettings
from modules.errors import StorageError
from modules.jobs.job import Job, Status
from modules.logger import get_logger
from modules.storage.atomic import to_json, write_own
from modules.storage.safe_open import read_regular

log = get_logger("Estimates")

#: What was seen before weighs at most this much: ten minutes of work, ten hours of audio.
_MEMORY_WORK_S = 600.0
_MEMORY_AUDIO_S = 36_000.0
#: A run of less work says more about loading the model than about its own speed.
_TELLING_S = 5.0
#: After this much work, a run's own speed counts as much as what was learned.
_EVEN_S = 60.0
#: Speeds and bit rates outside of these are slips of a clock, and would overflow later.
_LEAST, _MOST = 1e-6, 1e12
_FILE_BYTES_MAX = 2**20


class _Mean(Frozen):
    """A running mean that turns into an exponentially weighted one at full ``weight``."""

    value: float = Field(gt=0)
    weight: float = Field(ge=0)


class _Learned(Frozen):
    """The file's content: audio seconds per second of work, and bytes per second of audio."""

    speeds: dict[str, _Mean] = Field(default_factory=dict)
    byte_rates: dict[str, _Mean] = Field(default_factory=dict)


class Line:
    """Jobs one after the other, each with the worker that is free first."""

    def __init__(self, workers: int) -> None:
        self._free_s = [0.0] * max(1, workers)

    def add(self, work_s: float) -> float:
        """When the next job of so much work will be ready, in seconds from now."""
        ready_s = self._free_s[0] + work_s
        heapq.heapreplace(self._free_s, ready_s)
        return ready_s


class Estimates:
    """Learns from each run; kept in ``path``, or in memory alone if None. Never raises.

    Thread-safe.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._learning = threading.Lock()
        learned = _load(path) if path else _Learned()
        self._speeds = dict(learned.speeds)
        self._byte_rates = dict(learned.byte_rates)

    def learn(
        self, settings: TranscriptionSettings, audio_s: float, work_s: float, name: str, size: int
    ) -> None:
        """Take in a finished recording: its length, all the work on it, its size in bytes."""
        # Those that learn are the runners, and only they ever wait for each other.
        with self._learning:
            _add(self._speeds, _key(settings), audio_s, work_s, _MEMORY_WORK_S)
            _add(self._byte_rates, _extension(name), size, audio_s, _MEMORY_AUDIO_S)
            self._save()

    def speed(self, settings: TranscriptionSettings) -> float | None:
        """Seconds of audio per second of work; None until one such job has ended."""
        mean = self._speeds.get(_key(settings))
        return mean.value if mean else None

    def duration_s(self, name: str, size: int) -> float | None:
        """How long a recording of ``size`` bytes may be, from others with its extension.

        Roughly, from recordings of every kind, while none with its extension is done.
        """
        mean, bytes_ = self._byte_rates.get(_extension(name)), _positive(size)
        rate = mean.value if mean else self._any_byte_rate()
        return _positive(bytes_ / rate) if rate and bytes_ else None

    def _any_byte_rate(self) -> float | None:
        """Bytes per second of audio over all extensions: a mean of ratios, so a geometric one."""
        # Copied first: another thread may learn meanwhile.
        means = [mean for mean in [*self._byte_rates.values()] if mean.weight > 0]
        weight = sum(mean.weight for mean in means)
        logs = sum(math.log(mean.value) * mean.weight for mean in means)
        return math.exp(logs / weight) if weight else None

    def remaining_s(
        self, job: Job, ran_s: float | None = None, gained_s: float | None = None
    ) -> float | None:
        """Seconds of work that a job still needs, or None if not known. Finite, not negative.

        Of a job that runs: it has gained ``gained_s`` seconds of audio in ``ran_s`` of work.
        """
        left, speed = self._left_s(job), self._speed_now(job.settings, ran_s, gained_s)
        return _finite(left / speed) if left is not None and speed is not None else None

    def eta_s(
        self,
        jobs: Sequence[Job],
        name: str,
        ran_s: float | None = None,
        gained_s: float | None = None,
        workers: int = 1,
    ) -> float | None:
        """Seconds until a file's result is there: its own work, and that of the jobs before it.

        ``jobs`` as ``Scheduler.jobs()`` has them; ``ran_s`` and ``gained_s`` are of the running
        one. None if the file is not among them, or if that is not known of one of them.
        """
        line = Line(workers)
        for job in jobs:
            # Files behind one that is still being copied overtake it.
            if job.status is Status.ARRIVING and job.name != name:
                continue
            running = job.status is Status.RUNNING
            left = self.remaining_s(job, *((ran_s, gained_s) if running else ()))
            if left is None:
                return None
            ready_s = line.add(left)
            if job.name == name:
                return _finite(ready_s)
        return None

    def _left_s(self, job: Job) -> float | None:
        """Seconds of audio that are not done yet."""
        length = _positive(job.duration_s)
        if length is None and job.source:
            length = self.duration_s(job.name, job.source.size)
        return None if length is None else max(0.0, length - (_positive(job.position_s) or 0.0))

    def _speed_now(
        self, settings: TranscriptionSettings, ran_s: float | None, gained_s: float | None
    ) -> float | None:
        """The speed that was learned, and more and more the run's own the longer it goes on."""
        learned, ran, own = self.speed(settings), _positive(ran_s), _ratio(gained_s, ran_s)
        if ran is None or own is None or ran < _TELLING_S:
            return learned
        if learned is None:
            return own
        share = ran / (ran + _EVEN_S)
        return own * share + learned * (1 - share)

    def _save(self) -> None:
        if self._path is None:
            return
        learned = _Learned(speeds=self._speeds, byte_rates=self._byte_rates)
        try:
            write_own(self._path, to_json(learned.model_dump()))
        except StorageError as error:
            log.debug("The estimates were not saved: %s", error)


def _load(path: Path) -> _Learned:
    try:
        return _Learned.model_validate_json(read_regular(path, _FILE_BYTES_MAX))
    except FileNotFoundError:
        return _Learned()
    except (OSError, ValueError) as error:
        log.debug("The estimates in %s are begun anew: %s", path, error)
        return _Learned()


def _add(means: dict[str, _Mean], key: str, amount: float, weight: float, memory: float) -> None:
    """Count ``amount`` per ``weight`` into a mean; what cannot be is passed over."""
    value = _ratio(amount, weight)
    if value is None:
        return
    old = means.get(key) or _Mean(value=value, weight=0.0)
    share = weight / (old.weight + weight)
    means[key] = _Mean(
        value=old.value * (1 - share) + value * share, weight=min(memory, old.weight + weight)
    )


def _key(settings: TranscriptionSettings) -> str:
    model = settings.model_size if settings.engine == "whisper" else settings.engine
    return f"{model}/{settings.device}/{settings.compute_type}/{settings.task}"


def _extension(name: str) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    # What is not Unicode in a name would make the whole file unreadable.
    return suffix.encode("ascii", "backslashreplace").decode("ascii")


def _ratio(amount: float | None, per: float | None) -> float | None:
    """One by the other, if both are positive and the outcome can be."""
    above, below = _positive(amount), _positive(per)
    if above is None or below is None or not _LEAST <= above / below <= _MOST:
        return None
    return above / below


def _positive(value: float | None) -> float | None:
    """The number as a float, or None if it is none, not finite, or not above zero."""
    try:
        number = float(value or 0)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number > 0 else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
