"""Which process works on the shared folder, by the lock and the owner's note."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import datetime
from gettext import gettext as _

from modules.cli.session import local_time
from modules.clock import Clock, parse_time
from modules.config.schema import Config
from modules.errors import noted
from modules.recordings.lock import holder, is_elsewhere_and_alive, read_note
from modules.recordings.standbys import Waiting

#: By the role in the owner's note.
_RUNS = {
    "daemon": noted("The daemon runs"),
    "transcribe command": noted("The transcribe command runs"),
    "retry command": noted("The retry command runs"),
    "delete command": noted("The delete command runs"),
}


@dataclass(frozen=True)
class Owner:
    """The process that holds the folder; ``pid`` and ``host`` as its note says, if there is one."""

    role: str
    pid: int | None
    host: str | None
    since: datetime | None

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine."""
        return self.host in (None, socket.gethostname())

    @property
    def is_daemon(self) -> bool:
        return self.role == "daemon"

    def __str__(self) -> str:
        facts = [f"PID {self.pid}"] if self.pid else []
        facts += [_("on {host}").format(host=self.host)] if self.host else []
        facts += [_("since {time}").format(time=local_time(self.since))] if self.since else []
        message = (
            _(_RUNS[self.role])
            if self.role in _RUNS
            else _("The {role} runs").format(role=self.role)
        )
        return message + (f" ({', '.join(facts)})." if facts else ".")


def find_owner(config: Config, clock: Clock) -> Owner | None:
    """Who holds the lock or, on another host, says by a fresh note that it lives."""
    note = read_note(config) or {}
    elsewhere = bool(note) and is_elsewhere_and_alive(note, clock.utc_now())
    if not elsewhere and holder(config) is None:
        return None
    pid, host = note.get("pid"), note.get("host")
    return Owner(
        role=str(note.get("role", "daemon")),
        pid=pid if isinstance(pid, int) else None,
        host=str(host) if host else None,
        since=parse_time(note.get("since")),
    )


def standby_line(standby: Waiting) -> str:
    """A process that waits to be the next owner, in words."""
    message = _("A standby waits to take over (PID {pid}, on {host}).")
    return message.format(pid=standby.pid, host=standby.host)


def daemon_runs(config: Config, clock: Clock) -> bool:
    owner = find_owner(config, clock)
    return owner is not None and owner.is_daemon
