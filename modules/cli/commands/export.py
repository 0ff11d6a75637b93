"""``export``: a finished text in one of the formats, with the corrections that people made."""

from __future__ import annotations

import sys
from argparse import Namespace
from gettext import gettext as _
from pathlib import Path
from typing import Any

from modules.cli.file_arguments import name_in_share
from modules.cli.session import complain, configured, require_share, say
from modules.config.schema import Config
from modules.errors import StorageError, TranscriberError, joined
from modules.outputs.formats import render
from modules.outputs.notes import reader_language, text_note
from modules.recordings.edits import Corrected
from modules.recordings.sidecars import stem_of
from modules.recordings.store import RecordingStore
from modules.storage.atomic import storage_errors, write_whole


def run(options: Namespace) -> int:
    """1 if there is no such text, or the file is there already. Raises StorageError."""
    config = configured(options)
    require_share(config)
    try:
        name, result, found = finished(options.file, config)
        content = _rendered(name, result, found, options, config)
        if options.output is None:
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
        else:
            _write(options.output, content, options.overwrite)
    except StorageError:
        raise
    except TranscriberError as error:
        complain(joined(": ", options.file, error.text))
        return 1
    if found.unreadable and not options.original:
        complain(_("The corrections cannot be read; this is the text without them."))
    return 0


def finished(text: str, config: Config) -> tuple[str, dict[str, Any], Corrected]:
    """The name of a recording, its result, and its text. Raises TranscriberError, StorageError."""
    files = RecordingStore.of(config)
    name = name_in_share(text, config)
    result = files.results.read(name)
    if result is None:
        raise TranscriberError(
            "no_text_yet",
            _("There is no text of this recording."),
            remedy=_("`transcriber.py status` shows where it stands."),
        )
    return name, result, files.edits.corrected(name, result)


def _rendered(
    name: str, result: dict[str, Any], found: Corrected, options: Namespace, config: Config
) -> bytes:
    return render(
        options.format,
        found.segments if options.original else found.text.segments,
        config.output.txt_timestamps,
        float(result.get("duration_seconds") or "inf"),
        stem_of(name).rpartition("/")[2],
        text_note(result, config.messages.language),
        reader_language(result, config.messages.language),
    )


def _write(path: Path, content: bytes, overwrite: bool) -> None:
    with storage_errors(path):
        if path.exists() and not overwrite:
            raise TranscriberError(
                "file_exists",
                _("{file} is there already.").format(file=path),
                remedy=_("Choose another name, or give --overwrite."),
            )
    write_whole(path, content)
    say(str(path))
