"""Settings that lie beside the recordings: what they state, or every complaint about them.

``settings.yaml`` holds for the recordings of its folder and below, ``NAME.settings.yaml`` for one.
The share is hostile: links are not followed, and nothing but small regular files is read.
"""

from __future__ import annotations

import errno
import functools
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modules.config.recording_settings import check_settings
from modules.config.rules import settings_conflicts
from modules.config.settings import TranscriptionSettings
from modules.errors import TranscriberError, joined, noted, reason_of
from modules.recordings.error_texts import OWN_NOTICES, explain_settings
from modules.recordings.shared_folder import SharedFolder
from modules.recordings.sidecars import RecordingPaths
from modules.storage import beneath
from modules.storage.atomic import remove, storage_errors, write_whole
from modules.storage.safe_open import read_regular
from modules.storage.transfer import is_folder

#: The settings of a folder.
FOLDER_SETTINGS = "settings.yaml"

_LIMIT_BYTES = 64 * 1024
#: A line of complaint is cut here: it quotes what others wrote.
_LINE_CHARS = 400
#: So many lines of complaint stand in a text, which so stays below the limit itself.
_TOLD_LINES = 30
#: The same few files are read for many recordings, and again and again while one is wrong.
_checked = functools.lru_cache(maxsize=64)(check_settings)
#: No file of ours can be there: another thing has the name of its folder, or no name is so long.
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


class SettingsError(TranscriberError):
    """Settings files are wrong. ``wrong``: file, relative to the share, to its complaints.

    ``language``: that of the recording, as far as it is stated rightly.
    """

    def __init__(self, wrong: Mapping[str, tuple[str, ...]], language: str | None = None) -> None:
        lines = [joined(": ", file, line) for file, found in wrong.items() for line in found]
        super().__init__("invalid_settings", joined("\n", *lines))
        self.wrong = dict(wrong)
        self.language = language
        #: All complaints in one line, for the log.
        self.in_short = " | ".join(lines)


@dataclass
class Stated:
    """What the files beside a recording ask for, and which of them has the last word on a key."""

    wishes: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)


class RecordingSettings:
    """The settings files in the share, and in ``manual/`` for what lies there."""

    def __init__(self, folder: SharedFolder, manual: Path) -> None:
        self._folder = folder
        self._manual = manual

    def stated(
        self,
        name: str,
        base: TranscriptionSettings,
        wishes: Mapping[str, Any] | None = None,
        in_manual: bool = False,
    ) -> Stated:
        """What the files beside a recording ask for, under the wishes of a request.

        ``in_manual``: its own file may still lie there. Raises SettingsError, StorageError.
        """
        moved_to = self._manual if in_manual else None
        found = stated(self._folder.path, name, base, wishes, moved_to)
        self._folder.require()  # or files that are away would pass for none
        return found

    def report(self, file: str, complaints: Sequence[str], language: str = "en") -> None:
        """Write beside a settings file what is wrong with it, or remove that if nothing is.

        A file that is not ours stays as it is. Raises StorageError.
        """
        self._folder.require()
        report(self._folder.path, file, complaints, language)


def files_for(name: str) -> tuple[str, ...]:
    """Where settings of a recording may lie, relative to the share; the later ones win."""
    parts = name.split("/")[:-1]
    folders = ("/".join((*parts[:depth], "")) for depth in range(len(parts) + 1))
    return (*(folder + FOLDER_SETTINGS for folder in folders), RecordingPaths(name).settings)


def notice_of(file: str) -> str:
    """The text that says what is wrong with a settings file."""
    return RecordingPaths(file).error_text


def stated(
    shared: Path,
    name: str,
    base: TranscriptionSettings,
    wishes: Mapping[str, Any] | None = None,
    moved_to: Path | None = None,
) -> Stated:
    """What the files state for a recording; ``base`` lies under it, a request's wishes above.

    ``moved_to``: where the recording's own file is looked for besides, for one in ``manual/``.
    Raises SettingsError with every complaint, StorageError.
    """
    found, wrong, bad = Stated(), dict[str, tuple[str, ...]](), set[str]()
    files = files_for(name)
    for file in files:
        content, fault = _read(shared, file)
        if moved_to and file == files[-1] and content is None and fault is None:
            content, fault = _read(moved_to, file)
        values, problems = _checked(content or b"") if fault is None else ({}, [((), fault)])
        if problems:
            wrong[file] = tuple(_cut(line) for _, line in problems)
            bad |= {str(key[0]) if key else "" for key, _ in problems}
        found.wishes |= values
        found.origins |= dict.fromkeys(values, file)
    if "" not in bad:  # or it is not known what else is stated
        _add_conflicts(wrong, found, bad, base, wishes or {}, files)
    if wrong:
        raise SettingsError(wrong, found.wishes.get("language"))
    return found


def _add_conflicts(
    wrong: dict[str, tuple[str, ...]],
    found: Stated,
    bad: set[str],
    base: TranscriptionSettings,
    wishes: Mapping[str, Any],
    files: tuple[str, ...],
) -> None:
    """Blame keys at odds on the nearest file that has a part in it, if one has."""
    merged = base.model_copy(update={**found.wishes, **wishes})
    for names, line in settings_conflicts(merged):
        origins = [found.origins[n] for n in names if n in found.origins and n not in wishes]
        if not origins or not bad.isdisjoint(names):
            continue
        blamed = max(origins, key=files.index)
        wrong[blamed] = (*wrong.get(blamed, ()), _cut(joined(": ", names[0], line)))


def _cut(line: str) -> str:
    return line if len(line) <= _LINE_CHARS else line[: _LINE_CHARS - 3] + "..."


# --- the text beside a wrong file ---------------------------------------------------------------


def report(shared: Path, file: str, complaints: Sequence[str], language: str = "en") -> None:
    """Write beside a settings file what is wrong with it, or remove that if nothing is.

    A file that is not ours stays as it is. Raises StorageError.
    """
    notice = notice_of(file)
    there, fault = _read(shared, notice)
    if fault is not None or not (there is None or _is_ours(there)):
        return
    if complaints:
        text = explain_settings(file.rpartition("/")[2], complaints[:_TOLD_LINES], language)
        content = text.encode(errors="replace")
        if content != there:
            write_whole(shared / notice, content)
    elif there is not None:
        remove(shared / notice)


def own_files(root: Path, name: str) -> list[str]:
    """The settings of one recording and our text about them: what goes when it is deleted."""
    file = RecordingPaths(name).settings
    content, fault = _read(root, file)
    is_there = content is not None or fault is not None
    with storage_errors(root / file):
        found = [file] if is_there and not is_folder(root / file) else []
    text = _read(root, notice_of(file))[0]
    return [*found, notice_of(file)] if text is not None and _is_ours(text) else found


def _is_ours(content: bytes) -> bool:
    return content.startswith(OWN_NOTICES)


# --- reading ----------------------------------------------------------------------------------


def _read(root: Path, file: str) -> tuple[bytes | None, str | None]:
    """(content, what is wrong); both None where there is no such file. Raises StorageError."""
    with storage_errors(root / file):
        try:
            return _content(root / file)
        except PermissionError as error:
            return None, noted(
                "cannot be read ({reason}); give the service the right to",
                reason=reason_of(error),
            )
        except OSError as error:
            if error.errno in _ABSENT:
                return None, None
            raise


def _content(path: Path) -> tuple[bytes | None, str | None]:
    # Looked at before it is opened: to open a device may be to start it.
    kind = beneath.lstat(path).st_mode
    if not stat.S_ISREG(kind):
        return None, noted(
            "is {thing}, not a file; put the settings themselves there", thing=_thing(kind)
        )
    try:
        return read_regular(path, _LIMIT_BYTES), None
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None, noted("is not a file; put the settings themselves there")
        if error.errno == errno.EFBIG:
            return None, noted(
                "is larger than {limit} KiB, which no settings file is",
                limit=_LIMIT_BYTES // 1024,
            )
        raise


def _thing(kind: int) -> str:
    if stat.S_ISLNK(kind):
        return noted("a link")
    return noted("a folder") if stat.S_ISDIR(kind) else noted("something special")
