"""``redo``: finished recordings are transcribed anew, with other settings if need be."""

from __future__ import annotations

from argparse import Namespace
from gettext import gettext as _

from modules.cli.backend import Backend, open_backend, refusal
from modules.cli.file_arguments import name_in_share
from modules.cli.session import complain, configured, require_share, say
from modules.clock import SystemClock
from modules.config.schema import Config
from modules.errors import StorageError, TranscriberError, noted
from modules.recordings.store import RecordingStore

_OUTCOMES = {
    "queued": noted("{name}: queued, to be transcribed anew."),
    "joined": noted("{name}: is in the queue or in progress already, with these settings."),
    "superseded": noted("{name}: was in the queue or in progress, and starts again."),
}


def run(options: Namespace) -> int:
    """1 if any of them could not be ordered. Raises LockHeldError, StorageError."""
    config, clock = configured(options), SystemClock()
    require_share(config)
    files = RecordingStore(config.shared_directory, config.manual_directory)
    chosen = {"language": options.language, "model_size": options.model}
    wishes = {key: value for key, value in chosen.items() if value}
    with open_backend(config, clock, "redo command") as backend:
        done = [_redone(text, wishes, config, files, backend) for text in options.files]
    if any(done) and not backend.has_daemon:
        say(_("No daemon runs; the text is made when the service is next started."))
    return 0 if all(done) else 1


def _redone(
    text: str, wishes: dict[str, str], config: Config, files: RecordingStore, backend: Backend
) -> bool:
    """Order one and say so. Raises StorageError."""
    try:
        name = name_in_share(text, config)
        outcome = backend.redo(name, wishes)
    except StorageError:
        raise
    except TranscriberError as error:
        complain(f"{text}: {_why(text, error, config, files)}")
        return False
    say(_(_OUTCOMES.get(outcome, _OUTCOMES["queued"])).format(name=name))
    if files.edits.are_there(name):
        say(_("  Its corrections are applied to the new text where the same words are said at the "
              "same time; `transcriber.py corrections` shows those that do not fit."))  # fmt: skip
    return True


def _why(text: str, error: TranscriberError, config: Config, files: RecordingStore) -> str:
    if error.code != "file_not_found":
        return refusal(error)
    name = name_in_share(text, config)
    if files.manual.has(name):
        return _("it failed and is in the manual folder: `transcriber.py retry` brings it back")
    if files.results.read(name) is not None:
        return _("the recording itself is not there any more, only its text")
    return _("there is no such recording in the shared folder")
