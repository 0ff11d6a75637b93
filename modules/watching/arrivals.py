"""The files of the share as the watcher knows them: arriving, or complete and reported."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from modules.clock import Clock
from modules.logger import get_logger
from modules.recordings.downloads import is_downloading
from modules.watching.scan import look
from modules.watching.stability import FileSample, StabilityRule, StabilityTracker

log = get_logger("Watcher")

#: So many are looked at together. Then complete ones are reported, and hints are handled.
BATCH = 500
#: What is prepared for longer is dropped again before it is needed.
_SOON_S = 4.0


class Sink(Protocol):
    """Receives reports about files, in the watcher's thread; must not be slow."""

    def on_complete(self, name: str, sample: FileSample) -> None:
        """The file is complete, and was not reported in this state before."""

    def on_deleted(self, name: str) -> None:
        """A file that was handed over or watched is no longer there under this name."""


class Arrivals:
    """Looks at candidates when they are due, and reports each state of a file once.

    ``ask_writer``: has this file a writer? None for unknown. ``on_settling`` is called for a file
    that was closed a moment ago: if it holds still, it is complete. One thread drives it.
    """

    def __init__(
        self,
        root: Path,
        sink: Sink,
        clock: Clock,
        rule: StabilityRule,
        ask_writer: Callable[[Path], bool | None],
        on_settling: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._root = root
        self._sink = sink
        self._clock = clock
        self._rule = rule
        self._ask_writer = ask_writer
        self._on_settling = on_settling
        self._tracker = StabilityTracker(rule)
        self._known: dict[str, tuple[int, int, int]] = {}
        #: What went wrong with these was said already.
        self._failing: set[str] = set()
        #: These are reported in any case, also if they were deleted.
        self._asked: set[str] = set()
        #: What we put there ourselves, as it was then.
        self._placed: dict[str, tuple[int, int, int]] = {}
        #: The device whose files ``ask_writer`` can be asked about; None if it is not known.
        self.lease_device: int | None = None

    def __contains__(self, name: str) -> bool:
        return name in self._known or name in self._tracker

    @property
    def known(self) -> int:
        """How many files were handed over and are still there."""
        return len(self._known)

    def holds(self, name: str) -> bool:
        """Whether the file was handed over, and nothing has hinted at a change since."""
        return name in self._known and name not in self._tracker

    @property
    def settling(self) -> int:
        """How many files are not known to be complete."""
        return len(self._tracker)

    def next_due(self) -> float | None:
        return self._tracker.next_due()

    def expect(self, name: str, *, closed: bool = False) -> None:
        """Look at this file now. ``closed``: it was closed or moved in just before."""
        self._tracker.expect(name, self._clock.monotonic(), closed=closed)

    def forget(self, name: str) -> None:
        """Report it again once it is complete, even if it did not change."""
        self._known.pop(name, None)
        self._asked.add(name)
        self.expect(name)

    def note_placed(self, name: str, state: tuple[int, int, int]) -> None:
        """This file was put there whole, as ``state``: who asks about it need not wait.

        Only then: before, a job with other settings than the requested ones would be made of it.
        """
        self._placed[name] = state

    def start_over(self) -> None:
        """The share could not be read for a while."""
        self._tracker.start_over(self._clock.monotonic())

    def still_known(self, files: Mapping[str, FileSample]) -> Iterator[str]:
        """Those of the files that are as they were when they were handed over."""
        return (n for n, sample in files.items() if self._known.get(n) == _state(sample))

    def compare(self, files: Mapping[str, FileSample]) -> None:
        """Take a rescan: what is new, changed or missing gets looks of its own."""
        for name, sample in files.items():
            if self._known.get(name) != _state(sample) and name not in self._tracker:
                self.expect(name)
        for name in self._known.keys() - files.keys():
            self.expect(name)

    def look_at_due(self, is_there: Callable[[], bool]) -> bool:
        """Look at up to ``BATCH`` that are due, then report to the sink.

        False, and nothing is reported, if the share became unavailable meanwhile.
        """
        ready: list[tuple[str, FileSample | None]] = []
        # As of now: what was looked at first may be due once more before the last one had its look.
        now = self._clock.monotonic()
        for name in itertools.islice(iter(lambda: self._tracker.pop_due(now), None), BATCH):
            with self._each_for_itself(name):
                sample = look(self._root, name)
                if sample is None or self._is_whole(name, sample):
                    ready.append((name, sample))
        if ready and not is_there():
            return False
        for name, sample in ready:
            with self._each_for_itself(name):
                self._hand_over(name, sample)
                self._failing.discard(name)
            if name in self._failing and not is_there():
                return False
        return True

    def _is_whole(self, name: str, sample: FileSample) -> bool:
        if self._known.get(name) == _state(sample):
            self._tracker.drop(name)
            return False
        still = self._tracker.observe(name, sample, self._clock.monotonic())
        is_soon = still.closed and self._rule.settle_s <= _SOON_S and name not in self._asked
        if is_soon and still.samples == 1 and sample.size:
            self._on_settling(name)
        is_placed = name in self._asked and self._placed.get(name) == _state(sample)
        if not is_placed and not self._rule.holds(still):
            return False
        if is_downloading(self._root / name, sample.size):
            return False
        can_ask = sample.device == self.lease_device
        has_writer = self._ask_writer(self._root / name) if can_ask else None
        return has_writer is not True if is_placed else self._rule.is_whole(still, has_writer)

    def _hand_over(self, name: str, sample: FileSample | None) -> None:
        # The sink first: if it raises, the file stays a candidate and is tried again.
        if sample is not None:
            self._sink.on_complete(name, sample)
            self._known[name] = _state(sample)
        elif name in self._known or name in self._asked or self._tracker.seen(name):
            self._sink.on_deleted(name)
            self._known.pop(name, None)
        self._asked.discard(name)
        self._placed.pop(name, None)
        self._tracker.drop(name)

    @contextlib.contextmanager
    def _each_for_itself(self, name: str) -> Iterator[None]:
        """What goes wrong with one file is said once, and the others have their turn."""
        try:
            yield
        except Exception as error:
            if name in self._failing:
                return
            self._failing.add(name)
            if isinstance(error, OSError):
                log.warning("%s cannot be looked at, trying again: %s", name, error.strerror)
            else:
                log.exception("%s cannot be taken in, trying again", name)


def _state(sample: FileSample) -> tuple[int, int, int]:
    """By what a file that was handed over is known again."""
    return sample.size, sample.mtime_ns, sample.inode
