"""What a worker promises its parent: one suite for the scripted stand-in and the real WhisperX.

The real one needs the weights: those of ``make weights``, or of the folder that the environment
variable TRANSCRIBER_TEST_MODELS names.
"""

from __future__ import annotations

import contextlib
import math
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from modules.config.schema import Config
from modules.executors.local.connection import send_command
from modules.executors.local.process import (
    sandbox_options,
    worker_command,
    worker_environment,
)
from modules.executors.protocol import (
    Alive,
    Command,
    Done,
    Event,
    Failed,
    Load,
    Loaded,
    Prefetch,
    Ready,
    Started,
    Stop,
    Stopped,
    Transcribe,
    Transcribed,
    parse_event,
)
from modules.storage.recording_file import open_recording_file
from modules.transcript.model import Chunk
from modules.weights.files import ModelSpec
from modules.weights.locate import locate
from modules.weights.store import prepare
from tests.builders import SETTINGS, until
from tests.daemon_process import MODELS, PROJECT, missing_weights
from tests.scripted_worker import NOT_MEDIA, recording
from tests.speech import word_error_rate

E = TypeVar("E", bound=Event)
SAMPLE = PROJECT / "samples" / "please-hold-ru.wav"
#: So many times the sample is joined for a longer recording, with pauses that part chunks.
REPEATS, PAUSE_S = 7, 3.5
#: Starts the command that it is given, tells its pid, and waits to be killed.
PARENT = """
import os, socket, subprocess, sys, time
ours, its = socket.socketpair()
child = subprocess.Popen([*sys.argv[1:], "--parent", str(os.getpid())], stdin=its)
print(f"child {child.pid}", flush=True)
time.sleep(600)
"""


@dataclass(frozen=True)
class Kind:
    """A worker under test. Times in seconds."""

    command: tuple[str, ...]
    environment: dict[str, str]
    spec: ModelSpec
    start_s: float
    event_s: float
    short: Path
    long: Path
    not_media: Path


def joined(target: Path, repeats: int = REPEATS, pause_s: float = PAUSE_S) -> Path:
    """The sample again and again, with pauses, as a file of its own."""
    with wave.open(str(SAMPLE)) as source:
        parameters, frames = source.getparams(), source.readframes(source.getnframes())
    silence = bytes(round(pause_s * parameters.framerate) * parameters.sampwidth)
    with wave.open(str(target), "wb") as file:
        file.setparams(parameters)
        file.writeframes((frames + silence * parameters.nchannels) * repeats)
    return target


def scripted(folder: Path) -> Kind:
    for name, chunks in (("short.mp3", 1), ("slow long.mp3", 6)):
        (folder / name).write_bytes(recording(chunks))
    return Kind(
        command=(sys.executable, "-m", "tests.scripted_worker"),
        environment=dict(os.environ),
        spec=ModelSpec(name="scripted", path="/nowhere", device="cpu", compute_type="int8"),
        start_s=20,
        event_s=10,
        short=folder / "short.mp3",
        long=folder / "slow long.mp3",
        not_media=folder / "text.mp3",
    )


def real(folder: Path) -> Kind:
    reason = missing_weights()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    elif reason:
        pytest.skip(reason)
    tree = {"models_directory": str(MODELS), "shared_directory": str(folder)}
    config = Config.model_validate(tree, context={"base": folder})
    source = locate("base", MODELS, allow_download=False)
    scratch = folder / "scratch"
    scratch.mkdir(mode=0o700)
    return Kind(
        command=(*worker_command(config), *sandbox_options(config, scratch, "")),
        environment=worker_environment(scratch),
        spec=ModelSpec(
            name=source.name, path=str(prepare(source, MODELS)), device="cpu", compute_type="int8"
        ),
        start_s=120,
        event_s=60,
        short=SAMPLE,
        long=joined(folder / "long.wav"),
        not_media=folder / "text.mp3",
    )


