"""The sound of recordings for players, and how loud it is when: copies that are made when asked."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.clock import Clock
from modules.config.schema import Config
from modules.errors import StorageError, TranscriberError, WorkerError, noted
from modules.executors.listen_protocol import HEAD_BYTES, Kind, Wish
from modules.executors.local.listen import ListeningProcess
from modules.jobs.thread_loop import ThreadLoop
from modules.logger import get_logger
from modules.recordings.listening_copies import PartFile
from modules.recordings.mp3_frames import has_variable_bit_rate
from modules.recordings.shared_folder import identity_of
from modules.recordings.sidecars import RecordingPaths
from modules.recordings.store import RecordingStore
from modules.service.folder_view.sidecar_reader import read_result
from modules.service.listening_key import key_of, wish_of
from modules.service.listening_queue import ListeningQueue, Order
from modules.storage import beneath
from modules.storage.atomic import storage_errors
from modules.storage.recording_file import open_recording_file

log = get_logger("Listening")

_LOOKED_AT_MAX = 500
_TIDY_S, _FAILURE_PAUSE_S, _STOP_S = 3600.0, 5.0, 10.0
#: A share with less room is left to the transcriptions.
_FREE_BYTES_MIN = 256 * 2**20


@dataclass(frozen=True)
class Preparing:
    """It is being made, or waits to be; ``percentage``: how far it is."""

    percentage: int


@dataclass(frozen=True)
class Copy:
    """A listening copy: an open file, and a tag of its content."""

    descriptor: int
    tag: str


@dataclass(frozen=True)
class _Seen:
    """What is known of a file, as long as it and its result have these ``facts``."""

    facts: tuple[Any, ...]
    key: str
    wish: Wish


class Listening:
    """Thread-safe. One process at a time makes what is wanted, in a thread of this object."""

    def __init__(self, config: Config, files: RecordingStore, clock: Clock) -> None:
        self._config = config
        self._files = files
        self._clock = clock
        self._queue = ListeningQueue(clock)
        self._lock = threading.Lock()
        self._seen: OrderedDict[Path, _Seen] = OrderedDict()
        self._variable: OrderedDict[tuple[int, ...], bool] = OrderedDict()
        self._loop = ThreadLoop(
            "listening",
            self._tick,
            lambda: log.exception("Listening copies met an unexpected error and go on"),
            failure_pause_s=_FAILURE_PAUSE_S,
            monotonic=clock.monotonic,
        )

    @property
    def silent_s(self) -> float:
        return self._loop.silent_s

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """End the thread and the process that it waits for."""
        self._loop.stop(_STOP_S)

    # --- asked by clients ---

    def copy(self, name: str, folders: Sequence[Path]) -> Copy | Preparing:
        """The sound of a recording in one of these folders as an MP3.

        Raises TranscriberError ``not_playable``, ``file_not_found``, StorageError.
        """
        path, seen = self._look(name, folders)
        descriptor = self._files.listening.open_sound(seen.key)
        if descriptor is not None:
            return Copy(descriptor, seen.key)
        return self._wanted(Order(seen.key, path, seen.wish))

    def peaks(self, name: str, folders: Sequence[Path], sound: bool) -> bytes | Preparing:
        """The peaks of a recording. ``sound``: its MP3 will be asked for, too."""
        path, seen = self._look(name, folders)
        found = self._files.listening.peaks(seen.key)
        if found is not None:
            return found
        wish = seen.wish.model_copy(update={"sound": sound})
        return self._wanted(Order(seen.key, path, wish))

    def seeks_exactly(self, descriptor: int) -> bool:
        """Whether browsers find a second in this MP3."""
        facts = os.fstat(descriptor)
        key = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)
        with self._lock:
            known = self._variable.get(key)
        if known is None:
            known = has_variable_bit_rate(descriptor)
            with self._lock:
                self._variable[key] = known
                if len(self._variable) > _LOOKED_AT_MAX:
                    self._variable.popitem(last=False)
        return not known

    def _wanted(self, order: Order) -> Preparing:
        try:
            percentage = self._queue.ask(order)
        except StorageError:
            raise
        except TranscriberError as error:
            raise TranscriberError(
                "not_playable",
                noted("The sound could not be prepared for playing. {why}", why=error.message),
                remedy=noted("Open the recording with a player on the computer."),
            ) from error
        self._loop.wake()
        return Preparing(percentage)

    def _look(self, name: str, folders: Sequence[Path]) -> tuple[Path, _Seen]:
        for folder in folders:
            path = folder / name
            try:
                facts = beneath.lstat(path)
            except OSError:
                continue
            in_share = folder == self._files.folder.path
            sidecars = self._files.folder.sidecars if in_share else folder
            return path, self._seen_at(path, sidecars / RecordingPaths(name).result, facts)
        self._files.folder.require()
        raise TranscriberError(
            "file_not_found", noted("The recording {name!r} is no longer there.", name=name)
        )

    def _seen_at(self, path: Path, result: Path, found: os.stat_result) -> _Seen:
        facts = (found.st_ino, found.st_size, found.st_mtime_ns, _facts_of(result))
        with self._lock:
            seen = self._seen.get(path)
        if seen and seen.facts == facts:
            return seen
        wish = wish_of(read_result(result) or {})
        seen = _Seen(facts, key_of(identity_of(path), wish), wish)
        with self._lock:
            self._seen[path] = seen
            self._seen.move_to_end(path)
            if len(self._seen) > _LOOKED_AT_MAX:
                self._seen.popitem(last=False)
        return seen

    # --- the thread ---

    def _tick(self) -> float:
        """Make what is wanted, then tidy up."""
        while not self._loop.stopping and (order := self._queue.take()):
            self._make(order)
        with contextlib.suppress(StorageError):
            self._files.listening.tidy(self._missing_bytes())
        return _TIDY_S

    def _make(self, order: Order) -> None:
        began = self._clock.monotonic()
        try:
            finished = self._made(order)
        except TranscriberError as error:
            log.warning("%s: its sound could not be prepared: %s", order.path.name, error)
            self._queue.finish(error)
        except BaseException:
            self._queue.finish(
                WorkerError("listening_failed", noted("An unexpected error occurred."))
            )
            raise
        else:
            if not finished:
                self._queue.put_back()
                return
            what = "listening copy" if order.wish.sound else "waveform"
            seconds = self._clock.monotonic() - began
            log.info("%s: its %s was made in %.1f s", order.path.name, what, seconds)
            self._queue.finish()

    def _made(self, order: Order) -> bool:
        """False if it was broken off, for something more urgent or for good."""
        copies, part = self._files.listening, None
        self._check_room()
        recording = open_recording_file(order.path)
        try:
            opened = os.fstat(recording)
            process = ListeningProcess(self._config, self._clock, recording, order.wish)
        finally:
            os.close(recording)
        try:
            part = copies.begin(order.key) if order.wish.sound else None
            taken = self._take(process, part)
            if taken is None:
                return False
            peaks, head = taken
            copies.keep_peaks(order.key, peaks)
            if part:
                part.finish(head)
            if not _is_still(order.path, opened):
                copies.forget(order.key)  # it was deleted or replaced meanwhile
            copies.tidy()
            return True
        finally:
            process.end()
            if part:
                part.discard()

    def _take(self, process: ListeningProcess, part: PartFile | None) -> tuple[bytes, bytes] | None:
        """The peaks and the first bytes of the sound; None if it was broken off."""
        peaks, head = bytearray(), b""
        if part:
            part.write(bytes(HEAD_BYTES))
        for kind, content in process.pieces(self._goes_on):
            if kind is Kind.SOUND and part:
                part.write(content)
            elif kind is Kind.PEAKS:
                peaks += content
            elif kind is Kind.HEAD:
                head = content
            elif kind is Kind.PROGRESS:
                self._queue.advance(min(99, content[0]))
            elif kind is Kind.DONE:
                return bytes(peaks), head
        return None

    def _goes_on(self) -> bool:
        self._loop.beat()
        return not (self._loop.stopping or self._queue.must_yield)

    def _check_room(self) -> None:
        """Copies make room for each other, and for the transcriptions. Raises StorageError."""
        if missing := self._missing_bytes():
            self._files.listening.tidy(missing)
            missing = self._missing_bytes()
        if missing:
            raise StorageError(
                "disk_full",
                noted("There is too little room on the disk for a listening copy."),
                remedy=noted("Make room, then play the recording again."),
            )

    def _missing_bytes(self) -> int:
        """How much room the disk lacks."""
        path = self._files.folder.path
        self._files.folder.require()
        with storage_errors(path):
            return max(0, _FREE_BYTES_MIN - shutil.disk_usage(path).free)


def _is_still(path: Path, opened: os.stat_result) -> bool:
    try:
        facts = beneath.lstat(path)
    except OSError:
        return False
    same = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
    return same == (opened.st_ino, opened.st_size, opened.st_mtime_ns)


def _facts_of(path: Path) -> tuple[int, int] | None:
    try:
        facts = beneath.lstat(path)
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns
