"""The newcomer's first minute: a sample goes in, its transcript comes out on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modules.errors import noted
from modules.logger import get_logger
from modules.messages import in_locale
from modules.recordings.names import STATE_FOLDER
from modules.recordings.store import RecordingStore
from modules.storage.atomic import write_whole

log = get_logger("FirstRun")


class FirstRun:
    """Drops ``sample`` into a share that was never used; does nothing in any other.

    ``is_waiting``: whether the sample's transcript is still to be shown.
    """

    def __init__(self, sample: Path, shared: Path) -> None:
        self._sample = sample
        # Our own folder in the share is the trace of an earlier run.
        self.is_waiting = sample.is_file() and not (shared / STATE_FOLDER).exists()

    def drop_sample(self, shared: Path) -> None:
        """Raises StorageError."""
        target = shared / self._sample.name
        if not self.is_waiting or target.exists():
            self.is_waiting = False
            return
        write_whole(target, self._sample.read_bytes())
        log.info("A sample was put into the shared folder: %s", target)
        log.info("The first transcript takes a little longer, as the model must be loaded")

    def tick(self, files: RecordingStore) -> None:
        """Print the transcript as soon as it is there, once, in the language of the terminal."""
        result = files.results.read(self._sample.name) if self.is_waiting else None
        if result:
            self.is_waiting = False
            print(self._announcement(result, files.folder.path), flush=True)

    def _announcement(self, result: Mapping[str, Any], shared: Path) -> str:
        name = self._sample.name
        outputs = ", ".join([f"{name}.result", *result["outputs"]])
        heading = noted("{name} says:", name=name)
        where = noted("The files are in {folder}: {files}", folder=shared, files=outputs)
        further = noted("Now copy recordings of your own there. Ctrl-C ends the program.")
        return (
            f"\n    {in_locale(heading)}\n\n"
            f"    {result['transcription']['text']}\n\n"
            f"    {in_locale(where)}\n"
            f"    {in_locale(further)}\n"
        )
