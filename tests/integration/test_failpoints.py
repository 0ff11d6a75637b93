"""Every file-system call of a recording's life fails once, and the process dies around each.

Enumerated, not sampled. A story is one life of a recording. It is told once undisturbed; then, for
each of its calls, once with every error and every death at that call. It must end as it did
undisturbed.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import gc
import json
import logging
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from modules import orders, runner
from modules.atomic import TEMPORARY_PREFIX
from modules.callbacks import Callbacks
from modules.config import Config
from modules.errors import StorageError, TranscriberError, WorkerError
from modules.file_manager import FileManager
from modules.intake import Intake, Order
from modules.job import ErrorInfo, Job, Priority, Status
from modules.journal import Journal
from modules.runner import Runner
from modules.scheduler import Scheduler
from modules.uploads import Uploads
from modules.watcher import Watcher
from tests.builders import a_chunk, a_config, a_job, a_model
from tests.disk import CHANGES, WRITES, Call, Died, Disk, Fault
from tests.fakes import FakeClock, FakeProcessor, Plan
from tests.soak import SOAKING

SOUND, OTHER = b"sound of a talk" * 40, b"other sound" * 40
TALK = "calls/talk.mp3"
RESULT, OWN = f"{TALK}.result", f"{TALK}.settings.yaml"
BROKEN = WorkerError("worker_hung", "It hung.")
ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES)
STEP_S = 5.0
STEPS_MAX = 60


def essence(name: str, content: bytes) -> Any:
    """What of a file is the same however often its story is told."""
    if name.endswith((".checkpoint", ".error.txt")):
        return bool(content)  # how far it came, and when, may differ
    if not name.endswith((".result", ".in_progress", ".json")) or b"{" not in content:
        return content
    try:
        whole = json.loads(content)
    except ValueError:
        return content
    lasting = {key: value for key, value in whole.items() if key in LASTING}
    attempts = whole.get("processing_stats", {}).get("total_attempts", 0)
    return lasting | {"attempts": attempts}


def compare(world: World, undisturbed: World, died: bool) -> None:
    """Raises AssertionError where a story ended otherwise than it does undisturbed.

    Two things may be otherwise. The chunk in hand may be made twice. And a death, not an error,
    may count as an attempt: where one stood open that had not finished a chunk, which is how a
    recording is found out that kills the machine.
    """
    ours, theirs = dict(world.ended), dict(undisturbed.ended)
    if died:
        for each in (ours, theirs):
            [each.pop(name) for name in list(each) if name.endswith(".checkpoint")]
    assert ours.keys() == theirs.keys(), f"{sorted(ours.keys() ^ theirs.keys())}"
    for name, right in theirs.items():
        found = ours[name]
        if died and isinstance(right, dict):
            found, right = {**found}, {**right}
            counts = [each.pop("attempts") for each in (found, right)]
            assert 0 <= counts[0] - counts[1] <= 1, f"{name}: attempts {counts}"
        assert found == right, f"{name}: {found} instead of {right}"
    made, needed = world.processor.chunks_made, undisturbed.processor.chunks_made
    assert len(made) <= len(needed) + 1, f"chunks were made again: {made}"


def faults_at(call: Call) -> Iterator[Fault]:
    """Everything that can happen at a call.

    For what only reads one error stands for all; and a death leaves the same after a call that
    changes something and before the next one that does. ``make soak`` does all of it nevertheless.
    """
    changes = call.function in CHANGES or call.function == "open"
    for error in ERRORS if changes or SOAKING else (errno.EIO,):
        yield Fault(error)
    if call.function in WRITES:
        yield Fault(errno.ENOSPC, torn=True)
        yield Fault(dies="within")
    if (changes and "sync" not in call.function) or SOAKING:
        yield Fault(dies="after")
    if SOAKING:
        yield Fault(dies="before")


def named(fault: Fault) -> str:
    error = errno.errorcode[fault.error] if fault.error else ""
    return f"{'torn ' if fault.torn else ''}{error}{f'dies {fault.dies}' if fault.dies else ''}"


#: What a result, a state and a message say that does not depend on the run.
LASTING = frozenset(
    {"filename", "source", "settings", "transcription", "outputs", "status", "moved_to_manual",
     "payload", "theirs"}
)  # fmt: skip
STRANGERS = ("manual/stranger.txt", "shared/calls/talk.docx")
SHOWN = 20
#: Or the shim has lost sight of something, and all would be well with nothing tried.
SEEN = frozenset({"open", "stat", "lstat", "listdir", "scandir", "mkdir", "unlink"})
CASES_MIN = 60


def test_what_gets_its_name_was_synced_before(root: Path) -> None:
    """Or a power failure could leave an empty file under the name of a whole one."""
    named_ones = 0
    for story in STORIES:
        world = World(root, story)
        world.tell(None)
        unsynced: set[str] = set()
        for call in world.disk.calls:
            if call.function in WRITES:
                unsynced.add(call.path)
            elif "sync" in call.function:
                unsynced.discard(call.path)
            elif call.function in ("replace", "rename", "link"):
                named_ones += TEMPORARY_PREFIX in call.path
                assert call.path not in unsynced, f"{story}: {call} was not synced"
    assert named_ones > 50


@functools.cache
def configured(root: Path) -> Config:
    config = a_config(root, processing={"retry_backoff_seconds": 1}, watch={"recursive": True})
    a_model(config.models_directory)
    return config


@dataclass
class Story:
    """One life of a recording, and what it comes to."""

    name: str
    #: Puts into the world what is there before.
    lay: Callable[[World], None]
    #: What a client asks for; again and again until it is answered.
    ask: Callable[[World, Life], None] | None = None
    #: Somebody's hand on the files, at each step and before each chunk.
    meddle: Callable[[World, Life], None] | None = None
    plan: Plan = field(default_factory=lambda: Plan(chunks=2))
    volumes: bool = False
    #: Recordings that must be there exactly once, whatever happens.
    treasures: tuple[bytes, ...] = (SOUND,)
    #: What all this is in the end, undisturbed: names in shared/ and manual/.
    ends: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


class World:
    """What outlasts a process: the folders, the clock, clients and what they know."""

    def __init__(self, root: Path, story: Story) -> None:
        self.root = root
        self.story = story
        self.config = configured(root)
        self.shared, self.manual = self.config.shared_directory, self.config.manual_directory
        for folder in (self.shared, self.manual):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        self.clock = FakeClock()
        self.disk = Disk(self.shared, self.manual, volumes=story.volumes)
        self.processor = FakeProcessor(self.clock)
        self.life: Life | None = None
        self.pending = story.ask is not None
        self.meddled = False
        story.lay(self)
        self.put(self.shared, "calls/talk.docx", b"a stranger's")
        self.put(self.manual, "stranger.txt", b"a stranger's")

    def put(self, root: Path, name: str, content: bytes = SOUND) -> Path:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (1_700_000_000, 1_700_000_000))
        return path

    def tell(self, plan: Callable[[Call], Fault | None] | None) -> None:
        """Let it happen until all is quiet, over as many processes as it takes."""
        with self.disk:
            self.disk.plan = plan
            self._live_until_quiet()
            self.first_calls, self.disk.plan = self.disk.count, None
            # The next start clears away what one that failed left, and finds nothing else to do.
            self.life = Life(self)
            self.life.start()
            assert not self.life.scheduler.jobs(), "the next start finds work"
        self.ended = self.essence()

    def _live_until_quiet(self) -> None:
        quiet = 0
        for _ in range(STEPS_MAX):
            with self.disk.aside() if quiet else contextlib.nullcontext():
                self._step()
            quiet = quiet + 1 if self.life and self.life.is_quiet() else 0
            if quiet == 2:
                return
            self.clock.advance(STEP_S)
        raise AssertionError(f"it never came to rest; there are {self.names()}")

    def _step(self) -> None:
        try:
            if self.life is None:
                self.life = Life(self)
            self.life.step()
        except Died:
            self.disk.revive()
            self.life = None
            with self.disk.aside():
                self.check_instant()

    def check_instant(self) -> None:
        """What holds at any moment: nothing is lost, and no file of ours is torn."""
        for path, content in self.files().items():
            is_ours = path.endswith((".result", ".in_progress", ".json"))
            if is_ours and TEMPORARY_PREFIX not in path and "torn.mp3" not in path:
                json.loads(content)
        whole = Counter(c for p, c in self.files().items() if TEMPORARY_PREFIX not in p)
        for treasure in self.story.treasures:
            assert whole[treasure], "a recording is lost"

    def essence(self) -> dict[str, Any]:
        """What must not depend on what went wrong: all files, without times and ids."""
        return dict(
            sorted(
                (re.sub("msg_[^.]*-", "msg-", name), essence(name, content))
                for name, content in self.files().items()
                if not name.endswith("/writable")
            )
        )

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for root in (self.shared, self.manual)
            for path in root.rglob("*")
            if path.is_file()
        }

    def names(self) -> list[str]:
        return sorted(name for name in self.files() if not name.endswith("/writable"))


class Life:
    """One process: what the daemon builds at its start, driven a step at a time."""

    def __init__(self, world: World) -> None:
        self.world = world
        config, clock = world.config, world.clock
        self.files = FileManager(world.shared, world.manual, clock)
        self.scheduler = Scheduler(clock, self._on_change)
        self.journal = Journal(self.files, self.scheduler.get)
        self.intake = Intake(config, self.scheduler, self.files, self.journal, clock)
        self.watcher = Watcher(
            world.shared, self.intake, clock, recursive=True, events=False,
            rescan_s=STEP_S, settle_s=STEP_S, stable_s=STEP_S, ask_writer=lambda path: None,
        )  # fmt: skip
        self.intake.is_whole = self.watcher.holds
        self.intake.look_again = self.watcher.forget
        self.intake.settled = self._settled
        self.runner = Runner(
            config, self.scheduler, world.processor, self.files, self.journal, clock,  # type: ignore[arg-type]
            look_again=self.watcher.forget,
        )  # fmt: skip
        self.uploads = Uploads(self.files.state / "uploads", world.shared)
        self.callbacks = Callbacks(self.files.state / "callbacks", config.callbacks, clock)
        self.started = False

    def _on_change(self, job: Job) -> None:
        self.journal.record_if_possible(job)
        if job.finished:
            self._settled(job)

    def _settled(self, job: Job) -> None:
        for number, url in enumerate(job.callback_urls):
            self.callbacks.notify(url, {"status": str(job.status)}, f"{job.job_id}-{number}")

    def step(self) -> None:
        """One round of what the daemon's threads do, with their own handling of errors."""
        if not self.started:
            try:
                self.start()
            except StorageError:
                self.world.life = None  # it ends with an exit code and is started again
                return
        self._meddle()
        self._ask()
        self.watcher._tick_safely()
        with contextlib.suppress(OSError, TranscriberError):
            orders.carry_out(self.world.shared, self.intake)
        self.world.processor.plans = [self._plan()] * 2
        self.runner.tick()

    def start(self) -> None:
        self.files.prepare()
        self.uploads.prepare()
        self.intake.recover()
        self.started = True

    def _plan(self) -> Plan:
        plan = self.world.story.plan
        return Plan(plan.chunks, plan.error, plan.error_after, before=lambda index: self._meddle())

    def _meddle(self) -> None:
        if self.world.story.meddle and not self.world.disk.dead:
            with self.world.disk.aside():
                self.world.story.meddle(self.world, self)

    def _ask(self) -> None:
        if self.world.pending and self.world.story.ask:
            try:
                self.world.story.ask(self.world, self)
            except TranscriberError as error:
                if isinstance(error, StorageError) or error.code == "invalid_settings":
                    return  # the client is told so, and asks again
                raise
            self.world.pending = False

    def is_quiet(self) -> bool:
        watching = self.watcher.health()
        looking = watching.settling_files or watching.problem or self.watcher._hints
        return self.started and not (
            self.world.pending or looking or self.scheduler.jobs() or self.runner.trouble.reason
        )


