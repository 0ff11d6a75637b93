"""The durable queue of everything that leaves: kept until it arrived, or is given up.

Each item is a file of its own, and says what kind of receiver it is for. Delivery is at least once:
an item whose file could not be removed after it arrived is delivered again after a restart, under
the same id.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import re
import secrets
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from modules.clock import Clock, iso
from modules.errors import StorageError, TranscriberError, noted
from modules.logger import get_logger
from modules.storage import beneath
from modules.storage.atomic import (
    own_folder,
    put_aside_unless,
    remove,
    storage_errors,
    sync_folder,
    to_json,
    write_own,
)
from modules.storage.safe_open import read_json

log = get_logger("Outbox")


class Kind(StrEnum):
    """Who takes an item. Files without one are webhooks: they are from before there were others."""

    WEBHOOK = "webhook"
    HANDOVER = "handover"
    SUMMARY = "summary"


#: How many items that were given up are kept, the latest.
FAILED_KEPT = 1000
_SUFFIX = ".json"
#: A message has the facts of one job, and no text.
_ITEM_BYTES_MAX = 2**20
_ITEMS_MAX = 10_000
_ATTEMPTS_MAX, _ADDRESS_CHARS = 1000, 2000


@dataclass(slots=True)
class Item:
    """A file of the outbox. ``target``: where it is to go. Only the sender changes an item.

    ``due_s``: when it may be sent, by the monotonic clock; infinite while its file is written.
    ``over``: it need not be sent any more; only its file may still exist.
    """

    id: str
    target: str
    payload: dict[str, Any]
    created: str
    kind: Kind = Kind.WEBHOOK
    attempts: int = 0
    error: str | None = None
    due_s: float = math.inf
    over: bool = False
    #: Keeps the order within a millisecond.
    number: int = field(default_factory=itertools.count().__next__)

    def content(self) -> bytes:
        """The file. Raises ValueError for what JSON cannot hold."""
        return to_json(
            {
                "id": self.id,
                "kind": str(self.kind),
                "url": self.target,
                "creation_time": self.created,
                "attempts": self.attempts,
                "error": self.error,
                "payload": self.payload,
            }
        )

    def body(self) -> bytes:
        """The payload as compact JSON."""
        text = json.dumps(self.payload, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", errors="backslashreplace")  # as in to_json


class Outbox:
    """The items of one kind, in a folder of their own; given-up ones are kept in ``failed/``. A
    file of another kind that lies there is left alone: its receiver is another one.

    ``put`` may be called from any thread; ``due`` belongs to one thread, and each item to one at a
    time. What changes files of items, by ``remove``, ``save`` and ``give_up``, is called by one
    thread at a time.
    """

    def __init__(self, folder: Path, clock: Clock, kind: Kind = Kind.WEBHOOK) -> None:
        self.folder = folder
        self.kind = kind
        self._clock = clock
        self._items: dict[str, Item] = {}
        self._lock = threading.Lock()
        self._is_loaded = False
        self._left_some = False

    def __len__(self) -> int:
        """How many items wait, as far as they are known."""
        with self._lock:
            return len(self._items)

    def holds(self, key: str) -> bool:
        """Whether the item with this key waits, as far as it is known."""
        with self._lock:
            return f"msg_{key}" in self._items

    def put(self, target: str, payload: dict[str, Any], key: str | None = None) -> None:
        """Keep an item; returns once it is on disk. Raises StorageError.

        Two calls with the same ``key`` make the same id, by which the receiver drops a repeat.
        """
        created = iso(self._clock.utc_now())
        item_id = f"msg_{key or secrets.token_hex(16)}"
        item = Item(item_id, target, payload, created, self.kind)
        content = item.content()
        # Known before its file exists, so that loading old files does not find it as well.
        with self._lock:
            self._items[item.id] = item
        try:
            with storage_errors(self.folder):
                own_folder(self.folder)
            write_own(self._path(item), content)
        except StorageError:
            self._forget(item)
            raise
        item.due_s = self._clock.monotonic()

    def due(self) -> list[Item]:
        """The items that may be sent, the oldest first.

        The first call also finds what an earlier run left; if that was too much to be held at once,
        so does a later one. Raises StorageError.
        """
        if not self._is_loaded or (self._left_some and not self._items):
            self._load()
        now = self._clock.monotonic()
        with self._lock:
            due = [item for item in self._items.values() if item.due_s <= now]
        return sorted(due, key=lambda item: (item.created, item.number))

    def next_due_in_s(self, counts: Callable[[Item], bool] = lambda item: True) -> float:
        """Seconds until the next item that counts may be sent; infinite while there is none."""
        now = self._clock.monotonic()
        with self._lock:
            items = list(self._items.values())
        return min((max(0.0, i.due_s - now) for i in items if counts(i)), default=math.inf)

    def put_off(self, item: Item, seconds: float) -> None:
        item.due_s = self._clock.monotonic() + seconds

    def remove(self, item: Item) -> None:
        """It arrived, or is not wanted; one that was put anew under its key meanwhile stays.

        Raises StorageError; then it stays an item.
        """
        if self._items.get(item.id, item) is not item:
            return
        remove(self._path(item))
        self._forget(item)

    def save(self, item: Item) -> None:
        """Write down how often it was tried, and why it failed. Raises StorageError."""
        write_own(self._path(item), item.content())

    def give_up(self, item: Item) -> Path:
        """Move it to ``failed/``, whose path is the answer. Raises StorageError."""
        path, failed = self._path(item), self.folder / "failed"
        with storage_errors(failed):
            own_folder(failed)
            beneath.rename(path, failed / path.name)
        sync_folder(failed)
        _keep_latest(failed, FAILED_KEPT)
        self._forget(item)
        return failed

    # --- what an earlier run left ---

    def _load(self) -> None:
        """Learn what an earlier run left; all of it is due at once. Raises StorageError."""
        try:
            with storage_errors(self.folder):
                put_aside_unless(self.folder, stat.S_ISDIR)  # nor is a link to a folder ours
                names = self._listed()
        except StorageError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            names = []
        found = [self._read(self.folder / n) for n in names]
        left = [item for item in found if item is not None]
        for item in left:
            item.due_s = self._clock.monotonic()
        with self._lock:
            self._items.update((item.id, item) for item in left)
        self._is_loaded = True
        self._left_some = len(left) > 0 and len(names) == _ITEMS_MAX
        if left:
            log.info("%d items of an earlier run are sent now (%s)", len(left), self.kind)

    def _listed(self) -> list[str]:
        """The files of items; of more than ``_ITEMS_MAX`` some wait until those are done."""
        with beneath.scanned(self.folder) as listed:
            files = (e.name for e in listed if e.is_file(follow_symlinks=False))
            return list(itertools.islice((n for n in files if n.endswith(_SUFFIX)), _ITEMS_MAX))

    def _read(self, path: Path) -> Item | None:
        """The item in a file; None for our own new ones and for unusable ones."""
        with self._lock:
            if path.name.removesuffix(_SUFFIX) in self._items:
                return None
        try:
            item = _item_in(path)
            if item.kind is self.kind:
                return item
            log.warning("The item %s is left: it is for another kind, %s", path.name, item.kind)
        except StorageError as error:
            log.warning("The item %s cannot be read and is left: %s", path.name, error)
        except TranscriberError as error:
            log.warning("The item %s is corrupt and put aside: %s", path.name, error)
            with contextlib.suppress(OSError):
                beneath.rename(path, path.with_name(path.name + ".corrupt"))
        return None

    def _path(self, item: Item) -> Path:
        return self.folder / f"{item.id}{_SUFFIX}"

    def _forget(self, item: Item) -> None:
        with self._lock:
            if self._items.get(item.id) is item:
                del self._items[item.id]


def _item_in(path: Path) -> Item:
    """An item from its file. Raises StorageError, or TranscriberError if it is corrupt."""
    with storage_errors(path):
        found = read_json(path, _ITEM_BYTES_MAX)
    error = found.get("error")
    item = Item(
        id=path.name.removesuffix(_SUFFIX),
        target=_checked(found, "url", str),
        payload=_checked(found, "payload", dict),
        created=_checked(found, "creation_time", str),
        kind=_kind_of(found),
        attempts=max(0, _checked(found, "attempts", int)),
        error=error if isinstance(error, str) else None,
    )
    if len(item.target) > _ADDRESS_CHARS or len(item.created) > 64:
        raise TranscriberError("corrupt_sidecar", noted("url or creation_time is too long"))
    if item.attempts > _ATTEMPTS_MAX:
        raise TranscriberError("corrupt_sidecar", noted("attempts is too large"))
    if found.get("id") != item.id or not re.fullmatch(r"[\w-]{1,100}", item.id, re.ASCII):
        raise TranscriberError("corrupt_sidecar", noted("the id inside is not the file's name"))
    try:
        item.content()
    except ValueError as problem:
        raise TranscriberError(
            "corrupt_sidecar", noted("A note of the outbox is wrong: {problem}", problem=problem)
        ) from problem
    return item


def _kind_of(found: dict[str, Any]) -> Kind:
    try:
        return Kind(found.get("kind", Kind.WEBHOOK))
    except ValueError:
        raise TranscriberError("corrupt_sidecar", noted("there is no such kind")) from None


def _checked(found: dict[str, Any], name: str, kind: type) -> Any:
    value = found.get(name)
    if type(value) is not kind:  # not isinstance: true is no number of attempts
        raise TranscriberError("corrupt_sidecar", noted("{name} is missing or wrong", name=name))
    return value


def _keep_latest(folder: Path, count: int) -> None:
    with storage_errors(folder):
        names = (name for name in beneath.names_in(folder) if name.endswith(_SUFFIX))
        files = sorted((folder / n for n in names), key=lambda f: beneath.lstat(f).st_mtime_ns)
    for old in files[:-count]:
        remove(old)
