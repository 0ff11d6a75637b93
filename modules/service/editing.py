"""Corrections of finished texts: accepted, kept beside the recording, written into its texts."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modules.clock import Clock, iso
from modules.errors import TranscriberError, noted
from modules.logger import get_logger
from modules.machine import collection
from modules.outputs.formats import render
from modules.outputs.notes import reader_language, text_note
from modules.recordings.edits import Corrected, sha256_of, written_hashes
from modules.recordings.sidecars import RecordingPaths, own_outputs, stem_of
from modules.recordings.store import RecordingStore
from modules.storage.atomic import remove, write_whole
from modules.transcript.edit_log import EditLog, appended
from modules.transcript.model import Segment
from modules.transcript.operations import (
    Confirm,
    Operation,
    SetSpeaker,
    Words,
    segments_named,
)

log = get_logger("Edits")

#: Operations after which the other segments are what and where they were.
_LOCAL = (Words, Confirm, SetSpeaker)
#: Of so many texts: pages ask again and again.
_LOGS_KEPT, _OPS_KEPT = 8, 2_000


@dataclass(frozen=True)
class Change:
    """What became of operations. ``segments``: those that are others than in the version that the
    client had, by id; None where nothing is left of one. ``reload``: more than that is new."""

    version: str
    segments: Mapping[str, Segment | None]
    reload: bool


class Editing:
    """Thread-safe. ``on_change`` is called with the name of a text before it is changed."""

    def __init__(
        self,
        store: RecordingStore,
        clock: Clock,
        timestamps: bool,
        on_change: Callable[[str], None],
        language: str = "auto",
    ) -> None:
        self._store = store
        self._clock = clock
        self._timestamps = timestamps
        self._language = language
        self._on_change = on_change
        #: One text at a time is read, changed and written.
        self._lock = threading.Lock()
        self._logs: dict[str, tuple[object, EditLog]] = {}

    def corrected(self, name: str, result: Mapping[str, Any]) -> Corrected:
        """The text in a ``.result``, with its corrections. Raises StorageError."""
        return self._store.edits.corrected(name, result)

    def corrections(self, name: str) -> EditLog:
        """The log as it applies to the transcript that is there; quick while nothing changes.

        Raises TranscriberError ``no_text_yet``, StorageError.
        """
        signature = self._store.edits.signature(name)
        known = self._logs.get(name)
        if known and known[0] == signature:
            return known[1]
        with collection.paused():
            found = self.corrected(name, self._store.results.require(name)).log
        if len(found.ops) <= _OPS_KEPT:
            with self._lock:
                if len(self._logs) >= _LOGS_KEPT:
                    self._logs.clear()
                self._logs[name] = signature, found
        return found

    def change(self, name: str, version: str, operations: Sequence[Operation]) -> Change:
        """Correct a text. What returns is on the disk; nothing of it is, if this raises.

        Raises TranscriberError: ``no_text_yet``, ``edits_unreadable``, ``edit_conflict``,
        ``edit_depends``, ``too_many_corrections``; StorageError.
        """
        with self._lock, collection.paused():
            result = self._store.results.require(name)
            before = self._store.edits.to_change(name, result)
            now = iso(self._clock.utc_now())
            new, text = appended(
                before.log, before.segments, before.dropped, version, operations, now
            )
            if len(new.ops) > len(before.log.ops):
                self._on_change(name)
                self._write(name, new, result)
        done = new.since(version) or ()
        named = frozenset[str]().union(*(segments_named(each, new.ops) for each in done))
        return Change(
            new.version,
            {key: text.get(key) for key in sorted(named)},
            reload=not all(isinstance(each, _LOCAL) for each in done),
        )

    def write_texts(self, name: str) -> None:
        """Write the texts beside a recording anew, with its corrections.

        One that a person changed or removed since it was written stays as it is. Raises
        StorageError, TranscriberError ``no_text_yet``.
        """
        with collection.paused():
            self._write_texts(name)

    def _write_texts(self, name: str) -> None:
        result = self._store.results.require(name)
        found = self.corrected(name, result)
        if found.unreadable:
            return
        new: dict[str, bytes] = {}
        hashes: dict[str, tuple[str, ...]] = {}
        known = written_hashes(result, self._store.edits, name)
        texts = self._store.results.texts_of(result)
        if texts is None:
            return  # they lie where the configuration leads no longer
        for output in own_outputs(name, _listed(result)):
            content = self._rendered(name, output, found.text.segments, result)
            digest, there = _sha256(content), sha256_of(texts / output)
            if there is None:
                continue
            ours = known.get(output) or {
                _sha256(self._rendered(name, output, found.segments, result))
            }
            if there not in (digest, *ours):
                log.warning("%s was changed by hand and is left as it is", output)
                continue
            # Both, before it is written: whatever interrupts, the file is known to be ours.
            hashes[output] = tuple(dict.fromkeys((there, digest)))
            if there != digest:
                new[output] = content
        self._note_hashes(name, found.log, hashes, result)
        for output, content in new.items():
            write_whole(texts / output, content)
            if not self._has_result(name):
                remove(texts / output)  # it was deleted meanwhile

    def _rendered(
        self, name: str, output: str, segments: Sequence[Segment], result: Mapping[str, Any]
    ) -> bytes:
        form, title = output.rpartition(".")[2], stem_of(name).rpartition("/")[2]
        duration_s = float(result.get("duration_seconds") or "inf")
        note, language = text_note(result, self._language), reader_language(result, self._language)
        return render(form, segments, self._timestamps, duration_s, title, note, language)

    def _note_hashes(
        self,
        name: str,
        seen: EditLog,
        hashes: Mapping[str, tuple[str, ...]],
        result: Mapping[str, Any],
    ) -> None:
        """Also keeps, once and for all, what was carried over to a new transcript."""
        with self._lock:
            kept = self._store.edits.read(name)
            if kept is None:
                return
            log = kept
            if kept.transcript_sha256 != seen.transcript_sha256 and kept.is_for(seen.fingerprint):
                log = self._store.edits.to_change(name, self._store.results.require(name)).log
            changed = {key: each for key, each in hashes.items() if kept.outputs.get(key) != each}
            if changed or log is not kept:
                new = log.model_copy(update={"outputs": {**log.outputs, **changed}})
                self._write(name, new, result)

    def _write(self, name: str, log: EditLog, result: Mapping[str, Any]) -> None:
        """A recording that was deleted meanwhile leaves nothing behind."""
        is_new = not self._store.edits.are_there(name)
        job_id = result.get("job_id")
        self._store.edits.write(name, log.model_copy(update={"job_id": job_id}))
        if is_new and not self._has_result(name) and not self._store.folder.is_there(name):
            remove(self._store.folder.sidecar_at(RecordingPaths(name).edits))
            raise TranscriberError("gone", noted("{name!r} was deleted meanwhile.", name=name))

    def _has_result(self, name: str) -> bool:
        return self._store.edits.signature(name)[0] is not None


def _listed(result: Mapping[str, Any]) -> list[Any]:
    listed = result.get("outputs")
    return listed if isinstance(listed, list) else []


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
