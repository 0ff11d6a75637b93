"""Which recording an argument means: a name, or a path into the shared or the manual folder."""

from __future__ import annotations

import os
from gettext import gettext as _
from pathlib import Path

from modules.config.schema import Config
from modules.errors import TranscriberError
from modules.recordings import spellings


def name_in_share(text: str, config: Config) -> str:
    """A bare name, a path relative to the share, or any path into it, as a name in the share.

    Raises TranscriberError if it points outside, or if two recordings have this name.
    """
    name = _name_in(config.shared_directory, text)
    if name is not None:
        return name
    raise TranscriberError(
        "not_in_share",
        _("It does not lie in the shared folder {folder}.").format(folder=config.shared_directory),
        remedy=_("Copy it there, or use `transcriber.py transcribe`."),
    )


def name_in_manual(text: str, config: Config) -> str:
    """The same for ``manual/``. Raises TranscriberError if it points outside."""
    name = _name_in(config.manual_directory, text)
    if name is not None:
        return name
    message = _("It does not lie in the manual folder {folder}.")
    raise TranscriberError("not_in_manual", message.format(folder=config.manual_directory))


def name_of_failure(text: str, config: Config) -> str:
    """A recording of ``manual/`` or, where failed ones are left, of the shared folder.

    Raises TranscriberError if it points outside.
    """
    try:
        return name_in_manual(text, config)
    except TranscriberError:
        if config.processing.failed != "leave":
            raise
        return name_in_share(text, config)


def name_in_either(text: str, config: Config) -> str:
    """A recording of the shared folder or, if it is only there, of ``manual/``.

    Raises TranscriberError if it points outside of both.
    """
    shared, manual = config.shared_directory, config.manual_directory
    names = [(root, _name_in(root, text)) for root in (shared, manual)]
    there = [name for root, name in names if name is not None and os.path.lexists(root / name)]
    possible = there or [name for _root, name in names if name is not None]
    if possible:
        return possible[0]
    message = _("It lies neither in {shared} nor in {manual}.")
    raise TranscriberError("not_in_share", message.format(shared=shared, manual=manual))


def _name_in(folder: Path, text: str) -> str | None:
    """The name that a text means in a folder, be there such a file or not; None if outside."""
    root = Path(os.path.realpath(folder))
    inside = Path(os.path.normpath(root / text))
    # A link may be a part of the way; the last part is the file itself and is not followed.
    outside = Path(os.path.realpath(os.path.dirname(os.path.abspath(text))), os.path.basename(text))
    within = [path for path in (inside, outside) if path.is_relative_to(root) and path != root]
    names = [path.relative_to(root).as_posix() for path in within]
    found = next((name for name in names if os.path.lexists(root / name)), None)
    if found or (names and not os.path.lexists(text)):
        return found or _spelled(names[0], root)
    return None


def _spelled(name: str, root: Path) -> str:
    """The name as it is on the disk, if that looks the same. Raises TranscriberError."""
    try:
        return spellings.meant(name, (root,))
    except TranscriberError as error:
        if error.code != "ambiguous_name":
            raise
        raise TranscriberError(
            error.code,
            _("Two recordings look the same: {names}.").format(names=error.details),
            remedy=_("Rename one of them."),
        ) from error
