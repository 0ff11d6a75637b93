"""A crowd at the HTTP port while a long recording is transcribed: who waits how long for an answer.

    python -m benchmarks.crowd [--seconds 30] [--waiters 200] [--pollers 50] [--no-waiters]
    python -m benchmarks.crowd --no-waiters --pollers 200 --ask status --every 1

The waiters order the one recording and wait for its text. Meanwhile the pollers each ask ten times
a second, over a connection that is kept, for the recording's state and for the daemon's in turn.
Both run in processes of their own. An answer's time counts from the moment it was due to be asked
for, so a server that stalls is not let off by clients that wait for it. With --no-waiters nobody
waits, and only the daemon's state is asked for. --ask and --every say what is asked, and how often.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.measure import end_in_order, require_everything, table
from tests.daemon_process import DaemonProcess, resident_mb
from tests.speech import Clip, festvox_russian, joined

NAME = "crowd.wav"
EVERY_S = 0.1
#: An answer that takes longer is an error.
PATIENCE_S = 10.0
MOST_CLIENTS = 2000
MOST_SECONDS = 600
WAITERS_BEGIN_S = 60.0
MODEL_S = 180.0


@dataclass
class Answers:
    """What came to one kind of question: seconds of those that were answered, and what failed."""

    seconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Questions:
    """What each poller asks for in turn, "status" (of the recording) or "health", and how often."""

    about: tuple[str, ...]
    every_s: float = EVERY_S

    @property
    def paths(self) -> list[str]:
        return [f"/status/{NAME}" if about == "status" else "/health" for about in self.about]


async def _ask(
    port: int, questions: list[bytes], first_s: float, end_s: float, every_s: float
) -> list[Answers]:
    """One poller; ``first_s`` and ``end_s`` are moments on the monotonic clock."""
    answers = [Answers() for _ in questions]
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None
    due, number = first_s, 0
    while due < end_s:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        mine = answers[number % len(questions)]
        try:
            async with asyncio.timeout(PATIENCE_S):
                if reader is None or writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(questions[number % len(questions)])
                status = await _status_of_answer(reader)
            mine.seconds.append(time.monotonic() - due)
            if status not in (200, 503):  # 503 is health's way of saying "unhealthy"
                mine.errors[str(status)] += 1
        except (OSError, EOFError, TimeoutError) as error:
            mine.errors[type(error).__name__] += 1
            if writer is not None:
                writer.close()
            reader = writer = None
        number += 1
        due = first_s + number * every_s
    if writer is not None:
        writer.close()
    return answers


async def _status_of_answer(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    await reader.readexactly(length)
    return int(head.split()[1])


def poll(port: int, asked: Questions, pollers: int, seconds: float) -> list[Answers]:
    """What all pollers met, for each path."""
    head = "GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    questions = [head.format(path).encode() for path in asked.paths]
    every_s = asked.every_s

    async def crowd() -> list[list[Answers]]:
        began = time.monotonic() + 0.5
        # Not all in the same instant, and not all with the same question first.
        return await asyncio.gather(
            *(
                _ask(port, questions, began + number * every_s / pollers, began + seconds, every_s)
                for number in range(pollers)
            )
        )

    together = [Answers() for _ in questions]
    for answers in asyncio.run(crowd()):
        for total, one in zip(together, answers, strict=True):
            total.seconds += one.seconds
            total.errors += one.errors
    return together


def wait(port: int, name: str, waiters: int, seconds: float) -> Counter[str]:
    """What the waiters were answered within that time; "still waiting" is as it should be."""
    body = json.dumps({"filename": name, "wait": True}).encode()
    head = (
        "POST /transcribe HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )

    async def one() -> str:
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    writer.write(head.encode() + body)
                    return str(await _status_of_answer(reader))
                finally:
                    writer.close()
        except TimeoutError:
            return "still waiting"
        except (OSError, EOFError) as error:
            return type(error).__name__

    async def crowd() -> list[str]:
        return await asyncio.gather(*(one() for _ in range(waiters)))

    return Counter(asyncio.run(crowd()))


def measure(
    daemon: DaemonProcess, clip: Clip, waiters: int, pollers: int, seconds: float, asked: Questions
) -> dict[str, Answers]:
    """Let the crowd in while the recording runs; print, and return by path, what it met."""
    port = int(daemon.wait_for_log(r"Listening on http://[^:]+:(\d+)").group(1))
    daemon.put(clip.path, NAME)
    daemon.wait_for(lambda: daemon.in_progress(NAME), f"{NAME} began", MODEL_S)
    process = psutil.Process(daemon.pid)
    before_mb, before_cpu = resident_mb([process]), process.cpu_times()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        waiting = pool.submit(wait, port, NAME, waiters, seconds + 5) if waiters else None
        if waiters:
            daemon.wait_for(
                lambda: _connections(process, port) >= waiters, "all wait", WAITERS_BEGIN_S
            )
        polling = pool.submit(poll, port, asked, pollers, seconds)
        time.sleep(seconds / 2)
        during_mb = resident_mb([process])
        answers = polling.result(seconds + 60)
        after_cpu = process.cpu_times()
        ran_to_the_end = daemon.result(NAME) is None
        waited = waiting.result(seconds + 60) if waiting else Counter()
    used_s = (after_cpu.user + after_cpu.system) - (before_cpu.user + before_cpu.system)
    met = dict(zip(asked.paths, answers, strict=True))
    _report(met)
    print(f"The waiters: {dict(waited) or 'none'}.")
    print(
        f"The daemon (without its worker): {before_mb:.0f} MB before, {during_mb:.0f} MB during, "
        f"{resident_mb([process]):.0f} MB after; {used_s:.1f} s of CPU time."
    )
    if not ran_to_the_end:
        print("The recording was done before the end: take more --minutes.")
    return met


def _connections(process: psutil.Process, port: int) -> int:
    return sum(
        c.status == psutil.CONN_ESTABLISHED and c.laddr.port == port
        for c in process.net_connections("tcp")
    )


def _report(answers: Mapping[str, Answers]) -> None:
    rows: list[tuple[str, ...]] = [("question", "answers", "errors", "p50", "p99", "max")]
    for path, met in answers.items():
        errors = ", ".join(f"{n} {what}" for what, n in met.errors.items()) or "0"
        times: tuple[str, ...] = ("-", "-", "-")
        if len(met.seconds) >= 2:
            hundredths = statistics.quantiles(met.seconds, n=100)
            worst = (hundredths[49], hundredths[98], max(met.seconds))
            times = tuple(f"{1000 * s:.1f} ms" for s in worst)
        rows.append((path, str(len(met.seconds)), errors, *times))
    print(table(rows))


def _upto(most: int, text: str) -> int:
    value = int(text)
    if not 1 <= value <= most:
        raise argparse.ArgumentTypeError(f"must be between 1 and {most}")
    return value


def main() -> None:
    """Run it once."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=lambda t: _upto(600, t), default=30)
    parser.add_argument("--seconds", type=lambda t: _upto(MOST_SECONDS, t), default=30)
    parser.add_argument("--waiters", type=lambda t: _upto(MOST_CLIENTS, t), default=200)
    parser.add_argument("--pollers", type=lambda t: _upto(MOST_CLIENTS, t), default=50)
    parser.add_argument("--no-waiters", action="store_true")
    parser.add_argument("--ask", nargs="+", choices=("status", "health"), help="default: both")
    parser.add_argument("--every", type=float, default=EVERY_S, help="seconds between questions")
    options = parser.parse_args()
    end_in_order()
    require_everything()
    clip = joined(festvox_russian(), options.minutes * 60)
    waiters = 0 if options.no_waiters else options.waiters
    print(f"{clip.duration_s:.0f} s of speech, {waiters} waiters, {options.pollers} pollers.")
    usual = ("status", "health") if waiters else ("health",)
    asked = Questions(tuple(options.ask or usual), options.every)
    config = {"api": {"max_waiting": waiters}} if waiters > 250 else None
    with tempfile.TemporaryDirectory() as scratch, DaemonProcess(Path(scratch), config) as daemon:
        daemon.wait_until_warm()
        measure(daemon, clip, waiters, options.pollers, options.seconds, asked)


if __name__ == "__main__":
    main()
