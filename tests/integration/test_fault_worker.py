"""What can befall the worker, by the real thing: kernel, threads, signals, memory that runs out."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from modules.errors import WorkerError
from modules.executors.local import process
from modules.transcript.model import Chunk
from tests.builders import until
from tests.daemon_process import text_of
from tests.integration.test_local_executor import HANG_S, bench_in
from tests.kills import GONE_WITHIN_S
from tests.scripted_daemon import PROGRAM, SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text


class OtherDaemon(ScriptedDaemon):
    """A daemon with ``extra`` in its program, such as another worker."""

    def __init__(
        self,
        root: Path,
        extra: str,
        config: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        self._extra = extra
        super().__init__(root, config)

    def command(self, *arguments: str) -> list[str]:
        program = PROGRAM.format(hold_s=self.hold_s)
        assert "import transcriber\n" in program
        program = program.replace("import transcriber\n", f"{self._extra}\nimport transcriber\n")
        return [sys.executable, "-c", program, "--config", str(self.config_file), *arguments]


def with_worker(code: str) -> str:
    """For ``extra``: the scripted worker, changed by ``code``."""
    program = f"from tests import scripted_worker\n{code}\nscripted_worker.main()"
    return f"executor.worker_command = lambda config: [sys.executable, '-c', {program!r}]"


def restarts(daemon: ScriptedDaemon, reason: str) -> float:
    return daemon.metrics().get(f'transcriber_worker_restarts_total{{reason="{reason}"}}', 0)


# --- everything stands still ----------------------------------------------------------------------

#: As ``docker pause`` or a laptop's lid: far longer than the limit.
LIMIT_S, STANDSTILL_S = 1.5, 4.0


@pytest.mark.parametrize("worker_too", [True, False], ids=["both", "the daemon alone"])
@pytest.mark.parametrize("name", ["slow.mp3", "sluggish.mp3"])
def test_a_standstill_of_the_daemon_counts_no_attempt_and_ends_no_worker(
    tmp_path: Path, name: str, worker_too: bool
) -> None:
    limits = {"worker_hang_seconds": LIMIT_S, "timeout_seconds": 60.0}
    with ScriptedDaemon(tmp_path, {"processing": limits}) as daemon:
        content = daemon.drop(name, chunks=8)
        daemon.wait_for_position(name, 10.0)
        frozen = [psutil.Process(daemon.pid), *(daemon.children() if worker_too else ())]
        try:
            for one in frozen:
                one.suspend()
            time.sleep(STANDSTILL_S)
        finally:
            for one in frozen:
                one.resume()
        result = daemon.wait_for_result(name, SOON_S)
        assert text_of(result) == full_text(content)
        assert result["processing_stats"]["total_attempts"] == 1
        assert "worker_hung" not in daemon.log
        assert restarts(daemon, "hung") == 0


# --- memory runs out -----------------------------------------------------------------------------


@pytest.fixture
def tight() -> Iterator[Path]:
    """A control group of the kernel in which a process may have 150 MB and no swap."""
    root = Path("/sys/fs/cgroup")
    old = (root / "memory").is_dir()
    group = (root / "memory" if old else root) / f"transcriber-test-{os.getpid()}"
    limits = (
        {"memory.limit_in_bytes": "150M", "memory.memsw.limit_in_bytes": "150M"}
        if old
        else {"memory.max": "150M", "memory.swap.max": "0"}
    )
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        for name, value in limits.items():
            with contextlib.suppress(FileNotFoundError):  # one of them counts swap, if it does
                (group / name).write_text(value)
        if not any((group / name).exists() for name in limits):
            pytest.skip("control groups here do not limit memory")
        yield group
    finally:
        until(lambda: not (group / "cgroup.procs").read_text(), "the group stayed in use")
        group.rmdir()


def test_a_worker_that_the_kernel_ends_for_want_of_memory_is_told_with_what_to_do(
    tmp_path: Path, tight: Path
) -> None:
    enter = ["/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', str(tight / "cgroup.procs")]
    worker = f"[*{enter!r}, sys.executable, '-m', 'tests.scripted_worker']"
    before = process.oom_kills()
    with OtherDaemon(tmp_path, f"executor.worker_command = lambda config: {worker}") as one:
        one.drop("fat.mp3")
        state = one.wait_until_in_manual("fat.mp3", 60)
        content = one.drop("talk.mp3")
        assert text_of(one.wait_for_result("talk.mp3", SOON_S)) == full_text(content)
        assert restarts(one, "out_of_memory") == 3
    assert process.oom_kills() >= before + 3, "it was not the kernel that ended it"
    assert state["error"]["code"] == "out_of_memory"
    explained = (one.manual / "fat.mp3.error.txt").read_text("utf-8")
    assert "Кончилась память" in explained
    assert "возьмите whisperx.model_size поменьше" in explained


@pytest.mark.parametrize(("kills", "code"), [(1, "out_of_memory"), (0, "worker_killed")])
def test_the_kernels_own_count_tells_who_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int, code: str
) -> None:
    """Where no control group can be made, the count is a made-up one."""
    counts = iter([7])
    monkeypatch.setattr(process, "oom_kills", lambda: next(counts, 7 + kills))
    with bench_in(tmp_path) as bench:
        assert bench.fails("killself.mp3", WorkerError).code == code


# --- the child dies alone ------------------------------------------------------------------------


def test_a_worker_that_dies_while_idle_is_seen_in_health_and_replaced(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path) as daemon:
        daemon.wait_until_warm()
        (worker,) = daemon.children()
        worker.send_signal(signal.SIGKILL)
        report = daemon.wait_for(
            lambda: report if (report := daemon.health())["reasons"] else None,
            "health told of the worker's death", SOON_S,
        )  # fmt: skip
        assert report["reasons"] == ["the WhisperX process is not running"]
        assert (report["status"], report["whisperx_available"]) == ("degraded", False)
        daemon.wait_for(lambda: restarts(daemon, "died") == 1, "its death was counted", SOON_S)
        content = daemon.drop("talk.mp3")
        result = daemon.wait_for_result("talk.mp3", SOON_S)
        assert text_of(result) == full_text(content)
        assert result["processing_stats"]["total_attempts"] == 1, "the file was blamed for it"
        daemon.wait_for(lambda: daemon.health()["status"] == "healthy", "all is well", SOON_S)


CRASHES_AT_THE_END = """
import os, signal
play = scripted_worker.Act.play
def played(act):
    play(act)
    os.kill(os.getpid(), signal.SIGSEGV)
