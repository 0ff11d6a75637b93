"""Files that a stranger plants where the program reads or writes: every place, every kind."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import stat
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.jobs.index import JobIndex
from modules.jobs.job import Attempt, Priority
from modules.recordings.state import job_to_json
from tests.builders import a_job
from tests.hostile.journals import hot_journal, with_super_journal

VICTIM = "victim.mp3"
_ID = "0123456789abcdef" * 2
_STATE = "shared/.transcriber"
#: Where the program reads or writes, with what it expects there.
PLACES: dict[str, str] = {
    f"shared/{VICTIM}.in_progress": "state",
    f"shared/.{VICTIM}.checkpoint": "checkpoint",
    f"shared/{VICTIM}.result": "result",
    f"shared/{VICTIM}.error.txt": "text",
    f"shared/{VICTIM}.settings.yaml": "settings",
    f"shared/{VICTIM}.summary.json": "text",
    f"shared/{VICTIM}.summary.md": "text",
    "shared/victim.txt": "text",
    "shared/victim.srt": "text",
    f"{_STATE}/owner.json": "owner",
    f"{_STATE}/lock": "text",
    f"{_STATE}/epoch.json": "owner",
    f"{_STATE}/epoch.lock": "text",
    f"{_STATE}/standbys": "text",
    f"{_STATE}/replicas": "text",
    f"{_STATE}/replicas/{_ID}.json": "errand",
    f"{_STATE}/writable": "text",
    f"{_STATE}/speed.json": "speed",
    f"{_STATE}/ignored.jsonl": "ignored",
    f"{_STATE}/jobs.sqlite": "text",
    f"{_STATE}/jobs.sqlite-journal": "text",
    f"{_STATE}/jobs.sqlite-wal": "text",
    f"{_STATE}/jobs.sqlite-shm": "text",
    f"{_STATE}/orders/{_ID}.json": "order",
    f"{_STATE}/errands/{_ID}.json": "errand",
    f"{_STATE}/errands/{_ID}.answer": "errand",
    f"{_STATE}/unanswered/{_ID}.json": "note",
    f"{_STATE}/callbacks/msg_{_ID}.json": "callback",
    f"{_STATE}/callbacks/failed": "text",
    f"{_STATE}/handover/msg_transcript-{_ID}.json": "callback",
    f"{_STATE}/handover": "text",
    f"{_STATE}/summaries/msg_summary-{_ID}.json": "callback",
    f"{_STATE}/summaries": "text",
    f"{_STATE}/orders": "text",
    f"{_STATE}/errands": "text",
    f"{_STATE}/unanswered": "text",
    f"{_STATE}/callbacks": "text",
    f"{_STATE}/uploads": "text",
    f"{_STATE}/uploads/{_ID}.json": "upload",
    f"{_STATE}/uploads/{_ID}.part": "text",
    f"{_STATE}/corrupt": "text",
    f"manual/{VICTIM}": "text",
    f"manual/{VICTIM}.in_progress": "state",
    f"manual/{VICTIM}.error.txt": "text",
    f"manual/{VICTIM}.settings.yaml": "settings",
}
MOMENTS = ("before the start", "while it waits", "while it runs", "while it is published")
#: Values that a reader does not expect, for any key.
VALUES: tuple[Any, ...] = (
    None, True, -1, 10**400, 1e308, -0.0, float("nan"), float("inf"), "", "x" * 100_000, [], {},
    "\x1b]0;you\x07\x1b[2J\r\nHost: evil", "../../outside/new", "/etc/passwd", "a/b", "a\r\nb: c",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0" * 5000, "\udcff", "\0",
    ["http://127.0.0.1:9/"] * 100_000, [[[[]]]], {"a": {"b": {}}}, [1e999], "a/" * 20_000 + "b.mp3",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """What is planted where and when; all of it follows from the seed."""

    seed: int
    place: str
    kind: str
    moment: str

    def __str__(self) -> str:
        return f"{self.seed}: {self.kind} as {self.place} {self.moment}"


def case(seed: int) -> Case:
    """Neighbouring seeds differ in place, kind and moment."""
    dice = random.Random(f"planted {seed}")
    return Case(seed, list(PLACES)[seed % len(PLACES)], dice.choice(KINDS), dice.choice(MOMENTS))


def plant(root: Path, planted: Case) -> None:
    """Put it there, in the place of what lies there. Raises OSError where that cannot be made."""
    path = root / planted.place
    path.parent.mkdir(parents=True, exist_ok=True)
    if stat.S_ISDIR(_mode(path)):
        os.rename(path, path.with_name(f"{path.name}.moved"))
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    dice = random.Random(f"content {planted.seed}")
    made = _SPECIAL.get(planted.kind)
    if made:
        made(path, root)
    else:
        path.write_bytes(_content(planted, dice))


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except OSError:
        return 0


def _sparse(path: Path, root: Path) -> None:
    path.touch()
    try:
        os.truncate(path, 2**40)
    except OSError:
        os.truncate(path, 2**33)


def _socket(path: Path, root: Path) -> None:
    here = os.open(path.parent, os.O_PATH)
    try:  # the name of a socket has 107 bytes at most
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f"/proc/self/fd/{here}/{path.name}")
    finally:
        os.close(here)


def _device(path: Path, root: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        path.symlink_to("/dev/zero")


def _journal(path: Path, root: Path) -> None:
    """Of SQLite, so made that it has a file outside deleted when it is played back."""
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "jobs.sqlite"
        with closing(JobIndex(database)) as index:
            index.note("a", VICTIM, None, "2024-01-01T00:00:00.000Z")
        content = hot_journal(database)
    path.write_bytes(with_super_journal(content, root / "outside" / "secret.json"))


def _full_folder(path: Path, root: Path) -> None:
    path.mkdir()
    (path / "inside.json").write_bytes(b"{}")


def _deep_folders(path: Path, root: Path) -> None:
    here = os.getcwd()
    path.mkdir()
    try:
        os.chdir(path)
        for _ in range(300):  # far deeper than a path may be long
            os.mkdir("d" * 100)
            os.chdir("d" * 100)
    finally:
        os.chdir(here)


_SPECIAL: dict[str, Callable[[Path, Path], None]] = {
    "sparse": _sparse,
    "FIFO": lambda path, root: os.mkfifo(path),
    "socket": _socket,
    "device": _device,
    "link to zeros": lambda path, root: path.symlink_to("/dev/zero"),
    "link in": lambda path, root: path.symlink_to(root / "shared" / VICTIM),
    "link out": lambda path, root: path.symlink_to(root / "outside" / "secret.json"),
    "link to a new file": lambda path, root: path.symlink_to(root / "outside" / "new.json"),
    "link to a folder": lambda path, root: path.symlink_to(root / "outside"),
    "link to itself": lambda path, root: path.symlink_to(path),
    "folder": lambda path, root: path.mkdir(),
    "full folder": _full_folder,
    "journal": _journal,
    "deep folders": _deep_folders,
}
_TEXTUAL = ("empty", "noise", "deep", "dense", "value", "value", "value", "value", "keys twice")
KINDS = (*_SPECIAL, *_TEXTUAL)


def _content(planted: Case, dice: random.Random) -> bytes:
    expected = _expected(PLACES[planted.place])
    if planted.kind == "empty":
        return b""
    if planted.kind == "noise":
        return dice.randbytes(5000)
    if planted.kind == "deep":
        return b'{"a":' * 100_000
    if planted.kind == "dense":
        return b'{"job_id": [' + b"{}," * 1_000_000 + b"{}]}"
    if planted.kind == "keys twice":
        line = json.dumps(expected)
        return (line[:-1] + ", " + line[1:]).encode()
    for _ in range(dice.randint(1, 2)):
        _spoil(expected, dice)
    return json.dumps(expected).encode() + b"\n"


def _spoil(content: dict[str, Any], dice: random.Random) -> None:
    """Another value under one of its keys, at any depth."""
    key = dice.choice(list(content) or ["filename"])
    inner = content.get(key)
    if isinstance(inner, list) and inner and isinstance(inner[0], dict):
        inner = inner[0]
    if isinstance(inner, dict) and inner and dice.random() < 0.7:
        _spoil(inner, dice)
    else:
        content[key] = dice.choice(VALUES)


def _expected(kind: str) -> dict[str, Any]:
    """What the program itself would write there."""
    attempt = Attempt(attempt_number=1, start_time="2024-01-01T00:00:00.000Z")
    state: dict[str, Any] = json.loads(
        json.dumps(job_to_json(a_job(VICTIM, priority=Priority.API, attempts=(attempt,))))
    )
    when, mean = "2024-01-01T00:00:00.000Z", {"value": 1.0, "weight": 1.0}
    found: dict[str, dict[str, Any]] = {
        "state": state,
        "checkpoint": {"settings": state["settings"], "source": state["source"]},
        "result": {
            "filename": VICTIM, "job_id": "a", "source": state["source"], "outputs": ["victim.txt"],
            "transcription": {"text": "", "segments": []}, "metadata": {}, "processing_stats": {},
        },
        "owner": {"host": "h", "pid": 1, "role": "daemon", "since": when, "heartbeat": when},
        "speed": {"speeds": {"a": mean}, "byte_rates": {".mp3": mean}},
        "ignored": {"filename": VICTIM, "size": 1, "mtime_ns": 1, "kind": "a text"},
        "order": {"filename": VICTIM, "client_id": "a", "creation_time": when},
        "errand": {"action": "queue", "filename": VICTIM, "creation_time": when},
        "note": {"filename": VICTIM, "client": "a", "size": 1, "mtime_ns": 1},
        "upload": {
            "format": 1, "length": 0, "metadata": "filename dmljdGltLm1wMw==", "client": "a",
            "rename": True, "name": VICTIM, "checked": True, "landing": VICTIM, "finished": False,
        },
        "callback": {
            "id": f"msg_{_ID}", "url": "http://192.0.2.1/", "creation_time": when, "attempts": 0,
            "error": None, "payload": {"job_id": "a"},
        },
        "settings": {"language": "en"},
        "text": {"text": "a"},
    }  # fmt: skip
    return found[kind]
