"""Three hundred hostile files and more, dropped into the folder of the real daemon.

Every one ends in a result or in ``manual/`` with its reason, nobody dies, time and memory keep
within bounds, and no file but the recordings is opened. The system calls of the daemon and its
worker are written down by ``strace``, so the last is seen and not assumed.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from modules.messages import restored, translated
from modules.recordings.sidecars import RecordingPaths
from modules.recordings.store import RecordingStore
from tests.acceptance.recordings import SAMPLES
from tests.daemon_process import MODELS, PROJECT, DaemonProcess, _json_or_none, text_of
from tests.hostile.case import Case, Ending
from tests.hostile.corpus import corpus
from tests.hostile.traces import Trace, strace_prefix, why_no_strace
from tests.soak import soak

pytestmark = pytest.mark.acceptance

FILES_MIN = 300
#: For all of them together, on a machine that is busy with other things.
ALL_S = 600.0
FILE_S = 30.0
#: What a file may cost over what the worker holds at rest.
MEMORY_MB = 300
POLL_S = 0.2
#: Of five words that are said.
WORDS_MIN = 3
#: Why a recording may be refused. Anything else means that the program failed, not the file.
REASONS = {
    "bad_sample_rate",
    "empty_file",
    "encrypted",
    "inflated",
    "no_audio",
    "no_sound_decoded",
    "not_media",
    "oversized",
    "too_long",
    "too_many_channels",
    "unfinished_file",
    "unsupported_codec",
}
#: Where programs keep what they are made of; nothing in there says anything about anybody.
SYSTEM = ("/usr", "/lib", "/lib64", "/proc/self", "/proc/stat", "/proc/meminfo", "/proc/cpuinfo")
SYSTEM += ("/sys", "/dev/null", "/dev/urandom", "/etc/localtime", "/etc/ld.so.cache")
SYSTEM += ("/proc/sys/vm/nr_hugepages",)  # OpenVINO's allocator asks once


@dataclass
class Stay:
    """The daemon's stay in a folder full of hostile files, and what came of it."""

    daemon: DaemonProcess
    cases: dict[str, Case]
    canary: Path
    inside: Path
    listener: socket.socket
    resting_mb: float
    peak_mb: float = 0.0
    workers: list[int | None] = field(default_factory=list)
    exit_code: int | None = None
    trace: Trace | None = None

    def result(self, name: str) -> dict[str, Any] | None:
        return _json_or_none(self.daemon.shared / RecordingPaths(name).result)

    def state(self, name: str) -> dict[str, Any] | None:
        """What lies in ``manual/`` beside a file that was refused."""
        return _json_or_none(self.daemon.manual / RecordingPaths(name).state)

    def explanation(self, name: str) -> str:
        path = self.daemon.manual / RecordingPaths(name).error_text
        return path.read_text("utf-8") if path.exists() else ""

    def was_left(self, name: str) -> bool:
        """Whether it was found to be no recording, and lies where it was put."""
        files = RecordingStore(self.daemon.shared, self.daemon.manual)
        return files.ignored.kind_of(name) is not None

    def ended(self, name: str) -> bool:
        manual, shared = self.daemon.manual, self.daemon.shared
        if self.was_left(name):
            return not (shared / RecordingPaths(name).state).exists()
        if (manual / name).exists():
            return bool(self.explanation(name)) and not (shared / name).exists()
        waits = (shared / RecordingPaths(name).state).exists()
        return (shared / RecordingPaths(name).result).exists() and not waits


@pytest.fixture(scope="module")
def stay(weights: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stay]:
    """All files dropped and ended, and the daemon stopped."""
    root = tmp_path_factory.mktemp("hostile")
    canary = root / "outside.wav"
    shutil.copyfile(SAMPLES / "please-hold-ru.wav", canary)
    prefix = [] if why_no_strace() else strace_prefix(root / "trace")
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        DaemonProcess(root, {"watch": {"rescan_seconds": 2.0}}, prefix) as daemon,
    ):
        listener.setblocking(False)
        inside = daemon.shared / "neighbour.txt"
        shutil.copyfile(canary, inside)
        port = listener.getsockname()[1]
        cases = {case.name: case for case in _chosen(corpus(str(canary), inside.name, port))}
        daemon.wait_until_warm()
        daemon.wait_for_result(daemon.put(SAMPLES / "please-hold-ru.wav", "good.wav"))
        worker = daemon.worker_pid()
        assert worker is not None
        _reset_peak(worker)
        seen = Stay(daemon, cases, canary, inside, listener, _memory_mb(worker))
        for case in cases.values():
            case.write(daemon.shared)
        _wait_for_all(seen)
        seen.peak_mb = _memory_mb(worker, "VmHWM")
        seen.workers = [worker, daemon.worker_pid()]
        seen.exit_code = daemon.stop()
        if prefix:
            seen.trace = Trace.read(root / "trace", worker, daemon.pid)
        yield seen


def _chosen(cases: Iterable[Case]) -> Iterator[Case]:
    """All of which an ending is demanded; of the others each third, and all in ``make soak``."""
    others = 0
    for case in cases:
        others += case.ending is Ending.EITHER
        if case.ending is not Ending.EITHER or others % soak(3, 1) == 0:
            yield case


def _wait_for_all(seen: Stay) -> None:
    left = set(seen.cases)
    since = time.monotonic()
    deadline = since + ALL_S
    while left:
        gone = {name for name in left if seen.ended(name)}
        left -= gone
        now = time.monotonic()
        if gone:
            since = now
        elif now - since > FILE_S:
            running = [path.name for path in seen.daemon.shared.glob("*.in_progress")]
            raise seen.daemon.failure(
                f"nothing ended within {FILE_S:.0f} s; {len(left)} are left, running: {running}"
            )
        if now > deadline or not seen.daemon.is_alive:
            raise seen.daemon.failure(f"{len(left)} files did not end, so {sorted(left)[:20]}")
        time.sleep(POLL_S)


