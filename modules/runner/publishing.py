"""Texts and the result, written beside a recording."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modules.errors import StorageError, TranscriberError, noted
from modules.jobs.job import Job
from modules.logger import get_logger
from modules.outputs.formats import render
from modules.outputs.notes import reader_language, sentence, text_note, warnings_of
from modules.outputs.segments_json import with_segments
from modules.recordings.edits import sha256_of, written_hashes
from modules.recordings.results import OUTPUTS_DIRECTORY
from modules.recordings.sidecars import RESULT_BYTES_MAX, RecordingPaths, stem_of
from modules.recordings.store import RecordingStore
from modules.storage import beneath
from modules.storage.atomic import storage_errors, to_json, write_new, write_own, write_whole
from modules.storage.safe_open import read_regular
from modules.storage.transfer import is_taken
from modules.transcript.model import Segment

log = get_logger("FileManager")

#: More than a word, a segment and a character of them take in a result.
_WORD_BYTES, _SEGMENT_BYTES, _CHAR_BYTES = 400, 800, 12
#: So often another name is looked for, as somebody takes them while a text is written.
_TRIES = 20


class Publisher:
    """Writes what becomes of a transcript. Raises StorageError while the share cannot be used.

    ``language``: the setting ``messages.language``.
    """

    def __init__(self, store: RecordingStore, language: str = "auto") -> None:
        self._language = language
        self._folder = store.folder
        self._results = store.results
        self._edits = store.edits

    def publish(
        self, job: Job, segments: Iterable[Segment], result: dict[str, Any], timestamps: bool
    ) -> None:
        """Write the texts and then the ``.result``, each whole; ``segments`` go into all of them.

        The texts have the corrections of an earlier transcript where they fit this one, too.
        ``result["outputs"]`` were planned and saved with the job before, so that a crash between
        two of them leaves nothing that the next run takes for another program's. A text that cannot
        be made is left out, and the result says so: the transcript is worth more. Raises
        TranscriberError for a result that could not be read again; then nothing is written.
        """
        self._folder.require()
        hashes = result["outputs_sha256"] = dict.fromkeys(result["outputs"], "0" * 64)
        _check_size(segments, result)
        hashes.clear()
        if self._folder.texts != self._folder.path:
            result[OUTPUTS_DIRECTORY] = str(self._folder.texts)
        before = self._earlier(job.name)
        title, duration_s = stem_of(job.name).rpartition("/")[2], result["duration_seconds"]
        note, language = text_note(result, self._language), reader_language(result, self._language)
        ours = self._ours(job.name)
        shown = self._corrected(job.name, segments, result)
        for output in list(result["outputs"]):
            form = output.rpartition(".")[2]
            try:
                content = render(form, shown, timestamps, duration_s, title, note, language)
            except Exception as error:
                log.exception("%s could not be made", output)
                _leave_out(result, output, error)
            else:
                name = self._write_text(job.name, output, content, ours)
                result["outputs"][result["outputs"].index(output)] = name
                hashes[name] = hashlib.sha256(content).hexdigest()
        _keep_earlier(result, before)
        sidecar = self._folder.sidecar_at(RecordingPaths(job.name).result)
        write_own(self._folder.ready(sidecar), with_segments(result, segments))
        for each in warnings_of(result):
            log.warning("%s: check the text: %s", job.name, sentence(each, "en"))

    def _ours(self, name: str) -> list[str]:
        """The texts of the last result that nobody has changed since they were written."""
        known = written_hashes(self._results.read(name) or {}, self._edits, name)
        at = self._folder.text_at
        return [
            output
            for output in self._results.outputs(name)
            if output not in known or sha256_of(at(output)) in (None, *known[output])
        ]

    def _corrected(
        self, name: str, segments: Iterable[Segment], result: dict[str, Any]
    ) -> Iterable[Segment]:
        """Only what has corrections is held in memory as a whole."""
        if not self._edits.are_there(name):
            return segments
        return self._edits.segments(name, list(segments), result)

    def _write_text(self, name: str, planned: str, content: bytes, ours: Sequence[str]) -> str:
        """Write a text under the planned name, or another if it was taken since it was planned.

        Only a text of ours is replaced. What a crashed run of this job wrote has the same content.
        """
        chosen = planned
        for _ in range(_TRIES):
            path = self._folder.ready(self._folder.text_at(chosen))
            if chosen in ours:
                write_whole(path, content)
                return chosen
            with storage_errors(path):
                if is_taken(path) and _holds(path, content):
                    return chosen
            if write_new(path, content):
                return chosen
            chosen = self._results.another_output(name, planned, ours)
        raise StorageError(
            "storage_error", noted("Somebody else writes {path} again and again.", path=planned)
        )

    def _earlier(self, name: str) -> dict[str, str | None]:
        """The texts that the last result lists and that are there, with their hashes."""
        noted = (self._results.read(name) or {}).get("outputs_sha256")
        hashes = noted if isinstance(noted, dict) else {}
        listed = self._results.outputs(name)
        return {each: hashes.get(each) for each in listed if self._is_there(each)}

    def _is_there(self, output: str) -> bool:
        path = self._folder.text_at(output)
        with storage_errors(path):
            return is_taken(path)


def _leave_out(result: dict[str, Any], output: str, error: Exception) -> None:
    result["outputs"].remove(output)
    why = f"output: {output} could not be made ({error})"
    result["metadata"].setdefault("notes", []).append(why)


def _keep_earlier(result: dict[str, Any], before: Mapping[str, str | None]) -> None:
    """Texts of earlier results, in another language or format, are still ours.

    They are not written any more, and go when the recording does.
    """
    earlier = {each: found for each, found in before.items() if each not in result["outputs"]}
    if earlier:
        result["earlier_outputs"] = list(earlier)
        result["outputs_sha256"] |= {each: found for each, found in earlier.items() if found}


def _check_size(segments: Iterable[Segment], result: dict[str, Any]) -> None:
    """Raises TranscriberError if the result would be larger than what is read of one."""
    facts, text = result["metadata"], result["transcription"]["text"]
    estimate = _WORD_BYTES * facts.get("word_count", 0) + _CHAR_BYTES * len(text)
    estimate += _SEGMENT_BYTES * facts.get("segment_count", 0) + len(to_json(result))
    if estimate <= RESULT_BYTES_MAX:
        return  # nearly always, and quicker than to make all of it
    size = sum(map(len, with_segments(result, segments)))
    if size > RESULT_BYTES_MAX:
        raise TranscriberError(
            "result_too_large",
            noted(
                "The result would have {size} MB, and can have {result_bytes_max}.",
                size=size >> 20,
                result_bytes_max=RESULT_BYTES_MAX >> 20,
            ),
            remedy=noted("Cut the recording into shorter ones."),
            permanent=True,
        )


def _holds(path: Path, content: bytes) -> bool:
    """Whether a regular file has exactly this content."""
    facts = beneath.lstat(path)
    if not stat.S_ISREG(facts.st_mode) or facts.st_size != len(content):
        return False
    return read_regular(path, len(content)) == content
