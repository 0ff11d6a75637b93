"""The models that tell voices apart, loaded when first needed: for files and live sessions."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch takes seconds to import
    from modules.diarization.diarizer import Diarizer
    from modules.diarization.embeddings import SpeakerEmbeddings


class SharedDiarizer:
    """Thread-safe. ``directory`` and ``threads``: see ``Diarizer``."""

    def __init__(self, directory: Path, threads: int) -> None:
        self._directory = directory
        self._threads = threads
        self._lock = threading.Lock()
        self._made: dict[str, Diarizer] = {}

    def on(self, device: str) -> Diarizer:
        with self._lock:
            if device not in self._made:
                from modules.diarization.diarizer import Diarizer

                threads = self._threads if device == "cpu" else 1
                self._made[device] = Diarizer(self._directory, device, threads)
            return self._made[device]

    def voices(self) -> SpeakerEmbeddings:
        """For live sessions: some windows an utterance, for which no graphics card is needed.

        Raises ModelError.
        """
        return self.on("cpu").voices()
