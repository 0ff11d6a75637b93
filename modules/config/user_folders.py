"""Where the configuration is looked for, and where relative paths in it count from.

A checkout keeps everything in its own folder. An installed copy keeps to the XDG Base Directory
Specification, as nothing of a user's belongs into site-packages.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from modules import IS_INSTALLED, PROJECT_ROOT

CONFIG_FILE = "config.yaml"
#: The folder of this program in each of the user's folders.
_OWN = "audio-transcriber"


def config_file(environ: Mapping[str, str]) -> Path:
    """The configuration that is read where none is named; it need not be there."""
    if not IS_INSTALLED:
        return PROJECT_ROOT / CONFIG_FILE
    return _xdg("XDG_CONFIG_HOME", ".config", environ) / CONFIG_FILE


def data_folder(environ: Mapping[str, str]) -> Path:
    """Where ``shared``, ``manual`` and ``models`` are, with the configuration in its usual place or
    with none. Of a configuration that is named elsewhere it is its own folder."""
    if not IS_INSTALLED:
        return PROJECT_ROOT
    return _xdg("XDG_DATA_HOME", ".local/share", environ)


def _xdg(variable: str, usual: str, environ: Mapping[str, str]) -> Path:
    named = environ.get(variable, "")
    # The specification: a relative path is invalid, and to be ignored.
    top = Path(named) if os.path.isabs(named) else Path(os.path.expanduser("~"), usual)
    return Path(os.path.abspath(top / _OWN))
