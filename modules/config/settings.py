"""The settings that can differ for each recording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

#: What turns speech into text; ``engines/registry.py`` has a row for each.
EngineName = Literal["whisper", "whisperx", "t-one", "gigaam"]
#: Those that are no Whisper: they know Russian only, and ``model_size`` is not about them.
RUSSIAN_ENGINES = ("t-one", "gigaam")


class Frozen(BaseModel):
    """Base of the values that go into sidecar files: frozen, finite numbers only."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", allow_inf_nan=False, protected_namespaces=()
    )


class TranscriptionSettings(Frozen):
    """The settings of one transcription."""

    engine: EngineName = "whisper"
    model_size: str
    language: str
    temperature: float
    compute_type: str
    device: str
    task: Literal["transcribe", "translate"] = "transcribe"
    initial_prompt: str | None = None
    hotwords: str | None = None
    beam_size: int = 5
    suppress_numerals: bool = False
    fast_mode: bool = False
    audio_tracks: str = "auto"
    channels: Literal["auto", "mix", "split"] = "auto"
    vad_method: Literal["silero", "pyannote"] = "silero"
    vad_onset: float = 0.5
    vad_offset: float | None = None
    diarize: bool = False
    min_speakers: int | None = None
    max_speakers: int | None = None
    debug: bool = False

    def agrees_with(self, wishes: Mapping[str, Any]) -> bool:
        """Whether every setting of a request is the same here; ``debug`` is not compared."""
        return all(getattr(self, k) == v for k, v in wishes.items() if k != "debug")

    def matches(self, other: TranscriptionSettings) -> bool:
        """Equal but for ``debug``, which changes no transcript."""
        return self.model_copy(update={"debug": other.debug}) == other
