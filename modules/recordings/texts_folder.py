"""The folder of the texts, where they do not lie beside the recordings: is it the one it was?

It may be another disk than the share. While that is not mounted, an empty folder in its place must
not say that no recording is done.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from modules.errors import StorageError, noted
from modules.storage import transfer
from modules.storage.atomic import storage_errors, to_json, write_own
from modules.storage.safe_open import read_model

#: In the folder of the texts; and in our own one, which folder that is.
MARKER, _NOTE = ".transcriber-texts", "texts.json"
_BYTES_MAX = 2**16


class _Note(BaseModel):
    model_config = ConfigDict(strict=True)
    directory: str


class TextsFolder:
    """``state``: our own folder in the share. Each method raises StorageError."""

    def __init__(self, path: Path, state: Path) -> None:
        self._path = path
        self._note = state / _NOTE
        self._is_known = False

    def prepare(self) -> None:
        """Mark a folder that is new to us; one that is known must have its mark."""
        if self._knows_it():
            self.require()
            return
        write_own(self._path / MARKER, b"")
        write_own(self._note, to_json({"directory": str(self._path)}))

    def require(self) -> None:
        """Raises StorageError ``texts_unavailable`` if the folder is not the one that we know."""
        with storage_errors(self._path):
            is_there = transfer.is_regular(self._path / MARKER)
        if not is_there and self._knows_it():
            raise StorageError(
                "texts_unavailable",
                noted(
                    "The folder of the texts (output.directory) is not the one that it was: {path} "
                    "has no {marker}.",
                    path=self._path,
                    marker=MARKER,
                ),
                remedy=noted(
                    "Mount it. If it is meant to be a new one, make an empty file {marker} in it.",
                    marker=MARKER,
                ),
            )

    def _knows_it(self) -> bool:
        if not self._is_known:
            found = read_model(_Note, self._note, _BYTES_MAX)
            self._is_known = found is not None and found.directory == str(self._path)
        return self._is_known
