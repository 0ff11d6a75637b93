"""A stand-in for the WhisperX process: a real process that speaks the protocol and obeys a script.

Run as ``python -m tests.scripted_worker --parent PID``. A "recording" holds one chunk of 10 s for
every ``CHUNK_BYTES`` bytes; what is said in it follows from those bytes. In a WAV file, which live
sessions become, chunks are seconds of its sound. A file that begins with
``NOT_MEDIA`` is refused. A translation puts "EN " before each text, and an initial prompt, or
hotwords, stand in brackets before the first chunk's. Unless it ends with ``INDEX``, a file that is
``indexed`` by its name is refused as cut off, and one that is ``announced`` is noted to be
incomplete. Diarized, two speakers take turns, chunk by chunk. Words in the file's name, parted by
anything that is no letter or digit, say how it goes wrong:

- ``slow``: a fifth of a second a chunk; ``sluggish``: two thirds, and a stop is not heard meanwhile
- ``crash``, ``crash2``: exits with code 3 before its first chunk, or after two of this run
- ``killself``: is killed as by a machine that is out of memory
- ``hang``, ``hang2``, ``spin``: stands still before a chunk, asleep or at full speed
- ``torn``: garbage, half a line and an unknown event between the chunks
- ``empty``, ``notmedia``, ``storage``, ``model``, ``worker``: fails with such an error
- ``ignoreterm``: is deaf to SIGTERM and stands still; ``obstinate``: hears no stop either
- ``grandchild``: starts a process in its group, then crashes; ``escapee``: in a session of its own
- ``mute``: closes its output and lives on; ``chatter``: shows signs of life for ever
- ``backwards``: hands over the same chunk twice; ``fat``: takes 300 MB and keeps them

``late`` in front of one of these, as in ``latecrash``, does it while speakers are told apart.

Live sessions are heard by ``scripted_live.py``.

``SCRIPTED_LOAD`` in the environment makes loading go wrong: ``hang``, ``chatter``, ``fail``,
``broken`` or ``crash``. ``SCRIPTED_PIDS`` names a file for the pids of grandchildren,
``SCRIPTED_CHUNKS`` one for a line about each chunk that is transcribed: ``file 3``, ``live 3``.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
if __name__ == "__main__":  # before what takes long to import on a busy machine
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(sys.argv[sys.argv.index("--parent") + 1]):
        os._exit(0)

from modules.executors.protocol import (  # noqa: E402
    Alive,
    Done,
    Event,
    Failed,
    Load,
    Loaded,
    Prefetch,
    Ready,
    Started,
    Stopped,
    Transcribed,
)
from modules.messages import joined, noted  # noqa: E402
from modules.transcript.model import PARTIAL, Turn  # noqa: E402
from modules.weights.files import ModelSpec  # noqa: E402
from modules.worker.pipes import Assignment, Inbox  # noqa: E402
from tests import scripted_live, scripted_text  # noqa: E402
from tests.scripted_text import chunk_of, noted_chunk, said_in  # noqa: E402

CHUNK_S = 10.0
CHUNK_BYTES = 100
WAV_HEADER = 44
NOT_MEDIA = b"\0this is no recording"
INDEX = b"[index]"
SLOW_S = 0.2
#: After so long without a command, the file that was to come next is closed.
IDLE_S = 2.0


def recording(chunks: int, seed: str = "speech") -> bytes:
    """The bytes of a recording of so many chunks; another ``seed`` says something else.

    Not a text: that would be taken for one.
    """
    return (f"\0{seed} ".encode() * CHUNK_BYTES)[:CHUNK_BYTES] * chunks


def text_of(content: bytes, index: int) -> str:
    """What is said in a chunk: follows from its bytes and its number."""
    return scripted_text.text_of(pieces_of(content)[0][index], index)


def pieces_of(content: bytes) -> tuple[list[bytes], float]:
    """The bytes of each chunk of a recording, and how many seconds each has."""
    if content.startswith(b"RIFF"):
        rate = int.from_bytes(content[24:28], "little")
        return scripted_text.pieces(content[WAV_HEADER:], rate), scripted_text.SECOND
    whole = len(content) // CHUNK_BYTES * CHUNK_BYTES
    return [content[at : at + CHUNK_BYTES] for at in range(0, whole, CHUNK_BYTES)], CHUNK_S


def full_text(content: bytes) -> str:
    """What an undisturbed run makes of a recording."""
    return " ".join(text_of(content, i) for i in range(len(pieces_of(content)[0])))


class Line:
    """What connects it with the parent."""

    def __init__(self) -> None:
        self.inbox = Inbox(os.dup(0), scripted_live.serve)

    def send(self, event: Event) -> None:
        self.write(event.model_dump_json(exclude_none=True).encode() + b"\n")

    def write(self, data: bytes) -> None:
        os.write(1, data)


class Act:
    """One order, played as the file's name wants it."""

    def __init__(self, assignment: Assignment, line: Line) -> None:
        self._command = assignment.command
        self._line = line
        recording = assignment.recording.descriptor
        self._content = os.pread(recording, os.fstat(recording).st_size, 0)
        self._pieces, self._chunk_s = pieces_of(self._content)
        name = os.path.basename(os.fsdecode(self._command.path))
        self._words = set(re.split(r"[^a-z0-9]+", name.lower()))
        self._count = len(self._pieces)
        self._sent = 0

    def play(self) -> None:
        refusal = self._refusal()
        if refusal:
            self._line.send(refusal)
            return
        self._line.send(
            Started(
                task_id=self._command.task_id,
                duration_s=self._count * self._chunk_s,
                format="scripted",
                codec="none",
            )
        )
        for index in range(round(self._command.start_s / self._chunk_s), self._count):
            self._misbehave()
            if self._wait_for_stop():
                self._line.send(Stopped(task_id=self._command.task_id))
                return
            self._hand_over(index)
        self._misbehave()
        told = self._turns() if self._command.settings.diarize else ()
        if told:
            duration_s = self._count * self._chunk_s
            self._line.send(
                Transcribed(task_id=self._command.task_id, chunks=self._sent, duration_s=duration_s)
            )
            self._misbehave(late=True)
        self._line.send(
            Done(
                task_id=self._command.task_id,
                chunks=self._sent,
                duration_s=self._count * self._chunk_s,
                notes=self._notes(),
                turns=told,
                diarization="scripted" if told else None,
            )
        )

    def _notes(self) -> tuple[str, ...]:
        if "announced" in self._words and not self._content.endswith(INDEX):
            return (f"{PARTIAL}The recording is incomplete.",)
        return ()

    def _turns(self) -> tuple[Turn, ...]:
        """Two speakers who take turns, a chunk each."""
        return tuple(
            Turn(
                start=i * self._chunk_s,
                end=(i + 1) * self._chunk_s,
                speaker=f"SPEAKER_{i % 2:02d}",
            )
            for i in range(self._count)
        )

    def _refusal(self) -> Failed | None:
        number = self._command.task_id
        if "notmedia" in self._words or self._content.startswith(NOT_MEDIA):
            return Failed(
                task_id=number, code="not_media", message="This is not a recording.",
                fault="media", permanent=True,
            )  # fmt: skip
        if "empty" in self._words:
            message = joined(" ", noted("The file is empty."), noted("Copy the recording again."))
            return Failed(
                task_id=number, code="empty_file", message=message, fault="media", permanent=True
            )
        if "indexed" in self._words and not self._content.endswith(INDEX):
            return Failed(
                task_id=number, code="unfinished_file", message="It was cut off.",
                fault="media", permanent=True,
            )  # fmt: skip
        for fault in ("storage", "model", "worker"):
            if fault in self._words:
                return Failed(
                    task_id=number, code=f"{fault}_trouble", message="It is.", fault=fault
                )
        return None

    def _hand_over(self, index: int) -> None:
        noted_chunk("file", index)
        start_s = index * self._chunk_s
        text = said_in(self._pieces[index], index, self._command.settings)
        read_fraction = (index + 1) / self._count
        event = chunk_of(text, start_s, self._chunk_s).model_copy(
            update={
                "task_id": self._command.task_id,
                "number": self._sent + 1,
                "read_fraction": read_fraction,
            }
        )
        self._line.send(event)
        self._sent += 1
        if "torn" in self._words:
            self._line.write(b'\xff\xfe{"kind": "chunk", "task_id": 1, "posi\n{"kind": "riddle"}\n')
        if "backwards" in self._words and index:
            self._line.send(event.model_copy(update={"position_s": start_s}))

    def _wait_for_stop(self) -> bool:
        """Whether the parent asked to stop; takes as long as a chunk does."""
        seconds = SLOW_S if "slow" in self._words else 0.7 if "sluggish" in self._words else 0.0
        deadline = time.monotonic() + seconds
        while not self._is_stopped() or "sluggish" in self._words:
            if time.monotonic() >= deadline:
                return self._is_stopped()
            time.sleep(0.01)
        return True

    def _is_stopped(self) -> bool:
        return "obstinate" not in self._words and self._line.inbox.stopped(self._command.task_id)

    def _misbehave(self, late: bool = False) -> None:
        for word in self._words:
            if late != word.startswith("late"):
                continue
            found = re.fullmatch(r"([a-z]*)(\d*)", word.removeprefix("late"))
            trick = _TRICKS.get(found[1]) if found else None  # "m4a" is none
            if found and trick and (late or self._sent == int(found[2] or 0)):
                trick(self._line)


