"""Checks of the machine: memory, cores, GPU, file system events."""

from __future__ import annotations

import ctypes.util
import json
import os
import re
import subprocess  # nosec B404 # runs our own programs, see _printed
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from gettext import gettext as _
from pathlib import Path
from typing import Any

import psutil

from modules import PACKAGE, PROJECT_ROOT
from modules.cli.doctor.findings import Finding, install_again, ok, problem, warning
from modules.config.schema import Config
from modules.errors import ModelError, noted, reason_of
from modules.executors.local.process import sandbox_options
from modules.machine.processor import memory_limit, number_in, processor
from modules.messages import in_locale
from modules.weights.engines import locate_for
from modules.weights.locate import needed_mb

#: Seconds that a trial may take; that of the sandbox takes less than one, that of the encoder
#: three, with a large model a minute.
_TRIAL_S = 300.0
_INOTIFY = Path("/proc/sys/fs/inotify")
_COUNTED = {"instances": noted("instances"), "watches": noted("watches")}


def check_processor() -> Iterator[Finding]:
    """What decides how fast it is, and how much memory it takes."""
    yield ok(_("processor"), str(processor()))


def check_memory(config: Config) -> Iterator[Finding]:
    """What may be used, against what the configured model is expected to take."""
    limit = memory_limit()
    free_mb = min(psutil.virtual_memory().available // 2**20, limit.mb)
    seen = _("{allowed} MB, of which the machine has {free} MB free")
    seen = seen.format(allowed=limit.mb, free=free_mb)
    try:
        whisperx = config.whisperx
        source = locate_for(whisperx, config.models_directory, whisperx.allow_download)
    except ModelError:
        source = None  # the model has a line of its own
    needed = needed_mb(source, whisperx) if source else None
    if source and needed:
        takes = _("{model} takes up to about {needed} MB")
        seen = f"{seen}; {takes.format(model=source.name, needed=needed)}"
    if needed and needed > limit.mb:
        yield warning(_("memory"), seen, _("Give it more, or use a smaller whisperx.model_size."))
    else:
        yield ok(_("memory"), seen)


def check_cores(config: Config) -> Iterator[Finding]:
    cores, threads = len(os.sched_getaffinity(0)), config.whisperx.cpu_threads
    seen = _("{cores} usable, whisperx.cpu_threads is {threads}")
    seen = seen.format(cores=cores, threads=threads)
    if threads > cores:
        remedy = _("Set whisperx.cpu_threads to {cores}: more is slower.").format(cores=cores)
        yield warning(_("cores"), seen, remedy)
    else:
        yield ok(_("cores"), seen)


def check_gpu(config: Config) -> Iterator[Finding]:
    """Only where the configuration asks for one."""
    if config.whisperx.device != "cuda":
        return
    if ctypes.util.find_library("cuda"):
        yield ok(_("GPU"), _("NVIDIA's driver is here"))
    else:
        seen = _("whisperx.device is cuda, and NVIDIA's driver is not here")
        remedy = _("Install the driver, or set whisperx.device: cpu.")
        yield problem(_("GPU"), seen, remedy)


def check_encoder(config: Config) -> Iterator[Finding]:
    """What computes the encoder on this processor, and how exact that is."""
    whisperx, subject = config.whisperx, _("encoder")
    if whisperx.engine != "whisper":
        return
    try:
        source = locate_for(whisperx, config.models_directory, whisperx.allow_download)
        if source.folder is None or needed_mb(source, whisperx) is None:
            return  # not put together yet, or for a graphics card
    except ModelError:
        return  # the model has a line of its own
    command = [sys.executable, "-m", f"{PACKAGE}.engines.whisperx.precision"]
    command += ["--model", str(source.folder), "--encoder", whisperx.encoder]
    command += ["--compute-type", whisperx.compute_type, "--threads", str(whisperx.cpu_threads)]
    try:
        found = _printed(command)
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        seen = _("could not be tried: {error}").format(error=_why(error))
        other = _("Or set whisperx.encoder: ctranslate2.")
        yield problem(subject, seen, f"{install_again()} {other}")
        return
    seen = _encoder_seen(found)
    if found["note"]:
        reason = str(found["note"]).partition(" (")[2].removesuffix(")")
        seen = _("{seen}, as OpenVINO cannot be used: {reason}").format(seen=seen, reason=reason)
        slower = _("Everything works, only slower.")
        yield warning(subject, seen, f"{slower} {install_again()}")
    else:
        yield ok(subject, seen)


def _encoder_seen(found: Mapping[str, Any]) -> str:
    kind, error = found["encoder"], found.get("error")
    if error is None:
        return str(kind)
    message = _("{kind}, differs from float32 by {error}; CTranslate2's by {other}")
    if kind == "ctranslate2":
        message = _("{kind}, differs from float32 by {error}")
    return message.format(
        kind=kind, error=f"{100 * error:.1f}%", other=f"{100 * found['ctranslate2_error']:.1f}%"
    )


def _printed(command: Sequence[str]) -> Any:
    """The JSON that a program of ours prints. Raises SubprocessError, OSError and ValueError."""
    ended = subprocess.run(  # nosec B603 # our own words, no shell
        command, capture_output=True, check=True, timeout=_TRIAL_S, cwd=PROJECT_ROOT
    )
    return json.loads(ended.stdout)


def _why(error: Exception) -> str:
    """Why a trial did not end well, in words that are not Python's."""
    if isinstance(error, subprocess.CalledProcessError):
        return _("it ended with exit code {code}").format(code=error.returncode)
    if isinstance(error, subprocess.TimeoutExpired):
        return _("it took too long")
    return in_locale(reason_of(error)) if isinstance(error, OSError) else _("it sent no answer")


#: What ``worker/sandbox/confine.py`` says of what a machine lacks; the worker speaks English.
_PROTECTIONS = (
    noted("lower priority"),
    noted("first to be killed when memory runs out"),
    noted("no core dumps, no large files"),
    noted("no new privileges"),
    noted("a user of its own"),
    noted("fewer capabilities"),
    noted("reads and writes no other files"),
    noted("opens no connection, starts no process"),
    noted("reads no other files"),
)
_IS_INSIDE = " is in a folder of programs or weights"


def _protection(line: str) -> str:
    """A line of ``confine.apply``: the protection, and in brackets why it is not there."""
    what, bracket, why = line.removesuffix(")").partition(" (")
    if not bracket:
        return _(line)
    folder, is_inside, _rest = why.partition(_IS_INSIDE)
    if is_inside:
        why = _("{folder} is in a folder of programs or weights").format(folder=folder)
    else:
        plain = re.sub(r"^\[Errno [0-9]+\] ", "", why)
        why = _(plain) if plain else ""
    return f"{_(what)} ({why})"


def check_sandbox(config: Config) -> Iterator[Finding]:
    """What of it this machine lacks: a process of its own goes in and says so."""
    subject = _("sandbox")
    with tempfile.TemporaryDirectory(prefix="transcriber-") as scratch:
        command = [sys.executable, "-m", f"{PACKAGE}.worker.sandbox.trial"]
        command += sandbox_options(config, Path(scratch), str(config.models_directory))
        try:
            missing = _printed(command)
        except (subprocess.SubprocessError, OSError, ValueError) as error:
            seen = _("could not be tried: {error}").format(error=_why(error))
            yield problem(subject, seen, _("See SECURITY.md, The sandbox."))
            return
    if missing:
        seen = _("lacks: {missing}").format(missing="; ".join(map(_protection, missing)))
        remedy = _("Everything works; SECURITY.md, The sandbox, says what is less protected.")
        yield warning(subject, seen, remedy)
    else:
        yield ok(subject, _("all restrictions on the WhisperX process are in effect"))


# --- file system events -----------------------------------------------------------------------


def check_inotify(config: Config, root: Path = _INOTIFY) -> Iterator[Finding]:
    """The limits of this user against the rough use of all that can be seen."""
    subject = _("file events")
    if not config.watch.events:
        yield ok(subject, _("switched off (watch.events); the folder is read now and then"))
        return
    limits = {name: number_in(root / f"max_user_{name}") for name in ("instances", "watches")}
    if None in limits.values():
        yield warning(subject, _("inotify is not here; the folder is read now and then"))
        return
    used = dict(zip(("instances", "watches"), _inotify_use(), strict=True))
    message = _("{used} of {limit} {name} used")
    seen = ", ".join(
        message.format(used=used[name], limit=limit, name=_(_COUNTED[name]))
        for name, limit in limits.items()
    )
    scarce = [name for name, limit in limits.items() if limit and used[name] >= 0.9 * limit]
    if scarce:
        settings = ", ".join(f"fs.inotify.max_user_{name}" for name in scarce)
        yield warning(subject, seen, _("Raise {settings} with sysctl.").format(settings=settings))
    else:
        yield ok(subject, seen)


def _inotify_use() -> tuple[int, int]:
    """Instances and watches of this user's processes, as far as we may look."""
    instances = watches = 0
    for process in Path("/proc").iterdir():
        try:
            if not process.name.isdigit() or process.stat().st_uid != os.getuid():
                continue
            for link in (process / "fd").iterdir():
                if os.readlink(link) == "anon_inode:inotify":
                    instances += 1
                    watches += (process / "fdinfo" / link.name).read_text().count("inotify wd:")
        except OSError:
            continue  # ended meanwhile, or not ours to look into
    return instances, watches
