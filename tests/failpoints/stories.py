"""The lives of a recording: what begins them, what is asked meanwhile, and what they come to."""

from __future__ import annotations

import contextlib
import functools

from modules.config.schema import RetentionConfig
from modules.errors import StorageError, TranscriberError, WorkerError
from modules.intake.request import TranscriptionRequest
from modules.jobs.job import Status
from modules.service import folder_orders
from modules.service.retention import Retention
from tests.failpoints import scenery
from tests.failpoints.scenery import OTHER, OWN, RECEIVER, RESULT, TALK
from tests.failpoints.world import SOUND, Life, Story, World
from tests.fakes import Plan

# --- what clients ask for ---------------------------------------------------------------------


def force(world: World, life: Life) -> None:
    life.submitter.submit(
        TranscriptionRequest(TALK, client="me", force=True, callback_urls=RECEIVER)
    )


def leave_an_order(world: World, life: Life) -> None:
    folder_orders.place(world.shared, TALK, world.clock)


def bring_back(world: World, life: Life) -> None:
    try:
        life.submitter.bring_back(TALK, "me")
    except TranscriberError as error:
        # It was brought back, but the process died before it could say so.
        if error.code not in ("name_taken", "file_not_found"):
            raise


def remove(world: World, life: Life) -> None:
    life.intake.requests.remove(TALK)


def remove_what_runs(world: World, life: Life) -> bool:
    """From the second chunk on, and until it is answered."""
    world.meddled = world.meddled or _has_a_chunk(life)
    if world.meddled:
        life.intake.requests.remove(TALK)
    return world.meddled


def upload(world: World, life: Life) -> None:
    try:
        file = life.uploads.open()
    except OSError as error:
        raise StorageError("storage_error", str(error)) from error
    try:
        file.write(SOUND)
        life.uploads.land(file, "talk.mp3", rename=False)
    except OSError as error:
        raise StorageError("storage_error", str(error)) from error
    except TranscriberError as error:
        if error.code != "name_taken":  # it had landed when the process died
            raise
    finally:
        with contextlib.suppress(OSError):
            life.uploads.discard(file)


def send_the_rest(world: World, life: Life) -> None:
    uploads = life.resumable
    state = uploads.state(scenery.UPLOAD)
    while state.filename is None:
        writer = uploads.receive(scenery.UPLOAD, state.offset)
        try:
            writer.append(SOUND[state.offset : state.offset + 300])
        except OSError as error:
            writer.close()
            raise StorageError("storage_error", str(error)) from error
        state = uploads.received(writer)


def let_old_go(world: World, life: Life) -> bool:
    """As the daemon does it, until nothing is left of it in the folder."""
    rules = RetentionConfig(recordings_days=30, results_days=30)
    config = world.config.model_copy(update={"retention": rules})
    with contextlib.suppress(OSError, StorageError):
        Retention(config, life.files, life.intake.requests, world.clock).look()
        left = (RESULT, ".transcriber/trash/2023-10-01")
        return not any((world.shared / each).exists() for each in left)
    return False


# --- what people do with the files ------------------------------------------------------------


def _has_a_chunk(life: Life) -> bool:
    job = life.scheduler.get(TALK)
    return bool(job and job.status is Status.RUNNING and job.position_s)


def replace_what_runs(world: World, life: Life) -> None:
    if not world.meddled and _has_a_chunk(life):
        world.meddled = True
        world.put(world.shared, TALK, OTHER)


def mend_settings(world: World, life: Life) -> None:
    job = life.scheduler.get(TALK)
    if not world.meddled and job and job.error and job.error.code == "invalid_settings":
        world.meddled = True
        world.put(world.shared, OWN, b"beam_size: 3")


# --- how it ends ------------------------------------------------------------------------------

