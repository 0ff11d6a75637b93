"""A worker that was taken over sends whatever it likes: the daemon stays small, and goes on."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.daemon_process import text_of
from tests.integration.test_fault_worker import OtherDaemon, restarts, with_worker
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text

#: What a flood may cost, in MB of 10^6: of memory, in the folders, and in the log.
MEMORY_MB, FOLDER_MB, LOG_MB = 50.0, 2.0, 0.2
ATTEMPTS = 2
HANG_S = 3.0

#: What is made of ``flood-0.mp3`` and so on; ``send`` writes a line, ``chunk`` makes one.
FLOODS = {
    "signs of life": "while True: act._line.write(b'{\"kind\":\"alive\"}\\n' * 4000)",
    "long texts": "for n in count(): send(chunk(n, text='a' * 1_800_000))",
    "texts that pack badly": "for n in count(): send(chunk(n, text=noise(17_000)))",
    "texts of little sound": "for n in count(): send(chunk(n, text=noise(17_000), step=0.001))",
    "segments": "for n in count(): send(chunk(n, segments=[segment(n)] * 50_000))",
    "words": "for n in count(): send(chunk(n, segments=[segment(n, words=100_000)]))",
    "spans": "for n in count(): send(chunk(n, wordless=[[0, 1]] * 200_000))",
    "items of no account": "for n in count(): send(chunk(n, flags=[0] * 1_500_000))",
    "tiny chunks": "for n in count(): send(chunk(n, step=0.0001))",
    "chunks that do not advance": "for n in count(): send(chunk(n, step=0))",
    "a position far away": "for n in count(): send(chunk(n, step=1e8))",
    "more sound than the file can hold": "for n in count(): send(chunk(n, step=30))",
    "chunks of other tasks": "for n in count(): send(chunk(n, task_id=n + 10**6))",
    "beginnings": "while True: send(started(10))",
    "models": (
        "while True: send(b'{\"kind\":\"loaded\",\"name\":\"faster-whisper-base\",\"size_mb\":1,"
        "\"seconds\":0}')"
    ),
    "lacks of the sandbox": (
        "for n in count(): send(b'{\"kind\":\"ready\",\"whisperx_version\":\"1\",\"seconds\":0,"
        "\"unsandboxed\":[\"%d\"]}' % n)"
    ),
    "nonsense": "while True: act._line.write(b'nonsense\\n' * 4000)",
    "a line without an end": "while True: act._line.write(b'x' * 65536)",
    "a chunk without an end": (
        "act._line.write(b'{\"kind\":\"chunk\",\"order\":')\n"
        "while True: act._line.write(b'9' * 65536)"
    ),
    "notes": "send(done(notes=['n' * 1000] * 3900))",
    "turns": "send(done(turns=[{'start': 0, 'end': 1, 'speaker': 'A'}] * 100_000))",
    "turns that fit a line": (
        "send(done(turns=[{'start': 0, 'end': 1, 'speaker': 'A'}] * 29_000))"
    ),
    "speakers": "send(done(turns=[{'start': 0, 'end': 1, 'speaker': 'A' * 3_000_000}]))",
    "tracks": (
        "send(done(left_out=50_000 * [{'what': 'track', 'label': '', 'count': 1, 'why': 'asked'}]))"
    ),
    "a duration": "send(done(duration_s=1e8))",
    "an explanation": (
        "send(json.dumps({'kind': 'failed', 'task_id': act._command.task_id, 'code': 'c' * 60_000,"
        "'message': 'm' * 90_000, 'details': '\\x01' * 10_000}).encode())"
    ),
    "complaints": "while True: os.write(2, b'c' * 4000 + b'\\n')",
    "complaints without an end": "while True: os.write(2, b'c' * 65536)",
}  # fmt: skip
WORKER = f"""
import json, os, random
FLOODS = {list(FLOODS.values())!r}
"""
WORKER += """
from itertools import count
from tests.scripted_worker import Started
def noise(size):
    return ''.join(random.choices('abcdefghijklmnopqrstuvwxyz0123456789', k=size))
