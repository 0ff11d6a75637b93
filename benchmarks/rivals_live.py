"""Live text beside WhisperLiveKit's: the same frames at the pace of speech, one service at a time.

    python3.11 -m venv wlk && wlk/bin/pip install whisperlivekit==0.2.26
    python -m benchmarks.rivals_live --theirs wlk [--minutes 3] [--rounds 2] [--json figures.json]

Both get Whisper base and the language. Theirs runs with its own defaults but for ``--pcm-input``,
by one or both of its policies: ``localagreement`` with faster-whisper, and ``simulstreaming``,
which wants the decoder's weights as PyTorch has them, so they are rewritten. A process of its own
speaks frames that were made before, by its own clock, and keeps what comes back as it came; what
it means is worked out afterwards, in the same way for all: at each message, the text that is
committed and the text that is shown behind it.

A word of the reference is shown when it first appears where it belongs, for good when it stays from
then on, and committed when it appears in the committed text. What a service finally says in the
place of a word counts as that word, as that is a matter of the word error rate. A shown word has
changed if the next message has another one, or none, in its place. Where words end is known from
festvox-ru's labels.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.queues import Queue
from pathlib import Path
from statistics import median
from typing import Any

from rapidfuzz.distance import Levenshtein
from websockets.sync.client import connect

from benchmarks.live_hour import serving
from benchmarks.measure import (
    PSS_SAMPLE_S,
    PeakMemory,
    computing,
    cpu_s,
    end_in_order,
    proportional_mb,
    require_everything,
    table,
    tree,
)
from benchmarks.phones import moved, spoken_words
from tests.daemon_process import MODELS
from tests.speech import (
    Clip,
    festvox_phones,
    festvox_russian,
    joined,
    normalised,
    placed,
    word_error_rate,
)

RATE, FRAME_S, GAP_S = 16_000, 0.1, 0.8
_FRAME_BYTES = 2 * round(RATE * FRAME_S)
#: A service may take so long to start, and a session to end, in seconds.
_START_S, _END_S = 180.0, 300.0
#: A run with a later frame than this says nothing, in seconds.
_LATE_S = 0.05
_WEIGHTS = MODELS / "faster-whisper-base"
OURS = "ours"
POLICIES = ("localagreement", "simulstreaming")


@dataclass(frozen=True)
class Heard:
    """What a client of a service got: texts, dated in seconds from the first sample."""

    messages: list[tuple[float, str]]
    latest_frame_s: float


@dataclass(frozen=True)
class Shown:
    """The normalised words on the screen from a second on."""

    at: float
    committed: tuple[str, ...]
    pending: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        return self.committed + self.pending


@dataclass(frozen=True)
class SpokenWord:
    word: str
    end_s: float


@dataclass(frozen=True)
class Figures:
    """Of one session. Delays in seconds from the end of each word; NaN where nothing is said."""

    service: str
    shown: list[float]
    for_good: list[float]
    committed: list[float]
    shown_words: int
    changed_words: int
    #: Percent.
    wrong: float
    #: CPU seconds for each second of sound.
    cpu_share: float
    peak_mb: float
    latest_frame_s: float


# --- one client ---------------------------------------------------------------------------------


def speak(service: str, port: int, sound: bytes, to: Queue) -> None:  # type: ignore[type-arg]
    """The main function of a client's process."""
    try:
        to.put(_ours(port, sound) if service == OURS else _theirs(port, sound))
    except BaseException as error:
        to.put(f"{type(error).__name__}: {error}")
        raise


def _ours(port: int, sound: bytes) -> Heard:
    with connect(f"ws://127.0.0.1:{port}/live", proxy=None, max_queue=None) as line:
        line.send(json.dumps({"type": "start", "language": "ru", "rate": RATE, "name": "rival"}))
        answer = json.loads(line.recv(timeout=_END_S))
        assert answer["type"] == "ready", answer
        return _conversation(line, sound, json.dumps({"type": "stop"}), '"stored"')


def _theirs(port: int, sound: bytes) -> Heard:
    with connect(f"ws://127.0.0.1:{port}/asr", proxy=None, max_queue=None, max_size=None) as line:
        line.recv(timeout=_END_S)  # its settings
        return _conversation(line, sound, b"", '"ready_to_stop"')


def _conversation(line: Any, sound: bytes, stop: str | bytes, last: str) -> Heard:
    """Speak, and keep every message until the one that holds ``last``."""
    frames = [sound[at : at + _FRAME_BYTES] for at in range(0, len(sound), _FRAME_BYTES)]
    latest: list[float] = []
    began = time.monotonic()

    def run() -> None:
        for number, frame in enumerate(frames, start=1):
            due = began + number * FRAME_S  # when its last sample has been spoken
            time.sleep(max(0.0, due - time.monotonic()))
            line.send(frame)
            latest.append(time.monotonic() - due)
        line.send(stop)

    speaking = threading.Thread(target=run)
    speaking.start()
    messages: list[tuple[float, str]] = []
    deadline = began + len(frames) * FRAME_S + _END_S
    while not messages or last not in messages[-1][1]:
        text = line.recv(timeout=max(0.0, deadline - time.monotonic()))
        messages.append((time.monotonic() - began, str(text)))
    speaking.join()
    return Heard(messages, max(latest))


