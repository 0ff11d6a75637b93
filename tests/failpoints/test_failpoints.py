"""Every file-system call of a recording's life fails once, and the process dies around each.

Enumerated, not sampled. A story is one life of a recording. It is told once undisturbed; then, for
each of its calls, once with every error and every death at that call. It must end as it did
undisturbed, and no chunk more than the one in hand may be made again.

What ``make test`` leaves to ``make soak``:

- Errors at a call that an earlier story makes as well: from the same place in the program, by the
  same way to it, on the same file. The deaths are not left out.
- For a call that only reads, other errors than EIO and, for folders, EACCES; and deaths: as long
  as nothing was changed, a death leaves the same as one after the last change did. The same holds
  for a death before a call and for one after a sync.
- EROFS and EACCES from a sync.
"""

from __future__ import annotations

import functools
import gc
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from modules.runner import runner
from modules.storage.atomic import TEMPORARY_PREFIX
from tests.disk import WRITES, Call, Fault
from tests.failpoints.stories import STORIES
from tests.failpoints.verdict import compare, faults_at, named
from tests.failpoints.world import STRANGERS, Story, World

SHOWN = 20
#: Or the shim has lost sight of something, and all would be well with nothing tried.
SEEN = frozenset({"open", "stat", "lstat", "listdir", "scandir", "mkdir", "unlink"})
CASES_MIN = 30


class Place(NamedTuple):
    """Where a call comes from, and what it is about."""

    function: str
    path: str
    way: tuple[tuple[str, int], ...]


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """In memory where that can be had: these are a hundred thousand files."""
    memory = Path("/dev/shm")
    with (
        pytest.MonkeyPatch.context() as patched,
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder,
    ):
        patched.setattr(runner, "_IDLE_TICK_S", 0)
        logging.disable()
        gc.freeze()  # a great many short lives; what was there before need not be looked at
        yield Path(os.path.realpath(folder))
        gc.unfreeze()
        logging.disable(logging.NOTSET)


# A process that is dead closes its generators nevertheless.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <generator object HeldSettings.changes"
    ":pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("story", STORIES, ids=str)
def test_no_failing_call_and_no_death_changes_how_it_ends(story: Story, root: Path) -> None:
    undisturbed, places, problem = told(root, story)
    assert not problem, f"undisturbed: {problem}"
    assert sorted(undisturbed.ended) == sorted((*STRANGERS, *story.ends))
    seen = {call.function for call in undisturbed.disk.calls}
    assert seen >= SEEN, f"the shim does not see {SEEN - seen}"
    known: set[Place] = set()
    for other in STORIES[: STORIES.index(story)]:
        known.update(told(root, other)[1])
    wrong, cases = [], 0
    for call, place in zip(undisturbed.disk.calls, places, strict=False):
        for fault in faults_at(call, place in known):
            cases += 1
            problem = disturbed(root, story, call, fault, undisturbed)
            if problem:
                where = f"{call.path} {call.target}".replace(f"{root}/", "")
                wrong.append(f"{call.number} {call.function} {where} {named(fault)}: {problem}")
    shown = "\n".join(wrong[:SHOWN])
    assert cases > CASES_MIN, f"only {cases} cases were tried"
    assert not wrong, f"{story}: {len(wrong)} of {cases} cases went wrong\n{shown}"


@functools.cache
def told_by_name(root: Path, name: str) -> tuple[World, list[Place], str | None]:
    world = World(root, next(story for story in STORIES if story.name == name))
    places: list[Place] = []
    try:
        world.tell(lambda call: places.append(place_of(call)))
    except AssertionError as wrong:
        return world, places, str(wrong)  # told by its own test; others only want its places
    return world, places, None


def told(root: Path, story: Story) -> tuple[World, list[Place], str | None]:
    """The world after the story was told undisturbed; where each of its calls came from; what is
    wrong with it even so."""
    return told_by_name(root, story.name)


def place_of(call: Call) -> Place:
    way = []
    frame = sys._getframe()
    while frame.f_back:
        frame = frame.f_back
        if frame.f_globals.get("__name__", "").startswith("modules."):
            way.append((frame.f_code.co_qualname, frame.f_lineno))
    path = re.sub(f"({re.escape(TEMPORARY_PREFIX)}|msg_)[^/]*", "", call.path)
    return Place(call.function, path, tuple(way))


def disturbed(root: Path, story: Story, call: Call, fault: Fault, undisturbed: World) -> str | None:
    """What is wrong after the story was told with this fault at this call; None if nothing is."""
    world = World(root, story)
    try:
        world.tell(lambda other: fault if other.number == call.number else None)
        compare(world.ended, undisturbed.ended, died=fault.dies is not None)
        made, needed = world.processor.chunks_made, undisturbed.processor.chunks_made
        assert len(made) <= len(needed) + 1, f"chunks were made again: {made}"
    except Exception as problem:  # noqa: BLE001 - whatever it is, it is told with its call
        said = f"{type(problem).__name__}: {problem}"
        return said.partition("\n")[0].replace(f"{root}/", "")
    return None


def test_what_gets_its_name_was_synced_before(root: Path) -> None:
    """Or a power failure could leave an empty file under the name of a whole one."""
    named_ones = 0
    for story in STORIES:
        unsynced: set[str] = set()
        for call in told(root, story)[0].disk.calls:
            if call.function in WRITES:
                unsynced.add(call.path)
            elif "sync" in call.function:
                unsynced.discard(call.path)
            elif call.function in ("replace", "rename", "link"):
                named_ones += TEMPORARY_PREFIX in call.path
                assert call.path not in unsynced, f"{story}: {call} was not synced"
    assert named_ones > 50
