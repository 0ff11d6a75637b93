"""What a folder full of finished recordings costs the daemon: start, discovery, idling.

The daemon is the real one with the settings as shipped; only WhisperX is replaced, by a child that
needs no time, so that nothing but the daemon is measured.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from modules.config.schema import Config, WatchConfig
from modules.recordings.store import RecordingStore
from modules.watching.rescan_schedule import RESCAN_COST_FACTOR
from tests.builders import SETTINGS
from tests.scripted_daemon import ScriptedDaemon
from tests.scripted_worker import recording, text_of

PROGRAM = """
import sys
from modules.executors.local import executor
executor.worker_command = lambda config: [sys.executable, "-m", "tests.scripted_worker"]
import transcriber
sys.exit(transcriber.main(sys.argv[1:]))
"""
#: One time for all, so that what a result says of its recording is soon written.
MTIME_NS = 1_700_000_000_000_000_000
POLL_S = 0.005
#: The daemon has settled once it takes less of a core than this over a stretch of so many seconds.
QUIET_SHARE, QUIET_S = 0.05, 3.0
SETTLED_WITHIN_S = 600.0


class ShippedDaemon(ScriptedDaemon):
    """As it is shipped, but for WhisperX: the scripted one of the tests is in a hurry."""

    warm = False  # its start and its memory are measured

    def configure(self, config: Mapping[str, Mapping[str, object]]) -> None:
        processing = Config().processing.model_dump(mode="json", exclude_none=True)
        watch = {**WatchConfig().model_dump(), **config.get("watch", {})}
        super().configure({**config, "watch": watch, "processing": processing})

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-c", PROGRAM, "--config", str(self.config_file), *arguments]


@dataclass(frozen=True)
class Memory:
    """Of the daemon alone, in MB of 10^6: resident, and with shared pages counted in part."""

    rss_mb: float
    pss_mb: float

    @classmethod
    def of(cls, pid: int) -> Memory:
        full = psutil.Process(pid).memory_full_info()
        return cls(full.rss / 1e6, full.pss / 1e6)


@dataclass(frozen=True)
class Folder:
    """What was measured with so many finished recordings in the folder. Seconds, but for shares.

    ``watching_s`` from the start of the process on; ``settled_s`` until it has taken them all in;
    ``after_start_s`` until a file was queued that came while the daemon was off; ``found_s`` and
    ``done_s`` of each file that was moved in later, until it was queued and had its result.
    """

    files: int
    watching_s: float
    settled_s: float
    after_start_s: float
    found_s: tuple[float, ...]
    done_s: tuple[float, ...]
    idle_share: float | None
    memory: Memory


def fill(shared: Path, count: int) -> None:
    """Put finished recordings into a folder, each with its result and its texts."""
    shared.mkdir(parents=True, exist_ok=True)
    files = RecordingStore(shared, shared.parent / "manual")
    sound = recording(1)
    source: dict[str, object] = {}
    for number in range(count):
        stem = f"{shared}/{number:06}"
        _write(f"{stem}.mp3", sound)
        os.utime(f"{stem}.mp3", ns=(MTIME_NS, MTIME_NS))
        # The same for all: they have the same bytes and the same time.
        source = source or files.folder.identity(f"{number:06}.mp3").model_dump()
        for form in ("txt", "srt"):
            _write(f"{stem}.{form}", text_of(sound, 0).encode())
        _write(f"{stem}.mp3.result", _result(f"{number:06}", source).encode())
    if count and not files.results.is_done(f"{count - 1:06}.mp3"):
        raise AssertionError("the daemon would take these for new recordings")


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)


def _result(stem: str, source: Mapping[str, object]) -> str:
    """As much as that of a voice message of a few seconds."""
    words = [
        {"word": f" слово{i}", "start": i / 2, "end": i / 2 + 0.4, "confidence": 0.9}
        for i in range(15)
    ]
    segment = {"id": 0, "start": 0.0, "end": 8.0, "text": "слово " * 15, "words": words}
    content = {
        "filename": f"{stem}.mp3",
        "job_id": "benchmark",
        "duration_seconds": 8.0,
        "settings": SETTINGS.model_dump(),
        "source": source,
        "outputs": [f"{stem}.txt", f"{stem}.srt"],
        "transcription": {"text": segment["text"], "segments": [segment]},
    }
    return json.dumps(content, ensure_ascii=False, indent=2)


def with_daemon(root: Path, files: int, events: bool, arrivals: int, idle_s: float) -> Folder:
    """Run the daemon on the folder ``root/shared``, which has so many finished recordings.

    Its idling is measured over ``idle_s`` seconds, if that is not 0.
    """
    daemon = ShippedDaemon(root, {"watch": {"events": events}})
    kind = "events" if events else "rescans"
    early = f"{kind}-early.mp3"
    daemon.drop(early, 1)
    began = time.monotonic()
    with daemon:
        watching_s = time.monotonic() - began
        _wait_until_queued(daemon, early)
        after_start_s = time.monotonic() - began
        settled_s = _settle(daemon) - began
        idle_share = idle(daemon.pid, idle_s) if idle_s else None
        memory = Memory.of(daemon.pid)
        times = [_arrival(daemon, f"{kind}-{number}.mp3") for number in range(arrivals)]
    found_s, done_s = (tuple(column) for column in zip(*times, strict=True))
    return Folder(files, watching_s, settled_s, after_start_s, found_s, done_s, idle_share, memory)


def whole_periods(seconds: float, rescan_s: float) -> float:
    """So long, or longer, that it holds as many rescans as it should: each costs ``rescan_s``.

    They are so far apart where events come.
    """
    usual_s = WatchConfig().rescan_seconds
    period_s = max(usual_s, 2 * RESCAN_COST_FACTOR * rescan_s) + rescan_s
    return math.ceil(seconds / period_s) * period_s


def _arrival(daemon: ShippedDaemon, name: str) -> tuple[float, float]:
    """Seconds from the move into the folder until the file is queued, and until it is done."""
    daemon.drop(name, 1)
    moved = time.monotonic()
    _wait_until_queued(daemon, name)
    found_s = time.monotonic() - moved
    result = daemon.shared / f"{name}.result"
    daemon.wait_for(lambda: result.exists() or None, f"the result of {name}", 60, POLL_S)
    return found_s, time.monotonic() - moved


def _wait_until_queued(daemon: ShippedDaemon, name: str) -> None:
    line = re.compile(rf"\] {re.escape(name)}: queued \(accepted\)")
    daemon.wait_for(lambda: line.search(daemon.log), f"{name} was queued", SETTLED_WITHIN_S, POLL_S)


def _settle(daemon: ShippedDaemon) -> float:
    """The moment from which on the daemon has nothing to do any more."""
    deadline = time.monotonic() + SETTLED_WITHIN_S
    while time.monotonic() < deadline:
        began = time.monotonic()
        if idle(daemon.pid, QUIET_S) < QUIET_SHARE:
            return began
    raise daemon.failure(f"the daemon had something to do for {SETTLED_WITHIN_S:.0f} s")


def idle(pid: int, seconds: float) -> float:
    """CPU seconds that a process takes in a second, over so many."""
    process = psutil.Process(pid)
    before, began = process.cpu_times(), time.monotonic()
    time.sleep(seconds)
    after = process.cpu_times()
    used_s = after.user + after.system - before.user - before.system
    return float(used_s / (time.monotonic() - began))
