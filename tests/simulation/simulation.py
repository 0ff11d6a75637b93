"""A seed drives the whole program, step by step, through all that can happen to it.

Scheduler, file manager, journal, intake, runner, watcher and the daemon's small duties are the real
ones, wired as the daemon wires them, in one thread. The clock, the worker and the hands of people
follow from the seed. The files are real, in memory where the machine has such a folder: a made-up
file system would promise what the real one does not, and is slower. A shim between program and
files (``tests.disk``) makes calls fail, and lets the process die before, within or after any.

At every step, and at every border between two chunks, something else may happen. What people put
into the folder is written down; the inspector compares it with what is there.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from modules.errors import TranscriberError
from modules.executors.base import WorkerPool
from modules.executors.local.pool import LocalPool
from modules.jobs.events import Event
from modules.recordings.lock import HEARTBEAT_S
from modules.runner.runner import Runner
from tests.builders import a_config, a_model
from tests.disk import Call, Died, Disk, Fault
from tests.fakes import FakeClock
from tests.simulation.clients import Clients
from tests.simulation.cluster import Cluster
from tests.simulation.folder import Folder
from tests.simulation.hand import NAMES, Hand
from tests.simulation.inspector import Inspector
from tests.simulation.lanes import Lane
from tests.simulation.ledger import Ledger
from tests.simulation.program import Program, seeded
from tests.simulation.violation import SeedError, Violation
from tests.simulation.weather import Weather
from tests.simulation.worker import Answer, Worker

#: A close look is taken so often, in steps; the last lines of the trace tell of a failure.
CLOSELY_EVERY = 20
WHOLE_EVERY = 50
TAIL = 60
#: With nothing in the way any more, everything must be settled within so many rounds.
ROUNDS = 600
ROUND_S = 5.0
#: Longer than any hold, back-off or rescan, in rounds.
QUIET_ROUNDS = 8
#: So many answers are kept that may come too late.
STALE_MAX = 30


@dataclass
class Report:
    """What a run was like. ``trace``: one line for everything that happened."""

    seed: int
    trace: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def digest(self) -> str:
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


def simulate(seed: int, steps: int, workers: int = 1) -> Report:
    """Run a seed to its end. Raises SeedError, which says how to see it again.

    One worker is that of this machine. Several are on others, which vanish and come back.
    """
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    root = Path(tempfile.mkdtemp(prefix="simulation-", dir=place))
    try:
        with seeded(seed):
            simulation = Simulation(seed, root, workers)
            try:
                return simulation.run(steps)
            finally:
                simulation.close()
    finally:
        shutil.rmtree(root)


class Simulation:
    """One world with one program in it."""

    def __init__(self, seed: int, root: Path, workers: int) -> None:
        self._seed, self._workers = seed, workers
        self._dice = dice = random.Random(f"{seed} steps")
        # Not everything in every run: what always happens hides what follows from its absence.
        self._with_away, self._with_bursts, self._with_deaths = (
            dice.random() < 0.6 for _ in range(3)
        )
        recursive = dice.random() < 0.7
        names = [name for name in NAMES if recursive or "/" not in name]
        self._config = a_config(root, watch={"events": False, "recursive": recursive})
        a_model(self._config.models_directory)
        self._clock = clock = FakeClock()
        self.report = Report(seed)
        self._folder = folder = Folder(root)
        for path in (folder.shared, folder.manual, folder.elsewhere):
            path.mkdir()
        attempts = self._config.processing.max_retry_attempts
        self._ledger = ledger = Ledger(clock, attempts, self._hear_line)
        self._inspector = Inspector(folder, ledger)
        self._disk = disk = Disk(
            folder.shared, folder.manual, volumes=dice.random() < 0.3, keep=False
        )
        self._hand = Hand(random.Random(f"{seed} hand"), clock, folder, ledger, names)
        self._clients = Clients(
            random.Random(f"{seed} clients"), clock, disk, folder, ledger, names
        )
        self._weather = Weather(
            random.Random(f"{seed} weather"), clock,
            errors=dice.choice((0, 0.001, 0.005)),
            deaths=dice.choice((0.0005, 0.002)) if self._with_deaths else 0,
            acts=dice.choice((0, 0, 0.002)),
            between=self._between,
        )  # fmt: skip
        disk.plan = self._plan
        self._mishaps = dice.choice((0, 0.1, 0.4))
        self._stale: list[Answer] = []
        self._made = 0
        self._cluster = Cluster(workers, clock, self._make) if workers > 1 else None
        self._worker = self._make("worker")
        self._pool: WorkerPool = self._cluster or LocalPool(self._worker)
        self._lanes: dict[Runner, Lane] = {}
        self._free_lanes: list[Lane] = []
        self._program: Program | None = None
        self._starting = False
        self._step = 0

    def _make(self, name: str) -> Worker:
        """A worker; of those that follow each other on a machine each has dice of its own."""
        self._made += self._workers > 1
        dice = random.Random(f"{self._seed} {name}" + (f" {self._made}" if self._made else ""))
        return Worker(
            self._clock, dice, self._mishaps, self._config.default_settings(), self._disk,
            self._folder, self._ledger, self._meanwhile, self._stale if self._made else None,
        )  # fmt: skip

    def close(self) -> None:
        for lane in (*self._lanes.values(), *self._free_lanes):
            lane.close()

    def run(self, steps: int) -> Report:
        try:
            with self._disk:
                self._start()
                for self._step in range(1, steps + 1):
                    self._one_step()
                self._heal()
        except Violation as violation:
            tail = "\n".join(self.report.trace[-TAIL:])
            raise SeedError(
                violation, self._seed, self._step, steps, tail, self._workers
            ) from violation
        return self.report

    # --- a step ---

    def _one_step(self) -> None:
        self._folder.moment += 1
        self._inspector.mark()
        choices: tuple[tuple[int, Callable[[], str]], ...] = (
            (26, self._hand_acts), (12, self._client_asks), (22, self._time_passes),
            (18, self._look), (3 if self._cluster else 20, self._work), (10, self._beat),
            (1 if self._with_deaths else 0, self._death),
            (1 if self._with_bursts else 0, self._weather.worsen),
            (1 if self._with_away else 0, self._share_goes), (3, self._share_comes),
            *(((40, self._lane_goes_on), (3, self._node_goes), (4, self._late_answer))
              if self._cluster else ()),
        )  # fmt: skip
        weights, doings = zip(*choices, strict=True)
        self._do(self._dice.choices(doings, weights)[0])
        with self._disk.aside():
            self._inspector.look()
            if self._step % CLOSELY_EVERY == 0:
                self._inspector.look_closely()

    def _do(self, doing: Callable[[], str]) -> None:
        """One thing, and what follows if the process does not survive it."""
        try:
            said = doing()
        except Died:
            said = "died"
        except (OSError, TranscriberError) as error:
            # The threads of the daemon log it and go on a moment later.
            said = f"{doing.__name__}: {type(error).__name__}"
            self._clock.advance(1.0)
        except Exception as surprise:
            raise Violation("surprise", repr(surprise)) from surprise
        self._tell(said)
        if self._disk.dead:
            self._bury()
            self._start()

    def _tell(self, line: str) -> None:
        now = self._clock.monotonic()
        self.report.trace.append(f"{self._step} {now:.1f} {self._disk.count} {line}")

    def _hear_line(self, line: str) -> None:
        """A transition, beginning with where it led."""
        self.report.trace.append(f"  {line}")
        self.report.counts[line.split(" ")[0]] += 1

    @property
    def _alive(self) -> Program:
        assert self._program is not None, "the program has not been started"
        return self._program

    # --- what can happen ---

    def _hand_acts(self) -> str:
        if self._cluster:
            self._hand.in_hand = self._cluster.in_hand()
        with self._disk.aside():
            return self._hand.act()

    def _client_asks(self) -> str:
        if self._cluster:
            self._clients.in_hand = self._cluster.in_hand()
        return self._clients.act(self._alive)

    def _time_passes(self) -> str:
        seconds = self._dice.choice((0.1, 0.5, 1.0, 1.0, 3.0, 10.0, 35.0, 120.0))
        self._clock.advance(seconds)
        return f"{seconds} s pass"

    def _look(self) -> str:
        self._hand.tell(self._alive.tell)
        self._alive.look()
        return "look"

    def _work(self) -> str:
        """The worker does a job; or all of them, to the end of what they have."""
        if self._cluster is None:
            self._alive.run_once()
            return "work"
        self._alive.runner.look()
        for runner in self._alive.runners:
            self._go_on(runner)
            while self._lane_of(runner).is_paused:
                self._go_on(runner)
        return "all work"

    def _lane_goes_on(self) -> str:
        """One of the workers comes to the next border between chunks."""
        if self._dice.random() < 0.3:
            self._alive.runner.look()
        runners = self._alive.runners
        if not runners:
            return "there are no workers"
        # Some machines are slow, so that much happens around what they have.
        (number,) = self._dice.choices(range(len(runners)), [4**i for i in range(len(runners))])
        self._go_on(runners[number])
        return f"worker {number} of {len(runners)} goes on"

    def _lane_of(self, runner: Runner) -> Lane:
        if runner not in self._lanes:
            self._lanes[runner] = self._free_lanes.pop() if self._free_lanes else Lane()
        return self._lanes[runner]

    def _go_on(self, runner: Runner) -> None:
        self._lane_of(runner).go_on(runner.tick)
        for gone in self._lanes.keys() - set(self._alive.runners):
            if not self._lanes[gone].is_paused:
                self._free_lanes.append(self._lanes.pop(gone))

    def _node_goes(self) -> str:
        assert self._cluster is not None
        name = self._dice.choice(self._cluster.names())
        self._cluster.lose(name, self._dice.random())
        self.report.counts["lost"] += 1
        return f"{name} vanishes"

    def _late_answer(self) -> str:
        """Comes while no worker is at work, in a thread that has no job."""
        if not self._stale:
            return "no answer is late"
        del self._stale[:-STALE_MAX]
        if self._dice.choice(self._stale).deliver():
            raise Violation("late", "a late chunk counted")
        self.report.counts["late"] += 1
        return "a late answer"

    def _beat(self) -> str:
        self._alive.beat()
        return "beat"

    def _death(self) -> str:
        self._disk.dead = True
        raise Died("between two steps")

    def _share_goes(self) -> str:
        """Unmounted: the mount point is left, or not even that."""
        with self._disk.aside():
            if self._folder.is_away:
                return "the share is away already"
            self._folder.shared.rename(self._folder.away)
            if self._dice.random() < 0.7:
                self._folder.shared.mkdir()
        return "the share goes away"

    def _share_comes(self) -> str:
        with self._disk.aside():
            if not self._folder.is_away:
                return "the share is there"
            if self._folder.shared.exists():
                self._inspector.mount_point_is_empty()
                self._folder.shared.rmdir()
            self._folder.away.rename(self._folder.shared)
        return "the share comes back"

    # --- what happens in between ---

    def _meanwhile(self, last: bool) -> None:
        """At a border between chunks: others do what they please, and the process may die."""
        choices: tuple[tuple[int, Callable[[], str]], ...] = (
            (60, lambda: "nothing"), (14, self._hand_acts), (8, self._client_asks),
            (6, self._look), (4, self._beat), (1 if self._with_deaths else 0, self._death),
            (1 if self._with_away else 0, self._share_goes),
        )  # fmt: skip
        if self._cluster:
            self._pause()
            return
        self._hand.in_hand = [self._worker.in_hand] if self._worker.in_hand else []
        if not self._weather.is_fine:
            weights, doings = zip(*choices, strict=True)
            doing = self._dice.choices(doings, weights)[0]
            try:
                self._tell(f"  meanwhile {doing()}")
            except (OSError, TranscriberError) as error:
                self._tell(f"  meanwhile {type(error).__name__}")
        self._hand.in_hand = []
        self._folder.moment += 1
        if last:
            self._inspector.mark()

    def _pause(self) -> None:
        """At a border between chunks one worker stands still, and everything else goes on."""
        lane = next(lane for lane in self._lanes.values() if lane.is_here)
        self.report.counts["together"] += any(one.is_paused for one in self._lanes.values())
        lane.pause()

    def _plan(self, call: Call) -> Fault | None:
        if call.number % WHOLE_EVERY == 0:
            self._inspector.json_is_whole()
        fault = self._weather.plan(call)
        if fault:
            self.report.counts["faults"] += 1
        return fault

    def _between(self, call: Call) -> None:
        """A hand in the folder, just before a call."""
        if not self._starting:
            self._tell(f"  before {call.function} {self._hand.act()}")

    # --- life and death ---

    def _bury(self) -> None:
        for lane in self._lanes.values():
            lane.kill()
        self._free_lanes += self._lanes.values()
        self._lanes.clear()
        self._disk.revive()
        with self._disk.aside():
            self._ledger.new_life(self._inspector.looks_open)
        self._hand.hints.clear()
        self._program = None
        self.report.counts["deaths"] += 1
        with self._disk.aside():
            self._inspector.look()
        self._share_comes()

    def _start(self) -> None:
        """Until it succeeds, as whoever supervises the daemon does."""
        for _ in range(200):
            self._ledger.new_life()
            with self._disk.aside():
                before = self._inspector.half_written()
            self._starting = True
            try:
                self._program = Program(
                    self._config, self._clock, self._pool, self._hear, self._hand.writes
                )
                self._program.begin()
            except Died:
                self._disk.revive()
            except (OSError, TranscriberError):
                self._clock.advance(5.0)
            else:
                with self._disk.aside():
                    self._inspector.after_start(self._program, before)
                self._tell("start")
                self.report.counts["starts"] += 1
                return
            finally:
                self._starting = False
        raise Violation("start", "the program does not start any more")

    def _hear(self, event: Event) -> None:
        if not self._disk.dead:
            self._ledger.hear(event)

    # --- the end ---

    def _heal(self) -> None:
        """Nothing goes wrong any more; then all must be settled, and stay so after a restart."""
        self._weather.clear()
        self._share_comes()
        with self._disk.aside():
            self._hand.finish_copies()
            self._hand.mend_settings()
        self._clients.resume(self._alive)
        for _ in range(3):
            self._clock.advance(HEARTBEAT_S)
            self._do(self._beat)
        with self._disk.aside():
            self._inspector.folder_agrees(self._alive)
        if self._dice.random() < 0.5:
            self._restart()
        self._until_idle()
        with self._disk.aside():
            self._inspector.everything_is_settled(self._alive)
        before = self._ledger.begun
        self._restart()
        self._until_idle()
        if self._ledger.begun != before:
            raise Violation("again", "a restart made the worker do what was done")
        with self._disk.aside():
            self._inspector.everything_is_settled(self._alive)

    def _restart(self) -> None:
        self._disk.dead = True
        self._bury()
        self._start()

    def _until_idle(self) -> None:
        quiet = 0
        for _ in range(ROUNDS):
            self._folder.moment += 1
            self._inspector.mark()
            for doing in (self._look, self._beat, self._work):
                self._do(doing)
            with self._disk.aside():
                self._inspector.look()
            quiet = quiet + 1 if self._alive.is_idle else 0
            if quiet == QUIET_ROUNDS:
                return
            self._clock.advance(ROUND_S)
        jobs = [f"{j.name!a} {j.status}" for j in self._alive.scheduler.jobs()]
        raise Violation("stuck", f"still to be done: {jobs}")
