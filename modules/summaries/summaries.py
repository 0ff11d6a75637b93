"""Summaries of finished texts, made one after the other in a thread of their own.

What is to be summarised is noted on disk when a job ends. No transcript waits for a summary, and
none fails with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modules.clock import Clock, iso
from modules.config.schema import SummaryConfig
from modules.delivery.job_loop import JobLoop
from modules.delivery.outbox import Kind, Outbox
from modules.jobs.backoff import Backoff
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
_STOP_S = 5.0

State = Literal["none", "waiting", "making", "done", "failed"]


@dataclass(frozen=True)
class View:
    """How it stands with the summary of a text. ``summary`` is there for ``done`` and ``failed``;
    ``problem``: why it waits."""

    state: State
    summary: Summary | None = None
    problem: str | None = None


class Summaries(JobLoop):
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
        self._chat = Chat(config, clock)
        outbox = Outbox(folder, clock, Kind.SUMMARY)
        super().__init__(outbox, self._chat.shown, config.model or "", _PAUSES, clock)
        self._config = config
        self._page_url = (config.page_url or page_url).rstrip("/")
        self._store = store
        self._clock = clock
        self._on_end = on_end
        self._making: str | None = None

    @property
    def silent_s(self) -> float:
        """How long the thread has given no sign of life, beyond what an answer may take."""
        return max(0.0, super().silent_s - self._config.timeout_seconds)

    def view(self, name: str, result: dict[str, Any]) -> View:
        """Of the text in a result; that of an earlier one does not count. Raises StorageError."""
        job_id = str(result.get("job_id"))
        if self._making == job_id:
            return View("making")
        if self._notes.holds(job_id):
            return View("waiting", problem=self.problem)
        return view_of(self._store, name, result)

    def start(self) -> None:
        self._chat.start()
        super().start()

    def stop(self) -> None:
        """End the thread; what is being made is broken off and made after the next start."""
        self._loop.ask_to_stop()
        self._chat.stop()
        if not self._loop.stop(_STOP_S):
            log.warning("A summary hangs and is left behind; it is made after a restart")

    # --- one text ---

    def handle(self, name: str, job_id: str) -> None:
        try:
            self._make(name, job_id)
        finally:
            self._making = None

    def _make(self, name: str, job_id: str) -> None:
        self._store.folder.require()
        result = self._store.results.read(name)
        if result is None or result.get("job_id") != job_id:
            self._store.folder.require()  # or it is only the share that is gone
            log.info("%s: not summarised, its text was deleted or replaced", name)
            self._on_end("dropped")
            return
        language = self._language(result)
        with collection.paused():
            segments = self._store.edits.corrected(name, result).text.segments
            lines = lines_of(segments, language)
        if not lines:
            log.info("%s: not summarised, nothing is said in it", name)
            self._on_end("dropped")
            return
        source = self._source(lines, language)
        before = self._store.summaries.read(name)
        is_done = before is not None and before.status == "done"
        if before and is_done and before.made_from == source:
            log.info("%s: its summary is up to date", name)
            self._write(name, before.model_copy(update={"job_id": job_id, "error": None}), "kept")
            return
        self._making = job_id
        started = self._clock.monotonic()
        made, outcome = self._made(name, job_id, lines, source)
        if before and is_done and before.job_id == job_id and made.status == "failed":
            # Of this very text, before it was corrected: better than none.
            made = before.model_copy(update={"error": made.error})
        self._write(name, made, outcome)
        if outcome == "made":
            took_s = self._clock.monotonic() - started
            log.info("%s: summarised in %.0f s, in %d parts", name, took_s, made.parts)

    def _language(self, result: dict[str, Any]) -> str:
        metadata = result.get("metadata") or {}
        spoken = metadata.get("language") or metadata.get("language_detected") or "en"
        return str(spoken) if self._config.language == "auto" else self._config.language

    def _source(self, lines: list[Line], language: str) -> MadeFrom:
        return MadeFrom(
            text_sha256=text_sha256(lines),
            template=f"{self._config.template} {prompts.VERSION}",
            model=self._config.model or "",
            language=language,
        )

    def _made(
        self, name: str, job_id: str, lines: list[Line], source: MadeFrom
    ) -> tuple[Summary, str]:
        """A summary, or what is said in its place; and what it counts as."""
        facts: dict[str, Any] = {
            "job_id": job_id, "made_from": source, "creation_time": iso(self._clock.utc_now()),
        }  # fmt: skip
        summarizer = Summarizer(self._chat, self._config.context_tokens, self._loop.beat)
        try:
            notes, parts = summarizer.summarize(lines, source.language)
        except SummaryError as error:
            log.warning("%s could not be summarised: %s", name, error)
            failure = Failure(code=error.code, message=str(error))
            self.works()
            return Summary(status="failed", error=failure, **facts), "failed"
        self.works()
        return Summary(status="done", parts=parts, **facts, **_entries(notes)), "made"

    def _write(self, name: str, summary: Summary, outcome: str) -> None:
        text = markdown(name, summary, self._page_url) if summary.status == "done" else None
        self._store.summaries.write(name, summary, text)
        if self._store.edits.signature(name)[0] is None:
            self._store.summaries.remove(name)  # the recording was deleted meanwhile
        self._on_end(outcome)


def view_of(store: RecordingStore, name: str, result: dict[str, Any]) -> View:
    """What is beside a recording, if it is about the text in its result. Raises StorageError."""
    found = store.summaries.read(name)
    if found is None or found.job_id != result.get("job_id"):
        return View("none")
    return View(found.status, found)


def text_sha256(lines: Sequence[Line]) -> str:
    """By which it is seen whether a text was corrected since."""
    return hashlib.sha256("\n".join(map(str, lines)).encode("utf-8", "replace")).hexdigest()


def _entries(notes: Notes) -> dict[str, Any]:
    found: dict[str, Any] = {
        kind: tuple(Entry(text=i.text, time=i.time, who=i.who) for i in getattr(notes, kind))
        for kind in KINDS
    }
    return found | {"summary": notes.overview}