# --- the stories ------------------------------------------------------------------------------


def old_result(world: World) -> None:
    """A text and a result of an earlier life, from other bytes."""
    listed = {"outputs": ["calls/talk.txt"], "source": None, "filename": TALK}
    world.put(world.shared, RESULT, json.dumps(listed).encode())
    world.put(world.shared, "calls/talk.txt", b"old text")


def found(world: World) -> None:
    world.put(world.shared, TALK)
    world.put(world.shared, OWN, b"beam_size: 3")


def found_with_old_result(world: World) -> None:
    found(world)
    old_result(world)


def last_attempt(world: World) -> None:
    """Two attempts have failed, and the third begins at once."""
    found_with_old_result(world)
    job = job_of_an_earlier_life(world)
    for number in (1, 2):
        info = ErrorInfo(code="x", message="x", timestamp="", attempt=number, retry_after=0.0)
        now = world.clock.utc_now()
        job = job.open_attempt(now).close_attempt("failed", now, 1.0, info)
    FileManager(world.shared, world.manual, world.clock).save(job)


def name_taken_in_manual(world: World) -> None:
    last_attempt(world)
    world.put(world.manual, TALK, OTHER)
    world.put(world.manual, f"{TALK}.result", b'{"theirs": true}')


def job_of_an_earlier_life(world: World, **changes: Any) -> Job:
    """Its ``.in_progress``, as a process that was killed left it."""
    files = FileManager(world.shared, world.manual, world.clock)
    files.prepare()
    settings = world.config.default_settings()
    source = files.source(TALK) if files.is_there(TALK) else None
    job = a_job(TALK, settings=settings, source=source, **changes)
    files.save(job)
    return job