scripted_worker.Act.play = played
"""


def test_a_crash_after_the_last_chunk_costs_nothing(tmp_path: Path) -> None:
    """As when CUDA is torn down: the text is with the parent by then."""
    with OtherDaemon(tmp_path, with_worker(CRASHES_AT_THE_END)) as daemon:
        for number in (1, 2):
            content = daemon.drop(f"talk{number}.mp3", seed=str(number))
            result = daemon.wait_for_result(f"talk{number}.mp3", SOON_S)
            assert text_of(result) == full_text(content)
            assert result["processing_stats"]["total_attempts"] == 1
            daemon.wait_for(
                lambda n=number: restarts(daemon, "died") == n,  # type: ignore[misc]
                "the crash was noticed", SOON_S,
            )  # fmt: skip
        assert daemon.stop() == 0
    assert os.listdir(daemon.manual) == []


DIES_IN_THE_MIDDLE_OF_A_LINE = """
import os
hand_over = scripted_worker.Act._hand_over
def torn(act, index):
    if act._sent == 2:
        act._line.write(b'{"kind": "chunk", "task_id": 1, "start_s": 20.0, "posi')
        os._exit(3)
    hand_over(act, index)
scripted_worker.Act._hand_over = torn
"""


def test_a_line_that_its_death_tears_is_no_part_of_the_text(tmp_path: Path) -> None:
    with OtherDaemon(tmp_path, with_worker(DIES_IN_THE_MIDDLE_OF_A_LINE)) as daemon:
        content = daemon.drop("talk.mp3", 5)
        result = daemon.wait_for_result("talk.mp3", SOON_S)
        assert text_of(result) == full_text(content)
        assert result["processing_stats"]["total_attempts"] == 3, "two chunks an attempt"
        assert "a line that makes no sense" in daemon.log


# --- a child that hears nothing ------------------------------------------------------------------


def test_a_worker_that_can_run_no_line_of_its_own_is_ended_all_the_same(tmp_path: Path) -> None:
    """Stopped, it is like one deep in code in C: it handles no signal, TERM included."""

    def stop(chunk: Chunk) -> None:
        stopped.append(time.monotonic())
        assert bench.processor.pid is not None
        os.kill(bench.processor.pid, signal.SIGSTOP)

    stopped: list[float] = []
    with bench_in(tmp_path, worker_hang_seconds=HANG_S) as bench:
        bench.process()
        pid = bench.processor.pid
        assert pid is not None
        assert bench.fails("slow.mp3", WorkerError, chunks=9, on_chunk=stop).code == "worker_hung"
        took_s = time.monotonic() - stopped[-1]
        assert not psutil.pid_exists(pid), "it was not reaped"
        # Its last line of life, a tick of the parent's clock, and the time between TERM and KILL.
        assert HANG_S <= took_s < HANG_S + 1 + process.TERM_GRACE_S + GONE_WITHIN_S
        assert bench.process().done is not None
