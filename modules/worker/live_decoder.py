"""The process that decodes the sound of one live session that comes in a container, and ends.

Started by ``executors/local/live_decoder.py`` as ``python -m modules.worker.live_decoder``. The
container arrives on standard input, a pipe; pieces leave on what was standard output, see
``executors/listen_protocol.py``. It is confined as the WhisperX process is, opens no file at all,
and dies with its parent.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from modules.worker.parent import die_with_parent

if __name__ == "__main__":  # before the imports: on a busy machine they take seconds
    die_with_parent(int(sys.argv[sys.argv.index("--parent") + 1]))

from modules.executors.listen_protocol import Kind
from modules.worker.listen import PiecePipe, failure_of
from modules.worker.sandbox import confine, privileges

_CONTAINER = 0
_PIECE_BYTES = 2**18


def decode(kind: str, max_duration_s: float, out: PiecePipe) -> None:
    """Send samples as they can be decoded. Raises TranscriberError."""
    from modules.audio.streamed import Limits, Pipe, samples_of

    def note_read(count: int) -> None:
        out.send(Kind.READ, count.to_bytes(8, "big"))

    limits = Limits(max_duration_s=max_duration_s)
    for samples in samples_of(Pipe(_CONTAINER, note_read), kind, limits):
        for start in range(0, len(samples), _PIECE_BYTES):
            out.send(Kind.SAMPLES, samples[start : start + _PIECE_BYTES])
    out.send(Kind.DONE)


def main() -> None:
    """Give up every right, then read the first byte."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--private", type=Path, action="append", default=[])
    parser.add_argument("--kind", required=True)
    parser.add_argument("--max-duration-s", type=float, required=True)
    options = parser.parse_args()
    privileges.limit_work()
    confine.apply(confine.Places((), None, tuple(options.private)))
    if os.getppid() != options.parent:
        os._exit(0)  # while the user was changed, nobody would have told
    out = PiecePipe(os.dup(1))
    os.dup2(2, 1)  # libraries print to standard output
    try:
        decode(options.kind, options.max_duration_s, out)
    except BrokenPipeError:
        pass
    except Exception as error:  # noqa: BLE001 - the process boundary: reported, then the end
        out.send(Kind.FAILED, failure_of(error).model_dump_json().encode())


if __name__ == "__main__":
    main()
