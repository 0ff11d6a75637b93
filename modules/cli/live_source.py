"""Where ``live`` takes sound from: the microphone, standard input, or a WAV file."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from modules.errors import MediaError, TranscriberError, noted, reason_of

#: Of the microphone and of standard input, in samples a second.
RATE = 16_000
#: So much sound is sent at once, in seconds.
PIECE_S = 0.1
_SAMPLE_BYTES = 2


@dataclass(frozen=True)
class Source:
    """Raw signed 16 bit little-endian mono sound, ``rate`` samples a second, piece by piece."""

    rate: int
    pieces: Iterator[bytes]
    close: Callable[[], None]


def open_source(file: str | None, device: str | None, paced: bool) -> Source:
    """``file``: a WAV file, or ``-`` for raw sound on standard input; None for the microphone.

    ``paced``: not faster than it would be spoken. Raises MediaError, TranscriberError.
    """
    if file is None:
        return _microphone(device)
    source = _standard_input() if file == "-" else _wav(Path(file))
    if not paced:
        return source
    return Source(source.rate, _paced(source.pieces, source.rate), source.close)


def _microphone(device: str | None) -> Source:
    """By the recorder of the system, as it knows every sound card."""
    command = _recorder(device)
    if command is None:
        raise TranscriberError(
            "no_recorder",
            noted("There is no program to record with on this machine."),
            remedy=noted(
                "Install alsa-utils (it has arecord), or give a WAV file or - for raw sound."
            ),
        )
    recorder = subprocess.Popen(  # nosec B603 # our own words, no shell; the device is one of them
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    assert recorder.stdout is not None
    out = recorder.stdout

    def close() -> None:
        recorder.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            recorder.wait(2)
        recorder.kill()
        recorder.wait()
        out.close()

    return Source(RATE, _read(out.read, RATE), close)


def _recorder(device: str | None) -> list[str] | None:
    if found := shutil.which("arecord"):
        chosen = ["-D", device] if device else []
        return [found, "-q", *chosen, "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", str(RATE)]
    if found := shutil.which("parec"):
        chosen = [f"--device={device}"] if device else []
        return [found, *chosen, "--raw", "--format=s16le", "--channels=1", f"--rate={RATE}"]
    return None


def _standard_input() -> Source:
    raw = open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)  # noqa: SIM115 - see close
    return Source(RATE, _read(raw.read, RATE), raw.close)


def _wav(path: Path) -> Source:
    try:
        sound = wave.open(str(path))  # noqa: SIM115 - closed with the source
    except (OSError, EOFError, wave.Error) as error:
        other = noted("its content is something else")
        why = reason_of(error) if isinstance(error, OSError) else other
        raise MediaError(
            "not_a_wav_file",
            noted("{file} cannot be read as a WAV file: {why}.", file=path, why=why),
            remedy=noted("Other kinds: copy them into the shared folder, or use `transcribe`."),
        ) from error
    if (sound.getnchannels(), sound.getsampwidth()) != (1, _SAMPLE_BYTES):
        sound.close()
        raise MediaError(
            "not_a_wav_file",
            noted("{file} must have one channel of 16 bits.", file=path),
            remedy=noted("Other kinds: copy them into the shared folder, or use `transcribe`."),
        )
    frames = int(PIECE_S * sound.getframerate())
    pieces = iter(lambda: sound.readframes(frames), b"")
    return Source(sound.getframerate(), pieces, sound.close)


def _read(read: Callable[[int], bytes], rate: int) -> Iterator[bytes]:
    """Whole samples until the end."""
    rest = b""
    while piece := read(int(PIECE_S * rate) * _SAMPLE_BYTES):
        rest += piece
        whole = len(rest) - len(rest) % _SAMPLE_BYTES
        if whole:
            yield rest[:whole]
        rest = rest[whole:]


def _paced(pieces: Iterator[bytes], rate: int) -> Iterator[bytes]:
    due = time.monotonic()
    for piece in pieces:
        time.sleep(max(0.0, due - time.monotonic()))
        yield piece
        due += len(piece) / _SAMPLE_BYTES / rate