def _crash(line: Line) -> NoReturn:
    print("it ends badly", file=sys.stderr, flush=True)
    os._exit(3)


def _kill_self(line: Line) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _hang(line: Line) -> None:
    time.sleep(600)


def _spin(line: Line) -> None:
    end = time.monotonic() + 600
    while time.monotonic() < end:
        pass


def _ignore_term(line: Line) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    line.write(b"deaf now\n")
    _hang(line)


def _grandchild(line: Line) -> None:
    _spawn(own_session=False)
    _crash(line)


def _escapee(line: Line) -> None:
    _spawn(own_session=True)
    _crash(line)


def _spawn(own_session: bool) -> None:
    started = subprocess.Popen(["sleep", "600"], start_new_session=own_session)
    with open(os.environ["SCRIPTED_PIDS"], "a", encoding="ascii") as file:
        file.write(f"{started.pid}\n")


def _mute(line: Line) -> None:
    os.close(1)
    _hang(line)


def _chatter(line: Line) -> None:
    while True:
        line.send(Alive())
        time.sleep(0.02)


def _fatten(line: Line) -> None:
    _KEPT.append(b"x" * 300_000_000)


_KEPT: list[bytes] = []
_TRICKS = {
    "crash": _crash,
    "killself": _kill_self,
    "hang": _hang,
    "spin": _spin,
    "ignoreterm": _ignore_term,
    "grandchild": _grandchild,
    "escapee": _escapee,
    "mute": _mute,
    "chatter": _chatter,
    "fat": _fatten,
}


