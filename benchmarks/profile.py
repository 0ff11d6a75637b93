"""Where a second of a job goes, stage by stage.

    python -m benchmarks.profile [--lengths 10,600] [--fast]

The child's own code runs here, with one stream, so that the time of a stage is its cost; the
runner, the checkpoint and the publishing are real ones on a folder of their own. "The rest" is the
program's own work between the stages; below 0 in a longer one, as the next piece is decoded and
looked over for speech while the model works on this one.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.bench import read_prose
from benchmarks.bookkeeping import runner_over
from benchmarks.measure import end_in_order, require_everything, table
from modules.clock import SystemClock
from modules.executors.base import Outcome, RunCallbacks, Task
from modules.executors.local.process import worker_environment
from modules.executors.protocol import Done, Event
from modules.machine import allocator
from modules.transcript.model import Chunk
from modules.weights.files import ModelSpec
from tests.builders import a_config, assigned
from tests.daemon_process import MODELS
from tests.fakes import FakeExecutor

#: Set once this program runs with the environment that the child has.
_MARK = "TRANSCRIBER_PROFILING"
STAGES = (
    "decode", "find speech", "features", "encoder", "language", "decoder", "words",
    "checkpoint", "publish",
)  # fmt: skip


class Stopwatch:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def timed(self, stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, whose time counts as that stage's."""

        def measured(*args: Any, **more: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*args, **more)
            finally:
                self.seconds[stage] += time.perf_counter() - began

        return measured

    def iterated(self, stage: str, call: Callable[..., Iterator[Any]]) -> Callable[..., Any]:
        """The same for a function whose work is done while what it gives is iterated over."""

        def measured(*args: Any, **more: Any) -> Iterator[Any]:
            step = self.timed(stage, iter(call(*args, **more)).__next__)
            while True:
                try:
                    yield step()
                except StopIteration:
                    return

        return measured


class InProcess(FakeExecutor):
    """The child's code in the place of the child, stage by stage under a stopwatch."""

    def __init__(self, spec: ModelSpec, watch: Stopwatch) -> None:
        super().__init__(SystemClock())
        from modules.audio import recording
        from modules.engines.whisperx.engine import WhisperXEngine
        from modules.worker import transcription

        self._watch = watch
        self._engine = WhisperXEngine(spec, 1, MODELS)
        self._on_chunk: Callable[[Chunk], None] = lambda chunk: None
        self._done: Done | None = None
        self.ended = 0.0
        model: Any = self._engine.model.whisper
        for owner, name, stage in (
            (model, "feature_extractor", "features"),
            (self._engine.model, "_encode", "encoder"),
            (model, "find_alignment", "words"),
        ):
            setattr(owner, name, watch.timed(stage, getattr(owner, name)))
        model.model = _Timed(model.model, watch)
        setattr(recording.Recording, "blocks", watch.iterated("decode", recording.Recording.blocks))  # noqa: B010
        detector = transcription.detector
        setattr(  # noqa: B010
            transcription,
            "detector",
            lambda *words: watch.timed("find speech", detector(*words)),
        )

    def run(self, request: Task, handlers: RunCallbacks) -> Outcome:
        """One recording, as the child would do it."""
        from modules.worker.transcription import Transcription

        self._watch.timed("checkpoint", handlers.on_accepted)()
        self._on_chunk = self._watch.timed("checkpoint", handlers.on_chunk)
        order = request.command.model_copy(update={"task_id": 1})
        inbox: Any = _NobodyStops()
        Transcription(assigned(order), self._engine, lambda *what: None, inbox, self).run()  # type: ignore[arg-type]
        self.ended = time.perf_counter()
        return self._outcome(self._done)

    def send(self, event: Event) -> None:
        """What the child would say."""
        if isinstance(event, Chunk):
            self._on_chunk(event)
        elif isinstance(event, Done):
            self._done = event


class _Timed:
    """CTranslate2's model, whose methods cannot be replaced, with two of them timed."""

    def __init__(self, model: Any, watch: Stopwatch) -> None:
        self._model = model
        self.generate = watch.timed("decoder", model.generate)
        self.detect_language = watch.timed("language", model.detect_language)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class _NobodyStops:
    def stopped(self, order: int) -> bool:
        return False


def profile(root: Path, seconds: int, fast: bool) -> tuple[float, float, dict[str, float]]:
    """(seconds of sound, seconds of work, seconds by stage) of one warm recording."""
    config = a_config(root, whisperx={"fast_mode": fast})
    watch = Stopwatch()
    path = MODELS / "faster-whisper-base"
    spec = ModelSpec(name="base", path=str(path), device="cpu", compute_type="int8")
    processor = InProcess(spec, watch)
    runner, files, submit = runner_over(config, processor)
    clip = read_prose(seconds)
    for name in ("warm.wav", "measured.wav"):
        files.folder.at(name).write_bytes(clip.path.read_bytes())
        submit(name)
        watch.seconds.clear()
        began = time.perf_counter()
        runner.tick()
        if not files.results.is_done(name):
            raise SystemExit(f"{name} has no result")
    total = time.perf_counter() - began
    watch.seconds["publish"] = time.perf_counter() - processor.ended
    return clip.duration_s, total, dict(watch.seconds)


def main() -> None:
    """Print a table for each length."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lengths", default="10,600", help="seconds of read prose, by commas")
    parser.add_argument("--fast", action="store_true", help="with whisperx.fast_mode")
    options = parser.parse_args()
    allocator.configure()
    end_in_order()
    require_everything()
    for seconds in map(int, options.lengths.split(",")):
        with tempfile.TemporaryDirectory() as scratch:
            length_s, total_s, stages = profile(Path(scratch), seconds, options.fast)
        stages["the rest"] = total_s - sum(stages.values())
        rows = [("stage", "seconds", "share")]
        for name in (*STAGES, "the rest"):
            spent_s = stages.get(name, 0.0)
            rows.append((name, f"{spent_s:.3f}", f"{spent_s / total_s:.1%}"))
        print(f"\n{length_s:.1f} s of sound, one stream: {total_s:.2f} s of work")
        print(table(rows), flush=True)


if __name__ == "__main__":
    if _MARK not in os.environ:  # OpenMP reads its settings when a process starts
        with tempfile.TemporaryDirectory() as folder:
            wanted = worker_environment(Path(folder))
        words = [sys.executable, "-m", "benchmarks.profile", *sys.argv[1:]]
        os.execve(sys.executable, words, wanted | {_MARK: "1"})  # nosec B606 # our own words
    main()
