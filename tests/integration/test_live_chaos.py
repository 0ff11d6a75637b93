"""Live sessions to which things happen at random: what was acknowledged is stored, once."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.builders import until
from tests.integration.test_disk_full import Ballast
from tests.live_chaos import RESUME_S, ChaosDaemon, Run, ask
from tests.live_client import SOON_S
from tests.mounts import mounted
from tests.soak import soak

#: Sessions, with a seed for each: of a daemon that lives, and of one that is killed, too.
RUNS = soak(4, 100)
DISK = ("-t", "tmpfs", "-o", "size=64m", "tmpfs")
#: Descriptors and threads that come and go: requests, a file in hand, a process that is replaced.
_MORE = 5


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Ballast | None]:
    """One that can be filled; None where nothing can be mounted."""
    folder = tmp_path / "shared"
    folder.mkdir()
    with contextlib.ExitStack() as mounts:
        with contextlib.suppress(pytest.skip.Exception):
            mounts.enter_context(mounted(folder, *DISK))
        yield Ballast(folder) if folder.is_mount() else None


@pytest.mark.parametrize("first_seed", [1, 1001], ids=["living", "killed"])
def test_whatever_happens_every_acknowledged_sample_is_stored_once(
    tmp_path: Path, disk: Ballast | None, first_seed: int
) -> None:
    happened: Counter[str] = Counter()
    sizes: list[tuple[int, int, int]] = []
    with ChaosDaemon(tmp_path, {"live": {"resume_seconds": RESUME_S}}) as daemon:
        daemon.wait_until_warm()
        for seed in range(first_seed, first_seed + RUNS):
            run = Run(daemon, seed, disk, may_kill_daemon=first_seed > 1)
            try:
                run.play()
            except BaseException as error:
                error.add_note(f"seed {seed}, {dict(run.happened)}")
                raise
            happened += run.happened
            print(seed, dict(run.happened), flush=True)
            until(lambda: is_free(daemon), "all are over, and it knows that there is room", SOON_S)
            sizes.append(size_of(daemon))
            for recording in daemon.shared.glob("*chaos*"):
                recording.unlink()
        check_sizes(sizes)
        own = daemon.shared / ".transcriber"
        left = {path.name for path in (own / "live").iterdir() if path.suffix != ".json"}
        assert left | {path.name for path in (own / "uploads").iterdir()} == set()
        assert daemon.is_alive
        assert "unexpected error" not in daemon.whole_log
    print(dict(happened), sizes)


def is_free(daemon: ChaosDaemon) -> bool:
    """What it last saw of the disk counts, and that may have been a full one."""
    state = ask(daemon, "/sessions")
    return state["sessions"] == [] and bool(state["free"])


def size_of(daemon: ChaosDaemon) -> tuple[int, int, int]:
    """Its pid, descriptors and threads, once what goes by has gone by."""
    process = psutil.Process(daemon.pid)
    looks = []
    for _ in range(3):
        looks.append((process.num_fds(), process.num_threads()))
        time.sleep(0.05)
    return (daemon.pid, min(fds for fds, _ in looks), min(threads for _, threads in looks))


def check_sizes(sizes: list[tuple[int, int, int]]) -> None:
    """No life of the daemon ended with more than it had after its first session."""
    first: dict[int, tuple[int, int]] = {}
    for pid, fds, threads in sizes:
        begun = first.setdefault(pid, (fds, threads))
        assert fds <= begun[0] + _MORE, f"{begun} became {fds, threads}: {sizes}"
        assert threads <= begun[1] + _MORE, f"{begun} became {fds, threads}: {sizes}"