def killed_while_it_ran(world: World) -> None:
    """One chunk is in the checkpoint, the next is torn; temporary and corrupt files lie about."""
    world.put(world.shared, TALK)
    job = job_of_an_earlier_life(world)
    job = job.open_attempt(world.clock.utc_now())
    files = FileManager(world.shared, world.manual, world.clock)
    files.save(job)
    writer = files.open_checkpoint(job, files.read_checkpoint(job))
    writer.append(a_chunk(0))
    writer.close()
    with files.checkpoint_path(TALK).open("ab") as torn:
        torn.write(b'{"start_s": 10.0, "posi')
    world.put(world.shared, f"calls/{TEMPORARY_PREFIX}1", b"half")
    world.put(world.shared, f".transcriber/uploads/{TEMPORARY_PREFIX}2", b"half")
    world.put(world.manual, f"{TEMPORARY_PREFIX}3", b"half")
    world.put(world.shared, "calls/torn.mp3.in_progress", b'{"filename": "ca')


def killed_after_the_result(world: World) -> None:
    """All that was left to do is to remove the state, and to tell who asked."""
    world.put(world.shared, TALK)
    urls = ("http://receiver/",)
    job = job_of_an_earlier_life(world, priority=Priority.API, callback_urls=urls)
    source = job.source.model_dump() if job.source else None
    result = {"job_id": job.job_id, "source": source, "outputs": [], "filename": TALK}
    world.put(world.shared, RESULT, json.dumps(result).encode())


