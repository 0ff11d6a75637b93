"""What a long live session takes in memory, of which parts, in minutes instead of an hour.

Run as ``python -m benchmarks.live_memory``. The live server of the child runs in this process, with
the child's own allocator; sound comes ``--speed`` times as fast as it was spoken, so that passes
hear the same utterances, fewer times each. Each line is a stretch of the session: what is resident,
what of the heap is in use and what it holds, in MB of 10^6, and what was computed at its peak.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.live_child import sound_of
from benchmarks.measure import end_in_order, require_everything, table
from modules.executors.live_protocol import Final, Text, TextOrder, Worked
from modules.machine import allocator
from modules.weights.files import ModelSpec
from modules.weights.locate import locate
from modules.weights.store import prepare
from tests.daemon_process import MODELS
from tests.live_feeding import FedSession, LiveLine
from tests.speech import festvox_russian, joined

_LOOK_S, _FEED_S, _END_S = 0.05, 0.1, 300.0
RATE = 16_000


class _Mallinfo(ctypes.Structure):
    """glibc's ``struct mallinfo2``, see mallinfo(3)."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks used free top".split()
    ]


def heap() -> tuple[float, float, float]:
    """The heap's size, what of it is in use, and what lies in mappings of its own, in MB."""
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = _Mallinfo
    found = libc.mallinfo2()
    return found.arena / 1e6, found.used / 1e6, found.hblkhd / 1e6


class Kept:
    """Stands for the allocator where nothing is to be given back."""

    @staticmethod
    def give_back() -> None:
        pass


@dataclass
class Doing:
    """What is computed, by name; more than one where threads do."""

    running: list[str] = field(default_factory=list)

    def watch(self, owner: Any, name: str) -> None:
        """Note each call of that method."""
        method: Callable[..., Any] = getattr(owner, name)

        def noted(*args: Any, **kwargs: Any) -> Any:
            self.running.append(name)
            try:
                return method(*args, **kwargs)
            finally:
                self.running.remove(name)

        setattr(owner, name, noted)


@dataclass(frozen=True)
class Look:
    """At a second of the session; sizes in MB."""

    second: float
    resident: float
    heap: float
    used: float
    mapped: float
    doing: str


class Looking:
    """Looks at this process until it is left; gives memory back as the child's main thread does."""

    def __init__(self, fed: FedSession, doing: Doing, kept_share: float) -> None:
        self._fed, self._doing = fed, doing
        self._over = threading.Event()
        self._kept = kept_share * allocator.resident_mb()
        self._swollen = allocator.resident_mb() + self._kept
        self.looks: list[Look] = []
        self.given_back: list[float] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Looking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        asked_at = time.monotonic()
        while not self._over.wait(_LOOK_S):
            second = self._fed.samples / RATE
            doing = "+".join(sorted(set(self._doing.running)))
            resident = allocator.resident_mb() * 2**20 / 1e6
            self.looks.append(Look(second, resident, *heap(), doing))
            if time.monotonic() - asked_at >= 5.0:
                asked_at = time.monotonic()
                self._give_back(second)

    def _give_back(self, second: float) -> None:
        if allocator.resident_mb() > self._swollen:
            allocator.give_back()
            self.given_back.append(second)
            self._swollen = max(self._swollen, allocator.resident_mb() + self._kept)


def report(looks: list[Look], every_s: float) -> None:
    rows = [("second", "resident", "most", "heap", "in use", "most", "mapped", "at its peak")]
    last = int(looks[-1].second // every_s)
    for part in range(last + 1):
        there = [one for one in looks if int(one.second // every_s) == part]
        if not there:
            continue
        peak = max(there, key=lambda one: one.used + one.mapped)
        rows.append(
            (
                f"{(part + 1) * every_s:.0f}",
                f"{there[-1].resident:.0f}",
                f"{max(one.resident for one in there):.0f}",
                f"{there[-1].heap:.0f}",
                f"{min(one.used for one in there):.0f}",
                f"{max(one.used for one in there):.0f}",
                f"{peak.mapped:.0f}",
                peak.doing,
            )
        )
    print(table(rows))


def run(spec: ModelSpec, options: argparse.Namespace) -> None:
    from modules.engines.whisperx.engine import WhisperXEngine
    from modules.worker import live_text
    from modules.worker.live_server import LiveServer
    from modules.worker.shared_diarizer import SharedDiarizer
    from modules.worker.sharing import Sharing

    sound = sound_of(joined(festvox_russian(), 60.0 * options.minutes, 0.6))
    engine = WhisperXEngine(spec, 2, Path(MODELS))
    if options.keep:
        live_text.allocator = Kept  # type: ignore[assignment]
    doing = Doing()
    for owner, name in (
        (engine, "listen"),
        (engine, "transcribe"),
        (engine, "encode"),
        (engine._decoder, "_sampled"),
        (engine, "_divided"),
        (engine.model.whisper, "find_alignment"),
    ):
        doing.watch(owner, name)
    sharing = Sharing()
    server = LiveServer(sharing, SharedDiarizer(Path(MODELS) / "diarize", 2).voices)
    sharing.offer(engine)
    print(f"loaded: {allocator.resident_mb() * 2**20 / 1e6:.0f} MB resident")
    with LiveLine() as line:
        server.serve(line.its)
        order = None if options.no_text else TextOrder(model=spec)
        step_s = options.step or None
        fed = FedSession(line, 1, step_s=step_s, text=order)
        with Looking(fed, doing, options.kept) as looking:
            size = 2 * round(RATE * _FEED_S * options.speed)
            began = time.monotonic()
            for count, at in enumerate(range(0, len(sound), size), start=1):
                fed.give(sound[at : at + size])
                time.sleep(max(0.0, began + count * _FEED_S - time.monotonic()))
            fed.close(timeout_s=_END_S)
        found = len(line.of(Worked)), len(line.of(Final)), len(line.of(Text))
        server.stop()
    report(looking.looks, options.every)
    print("passes, finals, chunks: {}, {}, {}".format(*found))
    print(f"given back at {', '.join(f'{at:.0f}' for at in looking.given_back) or 'no time'}")
    print(f"heap at the end: {heap()}, resident {allocator.resident_mb() * 2**20 / 1e6:.0f}")
    allocator.give_back()
    print(f"all given back: {heap()}, resident {allocator.resident_mb() * 2**20 / 1e6:.0f}")


def main() -> None:
    """Print what was seen, stretch by stretch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--speed", type=float, default=4.0)
    parser.add_argument("--step", type=float, default=1.0)
    parser.add_argument("--every", type=float, default=60.0, help="seconds of a line")
    parser.add_argument(
        "--kept", type=float, default=0.75, help="share of the model's memory that is kept"
    )
    parser.add_argument("--keep", action="store_true", help="give nothing back after a chunk")
    parser.add_argument("--no-text", action="store_true", help="live words alone")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    allocator.configure()
    end_in_order()
    require_everything()
    source = locate("base", MODELS, allow_download=False)
    run(
        ModelSpec(
            name=source.name, path=str(prepare(source, MODELS)), device="cpu", compute_type="int8"
        ),
        options,
    )


if __name__ == "__main__":
    main()
