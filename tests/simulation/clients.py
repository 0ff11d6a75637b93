"""What clients ask the program for: orders, removals, returns from ``manual/``, a pause."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from modules.errors import TranscriberError
from modules.intake.request import TranscriptionRequest
from modules.service import folder_orders
from modules.storage.atomic import remove, write_whole
from tests.disk import Disk
from tests.fakes import FakeClock
from tests.simulation.folder import Folder, Recording
from tests.simulation.ledger import Ledger
from tests.simulation.program import Program
from tests.simulation.violation import Violation

_WISHES: tuple[dict[str, object], ...] = ({}, {}, {}, {"language": "en"}, {"beam_size": 3})


class Clients:
    """Ask one thing at a time, and say what came of it. What fails is told, not tried again."""

    def __init__(
        self,
        dice: random.Random,
        clock: FakeClock,
        disk: Disk,
        folder: Folder,
        ledger: Ledger,
        names: Sequence[str],
    ) -> None:
        self._names = names
        self._dice = dice
        self._clock = clock
        self._disk = disk
        self._folder = folder
        self._ledger = ledger
        #: The names of the recordings that workers on other machines have.
        self.in_hand: list[str] = []

    def act(self, program: Program) -> str:
        doings: tuple[tuple[int, Callable[[Program], str]], ...] = (
            (10, self.order), (5, self.leave_order), (2, self.remove), (4, self.retry),
            (2, self.pause), (4, self.resume),
        )  # fmt: skip
        weights, choices = zip(*doings, strict=True)
        doing = self._dice.choices(choices, weights)[0]
        try:
            return doing(program)
        except TranscriberError as error:
            return f"{doing.__name__}: {error.code}"

    def order(self, program: Program) -> str:
        name, wishes = self._chosen(), self._dice.choice(_WISHES)
        force = self._dice.random() < 0.2
        if force or wishes:
            self._ledger.void(name)
        try:
            taken = program.submitter.submit(
                TranscriptionRequest(name, wishes, self._client(), force=force)
            )
        except TranscriberError as error:
            if error.code == "file_not_found" and self._folder.is_away:
                raise Violation("absence", f"{name!r} passed for deleted") from error
            raise
        return f"order {name!a} {wishes} {force}: {taken.outcome if taken else 'done'}"

    def leave_order(self, program: Program) -> str:
        """In the folder, as ``transcriber.py submit`` does."""
        name = self._dice.choice(self._names)
        if not (program.files.folder.path / name).exists():
            return f"{name!a} is not there to be ordered"
        client = folder_orders.place(program.files.folder.path, name, self._clock)
        with self._disk.aside():
            moment = self._clock.utc_now().timestamp()
            os.utime(
                folder_orders.folder(program.files.folder.path) / f"{client}.json", (moment, moment)
            )
        return f"leave an order for {name!a}"

    def remove(self, program: Program) -> str:
        name = self._chosen()
        doomed = self._doomed(name)
        before = [recording.where for recording in doomed]
        self._ledger.void(name)
        self._ledger.asked_to_go(name)
        try:
            program.intake.requests.remove(name)
        finally:
            self._doomed(name)  # also what came in between
        with self._disk.aside():
            # Who drags one to another place meanwhile has it.
            left = [r.name for r, w in zip(doomed, before, strict=True)
                    if self._folder.place_of(r) == w]  # fmt: skip
            self._folder.note_absence(name)
        if left:
            raise Violation("removal", f"{name!r} was deleted and is still there")
        return f"remove {name!a}"

    def _chosen(self) -> str:
        """Rather one that a worker on another machine has."""
        there = self.in_hand and self._dice.random() < 0.6
        return self._dice.choice(self.in_hand if there else self._names)

    def _doomed(self, name: str) -> list[Recording]:
        """Those that a removal may take, here and in ``manual/``."""
        paths = {self._folder.real_shared / name, self._folder.manual / name}
        doomed = [r for r in self._folder.recordings if {r.where, self._where(r)} & paths]
        for recording in doomed:
            recording.doomed = True
        return doomed

    def _where(self, recording: Recording) -> Path | None:
        with self._disk.aside():
            return self._folder.place_of(recording)

    def retry(self, program: Program) -> str:
        with self._disk.aside():
            there = self._folder.in_manual()
        if not there:
            return "nothing to retry"
        recording = self._dice.choice(there)
        name = recording.where.relative_to(self._folder.manual).as_posix()
        self._ledger.void(name)
        try:
            program.submitter.bring_back(name, self._client())
        finally:
            with self._disk.aside():
                if self._folder.is_at(recording, self._folder.real_shared / name):
                    self._folder.note(name, recording.content)
                    recording.name = name
        return f"retry {name!a}"

    def pause(self, program: Program) -> str:
        write_whole(program.files.pause_flag, b"")
        program.scheduler.pause()
        return "pause"

    def resume(self, program: Program) -> str:
        remove(program.files.pause_flag)
        program.scheduler.resume()
        return "resume"

    def _client(self) -> str:
        return f"client-{self._dice.randint(1, 3)}"
