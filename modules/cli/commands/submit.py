"""``submit``: an order for a file of the shared folder, as the API would give it."""

from __future__ import annotations

import os
from argparse import Namespace
from gettext import gettext as _

from modules.cli.daemon_status import find_owner
from modules.cli.file_arguments import name_in_share
from modules.cli.session import complain, configured, require_share, say
from modules.clock import SystemClock
from modules.config.schema import Config
from modules.errors import TranscriberError, joined
from modules.recordings.names import is_recording
from modules.recordings.store import RecordingStore
from modules.service import folder_orders
from modules.watching.scan import look


def run(options: Namespace) -> int:
    """Place an order for each file; 1 if any of them could not be ordered. Raises StorageError."""
    config, clock = configured(options), SystemClock()
    require_share(config)
    files = RecordingStore.of(config)
    placed, failed = 0, 0
    for text in options.files:
        try:
            name = name_in_share(text, config)
            _check(name, config)
        except TranscriberError as error:
            complain(joined(": ", text, error.text))
            failed += 1
            continue
        if files.results.is_done(name):
            say(_("{name}: its text is there already.").format(name=name))
            continue
        folder_orders.place(config.shared_directory, name, clock)
        say(_("{name}: queued.").format(name=name))
        placed += 1
    if placed:
        _say_when(config, files)
    return 1 if failed else 0


def _check(name: str, config: Config) -> None:
    """Raises TranscriberError if the service would not take this file."""
    if look(config.shared_directory, name) is None:
        raise _absent(name, config)
    if not is_recording(name):
        message = _("This is not the name of a recording.")
        raise TranscriberError("not_a_recording", message)
    if "/" in name and not config.watch.recursive:
        raise TranscriberError(
            "subfolder",
            _("It lies in a subfolder, and the service does not look into those."),
            remedy=_("Move it up, or set watch.recursive: true."),
        )


def _absent(name: str, config: Config) -> TranscriberError:
    if os.path.lexists(config.shared_directory / name):
        message = _("This is no regular file; folders and links are not taken.")
        return TranscriberError("not_a_file", message)
    if os.path.lexists(config.manual_directory / name):
        message = _("It failed before and lies in {folder}.")
        return TranscriberError(
            "in_manual",
            message.format(folder=config.manual_directory),
            remedy=_("`transcriber.py retry` brings it back."),
        )
    message = _("There is no such file in the shared folder {folder}.")
    return TranscriberError("file_not_found", message.format(folder=config.shared_directory))


def _say_when(config: Config, files: RecordingStore) -> None:
    owner = find_owner(config, SystemClock())
    if owner is None or not owner.is_daemon:
        say(_("No daemon runs; it begins when the service is next started (`transcriber.py run`)."))
    elif files.pause_flag.exists():
        say(_("The queue is paused; it begins after `transcriber.py resume`."))
    else:
        say(_("The daemon runs and takes it next, after earlier requests."))