class Worker:
    """A worker process and the lines to it; every wait has a deadline."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.input, its = socket.socketpair()
        with its:
            self.process = subprocess.Popen(
                [*kind.command, "--parent", str(os.getpid())],
                cwd=PROJECT,
                env=kind.environment,
                stdin=its.fileno(),
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._orders = 0
        self.torn: list[bytes] = []

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = parse_event(line)
            if event is None:
                self.torn.append(line)
            else:
                self._events.put(event)
        self._events.put(None)

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(5)
        self.input.close()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def say(self, order: Command) -> None:
        about = order.next if isinstance(order, Prefetch) else order
        if not isinstance(about, Transcribe):
            send_command(self.input, order)
            return
        recording = open_recording_file(Path(os.fsdecode(about.path)))
        try:
            send_command(self.input, order, recording)
        finally:
            os.close(recording)

    def hear(self, seconds: float) -> Event:
        """The next event that is no mere sign of life."""
        while True:
            try:
                event = self._events.get(timeout=seconds)
            except queue.Empty:
                raise AssertionError(f"the worker said nothing for {seconds:g} s") from None
            assert event is not None, f"the worker ended with {self.process.wait()}"
            if not isinstance(event, Alive):
                return event

    def expect(self, kind: type[E], seconds: float | None = None) -> E:
        event = self.hear(seconds or self.kind.event_s)
        assert isinstance(event, kind), f"expected {kind.__name__}, got {event}"
        return event

    def order(
        self,
        path: Path,
        start_s: float = 0.0,
        known_language: str | None = None,
        **settings: Any,
    ) -> int:
        self._orders += 1
        wanted = self.order_for(path, start_s, known_language, **settings)
        self.say(wanted.model_copy(update={"task_id": self._orders}))
        return self._orders

    def order_for(
        self,
        path: Path,
        start_s: float = 0.0,
        known_language: str | None = None,
        **settings: Any,
    ) -> Transcribe:
        return Transcribe(
            task_id=0,
            path=bytes(path),
            model=self.kind.spec,
            settings=SETTINGS.model_copy(update=settings),
            known_language=known_language,
            batch_size=8,
            start_s=start_s,
            max_duration_s=3600,
        )

    def run(
        self, path: Path, start_s: float = 0.0, **more: Any
    ) -> tuple[Started, list[Chunk], Done]:
        """One file from beginning to end; checks what must hold for any."""
        number = self.order(path, start_s, **more)
        started = self.expect(Started)
        found: list[Chunk] = []
        while isinstance(event := self.hear(self.kind.event_s), Chunk):
            found.append(event)
        if isinstance(event, Transcribed):
            assert more.get("diarize"), "there is nothing more to do"
            event = self.hear(self.kind.event_s)
        assert isinstance(event, Done), f"it did not come to its end: {event}"
        assert {started.task_id, event.task_id, *(c.task_id for c in found)} == {number}
        return started, found, event


@pytest.fixture(
    scope="module",
    params=["scripted", pytest.param("real", marks=pytest.mark.acceptance)],
)
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kind:
    folder = tmp_path_factory.mktemp(request.param)
    make: Callable[[Path], Kind] = {"scripted": scripted, "real": real}[request.param]
    made = make(folder)
    made.not_media.write_bytes(NOT_MEDIA * 100)
    return made


@pytest.fixture(scope="module")
def worker(kind: Kind) -> Iterator[Worker]:
    """One for all tests that leave it as it was: the real one takes 15 s to start."""
    started = Worker(kind)
    try:
        ready = started.expect(Ready, kind.start_s)
        assert ready.whisperx_version
        assert ready.seconds >= 0
        assert "int8" in ready.compute_types["cpu"]
        assert all(types == tuple(sorted(types)) for types in ready.compute_types.values())
        started.say(Load(model=kind.spec))
        loaded = started.expect(Loaded, kind.start_s)
        assert loaded.name == kind.spec.name
        yield started
    finally:
        started.end()


@pytest.fixture(scope="module")
def undisturbed(worker: Worker, kind: Kind) -> list[Chunk]:
    """The chunks of the long recording when nobody disturbs."""
    return worker.run(kind.long)[1]


@pytest.fixture
def fresh(kind: Kind) -> Iterator[Worker]:
    """One of the test's own, with its libraries imported and no model."""
    started = Worker(kind)
    try:
        started.expect(Ready, kind.start_s)
        yield started
    finally:
        started.end()


def content(chunks: list[Chunk]) -> list[tuple[Any, ...]]:
    """What must be the same in every run."""
    return [(c.start_s, c.position_s, c.speech_s, c.segments, c.language) for c in chunks]


def places(chunks: list[Chunk]) -> list[tuple[Any, ...]]:
    """What must be the same whatever the words are."""
    return [(c.start_s, c.position_s, c.speech_s, c.language) for c in chunks]


def text(chunks: list[Chunk]) -> str:
    return " ".join(segment.text for chunk in chunks for segment in chunk.segments)


