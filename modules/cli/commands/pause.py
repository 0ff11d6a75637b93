"""``pause`` and ``resume``: the flag in the shared folder that the service obeys."""

from __future__ import annotations

from argparse import Namespace
from gettext import gettext as _

from modules.cli.daemon_status import daemon_runs
from modules.cli.session import configured, require_share, say
from modules.clock import SystemClock
from modules.config.schema import Config
from modules.recordings.store import RecordingStore
from modules.storage.atomic import remove, storage_errors, write_whole


def pause(options: Namespace) -> int:
    """Set the flag; saying it twice changes nothing. Raises StorageError."""
    config = configured(options)
    require_share(config)
    flag = _files(config).pause_flag
    if flag.exists():
        say(_("The queue is paused already. `transcriber.py resume` lets it go on."))
        return 0
    with storage_errors(flag.parent):
        flag.parent.mkdir(exist_ok=True)
    write_whole(flag, b"")
    if daemon_runs(config, SystemClock()):
        say(_("Paused. The file in hand stops after its current piece, to go on from there later."))
    else:
        say(_("Paused. No daemon runs; when it is started it will start no file."))
    say(_("`transcriber.py resume` lets it go on."))
    return 0


def resume(options: Namespace) -> int:
    """Remove the flag; saying it twice changes nothing. Raises StorageError."""
    config = configured(options)
    require_share(config)
    if not remove(_files(config).pause_flag):
        say(_("The queue was not paused."))
    elif daemon_runs(config, SystemClock()):
        say(_("Going on."))
    else:
        say(_("No longer paused. No daemon runs; `transcriber.py run` starts it."))
    return 0


def _files(config: Config) -> RecordingStore:
    return RecordingStore.of(config)
