"""The shared folder itself: is it there, is it ours, and which file lies under a name."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from pathlib import Path

from modules.errors import StorageError, noted, reason_of
from modules.jobs.source import FINGERPRINT_BYTES, FileIdentity
from modules.recordings.fence import Fence
from modules.recordings.names import STATE_FOLDER
from modules.recordings.texts_folder import TextsFolder
from modules.storage import beneath, transfer
from modules.storage.atomic import TEMPORARY_PREFIX, remove, storage_errors, write_own
from modules.storage.safe_open import open_regular

#: With less room than this the state of a job and its texts could not be written.
_PROBE_BYTES = 2**16


class SharedFolder:
    """Names are paths relative to the folder, with ``/``.

    Each method that reads the disk raises StorageError while the folder cannot be used.
    """

    def __init__(self, path: Path, texts: Path | None = None, *, hidden: bool = False) -> None:
        """``texts``: where the texts go, None for beside the recordings; ``hidden``: whether the
        sidecars go into our own folder, and not to the texts."""
        self.path = path
        beneath.guard(path)
        #: Our own folder inside. It tells the share from an empty mount point.
        self.state = path / STATE_FOLDER
        #: Keeps an owner whose place another took from writing.
        self.fence = Fence(self.state)
        #: Two trees with the subfolders of the share, or the share itself.
        self.texts = texts or path
        self.sidecars = self._hidden if hidden else self.texts
        beneath.guard(self.texts)
        self._elsewhere = TextsFolder(texts, self.state) if texts and texts != path else None
        #: Device and inode.
        self._noted: tuple[int, int] | None = None

    def at(self, name: str) -> Path:
        """Where a name lies."""
        return self.path / name

    def text_at(self, output: str) -> Path:
        """Where a text lies."""
        return self.texts / output

    def sidecar_at(self, sidecar: str) -> Path:
        """Where what we keep of a recording lies: its state, its result, its corrections."""
        return self.sidecars / sidecar

    @property
    def _hidden(self) -> Path:
        return self.state / "sidecars"

    @property
    def earlier_places(self) -> tuple[Path, ...]:
        """Where sidecars lie that were written under another configuration."""
        return tuple({self.path, self.texts, self._hidden} - {self.sidecars})

    def ready(self, path: Path) -> Path:
        """The path, to be written to: its folder is made, unless it is one of the recordings'.

        Raises StorageError.
        """
        if not path.is_relative_to(self.path):
            self.require_texts()
        if path.is_relative_to(self._hidden) or not path.is_relative_to(self.path):
            with storage_errors(path):
                beneath.make_folders(path.parent)
        return path

    def shown(self, path: Path) -> str:
        """A file of a recording, relative to the share, or with the name of the texts' folder."""
        inside = path.is_relative_to(self.path)
        return str(path.relative_to(self.path if inside else self.texts.parent))

    def prune(self, name: str) -> None:
        """Remove the folders that mirror those of a recording, as far as they are empty."""
        for root in {self.texts, self.sidecars} - {self.path}:
            for folder in list((root / name).relative_to(root).parents)[:-1]:
                with contextlib.suppress(OSError):
                    beneath.remove_folder(root / folder)

    def require(self) -> None:
        """Raises StorageError unless the share is there, and still ours; an empty mount point is
        left untouched."""
        with storage_errors(self.state):
            is_there = self.state.is_dir()
        if not is_there:
            raise StorageError(
                "share_unavailable",
                noted("The shared folder is unavailable. ({path})", path=self.path),
            )
        self.fence.check()

    def prepare_texts(self) -> None:
        """Take the folder of the texts for ours, if it is another one. Raises StorageError."""
        if self._elsewhere:
            self._elsewhere.prepare()

    def require_texts(self) -> None:
        """Raises StorageError unless the folder of the texts is the one that it was."""
        if self._elsewhere:
            self._elsewhere.require()

    def check_writable(self) -> None:
        """Raises StorageError if the share cannot be written to at the moment."""
        self.require()
        # Even a full disk has room for an empty file.
        probe = self.state / "writable"
        write_own(probe, bytes(_PROBE_BYTES))
        remove(probe)
        if self.texts != self.path:
            self.require_texts()
            probe = self.texts / f"{TEMPORARY_PREFIX}writable"
            write_own(probe, bytes(_PROBE_BYTES))
            remove(probe)

    def remember(self) -> None:
        """Note which folder lies at the path, unless one was noted before."""
        self._noted = self._noted or self._found()

    def is_same(self) -> bool:
        """Whether the folder is the one that was noted; True while it is unavailable."""
        found = self._found()
        return found is None or self._noted in (None, found)

    def _found(self) -> tuple[int, int] | None:
        """Device and inode of the folder; None unless it is there and holds our own folder."""
        try:
            found = self.path.stat()
            return (found.st_dev, found.st_ino) if self.state.is_dir() else None
        except OSError:
            return None

    # --- one file in it ---

    def is_there(self, name: str) -> bool:
        """Whether the recording exists as a regular file."""
        path = self.at(name)
        try:
            return stat.S_ISREG(beneath.lstat(path).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            self.require()  # nothing follows from absence while the share is away
            return False
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return False
            raise StorageError(
                "storage_error",
                noted("{path} cannot be read: {problem}", path=path, problem=reason_of(error)),
            ) from error

    def is_taken(self, name: str) -> bool:
        """Whether anything has this name."""
        with storage_errors(self.at(name)):
            return transfer.is_taken(self.at(name))

    def identity(self, name: str) -> FileIdentity:
        """Size, mtime and fingerprint of a recording; StorageError if it does not exist, too."""
        return identity_of(self.at(name))

    def state_of(self, name: str) -> tuple[int, int, int]:
        """Size, mtime in nanoseconds and inode of a recording; StorageError if there is none."""
        with storage_errors(self.at(name)):
            facts = beneath.lstat(self.at(name))
        return facts.st_size, facts.st_mtime_ns, facts.st_ino

    def is_still(self, name: str, identity: FileIdentity) -> bool:
        """Whether the recording is the file that ``identity`` describes."""
        return self.is_there(name) and has_identity(self.at(name), identity)


def identity_of(path: Path) -> FileIdentity:
    """Size, mtime and fingerprint of a file. Raises StorageError."""
    with storage_errors(path), open_regular(path) as file:
        facts = os.fstat(file.fileno())
        digest = hashlib.sha256(str(facts.st_size).encode())
        digest.update(file.read(FINGERPRINT_BYTES))
        file.seek(max(0, facts.st_size - FINGERPRINT_BYTES))
        digest.update(file.read(FINGERPRINT_BYTES))
    return FileIdentity(
        size=facts.st_size, mtime_ns=facts.st_mtime_ns, fingerprint=digest.hexdigest()
    )


def has_identity(path: Path, identity: FileIdentity) -> bool:
    """Whether a file is the one that ``identity`` describes; read only if its time differs."""
    with storage_errors(path):
        facts = beneath.lstat(path)
    if facts.st_size != identity.size:
        return False
    return facts.st_mtime_ns == identity.mtime_ns or identity_of(path).same_as(identity)
