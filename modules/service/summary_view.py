"""How it stands with the summary of a text, whether or not summaries are switched on; and a new
one, if somebody asks for it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from modules.errors import TranscriberError, noted
from modules.logger import get_logger
from modules.machine import collection
from modules.recordings.store import RecordingStore
from modules.summaries.budget import lines_of
from modules.summaries.summaries import Summaries, View, text_sha256, view_of

log = get_logger("Summaries")

#: Pages ask again and again, and to read a long text takes a second.
_DIGESTS_KEPT = 32


@dataclass(frozen=True)
class SummaryState:
    """``outdated``: the text was corrected after the summary was made. ``can_be_made``: somebody
    may ask for a new one."""

    view: View
    outdated: bool = False
    can_be_made: bool = False


class SummaryView:
    """Thread-safe. ``summaries`` is None where none are made; those that are there are shown."""

    def __init__(self, store: RecordingStore, summaries: Summaries | None) -> None:
        self._store = store
        self._summaries = summaries
        self._lock = threading.Lock()
        self._digests: dict[str, tuple[object, str]] = {}

    def view(self, name: str) -> SummaryState:
        """Raises TranscriberError ``no_text_yet``, StorageError."""
        return self._state(name, self._store.results.require(name))

    def make(self, name: str) -> SummaryState:
        """Have a summary made where there is none, it failed, or the text was corrected since.

        What is answered is on the disk, or it waits for room there. Raises TranscriberError
        ``no_text_yet``, ``summaries_off``; StorageError.
        """
        result = self._store.results.require(name)
        if self._summaries is None:
            raise TranscriberError(
                "summaries_off",
                noted("No summaries are made here."),
                remedy=noted("Set summary.base_url and summary.model, and restart the service."),
            )
        found = self._state(name, result)
        if not found.can_be_made:
            return found
        log.info("%s: a summary is to be made, as somebody asks", name)
        self._summaries.note(name, str(result["job_id"]))
        return self._state(name, result)

    def _state(self, name: str, result: dict[str, Any]) -> SummaryState:
        is_on = self._summaries is not None and isinstance(result.get("job_id"), str)
        if self._summaries:
            view = self._summaries.view(name, result)
        else:
            view = view_of(self._store, name, result)
        outdated = view.state == "done" and self._is_outdated(name, result, view)
        return SummaryState(
            view, outdated, is_on and (outdated or view.state in ("none", "failed"))
        )

    def _is_outdated(self, name: str, result: dict[str, Any], view: View) -> bool:
        if view.summary is None:
            return False
        source = view.summary.made_from
        return source.text_sha256 != self._digest(name, result, source.language)

    def _digest(self, name: str, result: dict[str, Any], language: str) -> str:
        signature = language, self._store.edits.signature(name)
        with self._lock:
            known = self._digests.get(name)
        if known and known[0] == signature:
            return known[1]
        with collection.paused():
            segments = self._store.edits.corrected(name, result).text.segments
            found = text_sha256(lines_of(segments, language))
        with self._lock:
            if len(self._digests) >= _DIGESTS_KEPT:
                self._digests.clear()
            self._digests[name] = signature, found
        return found
