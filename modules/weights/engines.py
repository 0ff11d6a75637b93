"""Where the weights of each engine are."""

from __future__ import annotations

from pathlib import Path

from modules.config.schema import WhisperxConfig
from modules.config.settings import TranscriptionSettings
from modules.config.types import MODEL_SIZES
from modules.weights import onnx_files
from modules.weights.files import WEIGHTS
from modules.weights.locate import ModelSource, Origin, locate


def locate_for(
    settings: TranscriptionSettings | WhisperxConfig, models_directory: Path, allow_download: bool
) -> ModelSource:
    """Where the weights are that the settings ask for. Raises ModelError, as ``locate`` does."""
    engine = settings.engine
    if engine not in onnx_files.FILES:
        return locate(settings.model_size, models_directory, allow_download)
    folder = onnx_folder(engine, settings.model_size, models_directory)
    onnx_files.require(folder, engine)
    name = onnx_files.weights_in(folder, engine) or ""
    return ModelSource(engine, Origin.FOLDER, folder, name)


def onnx_folder(engine: str, model_size: str, models_directory: Path) -> Path:
    """``models/t-one`` or ``models/gigaam``; or the path in ``model_size``, unless it is Whisper's.

    A request may ask for another engine than the configuration, whose path is for its own.
    """
    named = Path(model_size)
    if model_size in MODEL_SIZES or (named / WEIGHTS).is_file():
        return models_directory / engine
    return named
