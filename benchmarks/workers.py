"""How much faster several workers are than one: ``python -m benchmarks.workers``.

The workers are of a fixed speed and need no processor, so what is measured is what the daemon adds:
the queue, the runners, the checkpoints and the results, with real files. One run of each, and the
ratios between them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from modules.clock import Clock, SystemClock
from modules.config.schema import Config
from modules.executors.base import WorkerPool
from modules.jobs.job import Priority
from modules.jobs.scheduler import Scheduler
from modules.recordings.state_writer import StateWriter
from modules.recordings.store import RecordingStore
from modules.runner.common import Common
from modules.runner.publishing import Publisher
from modules.runner.runners import Runners
from tests.builders import a_config, a_job, a_model
from tests.fake_pool import FakePool, FarExecutor
from tests.fakes import Plan

#: What a chunk of Whisper base takes on two cores, about, in seconds; and how many a file has.
CHUNK_S, CHUNKS = 0.5, 4


def seconds_with(workers: int, files: int, chunk_s: float) -> float:
    """How long so many workers take for so many files, each of ``CHUNKS`` chunks."""
    with tempfile.TemporaryDirectory() as folder:
        config = a_config(Path(folder))
        a_model(config.models_directory)
        clock = SystemClock()
        executors = [FarExecutor(clock, lambda _: time.sleep(chunk_s)) for _ in range(workers)]
        for executor in executors:
            executor.plans = [Plan(chunks=CHUNKS) for _ in range(files)]
        scheduler, runners = a_daemon(config, FakePool(list(executors)), clock)
        for number in range(files):
            path = config.shared_directory / f"talk{number:03}.mp3"
            path.write_bytes(b"\0sound of " + path.name.encode())
            submit(path, config, scheduler)
        return seconds_until_done(scheduler, runners)


def seconds_until_done(scheduler: Scheduler, runners: Runners) -> float:
    """Start the runners, and wait until nothing is left to do."""
    began = time.monotonic()
    runners.start()
    while scheduler.jobs():
        time.sleep(0.01)
    took_s = time.monotonic() - began
    runners.stop()
    return took_s


def a_daemon(config: Config, pool: WorkerPool, clock: Clock) -> tuple[Scheduler, Runners]:
    """A queue and runners for the workers of a pool; nothing is started."""
    store = RecordingStore.of(config)
    store.prepare()
    writer: StateWriter
    scheduler = Scheduler(clock, lambda job: writer.record_if_possible(job))
    writer = StateWriter(store.states, scheduler.get)
    common = Common(
        config, scheduler, store, Publisher(store), writer, clock,
        look_again=lambda name: None, compute_types=lambda: pool.capabilities.compute_types,
    )  # fmt: skip
    return scheduler, Runners(common, pool)


def submit(path: Path, config: Config, scheduler: Scheduler) -> None:
    """Put a recording of the folder into the queue."""
    settings = config.default_settings()
    job = a_job(path.name, priority=Priority.SCAN, settings=settings)
    scheduler.submit(job.evolve(source=None))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=16)
    parser.add_argument("--chunk", type=float, default=CHUNK_S, help="seconds")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    options = parser.parse_args()
    alone_s = None
    for workers in options.workers:
        took_s = seconds_with(workers, options.files, options.chunk)
        alone_s = alone_s or took_s
        gain = alone_s / took_s
        print(
            f"{workers} workers: {took_s:.2f} s, {gain:.2f} times one, "
            f"{gain / workers:.3f} of what is possible"
        )


if __name__ == "__main__":
    main()
