"""How soon live words are shown and committed, by a clock that counts what a pass takes.

Run as ``python -m benchmarks.live_clock``. The passes are those of the real model; the time that
they take is that of a quiet machine (decision 41), so the figures do not depend on what else runs,
and are the same in each run. Where words end is what live says in the end: a delay says nothing of
words that are heard wrongly.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.live_child import delays, report, report_words, sound_of
from modules.engines.base import Engine
from modules.engines.whisperx.engine import WhisperXEngine
from modules.executors.live_protocol import CloseSession, Final, LiveEvent, OpenSession
from modules.weights.files import ModelSpec
from modules.weights.locate import locate
from modules.weights.store import prepare
from modules.worker.live_passes import SpokenLanguage, heard_by
from modules.worker.live_session import Session
from modules.worker.live_utterance import Heard, Kind
from tests.builders import SETTINGS
from tests.daemon_process import MODELS
from tests.live_feeding import FRAME_S, Arrived
from tests.speech import asterisk_prompts, festvox_russian, joined

RATE = 16_000


def cost_s(kind: Kind, heard: Heard) -> float:
    """What a pass takes on a quiet machine with two cores, with Whisper base."""
    words = len(heard.words)
    return 0.12 + 0.016 * words if kind == "partial" else 0.25 + 0.021 * words


class Simulation:
    """One session alone, fed at the pace of speech by a clock of its own."""

    def __init__(
        self, engine: Engine, step_s: float | None, slower: float = 1.0, may_hurry: bool = True
    ) -> None:
        self._engine = engine
        self._slower, self._may_hurry = slower, may_hurry
        #: Seconds of sound that were not heard when passes began.
        self.unheard: list[float] = []
        self._now = 0.0
        self.events: list[Arrived] = []
        self.busy_s, self.passes = 0.0, 0
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by run
        command = OpenSession(session=1, rate=RATE, settings=SETTINGS, step_s=step_s)
        self._session = Session(command, self._file.fileno(), self._emit, lambda: self._now)
        self._language = SpokenLanguage(SETTINGS, None)

    def _emit(self, event: LiveEvent) -> None:
        self.events.append(Arrived(self._now, event))

    def run(self, sound: bytes) -> None:
        with self._file:
            os.write(self._file.fileno(), sound)
            count, frame = len(sound) // 2, round(RATE * FRAME_S)
            # When so many samples have been spoken.
            spoken = deque((end / RATE, end) for end in range(frame, count + frame, frame))
            while not self._session.is_over:
                self._next(spoken, count)

    def _next(self, spoken: deque[tuple[float, int]], count: int) -> None:
        due_at = max(self._now, self._session.due()[0])
        if spoken and spoken[0][0] <= due_at:
            self._hear(spoken, count)
        elif math.isinf(due_at):
            self._session.end(CloseSession(session=1))
        else:
            self._now = due_at
            self._make_pass(spoken, count)

    def _hear(self, spoken: deque[tuple[float, int]], count: int) -> None:
        at, samples = spoken.popleft()
        self._now = max(self._now, at)
        self._session.hear(min(samples, count))

    def _make_pass(self, spoken: deque[tuple[float, int]], count: int) -> None:
        what = self._session.take()
        if what is None:
            return
        heard = heard_by(self._engine, what, self._language, SETTINGS)
        kind: Kind = "partial" if what.is_quick else what.kind
        busy_s = self._slower * cost_s(kind, heard) if what.chunk.speech else 0.0
        self.unheard.append(self._now - self._session._sound.second(what.until))
        if self._slower > 1:  # what the daemon does
            hurries = self._may_hurry and self.unheard[-1] > 10
            self._session.pace(None, hurries=hurries)
        done_at = self._now + busy_s
        while spoken and spoken[0][0] <= done_at:
            self._hear(spoken, count)
        self._now, self.busy_s, self.passes = done_at, self.busy_s + busy_s, self.passes + 1
        self._session.found(what, replace(heard, busy_s=busy_s))


def measure(
    engine: Engine, sounds: Sequence[bytes], step_s: float | None, names: bool, slower: float,
    may_hurry: bool,
) -> None:  # fmt: skip
    found = []
    busy_s, passes, seconds = 0.0, 0, 0.0
    for sound in sounds:
        one = Simulation(engine, None if slower > 1 else step_s, slower, may_hurry)
        one.run(sound + bytes(2 * RATE))
        finals = [each.event for each in one.events if isinstance(each.event, Final)]
        found.append(delays(one.events, [word for final in finals for word in final.words]))
        busy_s, passes = busy_s + one.busy_s, passes + one.passes
        seconds += len(sound) / 2 / RATE
        if slower > 1:
            third = len(one.unheard) // 3
            thirds = [one.unheard[n * third : (n + 1) * third] for n in range(3)]
            found_s = ", ".join(f"{max(each, default=0):.1f}" for each in thirds)
            print(f"most that was unheard, by thirds of its passes: {found_s} s")
    report("word's end to first shown", [s for one in found for s in one.shown])
    report("word's end to committed", [s for one in found for s in one.committed])
    report("end of speech to final", [s for one in found for s in one.final])
    report_words(found, names)
    print(
        f"{60 * passes / seconds:.0f} passes a minute, {busy_s / seconds:.2f} of the model's time"
    )


def main() -> None:
    """Print the figures of some recordings together."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--recordings", type=int, default=2)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--step", type=float, default=1.0)
    parser.add_argument("--slower", type=float, default=1.0, help="so much slower a machine")
    parser.add_argument("--without-hurry", action="store_true", help="every utterance its final")
    parser.add_argument("--prompts", action="store_true", help="telephone prompts, not prose")
    parser.add_argument("--words", action="store_true", help="name those that change")
    options = parser.parse_args()
    clips = asterisk_prompts("ru", wideband=True) if options.prompts else festvox_russian()
    starts = [options.first + 30 * n for n in range(options.recordings)]
    sounds = [sound_of(joined(clips[at:], options.seconds, gap_s=0.8)) for at in starts]
    source = locate("base", MODELS, allow_download=False)
    spec = ModelSpec(
        name=source.name, path=str(prepare(source, MODELS)), device="cpu", compute_type="int8"
    )
    engine = WhisperXEngine(spec, os.cpu_count() or 1, Path(MODELS))
    measure(
        engine, sounds, options.step or None, options.words, options.slower,
        not options.without_hurry,
    )  # fmt: skip


if __name__ == "__main__":
    main()
