"""The weights of a model are freed before those of the next are loaded."""

from __future__ import annotations

import gc
import wave
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import Mock

import pytest

from modules.engines.base import Capabilities, Engine
from modules.executors.tasks import task_for
from modules.transcript.chunk_text import ChunkText
from modules.weights.files import ModelSpec
from modules.worker.main import Worker
from tests.builders import SETTINGS, a_config, assigned


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """Cycles would otherwise be found by chance."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class StubEngine(Engine):
    """Its life is what is looked at. ``alive``: how many there were when each was loaded."""

    known: ClassVar[weakref.WeakSet[Engine]] = weakref.WeakSet()
    alive: ClassVar[list[int]] = []

    def __init__(self, spec: ModelSpec, cpu_threads: int, models_directory: Path) -> None:
        super().__init__(spec, cpu_threads, models_directory)
        self.known.add(self)
        self.alive.append(len(self.known))

    @classmethod
    def version(cls) -> str:
        return "0"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities()

    def transcribe(self, *_: Any, **__: Any) -> list[ChunkText]:
        return []

    def detect_language(self, encoded: Any, index: int = 0) -> tuple[str, float]:
        return ("ru", 1.0)


def test_a_transcription_keeps_no_engine_alive(tmp_path: Path) -> None:
    silence = tmp_path / "talk.wav"
    with wave.open(str(silence), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", "NONE"))
        file.writeframes(bytes(32000))
    specs = [ModelSpec(name=n, path=n, device="cpu", compute_type="int8") for n in ("a", "b")]
    config = a_config(tmp_path)
    commands = [task_for(silence, SETTINGS, spec, config).command for spec in specs]
    inbox, outbox = Mock(), Mock()
    inbox.next = Mock(side_effect=[*map(assigned, commands), EOFError])
    worker = Worker(inbox, outbox, StubEngine, 1, tmp_path)
    with pytest.raises(EOFError):
        worker.run()
    kinds = [type(call.args[0]).__name__ for call in outbox.send.call_args_list]
    assert kinds.count("Started") == 2, outbox.send.call_args_list
    assert StubEngine.alive == [1, 1]
