"""Finds recordings in the shared folder and reports when each is complete.

The rescan is the truth, events are hints: both only put a file among the arrivals, and one rule
(``stability``) decides about all of them.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from modules.clock import Clock
from modules.errors import StorageError
from modules.jobs.thread_loop import ThreadLoop
from modules.logger import get_logger
from modules.recordings.names import is_recording, is_visible_folder
from modules.recordings.share_presence import SharePresence
from modules.recordings.skipped import is_skipped
from modules.watching.arrivals import Arrivals, Sink
from modules.watching.folder_events import FolderEvents, Hint, HintKind
from modules.watching.open_writers import has_writer, leases_tell
from modules.watching.rescan_schedule import RescanSchedule
from modules.watching.scan import Scan, scan
from modules.watching.stability import StabilityRule

__all__ = ["Sink", "WatchHealth", "Watcher"]

log = get_logger("Watcher")

#: Hints come in bursts; one tick takes a burst together.
BURST_S = 0.02
TICK_FAILED_S = 1.0
STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class WatchHealth:
    """``events``: "off" by configuration, "degraded" if they should come and do not.

    ``last_rescan_s``: what the last rescan cost. ``known_files`` were handed over and are there;
    ``settling_files`` are not known to be complete. ``sees_writers``: whether the system shows
    which files are open for writing. ``problem`` says what is wrong, if anything.
    """

    available: bool
    events: Literal["on", "off", "degraded"]
    last_rescan_s: float
    known_files: int
    settling_files: int
    sees_writers: bool
    problem: str | None


class Watcher:
    """Watches ``root`` from its own thread. ``forget``, ``note_placed``, ``poke``,
    ``health`` may come from any.

    ``excluded``: folders that may lie inside and are not looked at. Times in seconds. Writers are
    only seen after ``open_writers.ignore_lease_signals``.
    """

    def __init__(
        self,
        root: Path,
        sink: Sink,
        clock: Clock,
        *,
        recursive: bool,
        events: bool,
        rescan_s: float,
        settle_s: float,
        stable_s: float,
        excluded: tuple[Path, ...] = (),
        ask_writer: Callable[[Path], bool | None] = has_writer,
        on_settling: Callable[[str], None] = lambda name: None,
        require: Callable[[], None] = lambda: None,
    ) -> None:
        self._root = root
        self._clock = clock
        self._recursive = recursive
        self._excluded = _names_inside(root, excluded)
        rule = StabilityRule(settle_s, stable_s)
        self._arrivals = Arrivals(root, sink, clock, rule, ask_writer, on_settling)
        self._presence = SharePresence(root, require)
        self._events = (
            FolderEvents(root, recursive=recursive, on_hint=self._hint) if events else None
        )
        self._hints: deque[Hint] = deque()
        self._schedule = RescanSchedule(clock, rescan_s)
        self._reported: set[str] = set()
        #: Of files that are no recordings by their names, and were reported.
        self._endings: set[str] = set()
        self._loop = ThreadLoop(
            "watcher", self.tick, burst_s=BURST_S, failure_pause_s=TICK_FAILED_S,
            on_error=lambda: log.exception("Looking at the shared folder failed; going on"),
            on_end=self.close, monotonic=clock.monotonic,
        )  # fmt: skip

    @property
    def silent_s(self) -> float:
        """How long the thread has given no sign of life."""
        return self._loop.silent_s

    @property
    def available(self) -> bool:
        """False while the folder is not there; nothing is concluded from absence then."""
        return self._presence.available

    @property
    def events_alive(self) -> bool:
        """Whether events come at all; False where they are switched off."""
        return self._events is not None and self._events.alive

    def health(self) -> WatchHealth:
        state: Literal["on", "off", "degraded"] = "off"
        if self._events is not None:
            state = "on" if self._events.works else "degraded"
        return WatchHealth(
            available=self.available,
            events=state,
            last_rescan_s=self._schedule.cost_s,
            known_files=self._arrivals.known,
            settling_files=self._arrivals.settling,
            sees_writers=self._arrivals.lease_device is not None,
            problem=self._presence.problem or (self._events.why_not if self._events else None),
        )

    def forget(self, name: str) -> None:
        """Report this file again, once it is found to be complete."""
        self._hint(Hint(HintKind.FORGET, name))

    def note_placed(self, name: str, state: tuple[int, int, int]) -> None:
        """Report this file at once when ``forget`` asks: it was put there whole, by ourselves.

        ``state``: its size, mtime in nanoseconds and inode; another file has to hold still.
        """
        self._hint(Hint(HintKind.PLACED, name, state))

    def holds(self, name: str) -> bool:
        """Whether the file was reported as complete and no change was noticed since."""
        return self._arrivals.holds(name)

    def poke(self) -> None:
        """Rescan soon."""
        self._hint(Hint(HintKind.RESCAN))

    def start(self) -> None:
        """Begin with a rescan at once."""
        self._schedule.at_once()
        self._loop.start()

    def stop(self) -> None:
        """End the thread and the observer. A call that hangs on a dead share is left behind."""
        if not self._loop.stop(STOP_TIMEOUT_S):
            log.error("The watcher hangs on %s and is left behind", self._root)

    def close(self) -> None:
        """End the observer. The thread does it by itself; who drives ``tick`` calls it."""
        if self._events is not None:
            self._events.stop()

    def tick(self) -> float:
        """Do what is due. Answers how many seconds may pass before the next tick."""
        self._take_hints()
        if self._clock.monotonic() >= self._schedule.due:
            self._rescan()
        if self.available and not self._arrivals.look_at_due(self._presence.is_there):
            self._schedule.soon()
        return max(0.0, self._next_due() - self._clock.monotonic())

    def tick_safely(self) -> float:
        """The same; an unexpected error is logged, and costs a pause."""
        return self._loop.tick_safely()

    def _hint(self, hint: Hint) -> None:
        self._hints.append(hint)
        self._loop.wake()

    def _next_due(self) -> float:
        look_due = self._arrivals.next_due() if self.available else None
        return self._schedule.due if look_due is None else min(look_due, self._schedule.due)

    def _take_hints(self) -> None:
        for _ in range(len(self._hints)):
            hint = self._hints.popleft()
            if hint.kind is HintKind.RESCAN:
                self._schedule.soon()
            elif self._wants_file(hint.name):
                self._take_hint(hint)

    def _take_hint(self, hint: Hint) -> None:
        if hint.kind is HintKind.FORGET:
            self._arrivals.forget(hint.name)
        elif hint.placed:
            self._arrivals.note_placed(hint.name, hint.placed)
        elif hint.kind is not HintKind.VANISHED or hint.name in self._arrivals:
            self._arrivals.expect(hint.name, closed=hint.kind is HintKind.CLOSED)

    def _wants_file(self, name: str) -> bool:
        return is_recording(name) and self._is_inside(name)

    def _wants_folder(self, name: str) -> bool:
        return is_visible_folder(name) and not self._is_excluded(name)

    def _is_inside(self, name: str) -> bool:
        return (self._recursive or "/" not in name) and not self._is_excluded(name)

    def _is_excluded(self, name: str) -> bool:
        return any(name == out or name.startswith(f"{out}/") for out in self._excluded)

    def _rescan(self) -> None:
        problem: str | None = None
        try:
            self._find_root()
            self._scan()
        except OSError as error:
            problem = error.strerror or str(error)
        except StorageError as error:
            problem = str(error)
        finally:
            works = self._events is not None and self._events.works
            missing = self._events is not None and not works
            self._schedule.ended(events_work=works, degraded=problem is not None or missing)
        if self._presence.note(problem):
            self._arrivals.start_over()

    def _find_root(self) -> None:
        """Raises OSError if the root is not there. Then events first, so that nothing falls
        between them and the scan."""
        root = os.stat(self._root)
        if not stat.S_ISDIR(root.st_mode):
            raise NotADirectoryError(0, "not a folder")
        self._arrivals.lease_device = root.st_dev if leases_tell(self._root) else None
        if self._events is not None and self._presence.is_there():
            if not self.available:
                # It may hold on to what lies under a mount point; an unmount ends it in silence.
                self._events.stop()
            self._events.mend((root.st_dev, root.st_ino))

    def _scan(self) -> None:
        """Raises OSError if the root cannot be listed or is not ours."""
        began = self._clock.monotonic()
        seen = scan(
            self._root,
            recursive=self._recursive,
            wants_file=self._wants_file,
            wants_folder=self._wants_folder,
            is_skipped=is_skipped,
        )
        self._presence.check_marker(self._arrivals.still_known(seen.files))
        self._arrivals.compare(seen.files)
        self._schedule.cost_s = self._clock.monotonic() - began
        if self._events is not None:
            self._events.confirm(1 + len(seen.folders))
        self._report_once(seen)

    def _report_once(self, seen: Scan) -> None:
        for problem in set(seen.problems) - self._reported:
            log.warning("Cannot be read and is passed by: %s", problem)
        for folder in set(seen.skipped) - self._reported:
            log.info("Subfolder %s is not looked at: watch.recursive is off", folder)
        new_endings = seen.examples.keys() - self._endings
        if new_endings:
            log.info(
                "Not taken for recordings by their names: %d, such as %s",
                seen.passed_over,
                ", ".join(sorted(seen.examples[ending] for ending in new_endings)[:3]),
            )
        self._endings |= new_endings
        self._reported.update(seen.problems, seen.skipped)


def _names_inside(root: Path, folders: tuple[Path, ...]) -> tuple[str, ...]:
    """Those of the folders that lie inside the root, relative to it."""
    real = Path(os.path.realpath(root))
    paths = [Path(os.path.realpath(folder)) for folder in folders]
    return tuple(p.relative_to(real).as_posix() for p in paths if p.is_relative_to(real))