DONE = tuple(f"shared/calls/talk.{end}" for end in ("mp3", "mp3.result", "srt", "txt"))
UPLOADED = ("shared/talk.mp3", "shared/talk.mp3.result", "shared/talk.srt", "shared/talk.txt")
OWN_THERE = f"shared/{OWN}"
CALLBACK = "shared/.transcriber/callbacks/msg-0.json"
BESIDE = (".error.txt", ".in_progress", ".settings.yaml")
MOVED = (
    *(f"manual/{TALK}{end}" for end in ("", ".result", *BESIDE)),
    "manual/calls/.talk.mp3.checkpoint",
    "manual/calls/talk.txt",
)
NUMBERED = (
    *(f"manual/calls/talk (2).mp3{end}" for end in ("", ".result", *BESIDE)),
    "manual/calls/.talk (2).mp3.checkpoint",
    "manual/calls/talk.txt",
    f"manual/{TALK}",
    f"manual/{RESULT}",
)
OLD = (
    "shared/.transcriber/retention.json",
    *(
        f"shared/.transcriber/trash/2024-01-01/calls/talk.{end}"
        for end in ("mp3", "mp3.edit.json", "mp3.result", "mp3.settings.yaml", "txt")
    ),
)
FAILS = Plan(chunks=9, error=WorkerError("worker_hung", "It hung."), error_after=1)

#: The first one that makes a call has it fail; so those come first that have most to lose by it.
STORIES = [
    Story(
        "killed while it ran",
        scenery.killed_while_it_ran,
        ends=(*DONE, "shared/.transcriber/corrupt/torn.mp3.in_progress"),
    ),
    Story("found", scenery.found, ends=(*DONE, OWN_THERE)),
    Story(
        "ordered anew over an older result",
        scenery.found_with_old_result,
        ask=force,
        ends=(*DONE, OWN_THERE, CALLBACK),
    ),
    Story("ordered through the folder", scenery.found, ask=leave_an_order, ends=(*DONE, OWN_THERE)),
    Story("failing", functools.partial(scenery.failed_before, 1), plan=FAILS, ends=MOVED),
    Story(
        "failing, two volumes",
        functools.partial(scenery.failed_before, 2),
        plan=FAILS,
        volumes=True,
        ends=MOVED,
    ),
    Story(
        "failing, name taken",
        scenery.name_taken_in_manual,
        plan=FAILS,
        treasures=(SOUND, OTHER),
        ends=NUMBERED,
    ),
    Story(
        "killed after the result",
        scenery.killed_after_the_result,
        ends=("shared/calls/talk.mp3", "shared/calls/talk.mp3.result", CALLBACK),
    ),
    Story(
        "killed after the move",
        scenery.killed_after_the_move,
        ends=(*(f"manual/{TALK}{end}" for end in ("", *BESIDE)), CALLBACK),
    ),
    Story("brought back", scenery.given_up, ask=bring_back, ends=(*DONE, OWN_THERE, CALLBACK)),
    Story(
        "brought back, two volumes",
        scenery.given_up,
        ask=bring_back,
        volumes=True,
        ends=(*DONE, OWN_THERE, CALLBACK),
    ),
    Story("deleted", scenery.done, ask=remove, treasures=()),
    Story("deleted while it runs", scenery.found, ask=remove_what_runs, treasures=()),
    Story(
        "replaced while it runs",
        scenery.found,
        meddle=replace_what_runs,
        treasures=(),
        ends=(*DONE, OWN_THERE),
    ),
    Story("settings mended", scenery.wrong_settings, meddle=mend_settings, ends=(*DONE, OWN_THERE)),
    Story("old", scenery.old, ask=let_old_go, ends=OLD),
    Story(
        "uploaded",
        scenery.nothing,
        ask=upload,
        treasures=(),
        ends=UPLOADED,
    ),
    Story(
        "uploaded in pieces",
        scenery.half_an_upload,
        ask=send_the_rest,
        treasures=(),
        ends=(*UPLOADED, f"shared/.transcriber/uploads/{scenery.UPLOAD}.json"),
    ),
]
