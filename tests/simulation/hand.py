"""What people do in the folder: they copy, rename, replace, touch and delete."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modules.recordings.sidecars import (
    CHECKPOINT,
    ERROR_TEXT,
    IN_PROGRESS,
    RESULT,
    sidecar_name,
    stem_of,
)
from modules.watching.folder_events import Hint, HintKind
from tests.fakes import FakeClock
from tests.simulation.folder import Folder, Recording
from tests.simulation.ledger import Ledger

#: Few, so that they collide; odd ones among them.
NAMES = (
    "talk.mp3", "talk.wav", "call 2.mp4", "заметка.ogg", "-dash.flac", "ы" * 120 + ".mp3",
    os.fsdecode(b"\xff\xfe.mp3"), "sub/talk.mp3", "sub/x.m4a",
)  # fmt: skip
MANY = 10
#: Settings that can be used, and such that cannot.
GOOD_SETTINGS = b"language: en\n"
WRONG_SETTINGS = b"langage: en\n"


@dataclass
class Copy:
    """A recording that is still being copied: what it will be after each of the next steps."""

    recording: Recording
    steps: list[bytes]


class Hand:
    """Does one thing at a time to the folder, and says what it was."""

    def __init__(
        self,
        dice: random.Random,
        clock: FakeClock,
        folder: Folder,
        ledger: Ledger,
        names: Sequence[str],
    ) -> None:
        self._names = names
        self._dice = dice
        self._clock = clock
        self._folder = folder
        self._ledger = ledger
        self._serial = 0
        self.copies: list[Copy] = []
        #: The names of the recordings that workers have.
        self.in_hand: list[str] = []
        #: What the system would tell the watcher, and has not told yet.
        self.hints: list[Hint] = []

    def act(self) -> str:
        """Something, if it can be done just now."""
        actions: tuple[tuple[int, Callable[[], str]], ...] = (
            (10, self.drop), (5, self.begin_copy), (14, self.go_on_copying), (4, self.replace),
            (3, self.rename), (3, self.delete), (3, self.append), (3, self.touch),
            (3, self.put_settings), (2, self.mend_settings), (2, self.put_stranger),
            (3, self.drag_back), (2, self.clear_manual),
        )  # fmt: skip
        if self._folder.is_away:
            return "the share is away"
        weights, doings = zip(*actions, strict=True)
        return self._dice.choices(doings, weights)[0]()

    def writes(self, path: Path) -> bool:
        """Whether somebody has this file open for writing."""
        return any(self._folder.shared / c.recording.name == path for c in self.copies)

    # --- recordings come ---

    def drop(self) -> str:
        """A whole recording, moved in."""
        if not (name := self._free_name()) or self._is_full():
            return "nothing to drop"
        self._appear(name, self._content())
        return f"drop {name!a}"

    def begin_copy(self) -> str:
        """The first part of a recording, or all of its room with nothing in it yet."""
        if not (name := self._free_name()) or self._is_full():
            return "nothing to copy"
        whole = self._content()
        half = self._dice.randint(24, len(whole) - 1)
        if self._dice.random() < 0.3:
            first, steps = whole[:half] + bytes(len(whole) - half), [whole]
        else:
            further = self._dice.randint(half, len(whole))
            first, steps = whole[:half], [whole[:further], whole]
        self.copies.append(Copy(self._appear(name, first, closed=False), steps))
        return f"begin to copy {name!a}"

    def go_on_copying(self) -> str:
        if not self.copies:
            return "no copy is on its way"
        return self._go_on(self._dice.choice(self.copies))

    def finish_copies(self) -> None:
        while self.copies:
            self._go_on(self.copies[0])

    def _go_on(self, copy: Copy) -> str:
        recording = copy.recording
        if recording not in self._folder.in_share():
            self.copies.remove(copy)
            return f"{recording.name!a} cannot be copied on"
        self._write(recording, copy.steps.pop(0))
        if not copy.steps:
            self.copies.remove(copy)
            self._hint(HintKind.CLOSED, recording.name)
        return f"copy on {recording.name!a}"

    # --- recordings change ---

    def replace(self) -> str:
        """Another recording takes the name, in one stroke or in place."""
        old = self._chosen()
        if old is None:
            return "nothing to replace"
        self._forget(old)
        self._appear(old.name, self._content())
        return f"replace {old.name!a}"

    def append(self) -> str:
        old = self._chosen()
        if old is None or self.writes(self._folder.shared / old.name):
            return "nothing to append to"
        self._write(old, old.content + b" and %d" % self._serial)
        self._hint(HintKind.CLOSED, old.name)
        return f"append to {old.name!a}"

    def touch(self) -> str:
        """Another file time, and nothing else."""
        old = self._chosen()
        if old is None:
            return "nothing to touch"
        self._set_time(old, self._folder.shared / old.name)
        return f"touch {old.name!a}"

    def rename(self) -> str:
        old, name = self._chosen(), self._free_name()
        if (
            old is None
            or not name
            or name in old.had
            or self.writes(self._folder.shared / old.name)
            # A move to another disk was cut short: the copy there belongs to the old name.
            or len(self._folder.places_of(old)) > 1
        ):
            return "nothing to rename"
        target = self._folder.shared / name
        target.parent.mkdir(exist_ok=True)
        os.rename(self._folder.shared / old.name, target)
        before = old.name
        self._gone(before)
        self._hint(HintKind.CLOSED, name)
        self._is_now(old, name)
        return f"rename {before!a} to {name!a}"

    def delete(self) -> str:
        old = self._chosen()
        if old is None:
            return "nothing to delete"
        os.unlink(self._folder.shared / old.name)
        self._forget(old)
        self._gone(old.name)
        return f"delete {old.name!a}"

    # --- manual ---

    def drag_back(self) -> str:
        """A recording out of ``manual/``, alone or with its service files."""
        there = self._folder.in_manual()
        if not there:
            return "nothing in manual"
        recording = self._dice.choice(there)
        name = recording.where.relative_to(self._folder.manual).as_posix()
        if os.path.lexists(self._folder.shared / name):
            return f"{name!a} is in the share already"
        (self._folder.shared / name).parent.mkdir(exist_ok=True)
        if self._dice.random() < 0.5:
            for suffix in (IN_PROGRESS, CHECKPOINT, ERROR_TEXT):
                self._move_along(sidecar_name(name, suffix))
        os.rename(self._folder.manual / name, self._folder.shared / name)
        self._hint(HintKind.CLOSED, name)
        self._is_now(recording, name)
        return f"drag {name!a} back"

    def _move_along(self, sidecar: str) -> None:
        source = self._folder.manual / sidecar
        if source.exists():
            os.rename(source, self._folder.shared / sidecar)

    def clear_manual(self) -> str:
        there = self._folder.in_manual()
        if not there:
            return "nothing in manual"
        recording = self._dice.choice(there)
        os.unlink(recording.where)
        self._folder.recordings.remove(recording)
        return f"delete {recording.where.name!a} in manual"

    # --- other files ---

    def put_settings(self) -> str:
        """Beside a recording or for all of a folder, right or wrong."""
        name = self._dice.choice(self._names)
        wrong = self._dice.random() < 0.4
        content = WRONG_SETTINGS if wrong else GOOD_SETTINGS
        file = f"{name}.settings.yaml" if self._dice.random() < 0.8 else "settings.yaml"
        if len(os.fsencode(Path(file).name)) > 255 or not (self._folder.shared / name).exists():
            return "no settings"
        (self._folder.shared / file).write_bytes(content)
        return f"{'wrong' if wrong else 'good'} settings {file!a}"

    def mend_settings(self) -> str:
        for path in list(self._folder.files()):
            if path.name.endswith("settings.yaml") and path.read_bytes() == WRONG_SETTINGS:
                path.write_bytes(GOOD_SETTINGS)
        return "settings are mended"

    def put_stranger(self) -> str:
        """A file that is none of the program's, where it would like to write its own."""
        stem = stem_of(self._dice.choice(self._names))
        ending = self._dice.choice((".txt", ".srt", ".jpg"))
        path = self._folder.shared / f"{stem}{ending}"
        # A name that a result lists is the program's: who takes it has replaced a text of ours.
        if path.exists() or not path.parent.exists() or self._is_listed(f"{stem}{ending}"):
            return "no stranger"
        self._serial += 1
        self._folder.strangers[Path(f"{stem}{ending}")] = content = b"a stranger %d" % self._serial
        path.write_bytes(content)
        return f"a stranger {path.name!a}"

    # --- inside ---

    def _is_listed(self, name: str) -> bool:
        results = self._folder.shared.rglob(f"*{RESULT}")
        return any(name in json.loads(path.read_bytes())["outputs"] for path in results)

    def _is_full(self) -> bool:
        return len(self._folder.recordings) >= MANY

    def _content(self) -> bytes:
        self._serial += 1
        return b"\0recording %06d of sound " % self._serial + self._dice.randbytes(
            self._dice.randint(8, 40)
        )

    def _free_name(self) -> str | None:
        names = [n for n in self._names if not os.path.lexists(self._folder.shared / n)]
        return self._dice.choice(names) if names else None

    def _chosen(self) -> Recording | None:
        """One in the share; rather the one that the worker has just now."""
        there = self._folder.in_share()
        in_hand = [r for r in there if r.name in self.in_hand]
        if in_hand and self._dice.random() < 0.7:
            return in_hand[0]
        return self._dice.choice(there) if there else None

    def _appear(self, name: str, content: bytes, closed: bool = True) -> Recording:
        self._serial += 1
        outside, path = self._folder.elsewhere / str(self._serial), self._folder.shared / name
        outside.write_bytes(content)
        recording = Recording(name, content, 0, path)
        self._set_time(recording, outside)
        path.parent.mkdir(exist_ok=True)
        os.rename(outside, path)
        self._folder.recordings.append(recording)
        self._hint(HintKind.CLOSED if closed else HintKind.APPEARED, name)
        self._is_now(recording, name)
        return recording

    def _write(self, recording: Recording, content: bytes) -> None:
        path = self._folder.shared / recording.name
        with open(path, "r+b") as file:
            file.write(content)
            file.truncate()
        recording.content = content
        self._set_time(recording, path)
        self._is_now(recording, recording.name)

    def _set_time(self, recording: Recording, path: Path) -> None:
        """By the seed's clock, in the past, or in the future; no two ever the same."""
        self._serial += 1
        shift_s = self._dice.choice((0, 0, 0, -100_000, 100_000))
        seconds = round(self._clock.utc_now().timestamp()) + shift_s
        recording.mtime_ns = seconds * 10**9 + self._serial
        os.utime(path, ns=(recording.mtime_ns, recording.mtime_ns))

    def _is_now(self, recording: Recording, name: str) -> None:
        recording.name = name
        recording.had.add(name)
        recording.where = self._folder.shared / name
        self._folder.note(name, recording.content)
        self._ledger.void(name)

    def _forget(self, recording: Recording) -> None:
        self._folder.recordings.remove(recording)
        self.copies = [copy for copy in self.copies if copy.recording is not recording]

    def _gone(self, name: str) -> None:
        self._folder.note(name, None)
        self._ledger.void(name)
        self._hint(HintKind.VANISHED, name)

    def _hint(self, kind: HintKind, name: str) -> None:
        """Told once, twice or never."""
        told = self._dice.choices((0, 1, 2), (3, 6, 1))[0]
        self.hints += [Hint(kind, name)] * told

    def tell(self, tell: Callable[[Hint], None]) -> None:
        """Some of what happened, in any order; the rest comes later."""
        self._dice.shuffle(self.hints)
        count = self._dice.randint(0, len(self.hints))
        for hint in self.hints[:count]:
            tell(hint)
        del self.hints[:count]
