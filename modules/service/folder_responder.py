"""The daemon's side of errands: found in the folder, carried out once, answered."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from modules.clock import Clock
from modules.errors import StorageError, TranscriberError
from modules.jobs.scheduler import Scheduler
from modules.logger import get_logger
from modules.service.folder_requests import ANSWER, BELIEVED_S, ERRAND, folder, removal
from modules.service.service import TranscriptionService
from modules.storage.atomic import parse_json, remove, storage_errors, to_json, write_whole
from modules.storage.safe_open import read_regular

log = get_logger("Clerk")

_ID = re.compile(r"[0-9a-f]{32}")
_LIMIT_BYTES = 64 * 1024
#: Whoever asked has long given up; the answer is thrown away.
_KEPT_S = 600.0


class FolderResponder:
    """Carries out what lies in the folder. To be called now and then, from one thread."""

    def __init__(
        self, shared: Path, control: TranscriptionService, scheduler: Scheduler, clock: Clock
    ) -> None:
        self._shared = shared
        self._control = control
        self._scheduler = scheduler
        self._clock = clock

    def attend(self) -> None:
        """Answer every errand that lies there. Raises StorageError."""
        place = folder(self._shared)
        with storage_errors(place):
            try:
                with os.scandir(place) as listed:
                    names = sorted(e.name for e in listed if e.is_file(follow_symlinks=False))
            except FileNotFoundError:
                return
        for name in names:
            stem, dot, ending = name.partition(".")
            if dot + ending == ERRAND and _ID.fullmatch(stem):
                self._attend(place, stem)
            elif dot + ending == ANSWER:
                _forget_if_old(place / name)

    def _attend(self, place: Path, stem: str) -> None:
        path = place / f"{stem}{ERRAND}"
        try:
            errand = parse_json(_content(path), path.name)
        except FileNotFoundError:
            return  # taken back
        except (OSError, TranscriberError) as error:
            log.warning("An errand cannot be read and was dropped: %s", error)
            remove(path)
            return
        # Taken away first: what was begun is never begun again, not even after a crash.
        if remove(path):
            write_whole(place / f"{stem}{ANSWER}", to_json(self._answer(errand)))

    def _answer(self, errand: Mapping[str, Any]) -> dict[str, Any]:
        try:
            self._require_fresh(errand)
            return self._carry_out(str(errand.get("action")), str(errand.get("filename")))
        except StorageError as error:
            log.warning("An errand could not be carried out: %s", error)
            return _refusal(error)
        except TranscriberError as error:
            return _refusal(error)

    def _require_fresh(self, errand: Mapping[str, Any]) -> None:
        """One that was left behind must not delete what came since."""
        try:
            asked = datetime.fromisoformat(str(errand.get("creation_time")))
            age_s = abs((self._clock.utc_now() - asked).total_seconds())
        except (ValueError, TypeError):
            age_s = float("inf")
        if age_s > BELIEVED_S:
            raise TranscriberError(
                "expired",
                "The request is too old, or the clocks of the two machines differ.",
                remedy="Set the clocks, then ask again.",
            )

    def _carry_out(self, action: str, name: str) -> dict[str, Any]:
        if action == "queue":
            return {"queue": [job.name for job in self._scheduler.jobs()]}
        if action == "delete":
            log.info("%s: to be deleted, as the command line asks", name)
            return removal(self._control.delete(name))
        if action == "retry":
            log.info("%s: to be tried again, as the command line asks", name)
            self._control.retry(name, None)
            return {}
        raise TranscriberError("unknown_errand", f"This version knows no {action!r}.")


def _refusal(error: TranscriberError) -> dict[str, Any]:
    return {"error": {"code": error.code, "message": error.message, "remedy": error.remedy}}


def _content(path: Path) -> bytes:
    """A small regular file. Raises OSError."""
    return read_regular(path, _LIMIT_BYTES)


def _forget_if_old(path: Path) -> None:
    with contextlib.suppress(OSError, StorageError):
        if time.time() - path.lstat().st_mtime > _KEPT_S:
            remove(path)
