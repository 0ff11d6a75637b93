"""What lies in the folders when a story begins."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from modules.jobs.job import ErrorInfo, Job, Priority
from modules.recordings.partial_uploads import UploadNote
from modules.recordings.store import RecordingStore
from modules.storage.atomic import TEMPORARY_PREFIX
from tests.builders import a_chunk, a_job
from tests.failpoints.world import SOUND, World

OTHER = b"\0other sound" * 40
TALK = "calls/talk.mp3"
RESULT, OWN = f"{TALK}.result", f"{TALK}.settings.yaml"
RECEIVER = ("http://receiver/",)


def nothing(world: World) -> None:
    (world.shared / "calls").mkdir(exist_ok=True)


UPLOAD = "0123456789abcdef" * 2


def half_an_upload(world: World) -> None:
    nothing(world)
    note = UploadNote(length=len(SOUND), metadata="filename dGFsay5tcDM=", client="me", rename=True)
    for ending, content in ((".part", SOUND[:100]), (".json", note.model_dump_json().encode())):
        path = world.put(world.shared, f".transcriber/uploads/{UPLOAD}{ending}", content)
        path.touch()


def found(world: World) -> None:
    world.put(world.shared, TALK)
    world.put(world.shared, OWN, b"beam_size: 3")


def wrong_settings(world: World) -> None:
    world.put(world.shared, TALK)
    world.put(world.shared, OWN, b"beam_size: 99")


def old_result(world: World, root: Path) -> None:
    """A text and a result of an earlier life, from other bytes."""
    listed = {"outputs": ["calls/talk.txt"], "source": None, "filename": TALK}
    world.put(root, RESULT, json.dumps(listed).encode())
    world.put(root, "calls/talk.txt", b"old text")


def found_with_old_result(world: World) -> None:
    found(world)
    old_result(world, world.shared)


def failed_before(times: int, world: World) -> None:
    """So many attempts have failed, and the next begins at once."""
    found_with_old_result(world)
    job = job_of_an_earlier_life(world)
    for number in range(1, times + 1):
        info = ErrorInfo(code="x", message="x", timestamp="", attempt=number, retry_after=0.0)
        now = world.clock.utc_now()
        job = job.open_attempt(now).close_attempt("failed", now, 1.0, info)
    RecordingStore(world.shared, world.manual).states.save(job)


def name_taken_in_manual(world: World) -> None:
    failed_before(2, world)
    world.put(world.manual, TALK, OTHER)
    world.put(world.manual, RESULT, b'{"theirs": true}')


def job_of_an_earlier_life(world: World, **changes: Any) -> Job:
    """Its ``.in_progress``, as a process that was killed left it."""
    files = RecordingStore(world.shared, world.manual)
    files.prepare()
    source = files.folder.identity(TALK) if files.folder.is_there(TALK) else None
    facts: dict[str, Any] = {"settings": world.config.default_settings(), "source": source}
    job = a_job(TALK, **(facts | changes))
    files.states.save(job)
    return job


def killed_while_it_ran(world: World) -> None:
    """One chunk is in the checkpoint, the next is torn; temporary and corrupt files lie about."""
    world.put(world.shared, TALK)
    job = job_of_an_earlier_life(world)
    job = job.open_attempt(world.clock.utc_now())
    files = RecordingStore(world.shared, world.manual)
    files.states.save(job)
    writer = files.states.open_checkpoint(job, files.states.read_checkpoint(job))
    writer.append(a_chunk(0))
    writer.close()
    with files.states.checkpoint_path(TALK).open("ab") as torn:
        torn.write(b'{"start_s": 10.0, "posi')
    world.put(world.shared, f"calls/{TEMPORARY_PREFIX}1", b"half")
    world.put(world.shared, f".transcriber/uploads/{TEMPORARY_PREFIX}2", b"half")
    world.put(world.manual, f"{TEMPORARY_PREFIX}3", b"half")
    world.put(world.shared, "calls/torn.mp3.in_progress", b'{"filename": "ca')


def killed_after_the_result(world: World) -> None:
    """All that was left to do is to remove the state, and to tell who asked."""
    world.put(world.shared, TALK)
    job = job_of_an_earlier_life(world, priority=Priority.API, callback_urls=RECEIVER)
    source = job.source.model_dump() if job.source else None
    result = {"job_id": job.job_id, "source": source, "outputs": [], "filename": TALK}
    world.put(world.shared, RESULT, json.dumps(result).encode())


def given_up(world: World) -> None:
    """A recording in ``manual/``, ordered with wishes and a callback, with all that is its own."""
    nothing(world)
    settings = world.config.default_settings().model_copy(update={"beam_size": 7})
    job_of_an_earlier_life(world, priority=Priority.API, callback_urls=RECEIVER, settings=settings)
    path = world.shared / f"{TALK}.in_progress"
    content = json.loads(path.read_bytes()) | {"status": "error", "moved_to_manual": True}
    path.unlink()
    world.put(world.manual, TALK)
    world.put(world.manual, f"{TALK}.in_progress", json.dumps(content).encode())
    world.put(world.manual, f"{TALK}.error.txt", b"It did not work.")
    world.put(world.manual, OWN, b"beam_size: 3\nvad_onset: 0.4")


def killed_after_the_move(world: World) -> None:
    given_up(world)
    shutil.copy2(world.manual / f"{TALK}.in_progress", world.shared / f"{TALK}.in_progress")


def done(world: World) -> None:
    """A recording with its result and a text that it lists; another of its name is in manual/."""
    found(world)
    source = RecordingStore(world.shared, world.manual).folder.identity(TALK).model_dump()
    listed = {"outputs": ["calls/talk.txt"], "source": source, "filename": TALK}
    world.put(world.shared, RESULT, json.dumps(listed).encode())
    world.put(world.shared, "calls/talk.txt", b"text")
    world.put(world.manual, TALK, OTHER)
    world.put(world.manual, f"{TALK}.error.txt", b"It did not work.")


def old(world: World) -> None:
    """A recording whose text is 47 days old, and trash that is older; seen on fifty days."""
    found(world)
    source = RecordingStore(world.shared, world.manual).folder.identity(TALK).model_dump()
    listed = {"outputs": ["calls/talk.txt"], "source": source, "filename": TALK}
    result = world.put(world.shared, RESULT, json.dumps(listed).encode())
    world.put(world.shared, "calls/talk.txt", b"text")
    world.put(world.shared, f"{TALK}.edit.json", b'{"format": 1}')
    since = {"since": 10, "changed": result.stat().st_mtime_ns}
    world.put(world.shared, f".transcriber/trash/2023-10-01/{TALK}", OTHER)
    seen = {TALK: since, f"/{TALK}": since, "trash/2023-10-01": since}
    ledger = {"count": 59, "day": "2023-12-31", "seen": seen}
    world.put(world.shared, ".transcriber/retention.json", json.dumps(ledger).encode())
