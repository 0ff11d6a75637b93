"""``transcribe``: files into text here and now, under the service's lock."""

from __future__ import annotations

import contextlib
import os
from argparse import Namespace
from collections.abc import Callable, Sequence
from gettext import gettext as _
from pathlib import Path

from modules.cli.output_paths import Target, plan
from modules.cli.session import complain, configured, say
from modules.cli.single_file import SingleFile
from modules.cli.terminal.interruption import Interruption
from modules.cli.terminal.progress import meter
from modules.clock import Clock, SystemClock
from modules.config.languages import subtitle_code
from modules.config.schema import Config
from modules.errors import ConfigError, ModelError, StorageError, TranscriberError, joined
from modules.executors.local.executor import LocalExecutor
from modules.messages import in_locale
from modules.recordings.lock import HEARTBEAT_S, Ownership
from modules.storage.atomic import storage_errors

#: The options that stand in for an environment variable, which goes before the file.
_OVERRIDES = {"WHISPERX_LANGUAGE": "--language", "WHISPERX_MODEL_SIZE": "--model"}


def run(options: Namespace) -> int:
    """Transcribe each file; 1 if any of them failed or was refused.

    Raises ConfigError, LockHeldError, ModelError, StorageError.
    """
    config = _configured(options)
    folder = _output_folder(options.output)
    formats = tuple(dict.fromkeys(options.formats or config.output.formats or ("txt",)))
    targets, refusals = plan(options.files, formats, folder, options.overwrite, _language(config))
    for refusal in refusals:
        complain(refusal)
    failed = _transcribe(targets, config, options.overwrite) if targets else 0
    return failed or (1 if refusals else 0)


def _language(config: Config) -> str | None:
    """The code in the names of subtitles; None also where the speech has yet to tell it."""
    spoken = "en" if config.whisperx.task == "translate" else config.whisperx.language
    if not config.output.subtitle_language or spoken in ("auto", "mixed"):
        return None
    return subtitle_code(spoken)


def _configured(options: Namespace) -> Config:
    """The configuration with the options in it; complaints name the options."""
    model = options.model
    if model and "/" in model:
        model = os.path.abspath(os.path.expanduser(model))
    chosen = {"WHISPERX_LANGUAGE": options.language, "WHISPERX_MODEL_SIZE": model}
    overrides = {variable: value for variable, value in chosen.items() if value}
    try:
        return configured(options, overrides)
    except ConfigError as error:
        raise ConfigError([_as_option(line, overrides) for line in error.problems]) from None


def _as_option(line: str, overrides: dict[str, str]) -> str:
    variable, colon, rest = in_locale(line).partition(":")
    return _OVERRIDES[variable] + colon + rest if variable in overrides else line


def _output_folder(folder: Path | None) -> Path | None:
    if folder is None:
        return None
    absolute = Path(os.path.abspath(folder))
    with storage_errors(absolute):
        absolute.mkdir(parents=True, exist_ok=True)
    return absolute


def _transcribe(targets: Sequence[Target], config: Config, overwrite: bool) -> int:
    """The exit code of all of them."""
    clock = SystemClock()
    limits = config.processing.model_copy(update={"stop_grace_seconds": 0.0})
    with Ownership(config, clock, "transcribe command") as owner:
        # A stop waits for no chunk: nothing resumes from there later.
        processor = LocalExecutor(config.model_copy(update={"processing": limits}), clock)
        try:
            with Interruption() as interruption:
                heartbeat = _Heartbeat(owner, clock)
                transcriber = SingleFile(
                    config, clock, processor, overwrite,
                    lambda: heartbeat() or interruption.number is not None,
                )  # fmt: skip
                return do_all(transcriber, targets, interruption)
        finally:
            processor.close()


def do_all(transcriber: SingleFile, targets: Sequence[Target], interruption: Interruption) -> int:
    """One after the other; a file that fails is reported, and the next one begins."""
    failed = 0
    for target in targets:
        try:
            with meter(target.name) as shown:
                message = transcriber.transcribe(target, shown)
        except ModelError:
            raise  # it would be the same for every file
        except TranscriberError as error:
            message = ""
            failed = 1
            complain(joined(": ", target.name, error.text))
        if message is None or interruption.number is not None:
            undone = _("stopped; {name} is not done").format(name=target.name)
            complain(undone if message is None else _("stopped"))
            return interruption.exit_code
        if message:
            written = ", ".join(_shown(path) for path in target.outputs.values())
            say(f"{target.name}: {written} ({message})")
    return failed


def _shown(path: Path) -> str:
    """As short as it stays right: relative where it lies below the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


class _Heartbeat:
    """Keeps the owner's note fresh; to be called now and then. Always False."""

    def __init__(self, owner: Ownership, clock: Clock) -> None:
        self._beat: Callable[[], None] = owner.beat
        self._clock = clock
        self._due = clock.monotonic() + HEARTBEAT_S

    def __call__(self) -> bool:
        if self._clock.monotonic() >= self._due:
            self._due = self._clock.monotonic() + HEARTBEAT_S
            with contextlib.suppress(StorageError):
                self._beat()
        return False
