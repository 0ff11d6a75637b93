"""What a story is told in: folders and a clock that last, and one process after another in them."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from modules.api.resumable.metadata import UploadMetadata
from modules.config.schema import Config
from modules.delivery.webhooks import Webhooks
from modules.errors import StorageError, TranscriberError
from modules.intake.intake import Intake
from modules.intake.request import TranscriptionRequest
from modules.jobs.job import Job, Status
from modules.jobs.scheduler import Scheduler, StopReason
from modules.recordings.partial_uploads import PartialUploads
from modules.recordings.state_writer import StateWriter
from modules.recordings.store import RecordingStore
from modules.recordings.uploads import Uploads
from modules.runner.common import Common
from modules.runner.publishing import Publisher
from modules.runner.runner import Runner
from modules.service import folder_orders
from modules.service.resumable_uploads import ResumableUploads
from modules.storage.atomic import TEMPORARY_PREFIX
from modules.watching.watcher import Watcher
from tests.builders import a_config, a_model
from tests.disk import Call, Died, Disk, Fault
from tests.failpoints.verdict import essence
from tests.fakes import FakeClock, FakeExecutor, Plan
from tests.submitter import Submitter

SOUND = b"\0sound of a talk" * 40
STEP_S = 5.0
STEPS_MAX = 60
#: Files that have nothing to do with any recording, and stay as they are.
STRANGERS = ("manual/stranger.txt", "shared/calls/talk.docx")


@dataclass
class Story:
    """One life of a recording, and what it comes to."""

    name: str
    #: Puts into the world what is there before.
    lay: Callable[[World], None]
    #: What a client asks for; again until it is answered. False: it was not asked yet.
    ask: Callable[[World, Life], bool | None] | None = None
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


@functools.cache
def configured(root: Path) -> Config:
    config = a_config(root, processing={"retry_backoff_seconds": 1}, watch={"recursive": True})
    a_model(config.models_directory)
    return config


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
        self.processor = FakeExecutor(self.clock)
        self.life: Life | None = None
        self.pending = story.ask is not None
        self.meddled = False
        #: What was seen that must not be, in the middle of it.
        self.seen_wrong: list[str] = []
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
        assert not self.seen_wrong, self.seen_wrong[0]
        self.ended = essence(self.files())

    def _live_until_quiet(self) -> None:
        quiet = 0
        for _ in range(STEPS_MAX):
            with self.disk.aside() if quiet else contextlib.nullcontext():
                self._step()
            quiet = quiet + 1 if self.life and self.life.is_quiet() else 0
            if quiet == 2:
                return
            self.clock.advance(STEP_S)
        raise AssertionError(f"it never came to rest; there are {sorted(self.files())}")

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
        files = {p: c for p, c in self.files().items() if TEMPORARY_PREFIX not in p}
        for path, content in files.items():
            if path.endswith((".result", ".in_progress", ".json")) and "torn.mp3" not in path:
                json.loads(content)
        there = Counter(files.values())
        for treasure in self.story.treasures:
            assert there[treasure], "a recording is lost"
        self._check_results(files)

    def _check_results(self, files: dict[str, bytes]) -> None:
        """A result comes after its texts, unless the recording is on its way out."""
        for path in files:
            name = path.removesuffix(".result")
            state = json.loads(files.get(f"{name}.in_progress", b"{}"))
            leaves = name not in files or state.get("status") == "error"
            is_shared = path.startswith("shared/") and "/.transcriber/" not in path
            if is_shared and name != path and not leaves:
                listed = [f"shared/{output}" for output in json.loads(files[path])["outputs"]]
                missing = [output for output in listed if output not in files]
                assert not missing, f"{path} lists {missing}, which is not there"

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for root in (self.shared, self.manual)
            for path in root.rglob("*")
            if path.is_file() and path.name != "writable"
        }


class Life:
    """One process: what the daemon builds at its start, driven a step at a time."""

    def __init__(self, world: World) -> None:
        self.world = world
        config, clock = world.config, world.clock
        self.files = RecordingStore(world.shared, world.manual)
        self.scheduler = Scheduler(clock, self._on_change)
        self.journal = StateWriter(self.files.states, self.scheduler.get)
        self.intake = Intake(
            config, self.scheduler, self.files, self.journal, clock,
            is_complete=lambda name: self.watcher.holds(name),
            look_again=lambda name: self.watcher.forget(name),
            is_same_share=lambda: True,
            on_ended=self._notify,
        )  # fmt: skip
        self.submitter = Submitter(config, self.intake, self.files)
        self.watcher = Watcher(
            world.shared, self.intake, clock, recursive=True, events=False,
            rescan_s=STEP_S, settle_s=STEP_S, stable_s=STEP_S, ask_writer=lambda path: None,
        )  # fmt: skip
        publisher = Publisher(self.files)
        common = Common(
            config, self.scheduler, self.files, publisher, self.journal, clock,
            look_again=self.watcher.forget, compute_types=lambda: world.processor.compute_types,
        )  # fmt: skip
        self.runner = Runner(common, world.processor)
        self.uploads = Uploads(self.files.folder.state / "uploads", world.shared)
        partial = PartialUploads(self.uploads.folder, world.shared, clock)
        service: Any = SimpleNamespace(check=self.submitter.check, transcribe=self._transcribe)
        self.resumable = ResumableUploads(
            world.shared, partial, self.uploads, service, UploadMetadata("ru")
        )
        self.callbacks = Webhooks(self.files.folder.state / "callbacks", config.callbacks, clock)
        self.started = False

    def _transcribe(self, request: TranscriptionRequest, *waiting: object) -> None:
        self.submitter.submit(request)

    def _on_change(self, job: Job) -> None:
        self.journal.record_if_possible(job)
        if job.finished:
            self._notify(job)

    def _notify(self, job: Job) -> None:
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
        self.watcher.tick_safely()
        with contextlib.suppress(OSError, TranscriberError):
            folder_orders.carry_out(self.world.shared, self.submitter.submit)
        plan = self.world.story.plan
        plan = Plan(plan.chunks, plan.error, plan.error_after, before=self._before_a_chunk)
        self.world.processor.plans = [plan] * 2
        self.runner.tick()

    def start(self) -> None:
        self.files.prepare()
        self.uploads.prepare()
        self.intake.recovery.recover()
        self.resumable.recover()
        self.started = True

    def _before_a_chunk(self, index: int) -> None:
        self._check_state(index)
        self._meddle()
        self._ask()

    def _check_state(self, index: int) -> None:
        """The attempt was written down before it began, and so was each chunk that is done."""
        running = self.scheduler.running
        if self.world.disk.dead or running is None or running.source is None:
            return
        if self.scheduler.stop_reason() is StopReason.CANCELLED:
            return
        with self.world.disk.aside():
            state = json.loads((self.world.shared / f"{running.name}.in_progress").read_bytes())
            chunks = self.files.states.read_checkpoint(running).chunks
        open_now = [a for a in state["attempts"] if a["status"] == "processing"]
        wrong = self.world.seen_wrong
        if len(open_now) != 1 or running.status is not Status.RUNNING:
            wrong.append(f"chunk {index} is made, and no attempt was written down before")
        if len(chunks) != index:
            wrong.append(f"chunk {index} is next, and the checkpoint has {len(chunks)}")

    def _meddle(self) -> None:
        if self.world.story.meddle and not self.world.disk.dead:
            with self.world.disk.aside():
                self.world.story.meddle(self.world, self)

    def _ask(self) -> None:
        if self.world.pending and self.world.story.ask:
            try:
                answered = self.world.story.ask(self.world, self) is not False
            except TranscriberError as error:
                if isinstance(error, StorageError) or error.code == "invalid_settings":
                    return  # the client is told so, and asks again
                raise
            self.world.pending = not answered

    def is_quiet(self) -> bool:
        watching = self.watcher.health()
        looking = watching.settling_files or watching.problem or self.watcher._hints
        return self.started and not (
            self.world.pending or looking or self.scheduler.jobs() or self.runner.outage.reason
        )