def test_a_short_file_becomes_text(worker: Worker, kind: Kind) -> None:
    started, chunks, done = worker.run(kind.short)
    assert started.format
    assert done.duration_s > 0
    if started.duration_s is not None:
        assert done.duration_s == pytest.approx(started.duration_s, abs=0.5)
    assert any(segment.text.strip() for chunk in chunks for segment in chunk.segments)


def test_chunks_come_in_order_and_cover_everything_once(
    worker: Worker, kind: Kind, undisturbed: list[Chunk]
) -> None:
    assert len(undisturbed) >= 4, "the recording must have several chunks"
    position = 0.0
    for chunk in undisturbed:
        assert position <= chunk.start_s <= chunk.position_s
        assert chunk.position_s > position, "a chunk came twice"
        assert 0 <= chunk.read_fraction <= 1
        times = [t for segment in chunk.segments for t in (segment.start, segment.end)]
        assert times == sorted(times)
        assert all(chunk.start_s <= t <= chunk.position_s for t in times)
        position = chunk.position_s
    _, chunks, done = worker.run(kind.long)
    assert done.duration_s == pytest.approx(position, abs=0.1)
    assert content(chunks) == content(undisturbed), "the same file must give the same text"


def test_segments_carry_whispers_own_figures(undisturbed: list[Chunk]) -> None:
    for chunk in undisturbed:
        for average, silence in ((s.avg_logprob, s.no_speech_prob) for s in chunk.segments):
            assert average is not None
            assert math.isfinite(average)
            assert average <= 0
            assert silence is not None
            assert 0 <= silence <= 1


def test_a_translation_is_english_and_nothing_else_changes(worker: Worker, kind: Kind) -> None:
    _, plain, _ = worker.run(kind.short)
    _, chunks, done = worker.run(kind.short, task="translate")
    assert places(chunks) == places(plain)
    if kind.command[-1] == "tests.scripted_worker":
        assert text(chunks) == f"EN {text(plain)}"
    else:
        letters = [character for character in text(chunks) if character.isalpha()]
        assert len(letters) > 40
        assert sum(letter.isascii() for letter in letters) > 0.9 * len(letters), text(chunks)
        assert "alignment: translated words are timed by attention" in done.notes
        assert {chunk.alignment for chunk in chunks if chunk.segments} == {"attention"}
    times = [time for c in chunks for s in c.segments for w in s.words for time in (w.start, w.end)]
    assert None not in times
    assert times == sorted(times, key=lambda time: time or 0.0), "words run backwards"
    _, again, _ = worker.run(kind.short)
    assert content(again) == content(plain), "a translation left something behind"


def test_a_prompt_is_taken_and_changes_only_the_wording(
    worker: Worker, kind: Kind, undisturbed: list[Chunk]
) -> None:
    prompt = "Quetzalcoatl, Xylophon"
    _, chunks, _ = worker.run(kind.long, initial_prompt=prompt)
    assert places(chunks) == places(undisturbed)
    assert [bool(c.segments) for c in chunks] == [bool(c.segments) for c in undisturbed]
    if kind.command[-1] == "tests.scripted_worker":
        assert text(chunks) == f"[{prompt}] {text(undisturbed)}"
    else:
        assert "Quetzalcoatl" not in text(chunks), "the prompt is not part of what was said"
        assert "оператор" in text(chunks).lower()


def test_hotwords_are_taken_and_are_no_part_of_what_was_said(worker: Worker, kind: Kind) -> None:
    _, plain, _ = worker.run(kind.short)
    _, chunks, _ = worker.run(kind.short, hotwords="Quetzalcoatl, операторы")
    assert places(chunks) == places(plain)
    if kind.command[-1] == "tests.scripted_worker":
        assert text(chunks).startswith("[Quetzalcoatl, операторы] ")
    else:
        assert "Quetzalcoatl" not in text(chunks)
        assert "операторы" in text(chunks)


def test_who_speaks_is_told_if_it_is_asked(
    worker: Worker, kind: Kind, undisturbed: list[Chunk]
) -> None:
    _, _, quiet = worker.run(kind.short)
    assert (quiet.turns, quiet.diarization) == ((), None)
    _, chunks, done = worker.run(kind.long, diarize=True)
    assert content(chunks) == content(undisturbed), "the text must not depend on it"
    assert done.diarization
    assert done.turns
    assert done.turns[0].speaker == "SPEAKER_00"
    starts = [turn.start for turn in done.turns]
    assert starts == sorted(starts)
    assert all(0 <= t.start < t.end <= done.duration_s + 0.1 for t in done.turns)
    assert not any("diarization" in note for note in done.notes)
    if kind.command[-1] != "tests.scripted_worker":
        assert {turn.speaker for turn in done.turns} == {"SPEAKER_00"}, "one woman speaks"
        spoken = sum(chunk.speech_s for chunk in chunks)
        assert sum(t.end - t.start for t in done.turns) == pytest.approx(spoken, rel=0.2)