def given_up(world: World, root: Path, state: str = "error") -> None:
    """A recording in ``manual/`` with all that belongs to it, or on its way there."""
    world.put(root, TALK)
    nothing(world)
    job = job_of_an_earlier_life(world)
    path = world.shared / f"{TALK}.in_progress"
    content = json.loads(path.read_bytes()) | {"status": state, "moved_to_manual": True}
    path.unlink()
    world.put(world.manual, f"{TALK}.in_progress", json.dumps(content).encode())
    world.put(world.manual, f"{TALK}.error.txt", b"It did not work.")
    world.put(world.manual, f"{TALK}.settings.yaml", b"beam_size: 3")
    assert job.name == TALK


def killed_after_the_move(world: World) -> None:
    given_up(world, world.manual)
    shutil.copy2(world.manual / f"{TALK}.in_progress", world.shared / f"{TALK}.in_progress")


def done(world: World) -> None:
    """A recording with its result, and a text that the result lists."""
    world.put(world.shared, TALK)
    source = FileManager(world.shared, world.manual, world.clock).source(TALK).model_dump()
    listed = {"outputs": ["calls/talk.txt"], "source": source, "filename": TALK}
    world.put(world.shared, RESULT, json.dumps(listed).encode())
    world.put(world.shared, "calls/talk.txt", b"text")
    world.put(world.shared, OWN, b"beam_size: 3")
    world.put(world.manual, TALK, OTHER)
    world.put(world.manual, f"{TALK}.error.txt", b"It did not work.")


