"""Checks of the folders: there, readable, really writable, roomy, on which file system."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path

import psutil

from modules.cli.doctor.findings import Finding, Level, ok, problem, warning
from modules.config.schema import Config
from modules.errors import reason_of
from modules.messages import in_locale
from modules.storage.atomic import TEMPORARY_PREFIX

_LOW_DISK_MB = 500
_NETWORK = ("nfs", "cifs", "smb", "9p", "fuse", "virtiofs", "afs", "ceph", "glusterfs")


def check_folders(config: Config) -> Iterator[Finding]:
    """The shared and the manual folder must be writable; the models' need not be."""
    yield _writable(_("shared folder"), config.shared_directory)
    yield _writable(_("manual folder"), config.manual_directory)
    if config.output.directory:
        yield _writable(_("folder for texts"), config.output.directory)
    models, subject = config.models_directory, _("models folder")
    if models.is_dir() and why_unwritable(models):
        if why_unreadable(models):
            seen = _("{folder} cannot be read")
            yield problem(subject, seen.format(folder=models), _("Check who owns it."))
        else:
            seen = _("{folder} can be read but not written, which is enough")
            yield ok(subject, seen.format(folder=models))
    else:
        found = _writable(subject, models)
        # Without it no recording is looked for in the wrong place, as with the two others.
        yield ok(subject, found.seen) if found.level is Level.WARNING else found


def _writable(subject: str, folder: Path) -> Finding:
    if os.path.lexists(folder) and not folder.is_dir():
        seen = _("{folder} is not a folder").format(folder=folder)
        return problem(subject, seen, _("Move it away, or choose another one."))
    if not folder.is_dir():
        return _absent(subject, folder)
    why = why_unreadable(folder) or why_unwritable(folder)
    if why:
        return problem(subject, f"{folder}: {why}", _("Check who owns it and how it is mounted."))
    return ok(subject, _("{folder} can be read and written").format(folder=folder))


def _absent(subject: str, folder: Path) -> Finding:
    parent = next(p for p in folder.parents if os.path.lexists(p))
    no_folder = _("{folder} is not a folder").format(folder=parent)
    why = why_unwritable(parent) if parent.is_dir() else no_folder
    if why:
        seen = _("{folder} is not there and cannot be created: {why}")
        remedy = _("Create it, or choose another one in the configuration.")
        return problem(subject, seen.format(folder=folder, why=why), remedy)
    seen = _("{folder} is not there; the service will create it").format(folder=folder)
    return warning(subject, seen, _("If it is a mounted one, mount it first."))


def why_unreadable(folder: Path) -> str | None:
    try:
        os.listdir(folder)
    except OSError as error:
        return _("cannot be read ({why})").format(why=in_locale(reason_of(error)))
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
        return _("cannot be written ({why})").format(why=in_locale(reason_of(error)))
    return None


def check_file_systems(config: Config) -> Iterator[Finding]:
    """Whether files can be renamed to ``manual/``, and whether the share is a network's."""
    shared, manual = config.shared_directory, config.manual_directory
    if not (shared.is_dir() and manual.is_dir()):
        return
    if shared.stat().st_dev == manual.stat().st_dev:
        yield ok(_("file systems"), _("shared and manual are on the same one"))
    else:
        seen = _("shared and manual are on different ones; failed files are copied, then removed")
        yield ok(_("file systems"), seen)
    kind = _kind(shared)
    if not kind.startswith(_NETWORK):
        return
    remedies = []
    if not config.processing.lock_file:
        remedies.append(_("Best set processing.lock_file to a local path."))
    if config.watch.events:
        remedies.append(_("Set watch.events: false if files are noticed late."))
    seen = _("the shared folder is on {kind}, a network's or a host's").format(kind=kind)
    yield warning(_("file systems"), seen, " ".join(remedies))


def _kind(folder: Path) -> str:
    """The type of the file system that a folder is on."""
    real = Path(os.path.realpath(folder))
    mounts = [m for m in psutil.disk_partitions(all=True) if real.is_relative_to(m.mountpoint)]
    return max(mounts, key=lambda m: len(m.mountpoint)).fstype if mounts else ""


def check_disk(config: Config) -> Iterator[Finding]:
    seen_devices = set()
    folders = (config.shared_directory, config.manual_directory, config.output.directory)
    for folder in filter(None, folders):
        if not folder.is_dir() or folder.stat().st_dev in seen_devices:
            continue
        seen_devices.add(folder.stat().st_dev)
        free_mb = shutil.disk_usage(folder).free // 2**20
        seen = _("{free} MB for {folder}").format(free=free_mb, folder=folder)
        if free_mb < _LOW_DISK_MB:
            yield warning(_("free disk"), seen, _("Make room: files wait while the disk is full."))
        else:
            yield ok(_("free disk"), seen)