def copy_of(recording: Path, folder: Path) -> Path:
    path = folder / f"next{recording.suffix}"
    path.write_bytes(recording.read_bytes())
    return path


@pytest.mark.parametrize("change", ["none", "another order", "replaced"])
def test_what_was_made_ready_changes_no_text(
    worker: Worker, kind: Kind, tmp_path: Path, change: str
) -> None:
    path = copy_of(kind.short, tmp_path)
    _, plain, _ = worker.run(path)
    number = worker.order(kind.short)
    worker.say(Prefetch(next=worker.order_for(path)))
    while not isinstance(event := worker.hear(kind.event_s), Done):
        assert event.task_id == number, "nothing is said of what is only made ready"
    if change == "another order":
        path = kind.short
        _, plain, _ = worker.run(path)
    elif change == "replaced":
        fresh = tmp_path / "fresh"
        fresh.write_bytes(kind.long.read_bytes())
        os.replace(fresh, path)
        _, plain, _ = worker.run(kind.long)
    _, prepared, _ = worker.run(path)
    assert [c.segments for c in prepared] == [c.segments for c in plain]


@pytest.mark.parametrize("change", ["none", "another order", "replaced"])
def test_what_is_prefetched_between_two_tasks_changes_no_text(
    worker: Worker, kind: Kind, tmp_path: Path, change: str
) -> None:
    """Nothing is sent before it is a task, and then all of it is."""
    path = copy_of(kind.short, tmp_path)
    _, plain, done = worker.run(path)
    worker.say(Prefetch(next=worker.order_for(path)))
    time.sleep(1)
    if change == "another order":
        path = kind.long
        _, plain, done = worker.run(path)
    elif change == "replaced":
        fresh = tmp_path / "fresh"
        fresh.write_bytes(kind.long.read_bytes())
        os.replace(fresh, path)
        _, plain, done = worker.run(kind.long)
    _, prepared, again = worker.run(path)
    assert [c.model_dump(exclude={"task_id"}) for c in prepared] == [
        c.model_dump(exclude={"task_id"}) for c in plain
    ]
    assert isinstance(done, Done)
    assert isinstance(again, Done)
    assert (again.chunks, again.duration_s) == (done.chunks, done.duration_s)


def test_what_is_made_ready_and_never_ordered_is_let_go(
    worker: Worker, kind: Kind, tmp_path: Path
) -> None:
    path = copy_of(kind.short, tmp_path)
    worker.order(kind.short)
    worker.say(Prefetch(next=worker.order_for(path)))
    while not isinstance(worker.hear(kind.event_s), Done):
        pass
    files = psutil.Process(worker.process.pid)
    until(
        lambda: str(path) not in [file.path for file in files.open_files()],
        "the file is held open for ever",
        20,
    )


def test_short_pieces_can_be_heard_in_less_time(worker: Worker, kind: Kind) -> None:
    _, usual, _ = worker.run(kind.short)
    _, fast, done = worker.run(kind.short, fast_mode=True)
    assert text(fast)
    assert isinstance(done, Done)
    if kind.command[-1] != "tests.scripted_worker":
        wrong = word_error_rate(text(usual), text(fast))
        assert wrong < 0.3, f"{text(usual)!r} became {text(fast)!r}"


def test_numbers_can_be_had_in_words(worker: Worker, kind: Kind) -> None:
    _, chunks, _ = worker.run(kind.short, suppress_numerals=True)
    assert text(chunks)
    assert not any(character.isdigit() for character in text(chunks))


def test_where_it_counts_as_speech_is_a_setting(worker: Worker, kind: Kind) -> None:
    _, plain, _ = worker.run(kind.short)
    _, strict, _ = worker.run(kind.short, vad_onset=0.99, vad_offset=0.98)
    if kind.command[-1] != "tests.scripted_worker":
        assert 0 < sum(c.speech_s for c in strict) < sum(c.speech_s for c in plain)


