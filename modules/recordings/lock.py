"""One transcriber at a time: the lock, the owner's note, and foreign whisperx processes."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from modules.clock import Clock, iso
from modules.config.schema import Config
from modules.errors import LockHeldError, StorageError, TranscriberError, noted, reason_of
from modules.recordings.fence import Fence, TakenOverError
from modules.recordings.names import STATE_FOLDER
from modules.storage.atomic import put_aside_unless, remove, to_json, write_own
from modules.storage.safe_open import read_json

#: How often the owner says that it lives, and after how long its note is no longer believed.
HEARTBEAT_S = 10.0
_BELIEVED = timedelta(seconds=60)
_PATIENCE_S = 1.0
_MODE = 0o600
_NOTE_BYTES_MAX = 64 * 1024


def lock_path(config: Config) -> Path:
    """The lock's file: in the shared folder, unless the configuration moves it."""
    return config.processing.lock_file or config.shared_directory / STATE_FOLDER / "lock"


def note_path(config: Config) -> Path:
    return config.shared_directory / STATE_FOLDER / "owner.json"


class Ownership:
    """Holds the lock and keeps the owner's note fresh. Use as a context manager.

    Entering raises LockHeldError, with words about who holds it, and StorageError.
    """

    def __init__(self, config: Config, clock: Clock, role: str, fence: Fence | None = None) -> None:
        """``fence``: that of what writes into the folder; it lets the owner through alone."""
        self._config = config
        self._fence = fence or Fence(note_path(config).parent)
        self._clock = clock
        self._role = role
        # Not at once: who only looks whether it is held, holds it for an instant.
        self._lock = FileLock(lock_path(config), timeout=_PATIENCE_S, mode=_MODE)
        self._since = self._beaten = clock.utc_now()

    def __enter__(self) -> Ownership:
        _refuse_foreign_whisperx()
        note = read_note(self._config)
        if note and is_elsewhere_and_alive(note, self._clock.utc_now()):
            raise LockHeldError(
                "lock_held", noted("{who} works on this folder already.", who=describe(note))
            )
        try:
            lock_path(self._config).parent.mkdir(parents=True, exist_ok=True)
            self._make_room()
            self._lock.acquire()
        except Timeout:
            note = read_note(self._config)
            who = describe(note) if note else noted("Another transcriber")
            raise LockHeldError(
                "lock_held",
                noted("{who} works on this folder already.", who=who),
                remedy=noted("Stop it first, or put the files into its shared folder."),
            ) from None
        except OSError as error:
            message = noted(
                "The lock {path} cannot be used: {reason}",
                path=lock_path(self._config),
                reason=reason_of(error),
            )
            raise StorageError("lock_unusable", message) from error
        try:
            self._fence.arm(our_identity(), epoch_lock(self._config))
        except StorageError:
            self._lock.release()
            raise
        # Waiting for the lock was no silence.
        self._beaten = self._clock.utc_now()
        with contextlib.suppress(StorageError):
            self.beat()
        return self

    def _make_room(self) -> None:
        """What lies under the name of the lock is a file that only we may open.

        Anybody who may open a lock may hold it. Raises OSError.
        """
        path = lock_path(self._config)
        if path.parent == note_path(self._config).parent:
            put_aside_unless(path, stat.S_ISREG)
        # Of an earlier version, or copied; some shares know no modes.
        with contextlib.suppress(OSError):
            os.chmod(path, _MODE, follow_symlinks=False)

    def __exit__(self, *_: object) -> None:
        # Another's note may lie there, if it took over, or the share was mounted meanwhile.
        with contextlib.suppress(StorageError), self._fence.held():
            note = read_note(self._config)
            if note and {key: note.get(key) for key in our_identity()} == our_identity():
                remove(note_path(self._config))
        self._lock.release()

    def check(self) -> None:
        """Raises LockHeldError if another owner came, StorageError if that is not known."""
        with _as_lock_held():
            self._fence.check()

    def beat(self) -> None:
        """Say that the owner lives. Raises StorageError.

        Raises LockHeldError if another owner came while this one was silent: it stood still, or the
        share was away.
        """
        with _as_lock_held():
            self._fence.restore()
            with self._fence.held():
                self._write_note()

    def _write_note(self) -> None:
        """One of a version without epochs tells by a fresh note alone that it came."""
        now = self._clock.utc_now()
        other = read_note(self._config) if now - self._beaten > _BELIEVED else None
        if other and is_elsewhere_and_alive(other, now):
            raise LockHeldError(
                "lock_held",
                noted(
                    "{who} took this folder over while this program stood still.",
                    who=describe(other),
                ),
                remedy=noted("Stop one of the two; this one ends."),
            )
        note = {
            **our_identity(),
            "role": self._role,
            "since": iso(self._since),
            "heartbeat": iso(now),
        }
        write_own(note_path(self._config), to_json(note))
        self._beaten = now


