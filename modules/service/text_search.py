"""Search in the texts of all recordings, and the thread that keeps its index up to date."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from modules.config.schema import Config
from modules.errors import StorageError
from modules.jobs.events import Event
from modules.jobs.job import Status
from modules.jobs.thread_loop import ThreadLoop
from modules.logger import get_logger
from modules.machine import collection
from modules.machine.allocator import give_back
from modules.recordings.names import is_visible_folder
from modules.recordings.sidecars import EDITS, RESULT, RecordingPaths, recording_of, sidecar_name
from modules.recordings.store import RecordingStore
from modules.search.index import Hit, SearchIndex, Text
from modules.service.folder_view.report import inside
from modules.service.folder_view.sidecar_reader import read_result
from modules.storage import beneath
from modules.storage.transfer import NAME_MAX
from modules.transcript.model import Segment
from modules.watching.scan import scan
from modules.watching.stability import FileSample

log = get_logger("Search")

#: How often the folder is looked at without a reason, and after an unexpected error.
_EVERY_S, _FAILED_S = 60.0, 60.0
#: A look is followed by so many times as long without one.
_LOOK_SHARE = 10.0
#: After a recording so many times as long without work: the cores belong to the transcription.
_REST_SHARE = 2.0
#: How soon after a write that failed.
_RETRY_S = 10.0
#: So long after its look at the folder a round ends, and the next looks anew.
_ROUND_S = 30.0
#: Several recordings that end together are one reason.
_BURST_S = 0.5
_STOP_S = 10.0

Read = Callable[[str], Iterable[Segment]]


@dataclass(frozen=True)
class SearchPage:
    """``total``: segments found, at most ``FOUND_MAX``; ``pending``: recordings not indexed yet."""

    hits: tuple[Hit, ...]
    total: int
    pending: int


@dataclass(frozen=True)
class _Seen:
    """A recording with a text: by what a change of it is seen, and when it was made."""

    signature: str
    made_s: int


class TextSearch:
    """Answers with what is indexed so far. ``read``: the text of a recording, as it is shown.
    ``sidecars``: the folder with the results, None for the share itself.

    A recording is read again when its ``.result`` or its corrections change.
    """

    def __init__(
        self,
        config: Config,
        index: SearchIndex,
        read: Read,
        sidecars: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shared = config.shared_directory
        self._sidecars = sidecars or self._shared
        self._recursive = config.watch.recursive
        self._manual = inside(config.manual_directory, config.shared_directory)
        self._index = index
        self._read = read
        self._monotonic = monotonic
        #: As the last look saw them.
        self._there = self._stale = 0
        #: The recording that is read, and those, with their signatures, that cannot be.
        self._reading: tuple[str, str] | None = None
        self._unreadable: set[tuple[str, str]] = set()
        self._look_at = float("-inf")
        self._loop = ThreadLoop(
            "search", self.tick, self._report, failure_pause_s=_FAILED_S, burst_s=_BURST_S,
            monotonic=monotonic,
        )  # fmt: skip

    @property
    def silent_s(self) -> float:
        """How long the thread has given no sign of life."""
        return self._loop.silent_s

    def find(self, typed: str, limit: int) -> SearchPage:
        """Up to ``limit`` segments with the words of any text that somebody typed."""
        found = self._index.find(typed, limit)
        there = {name: self._is_there(name) for name in {hit.name for hit in found.hits}}
        hits = tuple(hit for hit in found.hits if there[hit.name])
        left_out = len(found.hits) - len(hits)
        pending = self.pending
        if pending > self._stale:
            self._loop.wake()  # the index was lost
        return SearchPage(hits, found.total - left_out, pending)

    @property
    def pending(self) -> int:
        """How many recordings the index lacks, or has as they were before."""
        return max(self._stale, self._there - self._index.count())

    def on_event(self, event: Event) -> None:
        """A job changed: with a new text the folder is looked at soon."""
        if event.kind == "transition" and event.job.status is Status.COMPLETED:
            self._loop.wake()

    def look_soon(self) -> None:
        """A text was corrected."""
        self._loop.wake()

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """End the thread, then close the index."""
        if self._loop.stop(_STOP_S):
            self._index.close()
        else:
            log.warning("The search index hangs and is left behind; it is a cache")

    def tick(self) -> float:
        """One round, in this thread. Answers how many seconds may pass before the next."""
        began = self._monotonic()
        if began < self._look_at:
            return self._look_at - began
        try:
            stale = self._look()
        except OSError:
            return _EVERY_S  # the share is away, which others report
        looked = self._monotonic()
        self._look_at = looked + _LOOK_SHARE * (looked - began)
        if not stale:
            return _EVERY_S
        try:
            return self._bring_up_to_date(stale, looked + _ROUND_S)
        finally:
            give_back()

    def _look(self) -> list[tuple[str, _Seen]]:
        """What must be read, the newest first. What is no longer there is removed."""
        there = dict(self._texts())
        stale, gone = self._index.compare({name: seen.signature for name, seen in there.items()})
        for name in gone:
            self._index.remove(name)
        self._index.tidy(self._goes_on)
        self._there, self._stale = len(there), len(stale)
        return sorted(((name, there[name]) for name in stale), key=lambda each: -each[1].made_s)

    def _bring_up_to_date(self, stale: list[tuple[str, _Seen]], until: float) -> float:
        """One recording after the other. Answers how soon the next round is due."""
        failed = False
        for name, seen in stale:
            began = self._monotonic()
            if self._loop.stopping or began > until:
                return 0.0
            self._reading = (name, seen.signature)
            if self._reading not in self._unreadable:
                text = Text(name, seen.signature, seen.made_s, self._segments(name))
                try:
                    with collection.paused():
                        is_written = self._index.put(text, self._goes_on)
                except StorageError:
                    is_written = False
                failed = failed or not is_written
                self._stale -= is_written
                self._loop.wait(_REST_SHARE * (self._monotonic() - began))
            self._reading = None
        return _RETRY_S if failed else _EVERY_S

    def _report(self) -> None:
        log.exception("The search index was not brought up to date")
        if self._reading:  # the others are not to wait for it at each round
            self._unreadable.add(self._reading)

    def _goes_on(self) -> bool:
        self._loop.beat()
        return not self._loop.stopping

    def _segments(self, name: str) -> Iterator[Segment]:
        """Read when the first is asked for."""
        yield from self._read(name)

    def _texts(self) -> Iterator[tuple[str, _Seen]]:
        """Every recording with a text, from one walk. Raises OSError while the share is away."""
        seen = scan(
            self._sidecars,
            recursive=self._recursive,
            wants_file=lambda name: name.endswith((RESULT, EDITS)),
            wants_folder=lambda name: is_visible_folder(name) and name != self._manual,
        ).files
        for sidecar, sample in seen.items():
            if sidecar.endswith(RESULT):
                name = self._recording_of(sidecar)
                edit = seen.get(sidecar_name(name, EDITS))
                signature = f"{_of(sample)} {_of(edit) if edit else '-'}"
                yield name, _Seen(signature, sample.mtime_ns // 10**9)

    def _recording_of(self, sidecar: str) -> str:
        """By its name alone, unless that was cut."""
        last = sidecar.rpartition("/")[2]
        if "~" in last and len(os.fsencode(last)) > NAME_MAX - 4:
            return recording_of(sidecar, read_result(self._sidecars / sidecar) or {})
        return sidecar.removesuffix(RESULT)

    def _is_there(self, name: str) -> bool:
        """Whether a text was not deleted since the last look."""
        try:
            beneath.lstat(self._sidecars / RecordingPaths(name).result)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return False
        except OSError:
            return True
        return True


def _of(sample: FileSample) -> str:
    return f"{sample.mtime_ns}.{sample.size}"


def reader(files: RecordingStore) -> Read:
    """Reads corrected texts; none while the recording is no longer that of its result."""

    def read(name: str) -> Iterable[Segment]:
        result = files.results.read(name)
        if result is None:
            return ()
        if files.folder.is_there(name) and not files.results.is_result_of(name, result):
            return ()
        return files.edits.corrected(name, result).text.segments

    return read
