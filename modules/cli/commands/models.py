"""``models``: which weights are here; fetch, remove and check them."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path
from typing import Any

from modules.cli.printable import printable_json
from modules.cli.session import complain, configured, say
from modules.cli.terminal import tables
from modules.config.schema import Config
from modules.config.types import MODEL_SIZES
from modules.errors import ModelError, TranscriberError, noted
from modules.messages import in_locale
from modules.weights.files import home, missing_files, verify, without_sum
from modules.weights.locate import ModelSource, Origin, present
from modules.weights.removal import folders_of, remove
from modules.weights.store import provide

_ORIGINS = {
    Origin.DIRECTORY: noted("models folder"),
    Origin.PACKAGE: noted("installed package"),
    Origin.PARTS: noted("installed packages, unpacked when needed"),
    Origin.HUB_CACHE: noted("cache of the hub"),
    Origin.FOLDER: noted("folder of one's own"),
}


def run(options: Namespace) -> int:
    """``models``: list what is here. Raises ConfigError."""
    config = configured(options)
    wanted, sources = config.whisperx.model_size, list(_here(config))
    if options.json:
        print(printable_json([_as_json(source, wanted) for source in sources]))
        return 0
    head = (_("NAME"), _("SIZE"), _("WHERE"), "", "")
    tables.show(head, [_cells(source, wanted) for source in sources], right=(1,))
    if wanted not in [source.size for source in sources]:
        lacking = _("{model} is configured and is not here: `transcriber.py models get {model}`.")
        if "/" in wanted:
            lacking = _("The folder {model} is configured, and has no whole model.")
        say(lacking.format(model=wanted))
    here = {source.size for source in sources}
    others = ", ".join(size for size in MODEL_SIZES if size not in here)
    say(_("`transcriber.py models get NAME` fetches one of: {others}.").format(others=others))
    return 0


def get(options: Namespace) -> int:
    """``models get``: fetch a model unless it is here. Raises ModelError, ConfigError."""
    config = configured(options)
    _require_size(options.name)
    if present(options.name, config.models_directory) is None:
        text = _("Fetching {model} into {folder}.")
        say(text.format(model=options.name, folder=config.models_directory))
    say(_provided(options.name, config.models_directory))
    if options.name != config.whisperx.model_size:
        line = f"whisperx.model_size: {options.name}"
        say(_("To use it for every recording, set {line}.").format(line=line))
    return 0


def _provided(size: str, models_directory: Path) -> str:
    try:
        return provide(size, models_directory, allow_download=True)
    except ModelError as error:
        for detail in in_locale(error.details or "").splitlines():
            complain(detail)
        raise


def delete(options: Namespace) -> int:
    """``models remove``. Raises TranscriberError for the configured one, unless it is forced."""
    config = configured(options)
    size, wanted = options.name, config.whisperx.model_size
    _require_size(size)
    if _is_used(size, config) and not options.force:
        message = _("{model} is the configured model (whisperx.model_size).").format(model=wanted)
        remedy = _("Configure another one first, or give --force.")
        raise TranscriberError("model_in_use", message, remedy=remedy)
    for folder in remove(size, config.models_directory):
        say(_("{folder} is removed.").format(folder=folder))
    return 0


def _is_used(size: str, config: Config) -> bool:
    """Also by another name: turbo and large-v3-turbo may be one folder, which may be configured."""
    wanted = config.whisperx.model_size
    own = present(wanted, config.models_directory)
    in_use = os.path.realpath(own.folder if own and own.folder else wanted)
    folders = folders_of(size, config.models_directory)
    return size == wanted or in_use in [os.path.realpath(folder) for folder in folders]


def check(options: Namespace) -> int:
    """``models verify``: 1 if a file is damaged. Raises ModelError if there is no such model."""
    config = configured(options)
    if options.name is not None:
        _require_size(options.name)
    sizes = MODEL_SIZES if options.name is None else (options.name,)
    right = [_is_right(source) for source in _own_folder(config)] if options.name is None else []
    found = right + [each for size in sizes for each in _checked(size, config)]
    if not found and options.name is not None:
        message = _("The Whisper model {model} is not on this machine.").format(model=options.name)
        remedy = _("`transcriber.py models` lists those that are.")
        raise ModelError("model_missing", message, remedy=remedy)
    return 0 if all(found) else 1


def _checked(size: str, config: Config) -> Iterator[bool]:
    """Whether what is here under a size's name is as it should be; nothing if nothing is here."""
    source = present(size, config.models_directory)
    if source:
        yield _is_right(source)
        return
    own = home(size, config.models_directory)
    if own.exists():
        files = ", ".join(missing_files(own, size))
        complain(_("{model}: {folder} lacks {files}").format(model=size, folder=own, files=files))
        yield False


def _is_right(source: ModelSource) -> bool:
    """Check one and say so."""
    if source.folder is None:
        text = _("{model}: comes with the installed packages, and is checked when it is unpacked")
        say(text.format(model=source.size))
        return True
    problems = verify(source.folder, source.size)
    for problem in problems:
        complain(f"{source.size}: {problem}")
    unknown = without_sum(source.folder, source.size)
    if unknown and not problems:
        text = _("{model}: all files are there; no checksum is known of {files}")
        say(text.format(model=source.size, files=", ".join(unknown)))
    elif not problems:
        text = _("{model}: all files are there, and their checksums are right")
        say(text.format(model=source.size))
    return not problems


def _own_folder(config: Config) -> Iterator[ModelSource]:
    """The folder that is configured in place of a size, if it has a model."""
    wanted = config.whisperx.model_size
    if "/" in wanted and not missing_files(Path(wanted), wanted):
        yield ModelSource(wanted, Origin.FOLDER, Path(wanted))


def _here(config: Config) -> Iterator[ModelSource]:
    """Every known size that is here, and the configured folder."""
    yield from _own_folder(config)
    for size in MODEL_SIZES:
        source = present(size, config.models_directory)
        if source:
            yield source


def _cells(source: ModelSource, wanted: str) -> tuple[str, ...]:
    size = _("{n} MB").format(n=source.size_mb) if source.size_mb is not None else ""
    mark = _("configured") if source.size == wanted else ""
    folder = str(source.folder or "")
    return (source.size, size, _(_ORIGINS[source.origin]), folder, mark)


def _as_json(source: ModelSource, wanted: str) -> dict[str, Any]:
    return {
        "name": source.size,
        "size_mb": source.size_mb,
        "origin": source.origin.value,
        "folder": str(source.folder) if source.folder else None,
        "configured": source.size == wanted,
    }


def _require_size(name: str) -> None:
    if name not in MODEL_SIZES:
        message = _("{name}: there is no model of this name.").format(name=name)
        known = ", ".join(MODEL_SIZES)
        raise ModelError(
            "model_missing", message, remedy=_("Known are {known}.").format(known=known)
        )
