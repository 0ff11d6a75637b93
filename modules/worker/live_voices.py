"""Names the voice of each utterance of one live session, in the order in which voices appear.

Events pass through here in their order: a final waits for its voice, at most for some windows of
1.5 s, in a thread of its own. While the model is loaded, and where it is not to be had, nothing
waits, and finals have no speaker.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from modules.audio.chunking import SAMPLE_RATE, AudioChunk
from modules.audio.live_sound import GrowingSound
from modules.executors.live_protocol import Final, LiveEvent, OpenSession
from modules.transcript.model import Turn
from modules.worker.pipes import OpenFile

if TYPE_CHECKING:  # torch takes seconds to import
    from modules.diarization.embeddings import SpeakerEmbeddings
    from modules.diarization.heard import HeardVoices

#: Of an utterance so many windows are heard: 22 ms each.
_WINDOWS = 6

Spans = Sequence[tuple[int, int]]


class VoiceNames:
    """``emit`` and ``final`` may be called from several threads, and do not block. ``load``
    returns the model, or raises. ``stop`` lets what waits pass, and ends the thread."""

    def __init__(
        self,
        command: OpenSession,
        sound: OpenFile,
        load: Callable[[], SpeakerEmbeddings],
        out: Callable[[LiveEvent], None],
    ) -> None:
        self._command = command
        self._sound = sound
        self._load = load
        self._out = out
        self._lock = threading.Lock()
        #: Whether events go through the queue, which keeps them in order.
        self._is_ready = False
        self._waiting: queue.SimpleQueue[tuple[LiveEvent, AudioChunk | None] | None]
        self._waiting = queue.SimpleQueue()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="live-voices", daemon=True)
        self._thread.start()

    def emit(self, event: LiveEvent) -> None:
        self._pass(event, None)

    def final(self, event: Final, heard: AudioChunk) -> None:
        """``heard``: its sound and the speech in it."""
        self._pass(event, heard)

    def stop(self) -> None:
        with self._lock:
            self._is_over = True
            self._waiting.put(None)

    @property
    def is_ready(self) -> bool:
        """Whether finals get speakers: the model and the voices from before are there."""
        return self._is_ready

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> None:
        """After ``stop``."""
        self._thread.join()

    def _pass(self, event: LiveEvent, heard: AudioChunk | None) -> None:
        with self._lock:
            if self._is_ready and not self._is_over:
                self._waiting.put((event, heard))
                return
            self._out(event)

    # --- the thread ---

    def _run(self) -> None:
        try:
            model = self._load()
            voices = self._known(model)
        except Exception:  # noqa: BLE001 - the stored result says why there are no speakers
            return
        with self._lock:
            self._is_ready = True
        while (waiting := self._waiting.get()) is not None:
            event, heard = waiting
            if isinstance(event, Final) and heard is not None:
                event = self._named(event, heard, model, voices)
            self._out(event)

    def _known(self, model: SpeakerEmbeddings) -> HeardVoices:
        """The voices that another child heard before this one."""
        from modules.diarization.heard import HeardVoices

        voices = HeardVoices(self._command.settings.max_speakers)
        for turn in self._command.speakers:
            samples = np.concatenate([*self._samples(turn), np.zeros(0, dtype=np.float32)])
            chunk = AudioChunk(turn.start, turn.end, samples, ((turn.start, turn.end),))
            voices.learn(turn.speaker, embeddings_of(chunk, model))
        return voices

    def _samples(self, turn: Turn) -> Iterator[np.typing.NDArray[np.float32]]:
        rate = self._command.rate
        sound = GrowingSound(self._sound.descriptor, rate, round(turn.start * rate))
        while (block := sound.read(round(turn.end * rate))) is not None:
            yield block

    def _named(
        self, event: Final, heard: AudioChunk, model: SpeakerEmbeddings, voices: HeardVoices
    ) -> Final:
        try:
            speaker = voices.name_of(embeddings_of(heard, model))
        except Exception:  # noqa: BLE001 - a final without its speaker is better than none
            return event
        return event.model_copy(update={"speaker": speaker})


def embeddings_of(heard: AudioChunk, model: SpeakerEmbeddings) -> np.typing.NDArray[np.float32]:
    """Of some windows of its speech, evenly chosen: shape (n, 192)."""
    spans = _spread(_windows(heard))
    if not spans:
        return np.zeros((0, 192), dtype=np.float32)
    return model.embed(model.frames(heard.samples), spans)


def _windows(heard: AudioChunk) -> Spans:
    from modules.diarization.turns import windows

    edges = [
        tuple(round((at - heard.start_s) * SAMPLE_RATE) for at in span) for span in heard.speech
    ]
    return [cut for begin, end in edges for cut in windows(begin, end)]


def _spread(spans: Spans) -> Spans:
    if len(spans) <= _WINDOWS:
        return spans
    return [spans[index * len(spans) // _WINDOWS] for index in range(_WINDOWS)]
