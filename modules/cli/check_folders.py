"""Checks of the folders: there, readable, really writable, roomy, on which file system."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from modules.atomic import TEMPORARY_PREFIX
from modules.cli.findings import Finding, ok, problem, warning
from modules.config import Config

_LOW_DISK_MB = 500
_NETWORK = ("nfs", "cifs", "smb", "9p", "fuse", "virtiofs", "afs", "ceph", "glusterfs")


def check_folders(config: Config) -> Iterator[Finding]:
    """The shared and the manual folder must be writable; the models' need not be."""
    yield _writable("shared folder", config.shared_directory)
    yield _writable("manual folder", config.manual_directory)
    models = config.models_directory
    if models.is_dir() and why_unwritable(models):
        if why_unreadable(models):
            yield problem("models folder", f"{models} cannot be read", "Check who owns it.")
        else:
            yield ok("models folder", f"{models} can be read but not written, which is enough")
    else:
        yield _writable("models folder", models)


def _writable(subject: str, folder: Path) -> Finding:
    if os.path.lexists(folder) and not folder.is_dir():
        return problem(subject, f"{folder} is not a folder", "Move it away, or choose another one.")
    if not folder.is_dir():
        return _absent(subject, folder)
    why = why_unreadable(folder) or why_unwritable(folder)
    if why:
        return problem(subject, f"{folder}: {why}", "Check who owns it and how it is mounted.")
    return ok(subject, f"{folder} can be read and written")


def _absent(subject: str, folder: Path) -> Finding:
    parent = next(p for p in folder.parents if os.path.lexists(p))
    why = why_unwritable(parent) if parent.is_dir() else f"{parent} is not a folder"
    if why:
        seen = f"{folder} is not there and cannot be created: {why}"
        return problem(subject, seen, "Create it, or choose another one in the configuration.")
    seen = f"{folder} is not there; the service will create it"
    return warning(subject, seen, "If it is a mounted one, mount it first.")


def why_unreadable(folder: Path) -> str | None:
    try:
        os.listdir(folder)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None


def why_unwritable(folder: Path) -> str | None:
    """Found out by really writing: permission bits do not tell of root or of mounts."""
    try:
        # The watcher passes by names that begin like this.
        with tempfile.NamedTemporaryFile(dir=folder, prefix=TEMPORARY_PREFIX) as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return f"cannot be written ({error.strerror})"
    return None


def check_file_systems(config: Config) -> Iterator[Finding]:
    """Whether files can be renamed to ``manual/``, and whether the share is a network's."""
    shared, manual = config.shared_directory, config.manual_directory
    if not (shared.is_dir() and manual.is_dir()):
        return
    if shared.stat().st_dev == manual.stat().st_dev:
        yield ok("file systems", "shared and manual are on the same one")
    else:
        seen = "shared and manual are on different ones; failed files are copied, then removed"
        yield ok("file systems", seen)
    kind = _kind(shared)
    if not kind.startswith(_NETWORK):
        return
    wishes = [] if config.processing.lock_file else ["set processing.lock_file to a local path"]
    wishes += ["set watch.events: false if files are noticed late"] if config.watch.events else []
    remedy = f"Best {' and '.join(wishes)}." if wishes else ""
    yield warning(
        "file systems", f"the shared folder is on {kind}, a network's or a host's", remedy
    )


def _kind(folder: Path) -> str:
    """The type of the file system that a folder is on."""
    real = Path(os.path.realpath(folder))
    mounts = [m for m in psutil.disk_partitions(all=True) if real.is_relative_to(m.mountpoint)]
    return max(mounts, key=lambda m: len(m.mountpoint)).fstype if mounts else ""


def check_disk(config: Config) -> Iterator[Finding]:
    seen_devices = set()
    for folder in (config.shared_directory, config.manual_directory):
        if not folder.is_dir() or folder.stat().st_dev in seen_devices:
            continue
        seen_devices.add(folder.stat().st_dev)
        free_mb = shutil.disk_usage(folder).free // 2**20
        seen = f"{free_mb} MB for {folder}"
        if free_mb < _LOW_DISK_MB:
            yield warning("free disk", seen, "Make room: files wait while the disk is full.")
        else:
            yield ok("free disk", seen)
