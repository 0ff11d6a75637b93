"""The parent's side of the worker, with a real child process that misbehaves on demand."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from modules.clock import SystemClock
from modules.config.settings import TranscriptionSettings
from modules.errors import MediaError, ModelError, StorageError, TranscriberError, WorkerError
from modules.executors.base import Outcome, RunCallbacks, Task
from modules.executors.local import connection, executor, process
from modules.executors.local.executor import LocalExecutor
from modules.executors.protocol import Done, Started, Transcribe
from modules.transcript.model import Chunk
from modules.weights.files import ModelSpec
from tests.builders import SETTINGS, a_config, until
from tests.scripted_worker import CHUNK_S, recording, text_of

COMMAND = [sys.executable, "-m", "tests.scripted_worker"]
SPEC = ModelSpec(name="faster-whisper-base", path="/nowhere", device="cpu", compute_type="int8")
#: For a child that is to hang, and for all others, which must not seem to hang while they wait for
#: a processor.
HANG_S, PATIENCE_S = 2.0, 60.0


class Bench:
    """An audio processor with a scripted child, and what was heard of it."""

    def __init__(self, root: Path, **processing: Any) -> None:
        self.root = root
        limits = {"worker_hang_seconds": PATIENCE_S, "stop_grace_seconds": 0.5} | processing
        self.processor = LocalExecutor(
            a_config(root, processing=limits), SystemClock(), command=COMMAND
        )
        self.chunks: list[Chunk] = []
        self.started: list[Started] = []
        self.stop = False

    def process(
        self,
        name: str = "talk.mp3",
        chunks: int = 3,
        start_s: float = 0.0,
        spent_s: float = 0.0,
        spec: ModelSpec = SPEC,
        on_chunk: Callable[[Chunk], None] | None = None,
        must_hurry: bool = True,
        settings: TranscriptionSettings = SETTINGS,
    ) -> Outcome:
        path = self.root / name
        path.write_bytes(recording(chunks))
        order = Transcribe(
            task_id=0, path=bytes(path), model=spec, settings=settings, batch_size=8,
            start_s=start_s, max_duration_s=3600,
        )  # fmt: skip
        return self.processor.run(
            Task(order, spent_s),
            RunCallbacks(
                on_chunk=on_chunk or self.chunks.append,
                should_stop=lambda: self.stop,
                on_started=self.started.append,
                must_hurry=lambda: must_hurry,
            ),
        )

    def fails(self, name: str, kind: type[TranscriberError], **more: Any) -> TranscriberError:
        with pytest.raises(kind) as caught:
            self.process(name, **more)
        return caught.value

    def numbers(self) -> list[int]:
        return [round(chunk.start_s / CHUNK_S) for chunk in self.chunks]


@contextlib.contextmanager
def bench_in(root: Path, **processing: Any) -> Iterator[Bench]:
    made = Bench(root, **processing)
    try:
        yield made
    finally:
        made.processor.close()


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long TERM is waited for, and a reader; nothing that a test should wait for in full."""
    monkeypatch.setattr(process, "TERM_GRACE_S", 0.5)
    monkeypatch.setattr(executor, "TERM_GRACE_S", 0.5)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_in(tmp_path) as made:
        yield made


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Bench]:
    """Takes a child soon for one that hangs."""
    with bench_in(tmp_path, worker_hang_seconds=HANG_S) as made:
        yield made


