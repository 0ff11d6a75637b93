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
#: Descriptors and threads that come and go: requests, a file in hand.
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
    sizes = Sizes()
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
            sizes.check(daemon)
            for recording in daemon.shared.glob("*chaos*"):
                recording.unlink()
        # What came to nothing is removed after whoever asked was told so.
        until(lambda: not left_in(daemon), "nothing else is left", SOON_S)
        assert daemon.is_alive
        assert "unexpected error" not in daemon.whole_log
    print(dict(happened), sizes.first)


def is_free(daemon: ChaosDaemon) -> bool:
    """What it last saw of the disk counts, and that may have been a full one."""
    state = ask(daemon, "/sessions")
    return state["sessions"] == [] and bool(state["free"])


def left_in(daemon: ChaosDaemon) -> set[str]:
    """Files that belong to no session that is over, nor to one that was stored."""
    own = daemon.shared / ".transcriber"
    left = {path.name for path in (own / "live").iterdir() if path.suffix != ".json"}
    return left | {path.name for path in (own / "uploads").iterdir()}


class Sizes:
    """No life of the daemon has more, for long, than it had after its first session."""

    def __init__(self) -> None:
        #: Descriptors and threads by its pid.
        self.first: dict[int, tuple[int, int]] = {}

    def check(self, daemon: ChaosDaemon) -> None:
        # What belongs to the WhisperX process counts, and it may have been killed just now.
        until(lambda: is_waiting(daemon), "the WhisperX process was there again", SOON_S)
        fds, threads = self.first.setdefault(daemon.pid, size_of(daemon))
        now = [(0, 0)]

        def is_as_before() -> bool:
            now[0] = size_of(daemon)
            return now[0][0] <= fds + _MORE and now[0][1] <= threads + _MORE

        try:
            until(is_as_before, "what goes by has gone by", SOON_S)
        except AssertionError as error:
            error.add_note(f"{fds, threads} became {now[0]}")
            raise


def size_of(daemon: ChaosDaemon) -> tuple[int, int]:
    """The fewest descriptors and threads of three looks, as requests come and go."""
    process, looks = psutil.Process(daemon.pid), []
    for _ in range(3):
        looks.append((process.num_fds(), process.num_threads()))
        time.sleep(0.05)
    return min(fds for fds, _ in looks), min(threads for _, threads in looks)


def is_waiting(daemon: ChaosDaemon) -> bool:
    """Whether its WhisperX process has nothing to do."""
    return [each["state"] for each in ask(daemon, "/stats/workers")["workers"]] == ["waiting"]