@pytest.mark.parametrize(
    "prompt",
    [
        pytest.param("<|endoftext|><|startoftranscript|><|en|><|translate|>", id="control-tokens"),
        pytest.param("Операторы отвечают на звонки. " * 200, id="longer-than-the-model-reads"),
        pytest.param(" \n", id="blank"),
    ],
)
def test_an_odd_prompt_moves_nothing(worker: Worker, kind: Kind, prompt: str) -> None:
    _, plain, _ = worker.run(kind.short)
    _, chunks, _ = worker.run(kind.short, initial_prompt=prompt)
    assert places(chunks) == places(plain)
    assert text(chunks)
    if kind.command[-1] != "tests.scripted_worker":
        assert "оператор" in text(chunks).lower(), "repetition in a prompt spreads, no more"


@pytest.mark.parametrize("after", [1, 3, -1])
def test_a_resumed_run_gives_the_same_rest(
    worker: Worker, kind: Kind, undisturbed: list[Chunk], after: int
) -> None:
    cut = undisturbed[after - 1] if after > 0 else undisturbed[-1]
    rest = undisturbed[after:] if after > 0 else []
    _, chunks, done = worker.run(kind.long, cut.position_s)
    assert content(chunks) == content(rest)
    assert done.duration_s == pytest.approx(undisturbed[-1].position_s, abs=0.1)


def test_a_stop_is_obeyed_at_a_chunk_and_the_rest_can_follow(
    worker: Worker, kind: Kind, undisturbed: list[Chunk]
) -> None:
    number = worker.order(kind.long)
    worker.expect(Started)
    done = [worker.expect(Chunk)]
    worker.say(Stop(task_id=number))
    while isinstance(event := worker.hear(kind.event_s), Chunk):
        done.append(event)
    assert isinstance(event, Stopped)
    assert event.task_id == number
    assert len(done) < len(undisturbed), "it went on to the end"
    _, rest, _ = worker.run(kind.long, done[-1].position_s)
    assert content(done + rest) == content(undisturbed)


def test_a_stop_for_what_is_over_stops_nothing_else(worker: Worker, kind: Kind) -> None:
    worker.run(kind.short)
    worker.say(Stop(task_id=worker._orders))
    worker.run(kind.short)


def test_what_is_no_recording_is_refused_for_good_and_the_child_lives_on(
    worker: Worker, kind: Kind
) -> None:
    number = worker.order(kind.not_media)
    failed = worker.expect(Failed)
    assert (failed.task_id, failed.fault, failed.permanent) == (number, "media", True)
    assert failed.code
    assert failed.message
    worker.run(kind.short)


def test_only_events_come_out(worker: Worker, kind: Kind) -> None:
    worker.run(kind.short)
    assert worker.torn == [], "libraries print, but not into the parent's pipe"


def test_the_real_one_gives_way_to_other_programs(worker: Worker, kind: Kind) -> None:
    if kind.command[-1] == "tests.scripted_worker":
        pytest.skip("the stand-in has no work to do")
    ours = psutil.Process().nice()
    assert psutil.Process(worker.process.pid).nice() == min(19, ours + 10)


def test_the_real_one_is_caged_in_all_its_threads(worker: Worker, kind: Kind) -> None:
    if kind.command[-1] == "tests.scripted_worker":
        pytest.skip("the stand-in has nothing to give up")
    process = Path(f"/proc/{worker.process.pid}")
    assert (process / "oom_score_adj").read_text() == "1000\n"
    for task in (process / "task").iterdir():
        status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines())
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_the_end_of_input_ends_it(fresh: Worker) -> None:
    fresh.input.close()
    until(lambda: fresh.process.poll() is not None, "it outlived its input", 15)


def test_the_death_of_its_parent_ends_it(kind: Kind) -> None:
    """Killed, so that the parent can do nothing about it; and with its input still open."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, *kind.command],
        cwd=PROJECT,
        env=kind.environment,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        child = None
        try:
            # The child writes to the same pipe: what it says first is that it is ready.
            said = [parent.stdout.readline(), parent.stdout.readline()]
            (told,) = [line for line in said if line.startswith(b"child ")]
            (event,) = [parse_event(line) for line in said if line is not told]
            assert isinstance(event, Ready)
            child = psutil.Process(int(told.split()[1]))
            assert child.is_running()
            parent.kill()
            parent.wait()

            def ended() -> bool:
                try:
                    return child.status() == psutil.STATUS_ZOMBIE
                except psutil.NoSuchProcess:
                    return True

            until(ended, "the worker outlived its parent", 15)
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                if child:
                    child.kill()
            parent.kill()
