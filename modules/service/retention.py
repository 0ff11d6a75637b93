"""Moves old recordings and texts to the trash, and empties it; see docs/decisions/0040."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias

from modules.clock import Clock, parse_time
from modules.config.schema import Config
from modules.errors import StorageError, TranscriberError
from modules.intake.requests import Requests
from modules.jobs.thread_loop import ThreadLoop
from modules.logger import get_logger
from modules.recordings.edits import fingerprint_of
from modules.recordings.names import is_recording, is_visible_folder
from modules.recordings.seen_days import SeenDays
from modules.recordings.settings_files import own_files
from modules.recordings.sidecars import RESULT, RecordingPaths, recording_of
from modules.recordings.store import RecordingStore
from modules.recordings.trash_readings import NotReadError, Readings
from modules.storage.transfer import facts_of
from modules.storage.tree import files_below

log = get_logger("Retention")

_IDLE_S = 86_400.0
_FAILED_S = 60.0
_STOP_S = 10.0
_NS = 10**9

#: What is counted: recordings and texts moved to the trash, and files deleted from it.
Kind: TypeAlias = Literal["recording", "text", "deleted"]


@dataclass(frozen=True)
class _Text:
    """A recording with a text. ``changed``: when text or corrections changed, in nanoseconds."""

    name: str
    changed: int
    is_there: bool


class Retention:
    """Works in a thread of its own, each time it is woken. ``on_done(kind, files)`` counts."""

    def __init__(
        self,
        config: Config,
        store: RecordingStore,
        requests: Requests,
        clock: Clock,
        on_done: Callable[[Kind, int], None] = lambda kind, files: None,
    ) -> None:
        self._rules = config.retention
        self._recursive = config.watch.recursive
        self._store = store
        self._requests = requests
        self._clock = clock
        self._on_done = on_done
        self._trash = store.trash
        self._seen = SeenDays(store.folder.state / "retention.json", clock)
        self._asked = threading.Event()
        self._loop = ThreadLoop(
            "retention", self._tick, lambda: log.exception("Looking for what is old failed"),
            failure_pause_s=_FAILED_S, monotonic=clock.monotonic,
        )  # fmt: skip

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        if not self._loop.stop(_STOP_S):
            log.warning("The thread that looks for what is old hangs and is left behind")

    def look_soon(self) -> None:
        """Look through the folder now. Safe from any thread."""
        self._asked.set()
        self._loop.wake()

    def _tick(self) -> float:
        if self._asked.is_set():
            self._asked.clear()
            try:
                self.look()
            except (OSError, StorageError) as error:
                log.warning("What is old could not be looked for; later again: %s", error)
        return _IDLE_S

    def look(self) -> None:
        """Empty the trash, then fill it. Raises StorageError, OSError; nothing is lost by it."""
        now = self._clock.utc_now()
        if self._least is None and not self._trash.days():
            return
        self._seen.count_day(now)
        # First, as it makes room: on a full disk nothing else may be possible.
        self._empty(now)
        names = set()
        for name in self._names() if self._least is not None else ():
            if self._loop.stopping:
                return
            names.add(name)
            try:
                self._judge(self._text(name), now)
            except (OSError, TranscriberError) as error:
                self._store.folder.require()  # all of them would fail while the share is away
                log.warning("%s: could not be moved to the trash: %s", name, error)
        self._store.folder.require()
        kept = names | {_of_trash(day.isoformat()) for day in self._trash.days()}
        self._seen.keep_only(lambda key: key.removeprefix("/") in kept or self._may_be_there(key))
        self._seen.save()

    def _may_be_there(self, key: str) -> bool:
        """Whether a text that was not found is not surely gone: its folder may be unreadable."""
        name = key.removeprefix("/")
        try:
            result = self._store.folder.sidecar_at(RecordingPaths(name).result)
            return is_recording(name) and _changed(result) > 0
        except StorageError:
            return True

    @property
    def _least(self) -> int | None:
        """After so many days something may be due; None if nothing ever is."""
        given = (self._rules.recordings_days, self._rules.results_days)
        return min((days for days in given if days is not None), default=None)

    def _empty(self, now: datetime) -> None:
        for day in self._trash.days():
            seen = self._seen.days(_of_trash(day.isoformat()), 0)
            by_clock = (now.date() - day).days
            # A date that lies ahead says nothing.
            if min(seen, by_clock if by_clock >= 0 else seen) >= self._rules.trash_days:
                self._delete(day)

    def _delete(self, day: date) -> None:
        try:
            files = self._trash.delete(day)
        except StorageError as error:
            log.warning("The trash of %s could not be deleted: %s", day, error)
            return
        log.info("The trash of %s was deleted for good: %d files", day, files)
        self._on_done("deleted", files)

    def _names(self) -> Iterator[str]:
        """The recordings with a result."""
        for sidecar in files_below(self._store.folder.sidecars):
            if sidecar.endswith(RESULT) and self._is_looked_at(sidecar):
                name = self._recording_of(sidecar)
                if is_recording(name):
                    yield name

    def _text(self, name: str) -> _Text:
        return _Text(name, self._text_changed(name), self._store.folder.is_there(name))

    def _text_changed(self, name: str) -> int:
        """When the text or its corrections were changed, in nanoseconds."""
        paths = RecordingPaths(name)
        return max(_changed(self._store.folder.sidecar_at(p)) for p in (paths.result, paths.edits))

    def _is_looked_at(self, name: str) -> bool:
        folder = name.rpartition("/")[0]
        return not folder or (self._recursive and is_visible_folder(folder))

    def _recording_of(self, sidecar: str) -> str:
        name = sidecar.removesuffix(RESULT)
        if is_recording(name):
            return name
        return recording_of(sidecar, self._store.results.read(name) or {})

    def _judge(self, text: _Text, now: datetime) -> None:
        """Move what is due, unless it has a job or anything else speaks against it."""
        seen = self._seen.days(text.name, text.changed)
        recording = f"/{text.name}"  # no name begins so
        if text.is_there:
            seen = min(seen, self._seen.days(recording, 0))
        else:
            self._seen.forget(recording)
        if self._least is None or seen < self._least:
            return
        result = self._store.results.read(text.name)
        if result is None:
            return
        age = min(seen, self._age(text.name, result, now))
        if _is_due(age, self._rules.results_days):
            move = functools.partial(self._move_all, text, result, age, now)
        elif text.is_there and _is_due(age, self._rules.recordings_days):
            move = functools.partial(self._move_recording, text, result, age, now)
        else:
            return
        self._when_idle(text.name, move)

    def _when_idle(self, name: str, move: Callable[[Readings], None]) -> None:
        """Move files while no request is taken, and read them while some may be."""
        with contextlib.closing(Readings()) as readings:
            try:
                while not self._loop.stopping:
                    try:
                        self._requests.if_idle(name, lambda: move(readings))
                        return
                    except NotReadError as missing:
                        readings.read(missing)
            finally:  # it may be moved although its texts could not be
                if name in readings.moved:
                    self._seen.forget(f"/{name}")
                    self._on_done("recording", 1)

    def _age(self, name: str, result: Mapping[str, Any], now: datetime) -> int:
        """Full days since the text was made, or a person changed it, by the wall clock.

        Moments that lie ahead say nothing.
        """
        made = parse_time(result.get("processing_end"))
        texts, listed = self._store.results.texts(name)
        edits = self._store.folder.sidecar_at(RecordingPaths(name).edits)
        changes = [edits, *(texts / each for each in listed)]
        touched = (datetime.fromtimestamp(_changed(path) / _NS, UTC) for path in changes)
        past = [moment for moment in (made, *touched) if moment and moment <= now]
        return (now - max(past, default=now - timedelta(days=36500))).days

    def _is_settled(self, text: _Text, result: Mapping[str, Any]) -> bool:
        """Whether nothing is to be done with it; asked when no request can change it."""
        folder, name = self._store.folder, text.name
        has_job = _changed(folder.sidecar_at(RecordingPaths(name).state)) > 0
        if has_job or self._text_changed(name) != text.changed:
            return False
        return not folder.is_there(name) or self._store.results.is_result_of(name, result)

    def _move_recording(
        self, text: _Text, result: Mapping[str, Any], age: int, now: datetime, readings: Readings
    ) -> None:
        name = text.name
        if self._is_settled(text, result):
            self._forget_listening(name, result)
            files = [(self._store.folder.at(name), name)]
            if self._trash.put(files, now.date(), readings):
                log.info("%s: moved to the trash; its text is %d days old", name, age)

    def _move_all(
        self, text: _Text, result: Mapping[str, Any], age: int, now: datetime, readings: Readings
    ) -> None:
        """The recording first, or it would be transcribed again; the result last, or what it
        lists would not be found by who goes on after a crash."""
        if not self._is_settled(text, result):
            return
        name, folder = text.name, self._store.folder
        self._forget_listening(name, result)
        paths, (texts, listed) = RecordingPaths(name), self._store.results.texts(name)
        files = [(folder.at(name), name), *((texts / each, each) for each in listed)]
        files.append((folder.text_at(paths.summary_text), paths.summary_text))
        files += [(folder.at(each), each) for each in own_files(folder.path, name)]
        sidecars = (paths.summary, paths.edits, paths.result)
        files += [(folder.sidecar_at(each), each) for each in sidecars]
        self._trash.put(files, now.date(), readings)
        folder.prune(name)
        self._seen.forget(name)
        log.info("%s: its text, %d days old, was moved to the trash with all else", name, age)
        self._on_done("text", 1)

    def _forget_listening(self, name: str, result: Mapping[str, Any]) -> None:
        """Delete the copies that were made for listening of the recording that a result is of."""
        fingerprint = fingerprint_of(result)
        if fingerprint and self._store.folder.is_there(name):
            self._store.listening.forget(fingerprint)


def _changed(path: Path) -> int:
    """When a file was changed, in nanoseconds; 0 if it is not there."""
    facts = facts_of(path)
    return facts.st_mtime_ns if facts else 0


def _of_trash(day: str) -> str:
    return f"trash/{day}"


def _is_due(age: int, after: int | None) -> bool:
    return after is not None and age >= after
