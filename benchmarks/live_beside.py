"""What those who speak notice of a stranger at a full house, and of an hour of sound as a file.

    python -m benchmarks.live_beside                 # two sessions, of two that are allowed
    python -m benchmarks.live_beside --sessions 3

The real daemon and engine; the clients are those of :mod:`benchmarks.live_hour`. First the file is
transcribed alone. Then the sessions speak: a minute undisturbed, a minute in which somebody asks
for one session more every second, and so on in turns; then the same file is put beside them.
The delays of the three kinds of time stand in one table, from one run.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from benchmarks.live_hour import STAGGER_S, Speakers, Spoken, figure, serving
from benchmarks.measure import computing, end_in_order, require_everything, table
from tests.daemon_process import DaemonProcess
from tests.speech import festvox_russian, joined

#: The sessions settle before anything is counted, in seconds.
_SETTLE_S = 30.0
_UNDISTURBED, _ASKED, _FILE = "undisturbed", "one more asks", "a file beside"


class Stranger:
    """Asks for a session once a second in every second minute, until it is left."""

    def __init__(self, port: int, is_asking: Callable[[], bool]) -> None:
        self._url = f"ws://127.0.0.1:{port}/live"
        self._is_asking = is_asking
        self._over = threading.Event()
        self.answers: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Stranger:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(1.0):
            if not self._is_asking():
                continue
            try:
                connect(self._url, proxy=None).close()
                self.answers["let in"] += 1
            except InvalidStatus as refusal:
                headers = refusal.response.headers
                after = headers.get("Retry-After")
                self.answers[f"{refusal.response.status_code}, Retry-After {after}"] += 1


class Timetable:
    """What is going on at a second since the sessions began."""

    def __init__(self, turns: int) -> None:
        self._turns = turns
        self.file_from_s = _SETTLE_S + 60.0 * 2 * turns
        self.file_to_s = float("inf")

    def at(self, second: float) -> str | None:
        if second < _SETTLE_S or second > self.file_to_s:
            return None
        if second >= self.file_from_s:
            return _FILE
        return (_UNDISTURBED, _ASKED)[int((second - _SETTLE_S) // 60) % 2]


def report(spoken: Sequence[Spoken], times: Timetable) -> None:
    """A row for each kind of time. A word counts for the time at which it was shown."""
    rows = [("time", "words", "shown", "p95", "committed", "p95", "steps of")]
    for kind in (_UNDISTURBED, _ASKED, _FILE):
        # Session n began n staggers later than the clock of the timetable.
        def of(points: Sequence[tuple[float, float]], n: int, kind: str = kind) -> list[float]:
            return [value for at, value in points if times.at(at + n * STAGGER_S) == kind]

        shown = [value for n, one in enumerate(spoken) for value in of(one.shown, n)]
        said = [value for n, one in enumerate(spoken) for value in of(one.committed, n)]
        steps = {
            str(step)
            for n, one in enumerate(spoken)
            for at, _, step in one.lags
            if times.at(at + n * STAGGER_S) == kind
        }
        delays = (figure(shown), figure(shown, 0.95), figure(said), figure(said, 0.95))
        rows.append((kind, str(len(said)), *(f"{delay:.2f}" for delay in delays),
                     ", ".join(sorted(steps)) or "-"))  # fmt: skip
    print(table(rows))
    for number, one in enumerate(spoken, start=1):
        print(
            f"session {number}: {one.sent} samples, latest frame "
            f"{1000 * one.latest_frame_s:.0f} ms late, {one.words} words, {one.broken} broken, "
            f"{len(one.errors)} errors, refused {one.refused}, stored {one.stored}"
        )


def _transcribed(daemon: DaemonProcess, wav: Path, name: str) -> float:
    """Seconds from the copy of a recording until its result."""
    began = time.monotonic()
    daemon.put(wav, name)
    daemon.wait_for_result(name, 3600.0)
    return time.monotonic() - began


def run(daemon: DaemonProcess, port: int, options: argparse.Namespace) -> None:
    wav = joined(festvox_russian(), 3600.0, 0.6).path
    alone_s = _transcribed(daemon, wav, "alone.wav")
    times = Timetable(options.turns)
    seconds = times.file_from_s + 60.0 * options.file_minutes
    speakers = Speakers(port, wav, options.sessions, seconds)
    began = time.monotonic()
    load = os.getloadavg()[0]
    with Stranger(port, lambda: times.at(time.monotonic() - began) == _ASKED) as stranger:
        speakers.start()
        time.sleep(max(0.0, began + times.file_from_s - time.monotonic()))
        beside_s = _transcribed(daemon, wav, "beside.wav")
        times.file_to_s = time.monotonic() - began
        spoken = speakers.join()
    print(json.dumps(computing()))
    report(spoken, times)
    print(f"one more: {dict(stranger.answers)}; load at the start {load:.1f}")
    over = times.file_to_s - seconds
    print(
        f"an hour as a file: alone {alone_s:.0f} s, beside the sessions {beside_s:.0f} s, "
        f"{alone_s / beside_s:.2f} of its speed"
        + (f" (the sessions ended {over:.0f} s before it)" if over > 0 else "")
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=2, help="also live.max_sessions")
    parser.add_argument("--turns", type=int, default=3, help="pairs of minutes before the file")
    parser.add_argument("--file-minutes", type=float, default=5.0, help="speech beside the file")
    options = parser.parse_args()
    end_in_order()
    require_everything()
    with serving(options.sessions) as (daemon, port):
        run(daemon, port, options)


if __name__ == "__main__":
    main()
