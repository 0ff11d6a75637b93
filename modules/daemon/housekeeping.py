"""Periodic duties of the daemon: heartbeat, pause flag, requests through the folder, leftovers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from modules.clock import Clock
from modules.daemon.first_run import FirstRun
from modules.daemon.parts import Core
from modules.errors import LockHeldError, TranscriberError
from modules.intake.request import TranscriptionRequest
from modules.logger import get_logger
from modules.recordings.lock import HEARTBEAT_S, Ownership
from modules.service import folder_orders

log = get_logger("Daemon")

_COMPLAINT_S = 60.0
#: How often uploads that nobody went on with are looked for.
_EXPIRY_S = 60.0
#: How often it is looked for what is old, and whether a new day has begun.
_RETENTION_S = 3600.0
#: How often the parts are looked at, so that it is known since when one is as it is.
_PARTS_S = 5.0


class Housekeeping:
    """``tick`` is called every half second, from the main thread.

    ``submit`` takes requests that were left in the folder; ``respond`` answers those that ask for
    an answer; ``expire`` removes uploads that nobody went on with; ``retain`` has what is old
    moved to the trash; ``look`` has the parts looked at. ``share_replaced``: another folder lies at
    the share's path than at start.
    """

    def __init__(
        self,
        shared: Path,
        stale_hours: float,
        clock: Clock,
        core: Core,
        submit: Callable[[TranscriptionRequest], object | None],
        respond: Callable[[], None] = lambda: None,
        expire: Callable[[], None] = lambda: None,
        retain: Callable[[], None] = lambda: None,
        first_run: FirstRun | None = None,
        look: Callable[[], object] = lambda: None,
        *,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._heartbeat_s = heartbeat_s
        self._shared = shared
        self._stale_s = stale_hours * 3600
        self._clock = clock
        self._core = core
        self._submit = submit
        self._respond = respond
        self._expire = expire
        self._retain = retain
        self._first_run = first_run
        self._look = look
        self._due: dict[str, float] = {}
        self._started = clock.monotonic()
        self.share_replaced = False
        self._beaten_at = self._started
        core.health.silent_s["main"] = lambda: self._clock.monotonic() - self._beaten_at

    def tick(self, owner: Ownership) -> None:
        """No duty may end the daemon: the folder may come and go.

        Raises LockHeldError if another owner took the folder over.
        """
        self._beaten_at = self._clock.monotonic()
        if self._is_due("parts", _PARTS_S):
            self._look()
        duties: tuple[Callable[[], None], ...] = (lambda: self._in_the_share(owner), self._respond)
        for duty in duties:
            if not self._core.watcher.available or self.share_replaced:
                return
            try:
                duty()
            except LockHeldError:
                raise  # another owner is at work: two of them would tear each other's files
            except (OSError, TranscriberError) as error:
                if self._is_due("complaint", _COMPLAINT_S):
                    log.warning("The shared folder cannot be used at the moment: %s", error)
            except Exception:
                if self._is_due("unexpected", _COMPLAINT_S):
                    log.exception("A periodic duty failed; going on")

    def _in_the_share(self, owner: Ownership) -> None:
        core = self._core
        core.store.folder.remember()
        if not core.store.folder.is_same():
            # Mounted since, with an earlier life in it that must not be taken for leftovers.
            log.warning("Another folder lies at %s now", self._shared)
            self.share_replaced = True
            return
        owner.check()
        if self._is_due("heartbeat", min(HEARTBEAT_S, self._heartbeat_s)):
            if not core.store.folder.state.is_dir():
                core.watcher.poke()  # it finds out whether it was deleted
                return
            owner.beat()
            core.writer.catch_up()
        self.obey_pause_flag()
        folder_orders.carry_out(self._shared, self._submit)
        if self._first_run:
            self._first_run.tick(core.store)
        self._set_orphans_aside()
        if self._is_due("expiry", _EXPIRY_S):
            self._expire()
        if self._is_due("retention", _RETENTION_S):
            self._retain()

    def obey_pause_flag(self) -> None:
        """Pause or resume as the flag in the share says."""
        store, scheduler = self._core.store, self._core.scheduler
        wanted = store.pause_flag.exists()
        if not wanted and not store.folder.state.is_dir():
            return  # the share is away, which says nothing
        if wanted and not scheduler.paused:
            scheduler.pause()
        elif not wanted and scheduler.paused:
            scheduler.resume()

    def _set_orphans_aside(self) -> None:
        orphans = self._core.intake.recovery.orphans
        if not orphans or self._clock.monotonic() - self._started < self._stale_s:
            return
        for name in list(orphans):
            store = self._core.store
            if self._core.scheduler.get(name) is None and not store.folder.is_there(name):
                store.manual.set_aside(name)
                log.warning("%s: its state was set aside, the recording never came back", name)
            orphans.pop(name, None)

    def _is_due(self, duty: str, every_s: float) -> bool:
        now = self._clock.monotonic()
        if now < self._due.get(duty, now):
            return False
        self._due[duty] = now + every_s
        return True
