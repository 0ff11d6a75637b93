"""Which models there are, and which one a request means."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from modules.config.schema import Config
from modules.config.types import MODEL_SIZES, nearest
from modules.errors import ModelError, TranscriberError, noted
from modules.weights.locate import REPOSITORIES, available, locate, present

#: What clients write without a choice in mind.
USUAL = "whisper-1"
_OPENAIS = re.compile(r"whisper-1|gpt-[\w.-]*transcribe[\w.-]*|", re.ASCII)
_PREFIXES = (
    "systran/", "openai/", "distil-whisper/",
    "faster-whisper-", "faster-distil-whisper-", "whisper-",
)  # fmt: skip
_SIZES = {size.lower(): size for size in MODEL_SIZES} | {
    repository.lower(): size for size, repository in REPOSITORIES.items()
}
_OWNER = "local"


def model_size(model: str, configured: str) -> str | None:
    """The size that a model's name means; None if it is neither OpenAI's nor Whisper's.

    ``configured``: a size or the path of a folder; what all of OpenAI's names mean.
    """
    if _OPENAIS.fullmatch(model) or model in (configured, own_name(configured)):
        return configured
    name = model.lower()
    if name in _SIZES:
        return _SIZES[name]
    for prefix in _PREFIXES:
        distil = "distil-" if "distil" in prefix and name.startswith(prefix) else ""
        name = distil + name.removeprefix(prefix)
    return _SIZES.get(name)


def own_name(configured: str) -> str:
    """What the configured model is called: its size, or the name of its folder."""
    return configured if configured in MODEL_SIZES else Path(configured).name


class Models:
    """The models of this machine; the configured one is ``whisper-1``, too."""

    def __init__(self, config: Config) -> None:
        self._configured = config.whisperx.model_size
        self._folder = config.models_directory
        self._may_download = config.whisperx.allow_download
        self._refuses = config.api.unknown_model == "refuse"

    def meant(self, model: str) -> str:
        """The size for a request that names this model, as ``api.unknown_model`` has it.

        Raises TranscriberError for a name that means no model. Whether a size is here is then
        checked with the other settings.
        """
        size = model_size(model, self._configured)
        if self._refuses:
            if size is None:
                raise _unknown(model)
            return size
        return size if size and self._is_usable(size) else self._configured

    def listed(self) -> list[dict[str, Any]]:
        """All of them, in OpenAI's form; the configured one first, and there even if it is not."""
        names = (USUAL, own_name(self._configured), *available(self._folder))
        return [self._facts(name) for name in dict.fromkeys(names)]

    def one(self, model: str) -> dict[str, Any]:
        """One of the list, by any of its names. Raises TranscriberError ``model_not_found``."""
        size = model_size(model, self._configured)
        if any(facts["id"] in (model, size) for facts in self.listed()) and _is_ours(model):
            return self._facts(model)
        raise TranscriberError(
            "model_not_found",
            noted("model: {model!r} is not on this machine.", model=model),
            remedy=noted("GET /v1/models lists what is."),
        )

    def _is_usable(self, size: str) -> bool:
        here = size == self._configured or present(size, self._folder) is not None
        return here or self._may_download

    def _facts(self, name: str) -> dict[str, Any]:
        size = model_size(name, self._configured) or self._configured
        return {
            "id": name,
            "object": "model",
            "created": self._created(size),
            "owned_by": REPOSITORIES[size].partition("/")[0] if size in REPOSITORIES else _OWNER,
        }

    def _created(self, size: str) -> int:
        """When its folder was changed last; 0 where that is not known."""
        try:
            source = present(size, self._folder) or locate(size, self._folder, False)
            return int(source.folder.stat().st_mtime) if source.folder else 0
        except (ModelError, OSError):
            return 0


def _is_ours(model: str) -> bool:
    """OpenAI's names but the usual one mean our model, and are none that is here."""
    return model == USUAL or _OPENAIS.fullmatch(model) is None


def _unknown(model: str) -> TranscriberError:
    sizes = ", ".join(MODEL_SIZES)
    name = model.rpartition("/")[2].removeprefix("faster-").removeprefix("whisper-")
    return TranscriberError(
        "invalid_settings",
        noted(
            "model: must be whisper-1 for the configured model, or one of {sizes}, got "
            "{model!r}{hint}",
            sizes=sizes,
            model=model,
            hint=nearest(name, MODEL_SIZES),
        ),
    )