play = scripted_worker.Act.play
def played(act):
    if 'flood' not in act._words:
        return play(act)
    number = act._command.task_id
    def send(line):
        act._line.write(line + b'\\n')
    def line(**content):
        return json.dumps(content).encode()
    def segment(n, text='a', words=0):
        return dict(start=0, end=1, text=text, words=[dict(word='')] * words)
    def chunk(n, text='a', step=1.0, segments=None, task_id=number, **more):
        return line(kind='chunk', order=task_id, number=n + 1, start_s=n * step,
            position_s=(n + 1) * step, segments=segments or [segment(n, text)], **more)
    def done(duration_s=1.0, **more):
        return line(kind='done', task_id=number, chunks=0, duration_s=duration_s, **more)
    def started(duration_s):
        return line(kind='started', task_id=number, duration_s=duration_s, format='f', codec='c')
    send(started(1e9))
    for index, flood in enumerate(FLOODS):
        if str(index) in act._words:
            exec(flood, locals() | globals())
scripted_worker.Act.play = played
"""


class Watched:
    """The largest resident memory of a process, looked at all the time, in MB of 10^6."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.mb = self._now_mb()

    def _now_mb(self) -> float:
        return float(self._process.memory_info().rss / 1e6)

    @contextmanager
    def looking(self) -> Iterator[None]:
        over = threading.Event()

        def look() -> None:
            while not over.wait(0.02):
                self.mb = max(self.mb, self._now_mb())

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def folder_mb(*folders: Path) -> float:
    size = 0
    for path in (path for folder in folders for path in folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError):  # done with since it was listed
            size += path.lstat().st_size if path.is_file() else 0
    return size / 1e6


def a_daemon(root: Path) -> ScriptedDaemon:
    limits = {
        "worker_hang_seconds": HANG_S, "max_retry_attempts": ATTEMPTS, "retry_backoff_seconds": 0.1,
        "growth_wait_seconds": 0, "stop_grace_seconds": 1.0,
    }  # fmt: skip
    return OtherDaemon(root, with_worker(WORKER), {"processing": limits})


@pytest.fixture(scope="module")
def flooded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    with a_daemon(tmp_path_factory.mktemp("flooded")) as daemon:
        daemon.drop("first.mp3")
        daemon.wait_for_result("first.mp3", SOON_S)
        yield daemon


@pytest.mark.parametrize("number", range(len(FLOODS)), ids=list(FLOODS))
def test_a_flood_is_an_error_of_the_worker_and_costs_little(
    flooded: ScriptedDaemon, number: int
) -> None:
    flood, name, good = list(FLOODS)[number], f"flood-{number}.mp3", f"talk-{number}.mp3"
    watched = Watched(flooded.pid)
    before_mb, before_log = watched.mb, len(flooded.log)
    before = restarts(flooded, "implausible_output")
    with watched.looking():
        flooded.drop(name)
        state = flooded.wait_until_in_manual(name, 3 * SOON_S)
        content = flooded.drop(good, seed=good)
        assert text_of(flooded.wait_for_result(good, SOON_S)) == full_text(content)
    print(f"{watched.mb - before_mb:.0f} MB more")
    assert watched.mb - before_mb < MEMORY_MB
    assert folder_mb(flooded.shared, flooded.manual) < FOLDER_MB
    assert (len(flooded.log) - before_log) / 1e6 < LOG_MB
    assert state["attempt"] == ATTEMPTS
    if "complaints" in flood:
        assert state["error"]["code"] == "worker_hung"
    elif flood == "an explanation":
        assert len(state["error"]["message"]) < 2000
    else:
        assert state["error"]["code"] == "implausible_output"
        assert "cannot come from this recording" in state["error"]["message"]
        assert restarts(flooded, "implausible_output") - before == ATTEMPTS
    assert flooded.health()["status"] == "healthy"


@pytest.mark.parametrize("flood", ["complaints", "complaints without an end"])
def test_a_stop_is_obeyed_in_a_flood(tmp_path: Path, flood: str) -> None:
    name = f"flood-{list(FLOODS).index(flood)}.mp3"
    with a_daemon(tmp_path) as daemon:
        daemon.drop(name)
        daemon.wait_for_attempt(name, 1)
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < SOON_S