@pytest.fixture
def grandchildren(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """The pid of the last grandchild; all are ended after the test."""
    file = tmp_path / "grandchildren.pids"
    monkeypatch.setenv("SCRIPTED_PIDS", str(file))
    yield lambda: int(file.read_text().split()[-1])
    for pid in file.read_text().split() if file.exists() else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def is_gone(pid: int) -> bool:
    """A zombie counts: who reaps orphans is up to the machine's first process."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# --- the good way ---


def test_chunks_come_in_order_and_the_model_stays(bench: Bench) -> None:
    outcome = bench.process()
    assert isinstance(outcome.done, Done)
    assert bench.numbers() == [0, 1, 2]
    assert bench.chunks[1].segments[0].text == text_of(recording(3), 1)
    assert bench.started[0].duration_s == 30.0
    assert outcome.loaded is not None
    assert (outcome.loaded.name, outcome.whisperx_version) == (SPEC.name, "0.scripted")
    first = bench.processor.pid
    bench.process("again.mp3")
    assert bench.processor.pid == first
    assert bench.processor.status.model_loaded == SPEC.name
    assert bench.processor.status.restarts == {}
    assert bench.processor.status.memory_mb > 0


def test_it_goes_on_from_where_it_is_told(bench: Bench) -> None:
    bench.process(start_s=20.0)
    assert bench.numbers() == [2]
    assert bench.process(start_s=30.0).done is not None, "nothing is left, and that is well"


def test_it_can_be_warmed_ahead(bench: Bench) -> None:
    bench.processor.warm(SPEC)
    first = bench.processor.pid

    def loaded() -> bool:
        bench.processor.maintain()
        return bench.processor.status.model_loaded == SPEC.name

    until(loaded, "the model was not loaded ahead")
    bench.processor.warm(SPEC)
    bench.process()
    assert bench.processor.pid == first


def test_what_the_machine_can_do_is_known_from_the_first_child_on(bench: Bench) -> None:
    assert bench.processor.capabilities.compute_types == {}
    bench.process()
    known = {"cpu": ("float32", "int8", "int8_float32")}
    assert bench.processor.capabilities.compute_types == known
    bench.processor.close()
    assert bench.processor.capabilities.compute_types == known, "it outlives the child that said it"


def test_another_model_is_loaded_by_the_same_child(bench: Bench) -> None:
    bench.process()
    first = bench.processor.pid
    outcome = bench.process(spec=SPEC.model_copy(update={"name": "faster-whisper-tiny"}))
    assert outcome.loaded is not None
    assert outcome.loaded.name == "faster-whisper-tiny"
    assert bench.processor.pid == first


def test_a_model_that_is_asked_for_while_another_loads_is_the_one_that_counts(
    bench: Bench,
) -> None:
    bench.processor.warm(SPEC)
    other = SPEC.model_copy(update={"name": "faster-whisper-tiny"})
    outcome = bench.process(spec=other)
    assert outcome.loaded is not None
    assert outcome.loaded.name == other.name


def test_names_that_are_not_utf8_are_opened(bench: Bench) -> None:
    assert bench.process("odd \udcff\n.mp3").done is not None


# --- failures ---


@pytest.mark.parametrize(("name", "done"), [("crash.mp3", []), ("crash2.mp3", [0, 1])])
def test_a_crash_is_told_with_its_last_words(bench: Bench, name: str, done: list[int]) -> None:
    error = bench.fails(name, WorkerError)
    assert error.code == "whisperx_failed"
    assert "exit code 3" in error.message
    assert "it ends badly" in (error.details or "")
    assert bench.numbers() == done
    assert bench.processor.pid is None, "the child is gone"
    bench.process()
    assert bench.processor.status.restarts == {"whisperx_failed": 1}


def test_a_kill_by_the_machine_is_told_as_one(bench: Bench) -> None:
    error = bench.fails("killself.mp3", WorkerError)
    assert error.code == "worker_killed"
    assert "memory" in str(error)
    assert bench.processor.status.restarts == {"worker_killed": 1}


@pytest.mark.parametrize("name", ["hang.mp3", "hang2.mp3", "spin.mp3"])
def test_a_hang_is_ended_with_and_without_cpu(impatient: Bench, name: str) -> None:
    began = time.monotonic()
    error = impatient.fails(name, WorkerError)
    assert error.code == "worker_hung"
    assert HANG_S <= time.monotonic() - began < HANG_S + PATIENCE_S
    assert impatient.processor.status.restarts["hung"] == 1
    assert impatient.process().done is not None


def test_slow_is_not_hung(impatient: Bench) -> None:
    """Each chunk is a sign of life, however long the whole takes."""
    assert impatient.process("slow.mp3", chunks=12).done is not None


def test_signs_of_life_end_with_the_budget(tmp_path: Path) -> None:
    with bench_in(tmp_path, timeout_seconds=1) as bench:
        error = bench.fails("chatter.mp3", WorkerError, chunks=0)
        assert error.code == "timeout"
        assert "timeout_seconds" in str(error)
        assert bench.processor.status.restarts == {"timeout": 1}


def test_time_that_the_attempt_ran_before_is_part_of_the_budget(tmp_path: Path) -> None:
    with bench_in(tmp_path, timeout_seconds=100) as bench:
        error = bench.fails("slow.mp3", WorkerError, chunks=5, spent_s=100.0)
        assert error.code == "timeout"


def test_a_long_recording_has_a_long_budget(tmp_path: Path) -> None:
    with bench_in(tmp_path, timeout_seconds=1) as bench:
        assert bench.process("slow.mp3", chunks=8).done is not None


def test_torn_lines_are_thrown_away_and_the_job_is_not(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    assert bench.process("torn.mp3").done is not None
    assert bench.numbers() == [0, 1, 2]
    assert "makes no sense" in caplog.text


def test_a_child_that_goes_back_is_not_believed(bench: Bench) -> None:
    bench.fails("backwards.mp3", WorkerError)
    assert bench.numbers() == [0, 1]
    assert bench.processor.pid is None


def test_a_child_that_closes_its_output_is_ended(bench: Bench) -> None:
    began = time.monotonic()
    error = bench.fails("mute.mp3", WorkerError)
    assert time.monotonic() - began < PATIENCE_S, "it was waited for until it seemed to hang"
    assert "closed its output" in error.message
    assert bench.processor.pid is None


@pytest.mark.parametrize(
    ("name", "kind", "permanent"),
    [
        ("notmedia.mp3", MediaError, True),
        ("storage.mp3", StorageError, False),
        ("model.mp3", ModelError, False),
    ],
)
def test_an_error_of_the_file_leaves_the_child_alive(
    bench: Bench, name: str, kind: type[TranscriberError], permanent: bool
) -> None:
    bench.process()
    first = bench.processor.pid
    assert bench.fails(name, kind).permanent is permanent
    assert bench.process().done is not None
    assert bench.processor.pid == first


def test_a_worker_error_ends_the_child(bench: Bench) -> None:
    assert bench.fails("worker.mp3", WorkerError).code == "worker_trouble"
    assert bench.processor.pid is None


def test_what_the_caller_raises_ends_the_child(bench: Bench) -> None:
    def full(chunk: Chunk) -> None:
        raise StorageError("disk_full", "The disk is full.")

    bench.fails("slow.mp3", StorageError, on_chunk=full)
    assert bench.processor.pid is None, "it would go on with a file that nobody listens to"
    assert bench.processor.status.restarts == {"abandoned": 1}


# --- killing ---


def test_a_child_that_ignores_term_is_killed(impatient: Bench) -> None:
    pids: list[int | None] = []
    impatient.process("first.mp3")
    pids.append(impatient.processor.pid)
    impatient.fails("ignoreterm.mp3", WorkerError)
    (pid,) = pids
    assert pid is not None
    assert is_gone(pid)


def test_grandchildren_are_killed_with_the_group(
    bench: Bench, grandchildren: Callable[[], int]
) -> None:
    bench.fails("grandchild.mp3", WorkerError)
    until(lambda: is_gone(grandchildren()), "the grandchild outlived the worker")


def test_a_grandchild_that_left_the_group_holds_up_nothing(
    bench: Bench, grandchildren: Callable[[], int], caplog: pytest.LogCaptureFixture
) -> None:
    """It holds the pipes open; a parent that closes them would wait for it."""
    began = time.monotonic()
    bench.fails("escapee.mp3", WorkerError)
    assert time.monotonic() - began < PATIENCE_S
    assert "outlived" in caplog.text
    assert bench.process().done is not None
    os.kill(grandchildren(), signal.SIGKILL)


def test_close_ends_it_and_may_be_said_twice(bench: Bench) -> None:
    bench.process()
    pid = bench.processor.pid
    assert pid is not None
    bench.processor.close()
    bench.processor.close()
    assert not psutil.pid_exists(pid), "it was not reaped"
    assert bench.processor.status.memory_mb == 0
    assert bench.processor.status.model_loaded is None


# --- stopping ---


def stop_after(bench: Bench, count: int) -> Callable[[Chunk], None]:
    def heard(chunk: Chunk) -> None:
        bench.chunks.append(chunk)
        bench.stop = len(bench.chunks) >= count

    return heard


def test_a_stop_is_obeyed_at_the_next_chunk_and_the_child_stays(bench: Bench) -> None:
    bench.process()
    first, bench.chunks = bench.processor.pid, []
    outcome = bench.process("slow.mp3", chunks=20, on_chunk=stop_after(bench, 2))
    assert outcome.done is None
    assert bench.numbers() in ([0, 1], [0, 1, 2])
    assert bench.processor.pid == first
    bench.stop = False
    assert bench.process().done is not None
    assert bench.processor.pid == first


def test_a_stop_that_is_not_obeyed_is_enforced_after_the_grace(bench: Bench) -> None:
    began = time.monotonic()
    outcome = bench.process("sluggish obstinate.mp3", 30, on_chunk=stop_after(bench, 1))
    assert outcome.done is None, "an enforced stop is no failure"
    assert time.monotonic() - began < PATIENCE_S, "it was waited for until it seemed to hang"
    assert bench.processor.pid is None
    assert bench.processor.status.restarts == {"slow to stop": 1}


def test_without_hurry_the_chunk_in_hand_is_waited_for(bench: Bench) -> None:
    outcome = bench.process("sluggish.mp3", 10, on_chunk=stop_after(bench, 1), must_hurry=False)
    assert outcome.done is None
    assert bench.processor.status.restarts == {}, "a reload costs more than a second"


def test_a_crash_after_a_stop_is_a_stop(bench: Bench) -> None:
    outcome = bench.process(
        "sluggish crash2.mp3", 9, on_chunk=stop_after(bench, 1), must_hurry=False
    )
    assert outcome.done is None


def test_who_no_longer_wants_it_does_not_wait_for_the_model(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPTED_LOAD", "hang")
    bench.stop = True
    began = time.monotonic()
    assert bench.process().done is None
    assert time.monotonic() - began < PATIENCE_S, "it was waited for until it seemed to hang"
    assert bench.started == []


# --- loading ---


@pytest.mark.parametrize("how", ["hang", "chatter"])
def test_a_model_that_never_loads_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv("SCRIPTED_LOAD", how)
    with bench_in(tmp_path, worker_start_seconds=1.5) as bench:
        error = bench.fails("talk.mp3", WorkerError)
        assert error.code == "worker_hung"
        assert "load its model" in error.message
        assert bench.processor.status.restarts == {"hung": 1}


def test_a_model_that_fails_to_load_is_asked_for_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRIPTED_LOAD", "fail")
    bench.fails("talk.mp3", ModelError)
    first = bench.processor.pid
    bench.fails("talk.mp3", ModelError)
    assert bench.processor.pid == first
    assert bench.processor.status.model_loaded is None


@pytest.mark.parametrize("how", ["broken", "crash"])
def test_a_child_that_breaks_while_loading_is_gone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv("SCRIPTED_LOAD", how)
    bench.fails("talk.mp3", WorkerError)
    assert bench.processor.pid is None
    monkeypatch.delenv("SCRIPTED_LOAD")
    assert bench.process().done is not None


# --- between jobs ---


def test_a_child_that_died_between_jobs_is_noticed_and_replaced(bench: Bench) -> None:
    bench.process()
    first = bench.processor.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)

    def noticed() -> bool:
        bench.processor.maintain()
        return bench.processor.status.restarts == {"died": 1}

    until(noticed, "its death was not noticed")
    assert bench.process().done is not None, "no file is to blame for that"
    assert bench.processor.pid != first


def test_a_child_that_grew_is_replaced_between_jobs(tmp_path: Path) -> None:
    with bench_in(tmp_path, worker_memory_mb=256, worker_hang_seconds=60) as bench:
        outcome = bench.process("slow fat.mp3", chunks=8)
        first = bench.processor.pid
        assert first is not None, "not in the middle of a file"
        assert outcome.memory_peak_mb > 256
        bench.processor.maintain()
        assert bench.processor.status.restarts == {"memory": 1}
        assert bench.processor.pid != first
        bench.process()


def test_a_child_that_takes_far_too_much_is_ended_in_the_middle(tmp_path: Path) -> None:
    with bench_in(tmp_path, worker_memory_mb=256, worker_hang_seconds=60) as bench:
        error = bench.fails("sluggish fat fat1 fat2.mp3", WorkerError, chunks=12)
        assert error.code == "out_of_memory"
        assert "more than the 512 that it may take" in str(error)
        assert bench.processor.status.restarts == {"out_of_memory": 1}
        bench.process()


def test_a_large_model_may_rest_in_more_than_the_usual_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "resident_mb", lambda pid: 5000)
    with bench_in(tmp_path, worker_memory_mb=256) as bench:
        bench.process()
        bench.processor.maintain()
        assert bench.processor.status.restarts == {}
        monkeypatch.setattr(process, "resident_mb", lambda pid: 12600)
        bench.processor.maintain()
        assert bench.processor.status.restarts == {"memory": 1}


def test_an_idle_child_is_let_go_if_so_configured(tmp_path: Path) -> None:
    with bench_in(tmp_path, worker_idle_seconds=0.2) as bench:
        bench.process()

        def let_go() -> bool:
            bench.processor.maintain()
            return bench.processor.pid is None

        until(let_go, "the idle child was kept")
        assert bench.processor.status.is_idle, "that it is gone is no failure"
        assert bench.processor.status.restarts == {}
        assert bench.process().done is not None


def test_every_replacement_is_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        bench.fails("crash.mp3", WorkerError)
    assert re.search(r"Started WhisperX \(PID \d+\)", caplog.text)
    assert "Replacing the WhisperX process (whisperx_failed)" in caplog.text


@pytest.mark.parametrize("how", ["latecrash", "latehang", "latekillself"])
def test_what_fails_over_the_speakers_never_costs_the_text(impatient: Bench, how: str) -> None:
    settings = SETTINGS.model_copy(update={"diarize": True})
    outcome = impatient.process(f"{how}.mp3", settings=settings)
    assert impatient.numbers() == [0, 1, 2]
    assert outcome.done is not None
    assert (outcome.done.duration_s, outcome.done.turns) == (30.0, ())
    (note,) = outcome.done.notes
    assert note.startswith("diarization: failed, speakers are not told apart")
    assert outcome.facts.model_name == SPEC.name
    impatient.process("next.mp3")


def test_speakers_come_with_the_end(bench: Bench) -> None:
    settings = SETTINGS.model_copy(update={"diarize": True})
    outcome = bench.process("talk.mp3", settings=settings)
    assert outcome.done is not None
    assert [turn.speaker for turn in outcome.done.turns] == [
        "SPEAKER_00", "SPEAKER_01", "SPEAKER_00",
    ]  # fmt: skip
    assert outcome.done.diarization == "scripted"


# --- the recording is opened here ----------------------------------------------------------------


def test_a_file_that_is_gone_or_no_file_is_no_fault_of_the_worker(bench: Bench) -> None:
    bench.process()
    pid = bench.processor.pid
    spec, settings = SPEC, SETTINGS
    (bench.root / "folder.mp3").mkdir()
    (bench.root / "link.mp3").symlink_to("talk.mp3")
    os.mkfifo(bench.root / "pipe.mp3")
    for name, kind, code in (
        ("gone.mp3", StorageError, "file_vanished"),
        ("folder.mp3", MediaError, "not_a_regular_file"),
        ("link.mp3", MediaError, "not_a_regular_file"),
        ("pipe.mp3", MediaError, "not_a_regular_file"),
    ):
        order = Transcribe(
            task_id=0, path=bytes(bench.root / name), model=spec, settings=settings,
            batch_size=8, max_duration_s=3600,
        )  # fmt: skip
        with pytest.raises(kind) as caught:
            bench.processor.run(Task(order), RunCallbacks(on_chunk=bench.chunks.append))
        assert caught.value.code == code
    bench.process()
    assert bench.processor.pid == pid, "nobody died of it"


def test_no_recording_stays_open_here(bench: Bench) -> None:
    ours = psutil.Process()
    bench.process()
    bench.fails("notmedia.mp3", MediaError)
    bench.fails("crash.mp3", WorkerError)
    assert [file.path for file in ours.open_files() if file.path.endswith(".mp3")] == []


def test_a_child_that_takes_no_command_is_not_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_SEND_S", 0.5)
    bench.process()
    child = psutil.Process(bench.processor.pid)
    child.suspend()
    prompts = SETTINGS.model_copy(update={"initial_prompt": "x" * 2**20})
    began = time.monotonic()
    try:
        bench.fails("talk.mp3", WorkerError, settings=prompts)
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.resume()
    assert time.monotonic() - began < PATIENCE_S


def test_weights_elsewhere_need_another_child(bench: Bench) -> None:
    """A child says at its start what it reads besides ``models_directory``, and keeps to that."""
    inside = SPEC.model_copy(update={"path": str(bench.root / "models" / "faster-whisper-tiny")})
    bench.process()
    first = bench.processor.pid
    bench.process(spec=inside)
    assert bench.processor.pid == first
    bench.process(spec=SPEC.model_copy(update={"path": "/elsewhere"}))
    assert bench.processor.pid != first
    assert bench.processor.status.restarts == {"weights": 1}
