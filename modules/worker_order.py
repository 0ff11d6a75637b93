"""What the child is ordered to do with a recording: one place for the daemon and the command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modules.config.schema import Config
from modules.config.settings import Settings
from modules.protocol import Started, Transcribe
from modules.transcript.model import Chunk
from modules.weights.files import ModelSpec
from modules.weights.locate import locate
from modules.weights.store import prepare


@dataclass(frozen=True)
class Request:
    """What the child is to do with one file. ``spent_s``: seconds that this attempt already ran."""

    order: Transcribe
    spent_s: float = 0.0


def _nothing(*_told: object) -> None:
    pass


@dataclass(frozen=True)
class Handlers:
    """Whom to tell of an order's progress, and whom to ask whether it shall go on."""

    #: Each finished chunk, in order.
    on_chunk: Callable[[Chunk], None]
    #: Asked several times a second.
    should_stop: Callable[[], bool] = lambda: False
    #: The model is loaded; the file is given to it when this returns.
    on_accepted: Callable[[], None] = _nothing
    #: The file is open.
    on_started: Callable[[Started], None] = _nothing
    #: Whether somebody waits for the stop.
    must_hurry: Callable[[], bool] = lambda: True
    #: Asked once a second: what will be ordered then, for the child to make ready.
    next_up: Callable[[], Transcribe | None] = lambda: None


def model_of(settings: Settings, config: Config) -> ModelSpec:
    """The weights that the settings ask for, made ready on the disk. Raises ModelError."""
    directory = config.models_directory
    source = locate(settings.model_size, directory, config.whisperx.allow_download)
    return ModelSpec(
        name=source.name,
        path=str(prepare(source, directory)),
        device=settings.device,
        compute_type=settings.compute_type,
    )


def request_for(
    path: Path,
    settings: Settings,
    model: ModelSpec,
    config: Config,
    start_s: float = 0.0,
    settled_language: str | None = None,
    spent_s: float = 0.0,
) -> Request:
    """The order for one recording, from ``start_s`` on."""
    order = Transcribe(
        order=0,
        path=bytes(path),
        model=model,
        settings=settings,
        settled_language=settled_language,
        batch_size=config.whisperx.batch_size,
        start_s=start_s,
        max_duration_s=config.processing.max_duration_hours * 3600,
    )
    return Request(order, spent_s)
