"""What the child hears of its parent."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from modules.executors.local.connection import send_command
from modules.executors.protocol import Prefetch, Transcribe
from modules.weights.files import ModelSpec
from tests.builders import SETTINGS
from tests.daemon_process import PROJECT

ORDER = Transcribe(
    task_id=1,
    path=b"/one.mp3",
    model=ModelSpec(name="base", path="/base", device="cpu", compute_type="int8"),
    settings=SETTINGS,
    batch_size=1,
    max_duration_s=60,
)
#: The end of its input ends the process, so it is one of its own that listens. It tells of each
#: command what the recording that came with it says, and that of what is next.
LISTENS = """
import os
from modules.worker.pipes import Inbox
inbox = Inbox(os.dup(0))
def said(assignment):
    return os.pread(assignment.recording.descriptor, 99, 0).decode() if assignment else None
while (command := inbox.next()) is not None:
    if not hasattr(command, "recording"):
        continue
    print(said(command), said(inbox.next_up), len(os.listdir("/proc/self/fd")), flush=True)
"""


class Listener:
    """The process that listens, and the parent's end of what it listens to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._commands, its = socket.socketpair()
        with its:
            self.process = subprocess.Popen(
                [sys.executable, "-c", LISTENS],
                cwd=PROJECT,
                stdin=its.fileno(),
                stdout=subprocess.PIPE,
            )

    def send(self, command: Transcribe | Prefetch, content: str) -> None:
        path = self._folder / "recording"
        path.write_text(content)
        with path.open("rb") as file:
            send_command(self._commands, command, file.fileno())
        path.unlink()

    def told(self) -> tuple[str, str, int]:
        """What came with the command, with the next one, and how many files are open."""
        assert self.process.stdout is not None
        command, following, count = self.process.stdout.readline().decode().split()
        return command, following, int(count)

    def end(self) -> None:
        self._commands.close()
        assert self.process.wait(10) == os.EX_OK
        assert self.process.stdout is not None
        self.process.stdout.close()


def test_what_was_next_is_forgotten_once_anything_is_ordered(tmp_path: Path) -> None:
    listener = Listener(tmp_path)
    following = ORDER.model_copy(update={"task_id": 0, "path": b"/two.mp3"})
    for number, content in ((1, "one"), (2, "two")):
        listener.send(ORDER.model_copy(update={"task_id": number}), content)
        assert listener.told()[:2] == (content, "None")
        listener.send(Prefetch(next=following), "next")
    listener.end()


def test_each_command_has_its_own_file_however_long_the_lines_are(tmp_path: Path) -> None:
    """Several may be read in one piece, or one in several."""
    listener = Listener(tmp_path)
    settings = SETTINGS.model_copy(update={"initial_prompt": "так " * 20_000})
    for number in range(1, 6):
        update = {"task_id": number, "settings": settings if number % 2 else SETTINGS}
        listener.send(ORDER.model_copy(update=update), f"content-{number}")
    told = [listener.told() for _ in range(5)]
    assert [content for content, _, _ in told] == [f"content-{number}" for number in range(1, 6)]
    listener.end()


def test_files_are_closed_once_nobody_needs_them(tmp_path: Path) -> None:
    listener = Listener(tmp_path)
    open_files = []
    for number in range(1, 20):
        listener.send(ORDER.model_copy(update={"task_id": number}), "content")
        open_files.append(listener.told()[2])
        listener.send(Prefetch(next=ORDER), "next")
        listener.send(Prefetch(next=ORDER), "another")
    assert max(open_files[1:]) <= open_files[0] + 2
    listener.end()
