"""Summaries of finished texts, made one after the other in a thread of their own.

What is to be summarised is noted on disk when a job ends. No transcript waits for a summary, and
none fails with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modules.clock import Clock, iso
from modules.config.schema import SummaryConfig
from modules.delivery.job_notes import JobNotes, job_in, name_in
from modules.delivery.outbox import Item, Kind, Outbox
from modules.delivery.trouble import Trouble
from modules.errors import StorageError, TranscriberError
from modules.jobs.backoff import Backoff
from modules.jobs.thread_loop import ThreadLoop
from modules.logger import get_logger
from modules.machine import collection
from modules.recordings.store import RecordingStore
from modules.recordings.summary_files import Entry, Failure, MadeFrom, Summary
from modules.summaries import prompts
from modules.summaries.budget import Line, lines_of
from modules.summaries.chat import Chat, SummaryError
from modules.summaries.document import markdown
from modules.summaries.notes import KINDS, Notes
from modules.summaries.summarizer import Summarizer

log = get_logger("Summaries")

_PAUSES = Backoff(first_s=5.0, longest_s=600.0)
#: While nothing waits, after an unexpected error, and while the folder cannot be used.
_IDLE_S, _FAILED_S, _FOLDER_S = 3600.0, 30.0, 10.0
_STOP_S = 5.0

State = Literal["none", "waiting", "making", "done", "failed"]


@dataclass(frozen=True)
class View:
    """How it stands with the summary of a text. ``summary`` is there for ``done`` and ``failed``;
    ``problem``: why it waits."""

    state: State
    summary: Summary | None = None
    problem: str | None = None


class Summaries:
    """``note`` and ``view`` may be called from any thread."""

    def __init__(
        self,
        folder: Path,
        config: SummaryConfig,
        page_url: str,
        store: RecordingStore,
        clock: Clock,
        on_end: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        self._config = config
        self._page_url = (config.page_url or page_url).rstrip("/")
        self._store = store
        self._clock = clock
        self._on_end = on_end
        self._outbox = Outbox(folder, clock, Kind.SUMMARY)
        self._notes = JobNotes(self._outbox, config.model or "", "summary-")
        self._chat = Chat(config, clock)
        self._trouble = Trouble(_PAUSES, clock.monotonic)
        self._making: str | None = None
        self._loop = ThreadLoop(
            "summaries", self.tick, failure_pause_s=_FAILED_S, monotonic=clock.monotonic,
            on_error=lambda: log.exception("Summaries met an unexpected error and go on"),
        )  # fmt: skip

    @property
    def problem(self) -> str | None:
        """Why no summaries are made at the moment."""
        return self._trouble.problem

    @property
    def waiting(self) -> int:
        """How many texts are still to be summarised."""
        return len(self._notes)

    @property
    def silent_s(self) -> float:
        """How long the thread has given no sign of life, beyond what an answer may take."""
        return max(0.0, self._loop.silent_s - self._config.timeout_seconds)

    def note(self, name: str, job_id: str) -> None:
        """A text is finished; returns once that it is to be summarised is on disk. Never raises."""
        self._notes.add(name, job_id)
        self._loop.wake()

    def view(self, name: str, result: dict[str, Any]) -> View:
        """Of the text in a result; that of an earlier one does not count. Raises StorageError."""
        if found := view_of(self._store, name, result):
            return found
        job_id = str(result.get("job_id"))
        if self._making == job_id:
            return View("making")
        if self._notes.holds(job_id):
            return View("waiting", problem=self.problem)
        return View("none")

    def start(self) -> None:
        self._chat.start()
        self._loop.start()

    def stop(self) -> None:
        """End the thread; what is being made is broken off and made after the next start."""
        self._loop.ask_to_stop()
        self._chat.stop()
        if not self._loop.stop(_STOP_S):
            log.warning("A summary hangs and is left behind; it is made after a restart")

    def tick(self) -> float:
        """Make what is due. Answers how many seconds may pass before the next."""
        self._notes.write_rest()
        try:
            items = self._outbox.due()
        except StorageError as error:
            log.warning("What waits for a summary cannot be read: %s", error)
            return _FOLDER_S
        for item in items:
            if self._loop.stopping:
                break
            pause_s = self._handle(item)
            if pause_s:
                return pause_s
        rest_s = _IDLE_S if self._notes.are_all_written else _FOLDER_S
        return min(rest_s, self._outbox.next_due_in_s())

    def _handle(self, item: Item) -> float:
        """One attempt. Answers for how long nothing more can be done, 0 if it can."""
        self._loop.beat()
        # After an unexpected error, it must not be the first in line for ever.
        self._outbox.put_off(item, _FAILED_S)
        try:
            if not item.over:
                self._make(name_in(item), job_in(item))
                item.over = True
            self._outbox.remove(item)
        except StorageError as error:
            log.warning("%s cannot be summarised yet: %s", name_in(item), error)
            self._outbox.put_off(item, _FOLDER_S)
            return _FOLDER_S
        except TranscriberError as error:
            return self._put_off(item, str(error))
        finally:
            self._making = None
        return 0.0

    def _put_off(self, item: Item, why: str) -> float:
        """The server cannot be used: everything waits, and the one at fault goes behind."""
        if self._loop.stopping:
            return _IDLE_S
        pause_s = self._trouble.note(why)
        self._outbox.put_off(item, pause_s + 1)
        if self._trouble.is_worth_a_line():
            log.warning(
                "Summaries wait for %s: %d, next try in %.0f s: %s",
                self._chat.shown, self.waiting, pause_s, why,
            )  # fmt: skip
        return pause_s

    # --- one text ---

    def _make(self, name: str, job_id: str) -> None:
        """Raises StorageError, TranscriberError while the server cannot be used."""
        self._store.folder.require()
        result = self._store.results.read(name)
        if result is None or result.get("job_id") != job_id:
            self._store.folder.require()  # or it is only the share that is gone
            log.info("%s: not summarised, its text was deleted or replaced", name)
            self._on_end("dropped")
            return
        with collection.paused():
            lines = lines_of(self._store.edits.corrected(name, result).text.segments)
        if not lines:
            log.info("%s: not summarised, nothing is said in it", name)
            self._on_end("dropped")
            return
        source = self._source(lines, result)
        before = self._store.summaries.read(name)
        if before and before.status == "done" and before.made_from == source:
            log.info("%s: its summary is up to date", name)
            self._write(name, before.model_copy(update={"job_id": job_id}), "kept")
            return
        self._making = job_id
        self._write(name, *self._made(name, job_id, lines, source))

    def _source(self, lines: list[Line], result: dict[str, Any]) -> MadeFrom:
        metadata = result.get("metadata") or {}
        spoken = metadata.get("language") or metadata.get("language_detected") or "en"
        language = str(spoken) if self._config.language == "auto" else self._config.language
        text = "\n".join(map(str, lines)).encode("utf-8", "replace")
        return MadeFrom(
            text_sha256=hashlib.sha256(text).hexdigest(),
            template=f"{self._config.template} {prompts.VERSION}",
            model=self._config.model or "",
            language=language,
        )

    def _made(
        self, name: str, job_id: str, lines: list[Line], source: MadeFrom
    ) -> tuple[Summary, str]:
        """A summary, or what is said in its place; and what it counts as."""
        started = self._clock.monotonic()
        facts: dict[str, Any] = {
            "job_id": job_id, "made_from": source, "creation_time": iso(self._clock.utc_now()),
        }  # fmt: skip
        summarizer = Summarizer(self._chat, self._config.context_tokens, self._loop.beat)
        try:
            notes, parts = summarizer.summarize(lines, source.language)
        except SummaryError as error:
            log.warning("%s could not be summarised: %s", name, error)
            failure = Failure(code=error.code, message=str(error))
            self._over()
            return Summary(status="failed", error=failure, **facts), "failed"
        self._over()
        took_s = self._clock.monotonic() - started
        log.info("%s: summarised in %.0f s, in %d parts", name, took_s, parts)
        return Summary(status="done", parts=parts, **facts, **_entries(notes)), "made"

    def _write(self, name: str, summary: Summary, outcome: str) -> None:
        text = markdown(name, summary, self._page_url) if summary.status == "done" else None
        self._store.summaries.write(name, summary, text)
        if self._store.edits.signature(name)[0] is None:
            self._store.summaries.remove(name)  # the recording was deleted meanwhile
        self._on_end(outcome)

    def _over(self) -> None:
        if self._trouble.end():
            log.info("The server for summaries works again")


def view_of(store: RecordingStore, name: str, result: dict[str, Any]) -> View | None:
    """What is beside a recording, if it is about the text in its result. Raises StorageError."""
    found = store.summaries.read(name)
    if found is None or found.job_id != result.get("job_id"):
        return None
    return View(found.status, found)


def _entries(notes: Notes) -> dict[str, Any]:
    found: dict[str, Any] = {
        kind: tuple(Entry(text=i.text, time=i.time, who=i.who) for i in getattr(notes, kind))
        for kind in KINDS
    }
    return found | {"summary": notes.overview}
