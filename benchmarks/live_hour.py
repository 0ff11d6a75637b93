"""Whether a live session stays as quick and as small as it began, for an hour and longer.

    python -m benchmarks.live_hour                        # one session of 60 minutes
    python -m benchmarks.live_hour --sessions 2

The real daemon and engine. Each session is spoken by a process of its own, in frames of 100 ms that
were made before, by its own clock: it never slows down when the service does. For each minute:
seconds from the end of a word to the first partial or commit that has it, by the times that the
service itself gives, the daemon's own figure of its lag, and memory, descriptors and threads of the
daemon and its child.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import tempfile
import threading
import time
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import psutil
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from benchmarks.measure import computing, end_in_order, require_everything, table
from tests.daemon_process import DaemonProcess
from tests.speech import festvox_russian, joined

RATE, FRAME_S = 16_000, 0.1
_FRAME_BYTES = 2 * round(RATE * FRAME_S)
#: A session begins so much after the one before, in seconds.
STAGGER_S = 3.37
#: The end of a session may take so long, in seconds.
_END_S = 120.0
#: Between two looks at the processes, in seconds.
_LOOK_S = 10.0
#: What is compared: the minutes after the first, and as many at the end.
_EARLY = range(1, 5)


@dataclass
class Spoken:
    """What one client saw. Delays as (second of the session, seconds), by its own clock."""

    refused: int = 0
    retry_after: str | None = None
    shown: list[tuple[float, float]] = field(default_factory=list)
    committed: list[tuple[float, float]] = field(default_factory=list)
    lags: list[tuple[float, float, float | None]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    words: int = 0
    utterances: int = 0
    #: seq that came twice, out of order or not at all; words that begin before the one before.
    broken: int = 0
    sent: int = 0
    latest_frame_s: float = 0.0
    stored: str | None = None


class Speaker:
    """One client of ``/live``; runs in a process of its own."""

    def __init__(self, sound: bytes) -> None:
        self._frames = [
            sound[at : at + _FRAME_BYTES] for at in range(0, len(sound), _FRAME_BYTES)
        ]  # fmt: skip
        self._began = 0.0
        self._shown_s = 0.0
        self._seq = 0
        self._seen = Spoken()

    def run(self, port: int) -> Spoken:
        try:
            socket = connect(f"ws://127.0.0.1:{port}/live", proxy=None, max_queue=None)
        except InvalidStatus as refusal:
            self._seen.refused = refusal.response.status_code
            self._seen.retry_after = refusal.response.headers.get("Retry-After")
            return self._seen
        with socket:
            start = {"type": "start", "language": "ru", "rate": RATE, "name": "hour"}
            socket.send(json.dumps(start))
            answer = json.loads(socket.recv(timeout=_END_S))
            assert answer["type"] == "ready", answer
            speaking = threading.Thread(target=self._speak, args=(socket,))
            self._began = time.monotonic()
            speaking.start()
            for message in socket:
                self._note(json.loads(message), time.monotonic() - self._began)
            speaking.join()
        return self._seen

    def _speak(self, socket: ClientConnection) -> None:
        for number, frame in enumerate(self._frames, start=1):
            due = self._began + number * FRAME_S  # when its last sample has been spoken
            time.sleep(max(0.0, due - time.monotonic()))
            socket.send(frame)
            self._seen.sent += len(frame) // 2
            late = time.monotonic() - due
            self._seen.latest_frame_s = max(self._seen.latest_frame_s, late)
        socket.send(json.dumps({"type": "stop"}))

    def _note(self, message: dict[str, Any], now: float) -> None:
        seen, kind = self._seen, message["type"]
        if kind == "partial":
            self._show(message["words"], now)
        elif kind == "commit":
            self._count(message)
            words = message["words"]
            starts = [word["start"] for word in words]
            seen.broken += starts != sorted(starts)
            seen.words += len(words)
            seen.committed += [(now, now - word["end"]) for word in words]
            self._show(words, now)
        elif kind == "final":
            self._count(message)
            seen.utterances += 1
        elif kind == "lag":
            seen.lags.append((now, message["seconds"], message["step"]))
        elif kind == "error":
            seen.errors.append(message["message"])
        elif kind == "stored":
            seen.stored = message["recording"]

    def _count(self, message: dict[str, Any]) -> None:
        self._seen.broken += message["seq"] != self._seq + 1
        self._seq = message["seq"]

    def _show(self, words: Sequence[dict[str, Any]], now: float) -> None:
        for word in words:
            if word["end"] > self._shown_s:
                self._shown_s = word["end"]
                self._seen.shown.append((now, now - word["end"]))


def speak(port: int, wav: Path, number: int, seconds: float, to: Queue) -> None:  # type: ignore[type-arg]
    """The main function of a client's process, which begins after those before it."""
    skip_s = number * 420.0
    with wave.open(str(wav)) as file:
        file.setpos(int(skip_s * RATE) % max(1, file.getnframes() - int(seconds * RATE) + 1))
        speaker = Speaker(file.readframes(int(seconds * RATE)))
    time.sleep(number * STAGGER_S)
    to.put((number, speaker.run(port)))


