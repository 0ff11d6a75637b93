"""Recordings that the service may not read: said once, looked at quietly until that changes."""

from __future__ import annotations

import os
import pwd
import stat

from modules.clock import Clock
from modules.errors import StorageError, noted
from modules.jobs.job import Status
from modules.jobs.scheduler import Scheduler
from modules.logger import get_logger
from modules.recordings.shared_folder import SharedFolder
from modules.runner.outage import HOLD_S
from modules.storage import beneath
from modules.storage.safe_open import descriptor_of

log = get_logger("Runner")

#: How often what still cannot be read is said again.
SAY_AGAIN_S = 3600.0


class UnreadableFiles:
    """Remembers which files wait for somebody to allow reading them. For runners; one polls."""

    def __init__(self, scheduler: Scheduler, folder: SharedFolder, clock: Clock) -> None:
        self._scheduler = scheduler
        self._folder = folder
        self._clock = clock
        self._held: set[str] = set()
        self._look_at = 0.0
        self._say_at = 0.0

    def why(self, name: str) -> StorageError | None:
        """Why this file, in a share that can be used, may not be read; None if it may be."""
        path = self._folder.at(name)
        try:
            self._folder.require()
            os.close(descriptor_of(path))
        except PermissionError as error:
            return StorageError(
                "permission_denied",
                self._message(name),
                remedy=noted(
                    "Let {user}, as whom the service runs, read it; it is transcribed then.",
                    user=_user(os.geteuid()),
                ),
                details=str(error),
            )
        except (OSError, StorageError):
            pass  # another problem, or that of the whole share
        return None

    def hold(self, name: str, error: StorageError) -> None:
        """Keep a file that waits in mind, and say so unless it was said before."""
        if name in self._held:
            return
        if not self._held:
            self._say_at = self._clock.monotonic() + SAY_AGAIN_S
        self._held.add(name)
        log.error("%s", error)

    def poll(self) -> None:
        """Wake the files that may be read now. Looks every ``HOLD_S`` seconds."""
        now = self._clock.monotonic()
        if not self._held or now < self._look_at:
            return
        self._look_at = now + HOLD_S
        for name in sorted(self._held):
            job = self._scheduler.get(name)
            if job is None:
                self._held.discard(name)
            elif job.status is Status.WAITING and self.why(name) is None:
                self._held.discard(name)
                self._scheduler.wake(name, "the file may be read now", error=None)
        if self._held and now >= self._say_at:
            self._say_at = now + SAY_AGAIN_S
            log.warning(
                "Files that may still not be read: %d, such as %s",
                len(self._held),
                min(self._held),
            )

    def _message(self, name: str) -> str:
        try:
            facts = beneath.lstat(self._folder.at(name))
        except OSError:
            return noted("{name} may not be read, as its folder may not be entered.", name=name)
        return noted(
            "{name} may not be read: it belongs to {user} and has the mode {mode}.",
            name=name,
            user=_user(facts.st_uid),
            mode=f"{stat.S_IMODE(facts.st_mode):04o}",
        )


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return noted("the user {uid}", uid=uid)