@contextlib.contextmanager
def _as_lock_held() -> Iterator[None]:
    """For the main thread it is the end, and no trouble of the folder."""
    try:
        yield
    except TakenOverError as error:
        raise LockHeldError(error.code, error.message, remedy=error.remedy) from error


def our_identity() -> dict[str, Any]:
    """Which process we are."""
    return {"host": socket.gethostname(), "pid": os.getpid()}


def epoch_lock(config: Config) -> Path | None:
    """Beside the lock, where the share itself is said to know none; None for beside the epoch."""
    moved = config.processing.lock_file
    return moved and moved.with_name(f"{moved.name}.epoch")


def read_note(config: Config) -> dict[str, Any] | None:
    """The owner's note, or None if there is none that can be read."""
    try:
        return read_json(note_path(config), _NOTE_BYTES_MAX)
    except (OSError, TranscriberError):
        return None


def holder(config: Config) -> str | None:
    """Who holds the lock now, in words; None if it is free. Leaves everything as it is."""
    path = lock_path(config)
    if not path.exists():
        return None
    try:
        with FileLock(path, timeout=0):
            return None
    except (Timeout, OSError):
        note = read_note(config)
        return describe(note) if note else "another process"


def has_owner(config: Config, clock: Clock) -> bool:
    """Whether a daemon works on the folder, as far as lock and note tell."""
    note = read_note(config)
    if note is None or note.get("role") != "daemon":
        return False
    return is_elsewhere_and_alive(note, clock.utc_now()) or holder(config) is not None


def foreign_whisperx() -> list[int]:
    """Process ids of ``whisperx`` commands that are not ours."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "uids", "exe"]):
        info = process.info
        if _counts(info["uids"], info["exe"]) and _is_whisperx(info["cmdline"] or []):
            found.append(int(info["pid"]))
    return found


def _counts(uids: Any, exe: str | None) -> bool:
    """Whether a process is ours or root's, and no other program that only bears the name.

    Any user of the machine can call a process whatever they like. What root runs is not shown to
    others, and believed.
    """
    if uids is None or uids.real not in (0, os.getuid()):
        return False
    program = os.path.basename(exe or "")
    return not program or program.startswith("python") or program == "whisperx"


def _is_whisperx(words: Sequence[str]) -> bool:
    """Whether a command line runs whisperx itself or through Python; an editor does not."""
    names = [os.path.basename(word) for word in words]
    if not names or not names[0].startswith("python"):
        return names[:1] == ["whisperx"]
    script = names.index("-m") + 1 if "-m" in names else 1
    return names[script : script + 1] == ["whisperx"]


def _refuse_foreign_whisperx() -> None:
    pids = foreign_whisperx()
    if pids:
        raise LockHeldError(
            "whisperx_running",
            noted("WhisperX is already running (PID {pids}).", pids=", ".join(map(str, pids))),
            remedy=noted("Wait until it has ended, or end it, then start again."),
        )


def is_elsewhere_and_alive(note: dict[str, Any], now: datetime) -> bool:
    if note.get("host") == socket.gethostname():
        return False  # the lock itself tells
    try:
        beat = datetime.fromisoformat(str(note.get("heartbeat")))
    except ValueError:
        return False
    beat = beat if beat.tzinfo else beat.replace(tzinfo=UTC)
    return abs(now - beat) < _BELIEVED


#: By the role in the owner's note.
_ROLES = {
    "daemon": noted("The daemon"),
    "transcribe command": noted("The transcribe command"),
    "retry command": noted("The retry command"),
    "delete command": noted("The delete command"),
}


def describe(note: dict[str, Any]) -> str:
    """Whose note it is, in words."""
    role = str(note.get("role", "daemon"))
    who = _ROLES.get(role) or noted("The {role}", role=role)
    pid, host = str(note.get("pid")), str(note.get("host"))
    if host == socket.gethostname():
        return noted("{who} with PID {pid}", who=who, pid=pid)
    return noted("{who} with PID {pid} on host {host}", who=who, pid=pid, host=host)
