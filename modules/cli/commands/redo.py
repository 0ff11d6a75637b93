"""``redo``: finished recordings are transcribed anew, with other settings if need be."""

from __future__ import annotations

from argparse import Namespace
from gettext import gettext as _

from modules.cli.backend import Backend, refusal
from modules.cli.file_arguments import name_in_share
from modules.cli.orders import order_each
from modules.cli.session import say
from modules.config.schema import Config
from modules.errors import TranscriberError, noted
from modules.recordings.store import RecordingStore

_OUTCOMES = {
    "queued": noted("{name}: queued, to be transcribed anew."),
    "joined": noted("{name}: is in the queue or in progress already, with these settings."),
    "superseded": noted("{name}: was in the queue or in progress, and starts again."),
}


def run(options: Namespace) -> int:
    """1 if any of them could not be ordered. Raises LockHeldError, StorageError."""
    chosen = {"language": options.language, "model_size": options.model}
    wishes = {key: value for key, value in chosen.items() if value}

    def redo(text: str, config: Config, backend: Backend) -> bool:
        name = name_in_share(text, config)
        outcome = backend.redo(name, wishes)
        say(_(_OUTCOMES.get(outcome, _OUTCOMES["queued"])).format(name=name))
        if _store(config).edits.are_there(name):
            say(_("  Its corrections are applied to the new text where the same words are said at "
                  "the same time; `transcriber.py corrections` shows those that do not "
                  "fit."))  # fmt: skip
        return True

    later = _("No daemon runs; the text is made when the service is next started.")
    return order_each(options, "redo command", redo, later, _why)


def _store(config: Config) -> RecordingStore:
    return RecordingStore(config.shared_directory, config.manual_directory)


def _why(text: str, config: Config, error: TranscriberError) -> str:
    if error.code != "file_not_found":
        return refusal(error)
    name, files = name_in_share(text, config), _store(config)
    if files.manual.has(name):
        return _("it failed and is in the manual folder: `transcriber.py retry` brings it back")
    if files.results.read(name) is not None:
        return _("the recording itself is not there any more, only its text")
    return _("there is no such recording in the shared folder")