def nothing(world: World) -> None:
    (world.shared / "calls").mkdir(exist_ok=True)


def wrong_settings(world: World) -> None:
    world.put(world.shared, TALK)
    world.put(world.shared, OWN, b"beam_size: 99")


def force(world: World, life: Life) -> None:
    asked = Order(TALK, client="me", force=True, callback_urls=("http://receiver/",))
    life.intake.order(asked)


def leave_an_order(world: World, life: Life) -> None:
    orders.place(world.shared, TALK, world.clock)


def bring_back(world: World, life: Life) -> None:
    try:
        life.intake.bring_back(TALK, "me")
    except TranscriberError as error:
        # It was brought back, but the process died before it could say so.
        if error.code not in ("name_taken", "file_not_found"):
            raise


def remove(world: World, life: Life) -> None:
    life.intake.remove(TALK)


def remove_what_runs(world: World, life: Life) -> None:
    """From the second chunk on; ``meddle`` lets it run so far."""
    job = life.scheduler.get(TALK)
    if job and job.status is Status.RUNNING and job.position_s:
        life.intake.remove(TALK)


def upload(world: World, life: Life) -> None:
    try:
        file = life.uploads.open()
    except OSError as error:
        raise StorageError("storage_error", str(error)) from error
    try:
        file.write(SOUND)
        life.uploads.land(file, "talk.mp3", rename=False)
    except OSError as error:
        raise StorageError("storage_error", str(error)) from error
    except TranscriberError as error:
        if error.code != "name_taken":  # it had landed when the process died
            raise
    finally:
        with contextlib.suppress(OSError):
            life.uploads.discard(file)


def replace_what_runs(world: World, life: Life) -> None:
    job = life.scheduler.get(TALK)
    if not world.meddled and job and job.status is Status.RUNNING and job.position_s:
        world.meddled = True
        world.put(world.shared, TALK, OTHER)


def mend_settings(world: World, life: Life) -> None:
    job = life.scheduler.get(TALK)
    if not world.meddled and job and job.error and job.error.code == "invalid_settings":
        world.meddled = True
        world.put(world.shared, OWN, b"beam_size: 3")


