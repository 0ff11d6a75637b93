"""Tasks from settings: one place for the daemon and for the ``transcribe`` command."""

from __future__ import annotations

from pathlib import Path

from modules.config.schema import Config
from modules.config.settings import TranscriptionSettings
from modules.executors.base import HandOut, Task
from modules.executors.protocol import Transcribe
from modules.weights.engines import locate_for
from modules.weights.files import ModelSpec
from modules.weights.store import prepare


def model_of(settings: TranscriptionSettings, config: Config) -> ModelSpec:
    """The weights that the settings ask for, ready on disk. Raises ModelError."""
    directory = config.models_directory
    source = locate_for(settings, directory, config.whisperx.allow_download)
    return ModelSpec(
        name=source.name,
        path=str(prepare(source, directory)),
        device=settings.device,
        compute_type=settings.compute_type,
        encoder=config.whisperx.encoder,
        engine=settings.engine,
    )


def task_for(
    path: Path,
    settings: TranscriptionSettings,
    model: ModelSpec,
    config: Config,
    start_s: float = 0.0,
    legs: tuple[float, float] | None = None,
    known_language: str | None = None,
    spent_s: float = 0.0,
    handout: HandOut | None = None,
) -> Task:
    """The task for one recording, from ``start_s`` on; of its legs, each from its own place."""
    command = Transcribe(
        task_id=0,
        path=bytes(path),
        model=model,
        settings=settings,
        known_language=known_language,
        batch_size=config.whisperx.batch_size,
        start_s=start_s,
        legs=legs,
        max_duration_s=config.processing.max_duration_hours * 3600,
    )
    return Task(command, spent_s, handout)
