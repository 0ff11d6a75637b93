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
from modules.weights import onnx_files
from modules.weights.onnx_files import INSTALL


@dataclass(frozen=True)
class Entry:
    """Where an engine is, the packages that it needs, and what installs them."""

    module: str
    class_name: str
    packages: tuple[str, ...] = ()
    install: str = "pip install -r requirements.lock"


DEFAULT = "whisper"
_HERE = f"{PACKAGE}.engines"
_OF_ONNX = (onnx_files.PACKAGE, "onnxruntime")
_OF_WHISPERX = ("whisperx", "faster_whisper", "ctranslate2")

ENGINES: Mapping[str, Entry] = MappingProxyType(
    {
        "whisper": Entry(f"{_HERE}.whisperx.engine", "WhisperXEngine", _OF_WHISPERX),
        "whisperx": Entry(f"{_HERE}.whisperx.pipeline", "PipelineEngine", _OF_WHISPERX),
        "t-one": Entry(f"{_HERE}.onnx_ctc", "TOne", _OF_ONNX, INSTALL),
        "gigaam": Entry(f"{_HERE}.onnx_ctc", "GigaAm", _OF_ONNX, INSTALL),
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
            remedy=noted("Run `{command}`.", command=entry.install),
            permanent=True,
        )
    found: type[Engine] = getattr(import_module(entry.module), entry.class_name)
    return found
