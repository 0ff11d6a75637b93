"""``config``: where the configuration and the folders are, and a commented file to begin with."""

from __future__ import annotations

import contextlib
import os
from argparse import Namespace
from gettext import gettext as _
from pathlib import Path

from modules import IS_INSTALLED, PACKAGE_FOLDER, PROJECT_ROOT
from modules.cli.session import configured, say
from modules.config.loader import base_folder, config_path
from modules.config.user_folders import CONFIG_FILE
from modules.errors import TranscriberError
from modules.storage.no_replace import rename_new

#: A configuration with every default, explained. ``setup.py`` puts it into the package.
SHIPPED = (PACKAGE_FOLDER if IS_INSTALLED else PROJECT_ROOT) / CONFIG_FILE
_SCHEMA_LINE = "# yaml-language-server:"
_BESIDE = "Relative paths count from the folder of this file."


def run(options: Namespace) -> int:
    """Show the places, or write the file. Raises ConfigError, TranscriberError."""
    file, _named = config_path(options.config, os.environ)
    if options.write:
        _write(file, commented(base_folder(file, os.environ), file))
        say(_("{file} is written: every line is a default, with what it means.").format(file=file))
        return 0
    config = configured(options)
    if file.exists():
        say(_("configuration: {file}").format(file=file))
    else:
        say(_("configuration: {file} is not there, so the defaults hold").format(file=file))
    say(_("recordings:    {folder}").format(folder=config.shared_directory))
    say(_("failed ones:   {folder}").format(folder=config.manual_directory))
    say(_("models:        {folder}").format(folder=config.models_directory))
    return 0


def commented(base: Path, file: Path) -> str:
    """The shipped configuration, to lie at ``file``; relative paths count from ``base``."""
    text = SHIPPED.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith(_SCHEMA_LINE))
    if base == file.parent:
        return text
    return text.replace(_BESIDE, f"Relative paths count from {base}.", 1)


def _write(file: Path, text: str) -> None:
    """Never over what is there, and whole or not at all."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        rename_new(str(part), str(file))
    except FileExistsError:
        message = _("{file} is there already, and is left as it is.").format(file=file)
        remedy = _("Edit it, or name another one: `transcriber.py --config FILE config --write`.")
        raise TranscriberError("config_exists", message, remedy=remedy) from None
    except OSError as error:
        message = _("{file} could not be written: {why}.")
        raise TranscriberError(
            "config_not_written", message.format(file=file, why=error.strerror or error)
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
