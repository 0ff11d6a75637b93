"""How soon words of live speech are shown, committed and final, in one child without a daemon.

Run as ``python -m benchmarks.live_child``. Each session is fed at the pace of speech. Where words
end is what the offline transcript of the same sound says, so a delay is as exact as that is. A word
of it that live hears otherwise is as late as what live says in its place, for that is a matter of
the word error rate; one in whose place live says nothing is infinitely late.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import threading
import time
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from modules.executors.live_protocol import Commit, Final, Partial, Speech, Worked
from modules.executors.local.connection import send_command
from modules.executors.protocol import Live, Load, Loaded, Ready
from modules.transcript.model import Word
from tests.contract.test_worker_contract import Worker, real
from tests.live_feeding import Arrived, FedSession, LiveLine
from tests.speech import Clip, asterisk_prompts, festvox_russian, joined, normalised

#: Two words are the same if they begin within so much of each other, in seconds.
_NEAR_S = 0.5
#: What is spoken begins so much later for each further session, in seconds.
_STAGGER_S = 0.37
#: A run with a later frame than this says nothing, in seconds.
_LATE_S = 0.05


@dataclass(frozen=True)
class Delays:
    """Seconds from the end of each word, and from the end of each utterance to its final."""

    shown: list[float]
    committed: list[float]
    final: list[float]
    #: Words of partials, and those of them that went again.
    shown_words: int
    changed: list[str]
    #: Words of the offline text that live hears otherwise, and what it hears.
    otherwise: list[str]


def delays(events: Sequence[Arrived], words: Sequence[Word]) -> Delays:
    """What the events of a session, dated from its beginning, say of the words in its sound."""
    finals_of = [one.event for one in events if isinstance(one.event, Final)]
    words, otherwise = _meant(words, [word for final in finals_of for word in final.words])
    since: list[float | None] = [None] * len(words)
    committed: list[float | None] = [None] * len(words)
    finals, ends = [], []
    done: list[Word] = []
    pending: list[Word] = []
    shown, gone = 0, []
    for arrived in events:
        event, at = arrived.event, arrived.at
        if isinstance(event, Speech) and not event.speaking:
            ends.append(event.at_s)
        before = pending
        if isinstance(event, Partial):
            pending = list(event.words)
        elif isinstance(event, Commit):
            done += event.words
            last_s = event.words[-1].end or 0.0
            pending = [word for word in pending if (word.end or 0.0) > last_s]
        elif isinstance(event, Final):
            done = [w for w in done if (w.start or 0.0) < event.start_s] + list(event.words)
            pending = []
            finals.append(at - max((end for end in ends if end <= at), default=math.nan))
        else:
            continue
        gone += [word.word.strip() for word in before if not _has([*done, *pending], word)]
        shown += sum(not _has(before, word) for word in pending)
        for i, word in enumerate(words):
            if committed[i] is None and _has(done, word):
                committed[i] = at
            if not _has([*done, *pending], word):
                since[i] = None
            elif since[i] is None:
                since[i] = at
    return Delays(
        [_after(at, word) for at, word in zip(since, words, strict=True)],
        [_after(at, word) for at, word in zip(committed, words, strict=True)],
        [one for one in finals if not math.isnan(one)],
        shown,
        gone,
        otherwise,
    )


def _meant(words: Sequence[Word], live: Sequence[Word]) -> tuple[list[Word], list[str]]:
    """The words, those that live hears otherwise as it does; and these, for people."""
    meant, otherwise = [], []
    for word in words:
        middle = ((word.start or 0.0) + (word.end or 0.0)) / 2
        there = [w for w in live if (w.start or 0.0) <= middle <= (w.end or 0.0)]
        if there and not _has(live, word):
            meant.append(there[0].model_copy(update={"end": word.end}))
            otherwise.append(f"{word.word.strip()} ({there[0].word.strip()})")
        else:
            meant.append(word)
    return meant, otherwise


def _after(at: float | None, word: Word) -> float:
    return math.inf if at is None else at - (word.end or 0.0)


def _has(words: Sequence[Word], wanted: Word) -> bool:
    near = [w for w in words if abs((w.start or 0.0) - (wanted.start or 0.0)) <= _NEAR_S]
    return any(normalised(w.word) == normalised(wanted.word) for w in near)


def _events(fed: FedSession) -> list[Arrived]:
    mine = [one for one in fed.line.arrived if one.event.session == fed.number]
    return [Arrived(one.at - fed.began_at, one.event) for one in mine]


def offline(worker: Worker, clip: Clip) -> list[Word]:
    _, chunks, _ = worker.run(clip.path)
    return [word for chunk in chunks for segment in chunk.segments for word in segment.words]


def words_wrong(reference: str, text: str) -> float:
    """Word error rate in percent."""
    from tests.speech import word_error_rate

    return 100 * word_error_rate(reference, text)


def report(title: str, values: Sequence[float]) -> None:
    ordered = sorted(values)
    if ordered:
        p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
        late = sum(math.isinf(one) for one in ordered)
        print(f"{title:28} median {median(ordered):5.2f}  p95 {p95:5.2f}  never {late}")


def sound_of(clip: Clip) -> bytes:
    with wave.open(str(clip.path)) as file:
        return file.readframes(file.getnframes())


def feed(fed: FedSession, sound: bytes, delay_s: float) -> None:
    time.sleep(delay_s)
    fed.speak(sound)
    fed.speak(bytes(2 * fed.rate))
    fed.close()


def report_words(found: Sequence[Delays], names: bool) -> None:
    shown = sum(one.shown_words for one in found)
    changed = [word for one in found for word in one.changed]
    print(f"partial words that went again {100 * len(changed) / max(1, shown):.1f} % of {shown}")
    otherwise = [word for one in found for word in one.otherwise]
    print(f"heard otherwise than offline {len(otherwise)} words")
    if names:
        for title, words in (("went", changed), ("otherwise", otherwise)):
            print(f"{title:>11}: {', '.join(words)}")


def run(worker: Worker, clips: Sequence[Clip], step_s: float | None, names: bool) -> None:
    known = [offline(worker, clip) for clip in clips]
    child = psutil.Process(worker.process.pid)
    with LiveLine() as line:
        send_command(worker.input, Live(), line.its.fileno())
        line.its.close()
        sessions = [FedSession(line, n, step_s=step_s) for n in range(1, len(clips) + 1)]
        began, cpu = time.monotonic(), sum(child.cpu_times()[:2])
        threads = [
            threading.Thread(target=feed, args=(fed, sound_of(clip), i * _STAGGER_S))
            for i, (fed, clip) in enumerate(zip(sessions, clips, strict=True))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        cpu, wall = sum(child.cpu_times()[:2]) - cpu, time.monotonic() - began
        found = [delays(_events(fed), words) for fed, words in zip(sessions, known, strict=True)]
        report("word's end to first shown", [s for one in found for s in one.shown])
        report("word's end to committed", [s for one in found for s in one.committed])
        report("end of speech to final", [s for one in found for s in one.final])
        report_words(found, names)
        for fed, clip, words in zip(sessions, clips, known, strict=True):
            live = "".join(word.word for word in fed.committed)
            plain = " ".join(word.word for word in words)
            print(f"session {fed.number}: wrong words live {words_wrong(clip.text, live):.1f} %, "
                  f"offline {words_wrong(clip.text, plain):.1f} %")  # fmt: skip
        worked = line.of(Worked)
        busy = sum(one.busy_s for one in worked)
        print(
            f"{len(worked)} passes of {median(w.busy_s for w in worked):.2f} s, waited "
            f"{median(w.waited_s for w in worked):.2f} s; {busy / wall / len(clips):.2f} of the "
            f"passes' thread and {cpu / wall / len(clips):.2f} of a core for each session"
        )
        late = max(fed.late_s for fed in sessions)
        print(f"latest frame {1000 * late:.0f} ms" + (": void" if late > _LATE_S else ""))


def main() -> None:
    """Print delays and word error rates."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--step", type=float, default=1.0)
    parser.add_argument("--prompts", action="store_true", help="telephone prompts, not prose")
    parser.add_argument("--words", action="store_true", help="name those that change or differ")
    parser.add_argument("--first", type=int, default=0, help="the first of the recordings")
    options = parser.parse_args()
    clips = asterisk_prompts("ru", wideband=True) if options.prompts else festvox_russian()
    spoken = [
        joined(clips[options.first + n * 30 :], options.seconds, gap_s=0.8)
        for n in range(options.sessions)
    ]
    with tempfile.TemporaryDirectory() as folder:
        kind = real(Path(folder))
        worker = Worker(kind)
        try:
            worker.expect(Ready, kind.start_s)
            worker.say(Load(model=kind.spec))
            worker.expect(Loaded)
            run(worker, spoken, options.step or None, options.words)
        finally:
            worker.end()


if __name__ == "__main__":
    main()
