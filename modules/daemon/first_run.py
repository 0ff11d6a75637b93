"""The newcomer's first minute: a sample goes in, its transcript comes out on the terminal."""

from __future__ import annotations

from pathlib import Path

from modules.logger import get_logger
from modules.recordings.names import STATE_FOLDER
from modules.recordings.store import RecordingStore
from modules.storage.atomic import write_whole

log = get_logger("FirstRun")


class FirstRun:
    """Drops ``sample`` into a share that was never used; does nothing in any other."""

    def __init__(self, sample: Path, shared: Path) -> None:
        self._sample = sample
        # Our own folder in the share is the trace of an earlier run.
        self._waiting = sample.is_file() and not (shared / STATE_FOLDER).exists()

    def drop_sample(self, shared: Path) -> None:
        """Raises StorageError."""
        target = shared / self._sample.name
        if not self._waiting or target.exists():
            self._waiting = False
            return
        write_whole(target, self._sample.read_bytes())
        log.info("A sample was put into the shared folder: %s", target)
        log.info("The first transcript takes a little longer, as the model must be loaded")

    def show_when_done(self, files: RecordingStore) -> None:
        """Print the transcript once it is there."""
        result = files.results.read(self._sample.name) if self._waiting else None
        if not result:
            return
        self._waiting = False
        outputs = ", ".join([f"{self._sample.name}.result", *result["outputs"]])
        print(
            f"\n    {self._sample.name} says:\n\n"
            f"    {result['transcription']['text']}\n\n"
            f"    It stands in {files.folder.path}: {outputs}\n"
            f"    Now copy recordings of your own there. Ctrl-C ends the program.\n",
            flush=True,
        )