def _memory_mb(process: int, what: str = "VmRSS") -> float:
    """What a process holds (``VmRSS``), or held at most (``VmHWM``), in MiB."""
    status = Path(f"/proc/{process}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(what))
    return int(line.split()[1]) / 1024


def _reset_peak(process: int) -> None:
    Path(f"/proc/{process}/clear_refs").write_text("5")


def test_every_file_ends_in_a_result_or_in_manual_as_it_has_to(stay: Stay) -> None:
    assert len(stay.cases) >= FILES_MIN
    complaints = [f"{name!r}: {what}" for name in stay.cases for what in _complaints(stay, name)]
    assert not complaints, "\n".join(complaints)


def _complaints(stay: Stay, name: str) -> Iterator[str]:
    case, result = stay.cases[name], stay.result(name)
    if stay.was_left(name):
        if case.ending in (Ending.TEXT, Ending.RESULT) or stay.state(name):
            yield "it was taken for no recording, or moved all the same"
        return
    if result is None:
        yield from _about_refusal(case, stay.state(name), stay.explanation(name))
        return
    if case.ending is Ending.REFUSED:
        yield f"it gave a result: {result['metadata']}"
    if case.ending is Ending.TEXT and len(text_of(result).split()) < WORDS_MIN:
        yield f"too few words: {text_of(result)!r}"
    notes = " ".join(result["metadata"].get("notes", []))
    if case.partial and "partial: The recording is incomplete" not in notes:
        yield f"nothing says that it is not whole: {notes!r}"
    if result["filename"] != name:
        yield f"its result is called that of {result['filename']!r}"
    if result["processing_time_seconds"] > FILE_S:
        yield f"it took {result['processing_time_seconds']} s"
    if result["processing_stats"]["total_attempts"] != 1:
        yield "it took more than one attempt"


def _about_refusal(case: Case, state: dict[str, Any] | None, explanation: str) -> Iterator[str]:
    if state is None:
        yield "there is no result, and nothing in manual/"
        return
    if case.ending in (Ending.TEXT, Ending.RESULT):
        yield f"it was refused: {state['error']}"
    if case.code not in (None, state["error"]["code"]):
        yield f"refused as {state['error']['code']}, not as {case.code}"
    if [attempt["status"] for attempt in state["attempts"]] != ["failed"]:
        yield f"it took more than one attempt: {state['attempts']}"
    if state["attempts"][-1]["running_seconds"] > FILE_S:
        yield f"it took {state['attempts'][-1]['running_seconds']} s"
    message = restored(state["error"]["message"], state["error"].get("template"))
    if translated(message, "ru") not in explanation or "Traceback" in explanation:
        yield f"that does not explain it: {explanation!r}"
    if state["error"]["code"] not in REASONS:
        yield f"no reason that a recording can have: {state['error']}"


def test_neither_the_daemon_nor_the_worker_dies(stay: Stay) -> None:
    assert stay.exit_code == 0
    assert stay.workers[0] == stay.workers[1], "the worker was replaced"
    assert "Traceback" not in stay.daemon.whole_log


def test_memory_keeps_within_its_bound(stay: Stay) -> None:
    assert stay.peak_mb < stay.resting_mb + MEMORY_MB
    results = (stay.result(name) for name in stay.cases)
    peaks = [result["processing_stats"]["memory_peak_mb"] for result in results if result]
    assert max(peaks) < stay.resting_mb + MEMORY_MB


def test_no_connection_is_made(stay: Stay) -> None:
    with pytest.raises(BlockingIOError):
        stay.listener.accept()
    if stay.trace is not None:
        assert not stay.trace.internet()


def test_no_file_is_opened_that_a_recording_names(stay: Stay) -> None:
    trace = _required(stay.trace)
    share = f"{stay.daemon.shared}/"
    opened = trace.opened()
    first = next(n for n, call in enumerate(opened) if str(call.path).endswith("model.bin"))
    places = map(os.path.realpath, (MODELS, PROJECT, sys.prefix, sys.base_prefix))
    ours = (*places, f"/proc/{stay.workers[0]}/", *SYSTEM)
    usual = {call.path for call in opened[:first]}
    outside = [
        call
        for call in opened[first:]
        if call.path not in usual and not str(call.path).startswith(ours)
    ]
    assert not outside
    # Not even the recordings: it gets them open, and could not open another for their sake.
    assert not [call for call in opened if str(call.path).startswith(share)]
    assert not [call for call in opened if call.path in (str(stay.canary), str(stay.inside))]


def _required(trace: Trace | None) -> Trace:
    if trace is None:
        reason = why_no_strace() or "nothing was traced"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return trace


def test_the_trace_would_show_it(tmp_path: Path) -> None:
    """The test of the tester: a program that does all of it, in a thread and in a child."""
    if why_no_strace():
        _required(None)
    canary = tmp_path / 'secret "\n>.txt'
    canary.write_text("secret")
    program = subprocess.Popen(
        [*strace_prefix(tmp_path / "trace"), sys.executable, "-c", _MISDEEDS, str(canary)]
    )
    assert program.wait(60) == 0
    trace = Trace.read(tmp_path / "trace", program.pid, program.pid)
    assert [call.path for call in trace.opened()].count(str(canary)) == 3
    assert {call.name for call in trace.internet()} >= {"socket", "connect", "sendto"}


_MISDEEDS = """
import socket, subprocess, sys, threading
thread = threading.Thread(target=lambda: open(sys.argv[1]).close())
thread.start()
thread.join()
subprocess.run(["cat", sys.argv[1]], stdout=subprocess.DEVNULL, check=True)
open(sys.argv[1]).close()
with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
    tcp.connect_ex(("127.0.0.1", 9))
    udp.sendto(b"x", ("127.0.0.1", 9))
"""
