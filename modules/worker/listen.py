"""The process that makes a listening copy of one recording, or only its peaks, and ends.

Started by ``executors/local/listen.py`` as ``python -m modules.worker.listen``. The recording is
its standard input, open for reading; pieces leave on what was standard output, see
``executors/listen_protocol.py``. It is confined as the WhisperX process is, writes no file at all,
works only when nobody else wants to, and dies with its parent.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from modules.worker.parent import die_with_parent

if __name__ == "__main__":  # before the imports: on a busy machine they take seconds
    die_with_parent(int(sys.argv[sys.argv.index("--parent") + 1]))

from modules.errors import (
    CODE_CHARS,
    MESSAGE_CHARS,
    MediaError,
    StorageError,
    TranscriberError,
    noted,
    shortened,
)
from modules.executors.listen_protocol import Failure, Kind, Wish, packed
from modules.worker.sandbox import confine, privileges

if TYPE_CHECKING:
    from modules.audio.recording import Hearing, Recording

#: So much sound is decoded and sent at once, in seconds.
_BLOCK_S = 10.0
#: The descriptor of the recording.
_RECORDING = 0


class PiecePipe:
    """Pieces to the parent."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "wb", buffering=0)

    def send(self, kind: Kind, content: bytes = b"") -> None:
        """Wait until the parent takes it. Raises BrokenPipeError once it is not there any more."""
        left = memoryview(packed(kind, content))
        while left:
            left = left[self._file.write(left) :]


def listen(recording: int, wish: Wish, max_duration_s: float, pipe: PiecePipe) -> None:
    """Decode a recording once and send what is wished of it. Raises TranscriberError."""
    from modules.audio.mp3 import Mp3Encoder
    from modules.audio.peaks import Peaks

    peaks, encoder = Peaks(), Mp3Encoder() if wish.sound else None
    with _opened(recording, wish, max_duration_s) as heard:
        for block in heard.blocks(block_s=_BLOCK_S):
            pipe.send(Kind.PEAKS, peaks.add(block))
            if encoder:
                pipe.send(Kind.SOUND, encoder.encode(block))
            pipe.send(Kind.PROGRESS, bytes([_percentage(heard)]))
    pipe.send(Kind.PEAKS, peaks.flush())
    if encoder:
        pipe.send(Kind.SOUND, encoder.flush())
        pipe.send(Kind.HEAD, encoder.head())
    pipe.send(Kind.DONE)


def _opened(recording: int, wish: Wish, max_duration_s: float) -> Recording:
    """The tracks that the transcription heard, and no other."""
    from modules.audio.recording import Limits, open_recording

    limits = Limits(max_duration_s=max_duration_s)
    opened = open_recording(recording, limits, _hearing(wish))
    heard = opened.choice.heard
    if not wish.first_alone or len(heard) < 2:
        return opened
    opened.close()
    first = wish.model_copy(update={"tracks": str(heard[0].number + 1)})
    return open_recording(recording, limits, _hearing(first))


def _percentage(heard: Recording) -> int:
    share = heard.decoded_s / heard.duration_s if heard.duration_s else heard.read_fraction
    return min(99, int(100 * share))


def _hearing(wish: Wish) -> Hearing:
    """All channels are heard, turned round where two would cancel each other out: whoever listens
    may hear more than what was transcribed, and finding speech would take the memory of a model.
    """
    from modules.audio.recording import Hearing

    return Hearing(detect=lambda samples: [], tracks=wish.tracks, language=wish.language)


_FAULTS: dict[type[TranscriberError], Literal["media", "storage"]] = {
    MediaError: "media",
    StorageError: "storage",
}


def failure_of(error: Exception) -> Failure:
    faults = (name for kind, name in _FAULTS.items() if isinstance(error, kind))
    code = error.code if isinstance(error, TranscriberError) else type(error).__name__
    message = (
        error.message
        if isinstance(error, TranscriberError)
        else noted("It failed: {error}", error=error)
    )
    return Failure(
        code=code[:CODE_CHARS],
        message=shortened(message, MESSAGE_CHARS),
        fault=next(faults, "worker"),
    )


def main() -> None:
    """Give up every right, then open the recording."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--private", type=Path, action="append", default=[])
    parser.add_argument("--wish", type=Wish.model_validate_json, required=True)
    parser.add_argument("--max-duration-s", type=float, required=True)
    options = parser.parse_args()
    privileges.limit_work()
    confine.apply(confine.Places((), None, tuple(options.private)), background=True)
    if os.getppid() != options.parent:
        os._exit(0)  # while the user was changed, nobody would have told
    pipe = PiecePipe(os.dup(1))
    os.dup2(2, 1)  # libraries print to standard output
    try:
        listen(_RECORDING, options.wish, options.max_duration_s, pipe)
    except BrokenPipeError:
        pass
    except Exception as error:  # noqa: BLE001 - the process boundary: reported, then the end
        pipe.send(Kind.FAILED, failure_of(error).model_dump_json().encode())


if __name__ == "__main__":
    main()