# --- what it means ------------------------------------------------------------------------------


def shown_by_ours(messages: Sequence[tuple[float, str]]) -> Iterator[Shown]:
    """Commits and finals add to what is committed; behind it is what of a partial is later."""
    done, utterance = "", ""
    pending: list[dict[str, Any]] = []
    for at, text in messages:
        message = json.loads(text)
        if message["type"] == "partial":
            pending = message["words"]
        elif message["type"] == "commit":
            utterance += _text(message["words"])
            pending = [word for word in pending if word["end"] > message["words"][-1]["end"]]
        elif message["type"] == "final":
            done, utterance, pending = f"{done} {message['text']}", "", []
        else:
            continue
        yield Shown(at, _words(f"{done} {utterance}"), _words(_text(pending)))


def _text(words: Sequence[dict[str, Any]]) -> str:
    return "".join(word["word"] for word in words)


def shown_by_theirs(messages: Sequence[tuple[float, str]]) -> Iterator[Shown]:
    """Each message has all lines, which are committed, and the buffer behind them."""
    for at, text in messages:
        message = json.loads(text)
        if "lines" in message:
            committed = " ".join(line["text"] or "" for line in message["lines"])
            yield Shown(at, _words(committed), _words(message["buffer_transcription"] or ""))


def _words(text: str) -> tuple[str, ...]:
    return tuple(normalised(text).split())


def figures(
    service: str, heard: Heard, said: Sequence[SpokenWord], cpu: float, peak_mb: float
) -> Figures:
    """What the messages of one session say of the words in its sound."""
    reader = shown_by_ours if service == OURS else shown_by_theirs
    states = list(reader(heard.messages))
    last = states[-1].words
    meant = dict(_pairs([word.word for word in said], last, also_replaced=True))
    first: dict[int, float] = {}
    since: dict[int, float] = {}
    committed: dict[int, float] = {}
    shown = changed = 0
    before: tuple[str, ...] = ()
    for state in states:
        if state.words != before:
            edits = Levenshtein.editops(before, state.words)
            changed += sum(edit.tag != "insert" for edit in edits)
            shown += sum(edit.tag != "delete" for edit in edits)
            before = state.words
        there = {mine for _, mine in _pairs(state.words, last)}
        done = {mine for place, mine in _pairs(state.words, last) if place < len(state.committed)}
        since = {mine: since.get(mine, state.at) for mine in there}
        for seen, places in ((first, there), (committed, done)):
            for mine in places:
                seen.setdefault(mine, state.at)

    def after(seen: dict[int, float]) -> list[float]:
        found = [seen.get(meant.get(place, -1), math.nan) for place in range(len(said))]
        return [at - word.end_s for at, word in zip(found, said, strict=True)]

    return Figures(
        service,
        shown=after(first),
        for_good=after(since),
        committed=after(committed),
        shown_words=shown,
        changed_words=changed,
        wrong=100 * word_error_rate(" ".join(w.word for w in said), " ".join(last)),
        cpu_share=cpu,
        peak_mb=peak_mb,
        latest_frame_s=heard.latest_frame_s,
    )


def _pairs(
    one: Sequence[str], other: Sequence[str], also_replaced: bool = False
) -> list[tuple[int, int]]:
    """The places of words that stand for each other in two texts."""
    pairs: list[tuple[int, int]] = []
    for code in Levenshtein.opcodes(one, other):
        if code.tag == "equal" or (also_replaced and code.tag == "replace"):
            places = range(code.src_end - code.src_start)
            pairs += [(code.src_start + n, code.dest_start + n) for n in places]
    return pairs


# --- the services -------------------------------------------------------------------------------


@contextmanager
def our_daemon() -> Iterator[tuple[int, int]]:
    """Its port and process."""
    with serving(1) as (daemon, port):
        yield port, daemon.pid