class Speakers:
    """So many sessions of human speech at a port, of so many seconds each, begun one by one."""

    def __init__(self, port: int, wav: Path, sessions: int, seconds: float) -> None:
        context = multiprocessing.get_context("spawn")
        self._patience_s = seconds + _END_S
        self._results = context.Queue()
        self._processes = [
            context.Process(target=speak, args=(port, wav, number, seconds, self._results))
            for number in range(sessions)
        ]

    def start(self) -> None:
        for process in self._processes:
            process.start()

    def join(self) -> list[Spoken]:
        """What they saw, in the order in which they began."""
        spoken = dict(self._results.get(timeout=self._patience_s) for _ in self._processes)
        for process in self._processes:
            process.join(_END_S)
        return [spoken[number] for number in sorted(spoken)]


@contextmanager
def serving(max_sessions: int) -> Iterator[tuple[DaemonProcess, int]]:
    """A daemon with its model loaded that hears Russian, and its port."""
    config: dict[str, dict[str, object]] = {
        "live": {"max_sessions": max_sessions},
        "whisperx": {"language": "ru"},
    }
    with tempfile.TemporaryDirectory() as folder, DaemonProcess(Path(folder), config) as daemon:
        daemon.wait_until_warm()
        port = daemon.wait_for_log(r"Listening on http://[^:]+:(\d+)").group(1)
        yield daemon, int(port)


@dataclass(frozen=True)
class Look:
    """Memory in MB of 10^6, descriptors and threads of one process, at a second of the run."""

    second: float
    who: str
    pid: int
    rss_mb: float
    descriptors: int
    threads: int


def look(second: float, who: str, pid: int) -> Look:
    process = psutil.Process(pid)
    with process.oneshot():
        rss_mb = process.memory_info().rss / 1e6
        return Look(second, who, pid, rss_mb, process.num_fds(), process.num_threads())


class Looking:
    """Looks at the processes of a daemon until it is left."""

    def __init__(self, daemon: DaemonProcess) -> None:
        self._daemon = daemon
        self._over = threading.Event()
        self.looks: list[Look] = []
        self.load: list[tuple[float, float]] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Looking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        while not self._over.wait(_LOOK_S):
            second = time.monotonic() - began
            self.load.append((second, psutil.getloadavg()[0]))
            pids = {"daemon": self._daemon.pid, "child": self._daemon.worker_pid()}
            for who, pid in pids.items():
                try:
                    if pid is not None:
                        self.looks.append(look(second, who, pid))
                except psutil.NoSuchProcess:
                    continue


# --- what it says --------------------------------------------------------------------------------


