"""The engines by name. An engine is imported when it is first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType

from modules import PACKAGE
from modules.engines.base import Engine
from modules.errors import ModelError, noted


@dataclass(frozen=True)
class Entry:
    """Where an engine is, and the packages that it needs."""

    module: str
    class_name: str
    packages: tuple[str, ...] = ()


DEFAULT = "whisperx"

ENGINES: Mapping[str, Entry] = MappingProxyType(
    {
        "whisperx": Entry(
            f"{PACKAGE}.engines.whisperx.engine",
            "WhisperXEngine",
            packages=("whisperx", "faster_whisper", "ctranslate2"),
        ),
    }
)


def engine_class(name: str, engines: Mapping[str, Entry] = ENGINES) -> type[Engine]:
    """The class of an engine. Raises ModelError if there is none, or a package is missing."""
    entry = engines.get(name)
    if entry is None:
        raise ModelError(
            "engine_unknown",
            noted("There is no engine called {name}.", name=name),
            remedy=noted("Use one of {names}.", names=", ".join(sorted(engines))),
            permanent=True,
        )
    missing = [package for package in entry.packages if find_spec(package) is None]
    if missing:
        raise ModelError(
            "engine_not_installed",
            noted(
                "The engine {name} needs packages that are not installed: {missing}.",
                name=name,
                missing=", ".join(missing),
            ),
            remedy=noted("Run `pip install {package}`.", package=" ".join(missing)),
            permanent=True,
        )
    found: type[Engine] = getattr(import_module(entry.module), entry.class_name)
    return found
