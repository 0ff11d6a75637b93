"""One live session in the child: the utterance that is being spoken, and which pass is due."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from modules.audio.chunking import SAMPLE_RATE, AudioChunk
from modules.executors.live_protocol import (
    Closed,
    CloseSession,
    Commit,
    Final,
    Flush,
    Flushed,
    LiveEvent,
    OpenSession,
    Partial,
    Skipped,
    Speech,
)
from modules.transcript.agreement import Agreement
from modules.worker.live_utterance import Draft, Heard, Kind, Pass, Utterance, final_of, worked_of
from modules.worker.session_sound import SessionSound

#: A pass while somebody speaks hears so much at most, in seconds.
_WINDOW_S = 14.0
#: Before an utterance, and behind it, so much is heard as well.
_PAD = int(0.4 * SAMPLE_RATE)
#: Where nobody speaks, so much is kept.
_KEPT = 2 * SAMPLE_RATE
#: An utterance ends at a pause from this length on, and without one at the last, in seconds.
_LONG_S, _LONGEST_S = 22.0, 28.0
#: A pause for that, in samples; and where the quietest moment is looked for, in seconds.
_PAUSE, _CUT_S = SAMPLE_RATE // 10, 5.0
#: After this share of the silence that ends an utterance, its final is begun.
_DRAFT_SHARE = 0.5
#: In a hurry: with so much unheard an utterance does not end at silence, as one pass over several
#: takes less than one each; a final is a quick one; and all but the newest is skipped; in seconds.
_BATCH_S, _QUICK_S, _SKIP_S, _NEWEST_S = 1.0, 5.0, 60.0, 2.0


class Session:
    """Thread-safe: commands come from one thread, passes from another. Events go to ``emit``,
    which must not block; each final to ``final``, if there is one, with its sound. ``progress`` is
    called while it hears. ``rate`` was checked. Positions are 16 kHz samples from ``from_s`` on."""

    def __init__(
        self,
        command: OpenSession,
        descriptor: int,
        emit: Callable[[LiveEvent], None],
        monotonic: Callable[[], float],
        final: Callable[[Final, AudioChunk], None] | None = None,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        self.number = command.session
        self.settings = command.settings
        self._emit = emit
        self._progress = progress
        self._emit_final = final or (lambda event, heard: emit(event))
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._committed_s = command.from_s
        self._sound = SessionSound(descriptor, command)
        self._step_s = command.step_s
        self._silence = int(command.silence_s * SAMPLE_RATE)
        self._utterance: Utterance | None = None
        #: Where the last utterance ended, and when the last pass began.
        self._floor = 0
        self._passed_at = -math.inf
        #: What was asked for: with the samples that were there, and since when.
        self._flushes, self._is_closing = 0, False
        self._asked_for, self._asked_at = 0, math.inf
        self.is_over = False
        #: Whether nobody speaks in another session, so that there is time for more passes.
        self.is_alone = True

    # --- commands ---

    def hear(self, samples: int = 0) -> None:
        """So many samples are there: hear them, up to the end of the utterance.

        Raises StorageError and MediaError.
        """
        with self._lock:
            self._sound.told = max(self._sound.told, samples)
            self._hear()

    def end(self, command: Flush | CloseSession) -> None:
        """End the utterance with the samples that are there. Raises as ``hear``."""
        with self._lock:
            self._asked_for = self._sound.told
            self._asked_at = min(self._asked_at, self._monotonic())
            if isinstance(command, Flush):
                self._flushes += 1
            else:
                self._is_closing = True
                if command.discard:
                    self._close()
            self._hear()

    def pace(self, step_s: float | None, hurries: bool = False) -> None:
        with self._lock:
            self._step_s, self._sound.hurries = step_s, hurries

    def only_finals(self) -> None:
        """The engine has no words while somebody speaks."""
        with self._lock:
            self._step_s = None

    @property
    def is_speaking(self) -> bool:
        return self._utterance is not None

    @property
    def is_asked(self) -> bool:
        """Whether an answer to a flush or a close is due."""
        return self._asked_at < math.inf

    # --- what is due ---

    def due(self) -> tuple[float, Kind | None]:
        """When the next thing is to be done by the monotonic clock, or infinity; and which pass
        that is, or None."""
        with self._lock:
            return self._due()

    def take(self) -> Pass | None:
        """The pass that is due; None if there is none, or if it was done without one. Raises as
        ``hear``."""
        with self._lock:
            due_at, kind = self._due()
            now = self._monotonic()
            if due_at > now:
                return None
            utterance = self._utterance
            if utterance is None or kind is None:
                self._answer()
                return None
            if kind == "final" and utterance.draft and utterance.is_drafted(self._speech_end()):
                self._conclude(utterance, utterance.draft.heard)
                self._hear()
                return None
            self._passed_at = now
            return self._pass(utterance, kind, due_at)

    def found(self, what: Pass, heard: Heard) -> None:
        """What a pass heard. Raises as ``hear``."""
        with self._lock:
            utterance, upto_s = self._utterance, self._sound.second(what.until)
            if utterance is not None and (heard.words or what.kind != "partial"):
                if what.kind == "final":
                    self._conclude(utterance, heard)
                else:
                    self._go_on(utterance, what, heard)
            waited_s = max(0.0, self._monotonic() - heard.busy_s - what.due_at)
            self._emit(worked_of(self.number, upto_s, heard.busy_s, waited_s))
            self._hear()

    # --- the rest is called with the lock held ---

    def _due(self) -> tuple[float, Kind | None]:
        utterance = self._utterance
        if utterance is None:
            return self._asked_at, None
        if utterance.end is not None:
            return utterance.ended_at, "final"
        if self._step_s is None:
            return math.inf, None
        if utterance.draft_at < math.inf:
            return utterance.draft_at, "draft"
        pause_s = utterance.pause_s(self._step_s, self.is_alone)
        return max(utterance.ready_at, self._passed_at + pause_s), "partial"

    def _pass(self, utterance: Utterance, kind: Kind, due_at: float) -> Pass:
        until = self._sound.position if utterance.end is None else utterance.end
        onsets = [self._sound.second(begin - _PAD // 2) for begin, _ in self._sound.speech()]
        begin = max(utterance.begin, self._sound.sample(utterance.window_s(kind, onsets)))
        if kind == "partial":
            begin = max(begin, until - int(_WINDOW_S * SAMPLE_RATE))
        utterance.heard = until
        utterance.ready_at = utterance.draft_at = math.inf
        if kind == "draft":
            utterance.draft_end = self._speech_end()
        chunk = self._sound.chunk(begin, until)
        is_quick = kind == "final" and self._sound.is_behind(_QUICK_S)
        return Pass(kind, chunk, utterance.begin, until, self._speech_end(), due_at, is_quick)

    def _go_on(self, utterance: Utterance, what: Pass, heard: Heard) -> None:
        if what.kind == "draft" and heard.settled:
            utterance.draft = Draft(what.speech_end, heard)
        until_s = self._sound.second(what.until)
        new = utterance.go_on(heard.words, until_s, heard.settled)
        if new:
            self._committed_s = utterance.agreement.committed_s
            self._emit(Commit(session=self.number, words=new, language=heard.language))
        shown = utterance.newly_shown(until_s, bool(new))
        if shown is not None:
            self._emit(Partial(session=self.number, words=shown))

    def _conclude(self, utterance: Utterance, heard: Heard) -> None:
        assert utterance.end is not None
        words = utterance.agreement.finished(heard.words)
        if words:
            self._committed_s = words[-1].end or self._committed_s
            sound = self._sound.chunk(utterance.begin, utterance.end)
            self._emit_final(final_of(self.number, words, heard.language), sound)
        elif utterance.shown:
            self._emit(Partial(session=self.number, words=()))
        self._floor = utterance.end
        self._utterance = None
        self._sound.forget(self._floor)
        if self._sound.is_behind(_SKIP_S) and not self.is_asked:
            self._skip(was_told=utterance.is_cut)
        elif utterance.is_cut:
            self._begin(self._floor).is_announced = True

    def _skip(self, was_told: bool) -> None:
        """Go on with the newest sound; ``was_told``: that somebody speaks."""
        missed_s = self._sound.second(self._floor)
        self._committed_s, self._floor = self._sound.skip(all_but_s=_NEWEST_S), 0
        if was_told:
            self._emit(Speech(session=self.number, speaking=False, at_s=missed_s))
        self._emit(Skipped(session=self.number, from_s=missed_s, to_s=self._committed_s))

    def _answer(self) -> None:
        """Everything up to what was asked for is done."""
        for _ in range(self._flushes):
            self._emit(Flushed(session=self.number))
        self._flushes, self._asked_at = 0, math.inf
        if self._is_closing:
            self._close()
        self._hear()

    def _close(self) -> None:
        self.is_over = True
        self._utterance, self._asked_at = None, math.inf
        self._emit(Closed(session=self.number))

    def _hear(self) -> None:
        """Hear what is there up to the end of the utterance, as more would be kept in memory."""
        until = self._asked_for if self.is_asked else self._sound.told
        while not (self.is_over or self._is_ended) and self._sound.listen(until):
            self._progress()
            self._notice()
        if self.is_asked and self._utterance and not self._is_ended:
            self._end(self._utterance, self._sound.position)

    @property
    def _is_ended(self) -> bool:
        return self._utterance is not None and self._utterance.end is not None

    def _notice(self) -> None:
        speech = [span for span in self._sound.speech() if span[1] > self._floor]
        utterance = self._utterance
        if utterance is None:
            if not speech:
                self._sound.forget(self._sound.position - _KEPT)
                return
            utterance = self._begin(max(self._floor, speech[0][0] - _PAD))
        if not utterance.is_announced:
            utterance.is_announced = True
            at_s = self._sound.second(max(speech[0][0], utterance.begin))
            self._emit(Speech(session=self.number, speaking=True, at_s=at_s))
        silent = self._sound.silent_for()
        if silent >= self._silence and not self._sound.is_behind(_BATCH_S):
            self._end(utterance, min(self._sound.position, self._speech_end() + _PAD))
            return
        self._cut_if_long(utterance, silent)
        is_quiet = silent >= self._silence * _DRAFT_SHARE
        utterance.set_due(self._monotonic(), speech, is_quiet)

    def _begin(self, begin: int) -> Utterance:
        agreement = Agreement(self._committed_s)
        self._utterance = Utterance(begin, self._sound.second(begin), agreement, heard=begin)
        return self._utterance

    def _end(self, utterance: Utterance, end: int, is_cut: bool = False) -> None:
        utterance.end, utterance.is_cut = end, is_cut
        utterance.ended_at = self._monotonic()
        if not is_cut:
            at_s = self._sound.second(self._speech_end())
            self._emit(Speech(session=self.number, speaking=False, at_s=at_s))

    def _cut_if_long(self, utterance: Utterance, silent: int) -> None:
        """The model hears 30 s at most."""
        position = self._sound.position
        length = position - utterance.begin
        if length >= _LONG_S * SAMPLE_RATE and silent >= _PAUSE:
            self._end(utterance, self._speech_end() + silent // 2, is_cut=True)
        elif length >= _LONGEST_S * SAMPLE_RATE:
            cut = self._sound.quietest(position - int(_CUT_S * SAMPLE_RATE), position)
            committed = self._sound.sample(utterance.agreement.committed_s)
            self._end(utterance, min(position, max(cut, committed)), is_cut=True)

    def _speech_end(self) -> int:
        speech = self._sound.speech()
        return speech[-1][1] if speech else self._floor
