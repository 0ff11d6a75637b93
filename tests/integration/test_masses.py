"""Very many files through the whole daemon: each found soon and run once, and nothing grows."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.daemon_process import resident_mb, text_of
from tests.footprint import Footprint, quarters
from tests.scripted_daemon import ScriptedDaemon
from tests.scripted_worker import full_text
from tests.soak import soak

#: All of a heap of files are in the queue by then, in seconds.
FOUND_WITHIN_S = 60.0
#: A file takes a twentieth of a second, and up to half of one where everybody works at once.
DONE_WITHIN_S = 60.0 + 0.5 * soak(300, 10_000)
QUEUED = re.compile(r"\] (\d{5}\.mp3): queued \(accepted\)")
BEGUN = re.compile(r"\] (\d{5}\.mp3): running \(its turn\)")
ENDED = re.compile(r"\] (\d{5}\.mp3): completed \(")
BATCH = 10
#: What the daemon may have more in the last quarter of its jobs than in the first, in MB of 10^6.
GROWTH_MB = 8.0
WARM_UP = 50


@pytest.mark.timeout(int(FOUND_WITHIN_S + DONE_WITHIN_S) + 300)
@pytest.mark.parametrize("events", [True, False], ids=["events", "rescans only"])
def test_a_heap_of_files_is_found_in_time_and_each_is_run_once(
    tmp_path: Path, events: bool
) -> None:
    names = [f"{number:05}.mp3" for number in range(soak(300, 10_000))]
    with ScriptedDaemon(tmp_path, {"watch": {"events": events}}) as daemon:
        contents = {name: daemon.drop(name, 1, seed=name) for name in names}
        dropped = time.monotonic()
        daemon.wait_for(
            lambda: len(set(QUEUED.findall(daemon.log))) == len(names),
            f"all {len(names)} files were found",
            FOUND_WITHIN_S,
            poll_s=0.5,
        )
        found_s = time.monotonic() - dropped
        daemon.wait_for(
            lambda: len(ENDED.findall(daemon.log)) >= len(names),
            f"all {len(names)} files were done",
            DONE_WITHIN_S,
            poll_s=1.0,
        )
        done_s = time.monotonic() - dropped
        daemon.wait_for(lambda: not daemon.health()["queue_length"], "the queue became empty", 30)
        for said in (QUEUED, BEGUN, ENDED):
            assert Counter(said.findall(daemon.log)) == Counter(names), f"not once each: {said}"
        for name, content in contents.items():
            assert text_of(daemon.result(name) or {}) == full_text(content), name
        assert len(daemon.files()) == 4 * len(names), "something was left over, or is missing"
        print(f"{len(names)} files: found in {found_s:.1f} s, done in {done_s:.1f} s")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path) as running:
        yield running


@pytest.mark.timeout(60 + soak(200, 2_000) * 2)
def test_jobs_in_a_row_leave_nothing_behind_in_the_daemon(daemon: ScriptedDaemon) -> None:
    weights: list[float] = []
    after_warm_up: Footprint | None = None
    for start in range(0, soak(200, 2_000), BATCH):
        _do_batch(daemon, range(start, start + BATCH))
        weights.append(resident_mb([psutil.Process(daemon.pid)]))
        if start + BATCH == WARM_UP:
            after_warm_up = Footprint.of(daemon)
    first, last = quarters(weights)
    print(f"{first:.1f} MB in the first quarter, {last:.1f} MB in the last; {after_warm_up}")
    assert last - first <= GROWTH_MB, f"it grew from {first:.1f} to {last:.1f} MB"
    assert after_warm_up is not None
    after_warm_up.wait_until_held_again(daemon)


def _do_batch(daemon: ScriptedDaemon, numbers: range) -> None:
    """Some files, done, looked at and taken away again, so that the folder does not grow."""
    contents = {f"{n:05}.mp3": daemon.drop(f"{n:05}.mp3", 2, seed=str(n)) for n in numbers}
    for name, content in contents.items():
        assert text_of(daemon.wait_for_result(name, 60)) == full_text(content)
    assert daemon.health()["whisperx_available"]
    for path in daemon.shared.glob("0*"):
        path.unlink()