def figure(values: Sequence[float], share: float = 0.5) -> float:
    """The value below which that share of all lies; not a number of none."""
    if not values:
        return math.nan
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _of(points: Sequence[tuple[float, float]], minutes: Sequence[int]) -> list[float]:
    return [value for second, value in points if int(second // 60) in minutes]


def _row(
    name: str, minutes: Sequence[int], spoken: Sequence[Spoken], looking: Looking
) -> tuple[str, ...]:
    shown = [value for one in spoken for value in _of(one.shown, minutes)]
    committed = [value for one in spoken for value in _of(one.committed, minutes)]
    lags = [lag for one in spoken for at, lag, _ in one.lags if int(at // 60) in minutes]
    sizes = []
    for who in ("daemon", "child"):
        there = [x for x in looking.looks if x.who == who and int(x.second // 60) in minutes]
        sizes += [
            f"{figure([x.rss_mb for x in there]):.0f}",
            f"{figure([x.descriptors for x in there]):.0f}",
            f"{figure([x.threads for x in there]):.0f}",
        ]
    return (
        name,
        str(len(committed)),
        f"{figure(shown):.2f}",
        f"{figure(shown, 0.95):.2f}",
        f"{figure(committed):.2f}",
        f"{figure(committed, 0.95):.2f}",
        f"{max(lags, default=0.0):.1f}",
        *sizes,
        f"{figure(_of(looking.load, minutes)):.1f}",
    )


_TITLES = (
    "minute", "words", "shown", "p95", "committed", "p95", "lag",
    "daemon MB", "fds", "threads", "child MB", "fds", "threads", "load",
)  # fmt: skip


def report(spoken: Sequence[Spoken], looking: Looking, minutes: int) -> None:
    """A row for each minute, then the early minutes against the last ones."""
    heard = [one for one in spoken if not one.refused]
    rows = [_TITLES, *(_row(str(m + 1), [m], heard, looking) for m in range(minutes))]
    last = range(max(0, minutes - len(_EARLY) - 1), minutes - 1)
    rows += [_row("early", _EARLY, heard, looking), _row("last", last, heard, looking)]
    print(table(rows))
    for number, one in enumerate(spoken, start=1):
        if one.refused:
            print(f"session {number}: {one.refused}, Retry-After {one.retry_after}")
            continue
        print(
            f"session {number}: {one.sent / RATE:.0f} s sent, latest frame "
            f"{1000 * one.latest_frame_s:.0f} ms late, {one.words} words in {one.utterances} "
            f"utterances, {one.broken} broken, {len(one.errors)} errors, stored {one.stored}"
        )
        for error in one.errors[:5]:
            print(f"  {error}")


def stored_samples(daemon: DaemonProcess, name: str) -> int:
    with wave.open(str(daemon.shared / name)) as file:
        return file.getnframes()


def run(daemon: DaemonProcess, port: int, options: argparse.Namespace) -> None:
    seconds = 60.0 * options.minutes
    wav = joined(festvox_russian(), max(seconds, 3600.0), 0.6).path
    speakers = Speakers(port, wav, options.sessions, seconds)
    with Looking(daemon) as looking:
        speakers.start()
        spoken = speakers.join()
    report(spoken, looking, math.ceil(options.minutes))
    for one in spoken:
        if one.stored:
            found = stored_samples(daemon, one.stored)
            verdict = "all there" if found == one.sent else "NOT what was sent"
            print(f"{one.stored}: {found} samples of {one.sent}: {verdict}")
    if options.json:
        content = {
            "machine": computing(),
            "sessions": [asdict(one) for one in spoken],
            "looks": [asdict(one) for one in looking.looks],
            "load": looking.load,
        }
        options.json.write_text(json.dumps(content), encoding="utf-8")


def main() -> None:
    """Print what was seen, minute by minute."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--sessions", type=int, default=1)
    parser.add_argument("--most", type=int, default=6, help="live.max_sessions")
    parser.add_argument("--json", type=Path, help="everything that was seen")
    options = parser.parse_args()
    end_in_order()
    require_everything()
    with serving(options.most) as (daemon, port):
        run(daemon, port, options)


if __name__ == "__main__":
    main()
