"""``submit``: an order for a file of the shared folder, as the API would give it."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from modules import orders
from modules.cli.presence import find_owner
from modules.cli.session import complain, configured, require_share, say
from modules.clock import SystemClock
from modules.config import Config
from modules.errors import TranscriberError
from modules.file_manager import FileManager
from modules.folder_scan import look
from modules.names import is_recording


def run(options: Namespace) -> int:
    """Place an order for each file; 1 if any of them could not be ordered. Raises StorageError."""
    config, clock = configured(options), SystemClock()
    require_share(config)
    files = FileManager(config.shared_directory, config.manual_directory, clock)
    placed, failed = 0, 0
    for text in options.files:
        try:
            name = name_in_share(text, config)
            _check(name, config)
        except TranscriberError as error:
            complain(f"{text}: {error}")
            failed += 1
            continue
        if files.is_done(name):
            say(f"{name}: its text is there already.")
            continue
        orders.place(config.shared_directory, name, clock)
        say(f"{name}: ordered.")
        placed += 1
    if placed:
        _say_when(config, files)
    return 1 if failed else 0


def name_in_share(text: str, config: Config) -> str:
    """A bare name, a path relative to the share, or any path into it, as a name in the share.

    Raises TranscriberError if it points outside.
    """
    shared = Path(os.path.realpath(config.shared_directory))
    inside = Path(os.path.normpath(shared / text))
    # A link may be a part of the way; the last part is the file itself and is not followed.
    outside = Path(os.path.realpath(os.path.dirname(os.path.abspath(text))), os.path.basename(text))
    within = [path for path in (inside, outside) if path.is_relative_to(shared)]
    found = next((path for path in within if os.path.lexists(path)), None)
    if found or (within and not os.path.lexists(text)):
        return (found or within[0]).relative_to(shared).as_posix()
    raise TranscriberError(
        "not_in_share",
        f"It does not lie in the shared folder {config.shared_directory}.",
        remedy="Copy it there, or use `transcriber.py transcribe`.",
    )


def _check(name: str, config: Config) -> None:
    """Raises TranscriberError if the service would not take this file."""
    if look(config.shared_directory, name) is None:
        raise _absent(name, config)
    if not is_recording(name):
        raise TranscriberError("not_a_recording", "This is not the name of a recording.")
    if "/" in name and not config.watch.recursive:
        raise TranscriberError(
            "subfolder",
            "It lies in a subfolder, and the service does not look into those.",
            remedy="Move it up, or set watch.recursive: true.",
        )


def _absent(name: str, config: Config) -> TranscriberError:
    if os.path.lexists(config.shared_directory / name):
        message = "This is no regular file; folders and links are not taken."
        return TranscriberError("not_a_file", message)
    if os.path.lexists(config.manual_directory / name):
        message = f"It failed before and lies in {config.manual_directory}."
        return TranscriberError("in_manual", message, remedy="Move it back: it starts afresh.")
    message = f"There is no such file in the shared folder {config.shared_directory}."
    return TranscriberError("file_not_found", message)


def _say_when(config: Config, files: FileManager) -> None:
    owner = find_owner(config, SystemClock())
    if owner is None or not owner.is_daemon:
        say("No daemon runs; it begins when the service is next started (`transcriber.py run`).")
    elif files.pause_flag.exists():
        say("The queue is paused; it begins after `transcriber.py resume`.")
    else:
        say("The daemon runs and takes it next, after orders that were given before.")