@contextmanager
def their_server(venv: Path, policy: str, warmup: Path) -> Iterator[tuple[int, int]]:
    """Its port and process. It needs no connection: it gets weights and sound as files."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [str(venv / "bin" / "python"), "-m", "whisperlivekit.basic_server"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--language", "ru", "--pcm-input"]
        command += ["--warmup-file", str(warmup), "--backend-policy", policy]
        command += ["--backend", "faster-whisper", "--log-level", "ERROR"]
        command += _their_weights(policy, Path(folder))
        log = Path(folder) / "log"
        environment = os.environ | {"HF_HUB_OFFLINE": "1"}
        with log.open("wb") as output:
            server = subprocess.Popen(  # nosec B603 # our own words, no shell
                command, stdout=output, stderr=output, env=environment
            )
            try:
                _wait_for(port, server, log)
                yield port, server.pid
            finally:
                server.terminate()
                try:
                    server.wait(_END_S)
                except subprocess.TimeoutExpired:
                    server.kill()
                    server.wait()


def _their_weights(policy: str, folder: Path) -> list[str]:
    if policy == "localagreement":
        return ["--model_dir", str(_WEIGHTS)]
    from benchmarks import openai_weights

    target = folder / "base.pt"
    openai_weights.write(_WEIGHTS, target)
    heads = openai_weights.alignment_heads(_WEIGHTS)
    words = ["--model-path", str(target), "--encoder-model-path", str(_WEIGHTS)]
    return [*words, f"--custom-alignment-heads={heads}"]


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    address, deadline = f"http://127.0.0.1:{port}/health", time.monotonic() + _START_S
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:  # nosec B310 # always http
                if json.load(answer)["ready"]:
                    return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"WhisperLiveKit did not start:\n{log.read_text(errors='replace')[-3000:]}")


def session(service: str, port: int, pid: int, sound: bytes) -> tuple[Heard, float, float]:
    """What a client heard, CPU seconds for each second of sound, and the most memory in MB."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    client = context.Process(target=speak, args=(service, port, sound, results))
    before = cpu_s(tree(pid))
    with PeakMemory(lambda: tree(pid), proportional_mb, PSS_SAMPLE_S) as memory:
        client.start()
        heard = results.get(timeout=len(sound) / 2 / RATE + 2 * _END_S)
        client.join(_END_S)
    if isinstance(heard, str):
        raise SystemExit(f"{service}: {heard}")
    used = cpu_s(tree(pid)) - before
    return heard, used / (len(sound) / 2 / RATE), memory.peak_mb


# --- what is spoken -----------------------------------------------------------------------------


def passage(clips: Sequence[Clip], seconds: float) -> tuple[bytes, list[SpokenWord]]:
    """Sound with a second of silence behind it, and its words, with their ends."""
    clip = joined(clips, seconds, GAP_S)
    with wave.open(str(clip.path)) as file:
        sound = file.readframes(file.getnframes()) + bytes(2 * RATE)
    words: list[SpokenWord] = []
    for start_s, one in placed(clips, seconds, GAP_S):
        found = moved(spoken_words(one.text, festvox_phones(one)), start_s)
        words += [SpokenWord(word.word, word.end_s) for word in found]
    return sound, words


# --- the comparison -----------------------------------------------------------------------------

_TITLES = (
    "service", "shown", "p95", "for good", "p95", "committed", "p95", "never",
    "changed", "wrong", "CPU", "peak PSS", "latest frame",
)  # fmt: skip


def row(service: str, found: Sequence[Figures]) -> tuple[str, ...]:
    """The sessions of one service together."""
    delays = []
    for of in ("shown", "for_good", "committed"):
        values = sorted(v for one in found for v in getattr(one, of) if not math.isnan(v))
        for share in (0.5, 0.95):
            delays.append(f"{values[int(share * len(values))]:.2f} s" if values else "-")
    never = sum(math.isnan(value) for one in found for value in one.committed)
    changed = sum(one.changed_words for one in found)
    late_s = max(one.latest_frame_s for one in found)
    return (
        service,
        *delays,
        str(never),
        f"{100 * changed / max(1, sum(one.shown_words for one in found)):.1f} %",
        f"{median(one.wrong for one in found):.1f} %",
        f"{median(one.cpu_share for one in found):.2f}",
        f"{max(one.peak_mb for one in found):.0f} MB",
        f"{1000 * late_s:.0f} ms" + (": void" if late_s > _LATE_S else ""),
    )


def measure(venv: Path, policies: Sequence[str], minutes: float, rounds: int) -> Iterator[Figures]:
    """Each round another passage, spoken to one service after the other, in another order."""
    clips = festvox_russian()
    services = [OURS, *policies]
    for number in range(rounds):
        sound, said = passage(clips[100 * number :], 60 * minutes)
        for service in services[number % len(services) :] + services[: number % len(services)]:
            if service == OURS:
                running = our_daemon()
            else:
                running = their_server(venv, service, clips[-1].path)
            with running as (port, pid):
                heard, cpu, peak_mb = session(service, port, pid, sound)
            yield figures(service, heard, said, cpu, peak_mb)


def main() -> None:
    """Print each session, then all of each service together."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--theirs", type=Path, required=True, help="a venv with whisperlivekit")
    parser.add_argument("--policies", default=",".join(POLICIES))
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, help="everything that was measured")
    options = parser.parse_args()
    end_in_order()
    require_everything()
    print(computing())
    found: list[Figures] = []
    policies = [name for name in options.policies.split(",") if name]
    for one in measure(options.theirs, policies, options.minutes, options.rounds):
        found.append(one)
        print("  ".join(row(one.service, [one])), flush=True)
    services = [OURS, *policies]
    rows = [row(name, [one for one in found if one.service == name]) for name in services]
    print(f"\n{table([_TITLES, *rows])}")
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in found]), encoding="utf-8")


if __name__ == "__main__":
    main()
