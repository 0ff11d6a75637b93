"""How each part of the daemon is: what ``/health/detailed`` looks at."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from modules.clock import Clock
from modules.config.schema import Config
from modules.daemon.health import HANG_S, LOW_DISK_MB, Health, Sender, statuses_of
from modules.daemon.parts import Core
from modules.executors.base import combined
from modules.live.offered import why_not
from modules.live.sessions import LiveSessions
from modules.service.part_states import PartState, PartStates
from modules.service.text_search import TextSearch

Probe = Callable[[], PartState]

_OK, _OFF = PartState("ok"), PartState("off")
#: Parts with nothing but a thread, by the name under which the thread reports.
_THREADS = {"housekeeping": "main", "callbacks": "callbacks", "listening": "listening"}


def build_part_states(
    config: Config, clock: Clock, core: Core, search: TextSearch, live: LiveSessions
) -> PartStates:
    """For parts that are built; those that send something have reported to ``core.health``."""
    health = core.health
    probes: dict[str, Probe] = {
        "watcher": _unless_hung(health, "watcher", lambda: _watcher(core)),
        "queue": _unless_hung(health, "runner", lambda: _queue(core)),
        "worker": lambda: _worker(core),
        "model": lambda: _model(core),
        "storage": lambda: _storage(core, config.shared_directory),
        "search": lambda: _hung(search.silent_s) or _OK,
        "live": _unless_hung(health, "live", lambda: _live(config, live)),
    }
    probes |= {name: _unless_hung(health, thread, _ok) for name, thread in _THREADS.items()}
    for kind in ("handover", "summary"):
        probes[kind] = _unless_hung(health, kind, _sending(health.senders.get(kind)))
    return PartStates(probes, clock)


def _ok() -> PartState:
    return _OK


def _unless_hung(health: Health, thread: str, probe: Probe) -> Probe:
    def state() -> PartState:
        silent_s = health.silent_s.get(thread)
        return (silent_s and _hung(silent_s())) or probe()

    return state


def _hung(seconds: float) -> PartState | None:
    if seconds > HANG_S:
        return PartState("failed", f"its thread has hung for {seconds:.0f} s")
    return None


def _watcher(core: Core) -> PartState:
    watch = core.watcher.health()
    if not watch.available:
        return PartState("failed", f"the shared folder is unavailable: {watch.problem}")
    if watch.events == "degraded":
        why = f"no file system events, rescanning instead: {watch.problem}"
        return PartState("degraded", why)
    return _OK


def _queue(core: Core) -> PartState:
    if reason := core.runner.outage.reason:
        return PartState("failed", reason)
    if core.scheduler.paused:
        return PartState("degraded", "the queue is paused")
    count = len(core.scheduler.jobs())
    return PartState("ok", f"{count} to be done") if count else PartState("idle")


def _worker(core: Core) -> PartState:
    worker = combined(statuses_of(core.pool))
    if worker.is_running:
        return _OK
    if worker.is_idle:
        return PartState("idle", "ended, as nothing was to be done; starts with the next recording")
    return PartState("failed", "the WhisperX process is not running")


def _model(core: Core) -> PartState:
    loaded = combined(statuses_of(core.pool)).model_loaded
    if core.runner.outage.kind == "model":
        return PartState("failed", core.runner.outage.reason)
    return PartState("ok", loaded) if loaded else PartState("idle", "no model is in memory")


def _storage(core: Core, shared: Path) -> PartState:
    outage = core.runner.outage
    if outage.kind in ("storage", "share"):
        return PartState("failed", outage.reason)
    try:
        free_mb = shutil.disk_usage(shared).free // 2**20
    except OSError as error:
        return PartState("failed", str(error))
    if free_mb < LOW_DISK_MB:
        return PartState("degraded", f"only {free_mb} MB of disk are free")
    return _OK


def _live(config: Config, live: LiveSessions) -> PartState:
    if problem := why_not(config):
        return PartState("off", None if problem.code == "live_disabled" else problem.message)
    count = len(live.all())
    if not count:
        return PartState("idle")
    if not live.has_channel:
        return PartState("degraded", "no WhisperX process hears the sessions at the moment")
    step_s = live.load.step_s
    if step_s is None:
        return PartState("degraded", "the machine is busy: only whole utterances are shown")
    if live.load.is_slowed:
        return PartState("degraded", f"the machine is busy: a look every {step_s:g} s")
    return PartState("ok", f"{count} sessions")


def _sending(sender: Sender | None) -> Probe:
    def state() -> PartState:
        if sender is None:
            return _OFF
        if problem := sender.problem:
            return PartState("degraded", f"{sender.waiting} recordings wait: {problem}")
        return PartState("ok", f"{sender.waiting} wait") if sender.waiting else PartState("idle")

    return state
