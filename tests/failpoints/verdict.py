"""What goes wrong with a call, and whether a story ended as it should."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.disk import WRITES, Call, Fault
from tests.soak import SOAKING

ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES)
#: What fsync can say; that a folder may not be written to was said by an earlier call.
SYNC_ERRORS = (errno.ENOSPC, errno.EIO)
#: What may not be read is passed by, so that here a denial is not what any other error is.
_OF_FOLDERS = frozenset({"scandir", "listdir"})
#: What a result, a state and a message say that does not depend on the run.
_LASTING = frozenset(
    {"filename", "source", "settings", "transcription", "outputs", "status", "moved_to_manual",
     "payload", "theirs", "callback_urls", "priority"}
)  # fmt: skip


def faults_at(call: Call, known: bool) -> Iterator[Fault]:
    """Everything that can happen at a call; see the test for what is left out and when."""
    if SOAKING or (call.changes and not known):
        syncs = "sync" in call.function and not SOAKING
        yield from (Fault(error) for error in (SYNC_ERRORS if syncs else ERRORS))
    elif not known:
        yield Fault(errno.EIO)
        if call.function in _OF_FOLDERS:
            yield Fault(errno.EACCES)
    if call.function in WRITES:
        if SOAKING or not known:
            yield Fault(errno.ENOSPC, torn=True)
        yield Fault(dies="within")
    if SOAKING or (call.changes and "sync" not in call.function):
        yield Fault(dies="after")
    if SOAKING:
        yield Fault(dies="before")


def named(fault: Fault) -> str:
    error = errno.errorcode[fault.error] if fault.error else ""
    return f"{'torn ' if fault.torn else ''}{error}{f'dies {fault.dies}' if fault.dies else ''}"


def essence(files: Mapping[str, bytes]) -> dict[str, Any]:
    """What must not depend on what went wrong: all files, without times and ids."""
    told = {re.sub("msg_[^.]*-", "msg-", name): _of(name, files[name]) for name in sorted(files)}
    assert len(told) == len(files), f"a message is there twice: {sorted(files)}"
    return told


def _of(name: str, content: bytes) -> Any:
    if name.endswith((".checkpoint", ".error.txt")):
        return bool(content)  # how far it came, and when, may differ
    if not name.endswith((".result", ".in_progress", ".json")) or b"{" not in content:
        return content
    try:
        whole = json.loads(content)
    except ValueError:
        return content
    lasting = {key: value for key, value in whole.items() if key in _LASTING}
    if lasting.get("source"):
        lasting["source"] = {**lasting["source"], "mtime_ns": "any"}  # an upload has that of now
    attempts = whole.get("processing_stats", {}).get("total_attempts", whole.get("attempt", 0))
    return lasting | {"attempts": attempts}


def compare(ended: Mapping[str, Any], right: Mapping[str, Any], died: bool) -> None:
    """Raises AssertionError where a story ended otherwise than it does undisturbed.

    A death, not an error, may count as an attempt: where one stood open that had not finished a
    chunk, which is how a recording is found out that kills the machine.
    """
    ours, theirs = dict(ended), dict(right)
    if died:
        for each in (ours, theirs):
            [each.pop(name) for name in list(each) if name.endswith(".checkpoint")]
    assert ours.keys() == theirs.keys(), f"{sorted(ours.keys() ^ theirs.keys())}"
    for name, wanted in theirs.items():
        found = ours[name]
        if died and isinstance(wanted, dict):
            found, wanted = {**found}, {**wanted}
            counts = [each.pop("attempts") for each in (found, wanted)]
            assert 0 <= counts[0] - counts[1] <= 1, f"{name}: attempts {counts}"
        if isinstance(wanted, dict):
            both = wanted.keys() | found.keys()
            found, wanted = (
                {k: e.get(k) for k in both if found.get(k) != wanted.get(k)}
                for e in (found, wanted)
            )
        assert found == wanted, f"{name}: {found} instead of {wanted}"