DONE = tuple(f"shared/calls/talk.{end}" for end in ("mp3", "mp3.result", "srt", "txt"))
OWN_THERE = f"shared/{OWN}"
CALLBACK = "shared/.transcriber/callbacks/msg-0.json"
BESIDE = (".error.txt", ".in_progress", ".settings.yaml")
MOVED = (
    *(f"manual/{TALK}{end}" for end in ("", ".result", *BESIDE)),
    "manual/calls/.talk.mp3.checkpoint",
    "manual/calls/talk.txt",
)
NUMBERED = (
    *(f"manual/calls/talk (2).mp3{end}" for end in ("", ".result", *BESIDE)),
    "manual/calls/.talk (2).mp3.checkpoint",
    "manual/calls/talk.txt",
    f"manual/{TALK}",
    f"manual/{RESULT}",
)
FAILS = Plan(chunks=9, error=BROKEN, error_after=1)
STORIES = [
    Story("found", found, ends=(*DONE, OWN_THERE)),
    Story(
        "ordered anew over an older result",
        found_with_old_result,
        ask=force,
        ends=(*DONE, OWN_THERE, CALLBACK),
    ),
    Story("ordered through the folder", found, ask=leave_an_order, ends=(*DONE, OWN_THERE)),
    Story("failing", found_with_old_result, plan=FAILS, ends=MOVED),
    Story("failing, two volumes", last_attempt, plan=FAILS, volumes=True, ends=MOVED),
    Story(
        "failing, name taken",
        name_taken_in_manual,
        plan=FAILS,
        treasures=(SOUND, OTHER),
        ends=NUMBERED,
    ),
    Story(
        "killed while it ran",
        killed_while_it_ran,
        ends=(*DONE, "shared/.transcriber/corrupt/torn.mp3.in_progress"),
    ),
    Story(
        "killed after the result",
        killed_after_the_result,
        ends=("shared/calls/talk.mp3", "shared/calls/talk.mp3.result", CALLBACK),
    ),
    Story(
        "killed after the move",
        killed_after_the_move,
        ends=tuple(f"manual/{TALK}{end}" for end in ("", *BESIDE)),
    ),
    Story("brought back", lambda w: given_up(w, w.manual), ask=bring_back, ends=(*DONE, OWN_THERE)),
    Story(
        "brought back, two volumes",
        lambda w: given_up(w, w.manual),
        ask=bring_back,
        volumes=True,
        ends=(*DONE, OWN_THERE),
    ),
    Story("deleted", done, ask=remove, treasures=(), ends=()),
    Story(
        "replaced while it runs",
        found,
        meddle=replace_what_runs,
        treasures=(),
        ends=(*DONE, OWN_THERE),
    ),
    Story("settings mended", wrong_settings, meddle=mend_settings, ends=(*DONE, OWN_THERE)),
    Story(
        "uploaded",
        nothing,
        ask=upload,
        treasures=(),
        ends=("shared/talk.mp3", "shared/talk.mp3.result", "shared/talk.srt", "shared/talk.txt"),
    ),
]


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """In memory where that can be had: these are a hundred thousand files."""
    monkeypatch.setattr(runner, "_IDLE_TICK_S", 0)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        logging.disable()
        gc.freeze()  # a great many short lives; what was there before need not be looked at
        yield Path(os.path.realpath(folder))
        gc.unfreeze()
        logging.disable(logging.NOTSET)


# --- the telling ------------------------------------------------------------------------------


@pytest.mark.parametrize("story", STORIES, ids=str)
def test_no_failing_call_and_no_death_changes_how_it_ends(story: Story, root: Path) -> None:
    undisturbed = World(root, story)
    undisturbed.tell(None)
    assert sorted(undisturbed.ended) == sorted((*STRANGERS, *story.ends))
    seen = {call.function for call in undisturbed.disk.calls}
    assert seen >= SEEN, f"the shim does not see {SEEN - seen}"
    wrong, cases = [], 0
    for call in undisturbed.disk.calls[: undisturbed.first_calls]:
        for fault in faults_at(call):
            cases += 1
            problem = disturbed(root, story, call, fault, undisturbed)
            if problem:
                where = f"{call.path} {call.target}".replace(f"{root}/", "")
                wrong.append(f"{call.number} {call.function} {where} {named(fault)}: {problem}")
    told = "\n".join(wrong[:SHOWN])
    assert cases > CASES_MIN, f"only {cases} cases were tried"
    assert not wrong, f"{story}: {len(wrong)} of {cases} cases went wrong\n{told}"


def disturbed(root: Path, story: Story, call: Call, fault: Fault, undisturbed: World) -> str | None:
    """What is wrong after the story was told with this fault at this call; None if nothing is."""
    world = World(root, story)
    try:
        world.tell(lambda other: fault if other.number == call.number else None)
        compare(world, undisturbed, died=fault.dies is not None)
    except Exception as problem:  # noqa: BLE001 - whatever it is, it is told with its call
        told = f"{type(problem).__name__}: {problem}"
        return told.partition("\n")[0].replace(f"{root}/", "")
    return None
