"""The daemon's side of requests through the folder: each is carried out and answered."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from modules.clock import Clock
from modules.errors import StorageError, TranscriberError, noted
from modules.jobs.scheduler import Scheduler
from modules.logger import get_logger
from modules.messages import template_of
from modules.service.folder_requests import ANSWER, EXPIRY_S, REQUEST, folder, removal
from modules.service.mailbox import Mailbox
from modules.service.service import TranscriptionService
from modules.service.summary_view import SummaryView
from modules.service.worker_view import Workers

log = get_logger("FolderRequests")

_ID = re.compile(r"[0-9a-f]{32}")
#: After this long no client waits for an answer any more.
_ANSWER_KEPT_S = 600.0


class FolderResponder:
    """Answers the requests in the folder, whenever ``tick`` is called; from one thread.

    At most once: a request is removed before it is carried out, so that a crash never repeats it;
    a second deletion could hit a new file of the same name.
    """

    def __init__(
        self,
        shared: Path,
        service: TranscriptionService,
        scheduler: Scheduler,
        summaries: SummaryView,
        workers: Workers,
        clock: Clock,
    ) -> None:
        self._mailbox = Mailbox(folder(shared))
        self._service = service
        self._scheduler = scheduler
        self._summaries = summaries
        self._workers = workers
        self._clock = clock

    def tick(self) -> None:
        """Answer every request that lies there. Raises StorageError."""
        for file in self._mailbox.names((REQUEST, ANSWER)):
            stem, dot, ending = file.partition(".")
            if dot + ending == REQUEST and _ID.fullmatch(stem):
                self._handle(stem)
            elif dot + ending == ANSWER:
                self._remove_if_old(file)

    def _handle(self, stem: str) -> None:
        file = f"{stem}{REQUEST}"
        try:
            request = self._mailbox.read(file)
        except TranscriberError as error:
            log.warning("A request cannot be read and was dropped: %s", error)
            self._mailbox.remove(file)
            return
        if request is not None and self._mailbox.remove(file):  # or the client took it back
            self._mailbox.put(f"{stem}{ANSWER}", self._answer(request))

    def _answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            self._require_fresh(request)
            return self._carry_out(str(request.get("action")), request)
        except StorageError as error:
            log.warning("A request could not be carried out: %s", error)
            return _refusal(error)
        except TranscriberError as error:
            return _refusal(error)

    def _require_fresh(self, request: Mapping[str, Any]) -> None:
        """An old request must not delete a file that came since."""
        try:
            asked = datetime.fromisoformat(str(request.get("creation_time")))
            age_s = abs((self._clock.utc_now() - asked).total_seconds())
        except (ValueError, TypeError):
            age_s = float("inf")
        if age_s > EXPIRY_S:
            raise TranscriberError(
                "expired",
                noted("The request is too old, or the clocks of the two machines differ."),
                remedy=noted("Set the clocks, then ask again."),
            )

    def _carry_out(self, action: str, request: Mapping[str, Any]) -> dict[str, Any]:
        name = str(request.get("filename"))
        if action == "queue":
            return {"queue": [job.name for job in self._scheduler.jobs()]}
        if action == "workers":
            return {"workers": [view.to_message() for view in self._workers.views()]}
        if action == "delete":
            log.info("%s: to be deleted, as the command line asks", name)
            return removal(self._service.delete(name))
        if action == "retry":
            log.info("%s: to be tried again, as the command line asks", name)
            self._service.retry(name, None)
            return {}
        if action == "redo":
            log.info("%s: to be transcribed anew, as the command line asks", name)
            return {"outcome": self._service.redo(name, request.get("settings") or {}).outcome}
        if action == "summarize":
            return {"state": self._summaries.make(name).view.state}
        raise TranscriberError(
            "unknown_errand", noted("This version knows no {action!r}.", action=action)
        )

    def _remove_if_old(self, file: str) -> None:
        with contextlib.suppress(StorageError):
            if self._mailbox.age_s(file) > _ANSWER_KEPT_S:
                self._mailbox.remove(file)


def _refusal(error: TranscriberError) -> dict[str, Any]:
    return {
        "error": {
            "code": error.code,
            "message": error.message,
            "template": template_of(error.message),
            "remedy": error.remedy,
            "remedy_template": template_of(error.remedy),
        }
    }