def _load(spec: ModelSpec, line: Line) -> bool:
    """Load a model, well or as ``SCRIPTED_LOAD`` wants it; False if it failed."""
    how = os.environ.get("SCRIPTED_LOAD", "")
    if how in _TRICKS:
        _TRICKS[how](line)
    if how in ("fail", "broken"):
        fault = "model" if how == "fail" else "worker"
        line.send(Failed(task_id=0, code="load_failed", message="It does not load.", fault=fault))
        return False
    line.send(Loaded(name=spec.name, size_mb=1, seconds=0.0))
    return True


def main() -> None:
    """Say that all is ready, and take orders."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.parse_known_args()
    line = Line()
    line.send(
        Ready(
            whisperx_version="0.scripted",
            seconds=0.0,
            compute_types={"cpu": ("float32", "int8", "int8_float32")},
        )
    )
    loaded: ModelSpec | None = None
    while True:
        order = line.inbox.next(IDLE_S)
        if order is None:
            line.inbox.forget_next()
            continue
        if isinstance(order, Prefetch):
            continue  # it holds the file open, as the real one does
        spec = order.model if isinstance(order, Load) else order.command.model
        if spec != loaded:
            loaded = spec if _load(spec, line) else None
        if isinstance(order, Assignment) and loaded:
            try:
                Act(order, line).play()
            except OSError as error:
                number = order.command.task_id
                line.send(Failed(task_id=number, code="gone", message=str(error), fault="storage"))


if __name__ == "__main__":
    main()
