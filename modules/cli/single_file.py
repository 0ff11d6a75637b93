"""One recording through the WhisperX process without a queue: order, progress, texts."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable
from gettext import gettext as _
from pathlib import Path
from typing import Any

from modules.cli.output_paths import RESULT_FORMAT, Target, refuse_existing
from modules.cli.terminal.progress import Meter
from modules.cli.terminal.wording import note_word
from modules.clock import Clock
from modules.config.schema import Config
from modules.config.settings import RUSSIAN_ENGINES
from modules.executors.base import Executor, Outcome, RunCallbacks
from modules.executors.protocol import Started
from modules.executors.tasks import model_of, task_for
from modules.jobs.job import Job, Priority
from modules.outputs.formats import render
from modules.outputs.notes import reader_language, text_note
from modules.outputs.result import result_json
from modules.outputs.segments_json import with_segments
from modules.recordings.checkpoint import Chunks
from modules.recordings.sidecars import stem_of
from modules.recordings.store import RecordingStore
from modules.storage.atomic import write_whole
from modules.transcript.model import Chunk
from modules.transcript.transcript import Transcript


class SingleFile:
    """Does recordings one after the other with one processor, which it does not close.

    ``should_stop`` is asked several times a second.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock,
        processor: Executor,
        overwrite: bool,
        should_stop: Callable[[], bool],
    ) -> None:
        self._config = config
        self._clock = clock
        self._processor = processor
        self._overwrite = overwrite
        self._should_stop = should_stop

    def transcribe(self, target: Target, meter: Meter) -> str | None:
        """Write the target's texts; what there is to say of it. None if it was stopped.

        Raises TranscriberError; a ModelError would be the same for every other file.
        """
        path = Path(os.path.realpath(target.recording))
        run = _Run(self._job(target, path), self._clock, meter)
        settings = run.job.settings
        model = model_of(settings, self._config)
        if self._processor.status.model_loaded is None:
            whisper = settings.engine not in RUSSIAN_ENGINES
            meter.loading(settings.model_size if whisper else model.name)
        outcome = self._processor.run(
            task_for(path, settings, model, self._config),
            RunCallbacks(
                on_chunk=run.on_chunk,
                should_stop=self._should_stop,
                on_accepted=run.on_accepted,
                on_started=run.on_started,
            ),
        )
        if outcome.done is None:
            return None
        return self._write(target, run, outcome)

    def _job(self, target: Target, path: Path) -> Job:
        files = RecordingStore(path.parent, path.parent)
        return Job(
            name=target.name,
            job_id=uuid.uuid4().hex,
            priority=Priority.API,
            settings=self._config.default_settings(),
            source=files.folder.identity(path.name),
            created=self._clock.utc_now(),
        )

    def _write(self, target: Target, run: _Run, outcome: Outcome) -> str:
        """Write every format, each whole; returns what to say."""
        facts = outcome.facts
        texts = [path.name for form, path in target.outputs.items() if form != RESULT_FORMAT]
        now = self._clock.utc_now()
        job = run.job.close_attempt("completed", now, outcome.ran_s)
        transcript = Transcript(run.chunks, facts.turns)
        result = result_json(job, transcript, facts, texts, now)
        for form, path in target.outputs.items():
            if not self._overwrite:
                refuse_existing(path)  # it was free when we began
            write_whole(path, self._content(form, result, transcript))
        said = _("{audio:.1f} s of audio in {work:.1f} s")
        said = said.format(audio=facts.duration_s, work=outcome.ran_s)
        return "; ".join([said, *map(note_word, result["metadata"]["notes"])])

    def _content(
        self, form: str, result: dict[str, Any], segments: Transcript
    ) -> bytes | Iterable[bytes]:
        if form == RESULT_FORMAT:
            return with_segments(result, segments)
        timestamps = self._config.output.txt_timestamps
        title = stem_of(result["filename"]).rpartition("/")[2]
        duration_s, wished = result["duration_seconds"], self._config.messages.language
        note, language = text_note(result, wished), reader_language(result, wished)
        return render(form, segments, timestamps, duration_s, title, note, language)


class _Run:
    """Keeps the chunks of one file and moves its meter."""

    def __init__(self, job: Job, clock: Clock, meter: Meter) -> None:
        self.job = job
        self.chunks = Chunks()
        self._clock = clock
        self._meter = meter
        self._duration_s: float | None = None

    def on_accepted(self) -> None:
        self.job = self.job.open_attempt(self._clock.utc_now())
        self._meter.at(0.0, None, 0.0)

    def on_started(self, started: Started) -> None:
        self._duration_s = started.duration_s

    def on_chunk(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        duration_s = self._duration_s
        position_s = self.chunks.position_s
        done = position_s / duration_s if duration_s else chunk.read_fraction
        self._meter.at(position_s, duration_s, min(done, 1.0))
