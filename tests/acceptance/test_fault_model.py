"""What a recording, or the model, can do to a transcript: by the real engine, a file each."""

from __future__ import annotations

import json
import os
import time
import wave
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modules.audio.chunking import SAMPLE_RATE, AudioChunk
from modules.clock import SystemClock
from modules.executors.protocol import Done, Load, Loaded, Ready
from modules.outputs.result import result_json
from modules.outputs.segments_json import with_segments
from modules.transcript.model import Chunk, RunFacts
from modules.transcript.transcript import Transcript
from modules.weights.files import ModelSpec
from tests.acceptance.recordings import SAMPLES, silence
from tests.builders import NOON, SETTINGS, a_job
from tests.contract.test_worker_contract import Kind, Worker, real

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.filterwarnings("ignore"),  # torch, lightning and pyannote warn on import
]

RUSSIAN, ENGLISH = SAMPLES / "please-hold-ru.wav", SAMPLES / "please-hold-en.flac"
#: Told of every process that the worker's Python starts, and of every copy that it makes of itself.
TELLS_OF_PROCESSES = """
import os, sys, time
_log = os.open(os.environ["STARTED_PROCESSES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def _tell(event, arguments):
    if event in ("os.fork", "os.forkpty", "os.posix_spawn", "os.system", "subprocess.Popen"):
        os.write(_log, f"{event} {time.monotonic()} {os.getpid()}\\n".encode())
sys.addaudithook(_tell)
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "processes"


@pytest.fixture(scope="module")
def kind(tmp_path_factory: pytest.TempPathFactory, log: Path) -> Kind:
    made = real(tmp_path_factory.mktemp("real"))
    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text(TELLS_OF_PROCESSES)
    made.environment.update(PYTHONPATH=str(site), STARTED_PROCESSES=str(log))
    return made


@pytest.fixture(scope="module")
def loaded_at(kind: Kind) -> dict[int, float]:
    """When each worker had its model in memory, by its pid; filled by ``worker``."""
    return {}


@pytest.fixture(scope="module")
def worker(kind: Kind, loaded_at: dict[int, float]) -> Iterator[Worker]:
    started = Worker(kind)
    try:
        started.expect(Ready, kind.start_s)
        started.say(Load(model=kind.spec))
        started.expect(Loaded, kind.start_s)
        loaded_at[started.process.pid] = time.monotonic()
        yield started
    finally:
        started.end()


def result_of(chunks: Sequence[Chunk], done: Done, language: str) -> dict[str, Any]:
    """What the daemon would publish. Raises ValueError for a number that JSON does not know."""
    job = a_job(settings=SETTINGS.model_copy(update={"language": language}))
    job = job.open_attempt(NOON).close_attempt("completed", NOON, 1.0)
    facts = RunFacts(done.duration_s, done.notes, "3", "faster-whisper-base", 139, 1.0, 900, 1.0)
    transcript = Transcript(chunks)
    content = result_json(job, transcript, facts, (), SystemClock().utc_now())
    made: dict[str, Any] = json.loads(b"".join(with_segments(content, transcript)))
    return made


def test_silence_is_a_success_in_no_language(worker: Worker, tmp_path: Path) -> None:
    silence(tmp_path / "silence.wav", 20)
    _, chunks, done = worker.run(tmp_path / "silence.wav", language="auto")
    assert done.duration_s == pytest.approx(20, abs=0.1)
    result = result_of(chunks, done, "auto")
    assert result["transcription"] == {"text": "", "segments": []}
    metadata = result["metadata"]
    assert "no speech was found" in metadata["notes"]
    guesses = ("language", "language_detected", "language_probability", "languages")
    assert [key for key in guesses if key in metadata] == [], "it is a guess on silence"


def test_a_wrong_language_that_was_forced_is_said(worker: Worker) -> None:
    _, chunks, done = worker.run(ENGLISH, language="ru")
    metadata = result_of(chunks, done, "ru")["metadata"]
    assert (metadata["language"], metadata["language_detected"]) == ("ru", "en")
    (note,) = [note for note in metadata["notes"] if note.startswith("language:")]
    assert note.startswith("language: ru was set, but the speech sounds like en")


def test_a_language_without_a_model_for_alignment_is_timed_by_attention(worker: Worker) -> None:
    _, chunks, done = worker.run(RUSSIAN, language="ru")
    assert "alignment: no model for ru, words are timed by attention" in done.notes
    result = result_of(chunks, done, "ru")
    assert result["metadata"]["alignment"] == "attention"
    words = [word for segment in result["transcription"]["segments"] for word in segment["words"]]
    assert len(words) > 10
    assert all(0 <= word["start"] <= word["end"] <= done.duration_s + 0.1 for word in words)


@pytest.mark.parametrize("sample", [RUSSIAN, ENGLISH, SAMPLES / "queue-ru.mp4"])
def test_what_can_be_decoded_of_half_a_file_is_text_and_flagged(
    worker: Worker, tmp_path: Path, sample: Path
) -> None:
    content = sample.read_bytes()
    cut = tmp_path / f"cut{sample.suffix}"
    if sample.suffix == ".mp4":  # its index stands at the end: the tail is destroyed, not lost
        start = content.index(b"mdat") + (content.index(b"moov") - content.index(b"mdat")) * 6 // 10
        noise = np.random.default_rng(1).bytes(content.index(b"moov") - 4 - start)
        cut.write_bytes(content[:start] + noise + content[content.index(b"moov") - 4 :])
    else:
        cut.write_bytes(content[: len(content) * 6 // 10])
    _, chunks, done = worker.run(cut, language="auto")
    result = result_of(chunks, done, "auto")
    assert len(result["transcription"]["text"].split()) >= 3
    (note,) = [note for note in result["metadata"]["notes"] if note.startswith("partial: ")]
    assert note.startswith("partial: The recording is incomplete: ")


def test_no_number_that_json_does_not_know_comes_out(worker: Worker, tmp_path: Path) -> None:
    """Noise and clicks, for figures at the edge of what the model gives."""
    random = np.random.default_rng(5)
    sound = random.normal(0, 0.3, 20 * SAMPLE_RATE)
    sound[:: SAMPLE_RATE // 3] = 1
    with wave.open(str(tmp_path / "noise.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    for sample, settings in (
        (tmp_path / "noise.wav", {"vad_onset": 0.05, "vad_offset": 0.03}),
        (RUSSIAN, {"temperature": 1.0}),
    ):
        _, chunks, done = worker.run(sample, **settings)
        result_of(chunks, done, "ru")
    assert worker.torn == [], "a line with such a number is not understood, and its text is lost"


def test_nothing_is_forked_off_a_model(
    worker: Worker, log: Path, loaded_at: dict[int, float]
) -> None:
    """A copy of a process with a model has its locks and none of its threads: it hangs."""
    worker.run(RUSSIAN, language="ru", diarize=True)
    pid = worker.process.pid
    told = [line.split() for line in log.read_text().splitlines()]
    assert [line for line in told if line[0] in ("os.fork", "os.forkpty")] == []
    later = [line for line in told if float(line[1]) > loaded_at[pid] and int(line[2]) == pid]
    assert later == [], "and nothing else is started by it either"
    command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    assert b"modules.worker.main" in command, "it is a program of its own, not a copy"


# --- a model that never ends ---------------------------------------------------------------------

#: Too short to be heard in parts, so it is tried at another temperature.
SPEECH_S = 3.0


class Endless:
    """A Whisper model that is never allowed to end its text."""

    def __init__(self, model: Any, end: int) -> None:
        self._model = model
        self._end = end
        self.lengths: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, encoded: Any, prompts: Any, **options: Any) -> Any:
        suppressed = [*options.pop("suppress_tokens"), self._end]
        results = self._model.generate(encoded, prompts, suppress_tokens=suppressed, **options)
        self.lengths += [len(result.sequences_ids[0]) for result in results]
        return results


@pytest.fixture(scope="module")
def spec(kind: Kind) -> ModelSpec:
    # The threads that these libraries start and keep are there before a test is watched for leaks.
    os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
    import modules.engines.whisperx.engine  # noqa: F401

    return kind.spec


def test_a_text_that_goes_in_circles_ends_and_is_flagged(
    spec: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modules.engines.base import DecodingOptions
    from modules.engines.whisperx.engine import WhisperXEngine

    # One further try in place of five: each costs seconds.
    monkeypatch.setattr("modules.transcript.quality.temperatures", lambda figures: [0.2])
    engine = WhisperXEngine(spec, 1, tmp_path)
    real_load = engine.model._load
    endless: list[Endless] = []

    def load(streams: int, threads: int) -> Any:
        whisper = real_load(streams, threads)
        endless.append(Endless(whisper.model, whisper.hf_tokenizer.token_to_id("<|endoftext|>")))
        whisper.model = endless[-1]
        return whisper

    engine.model._load = load  # type: ignore[method-assign]
    engine.model.whisper = load(1, 1)
    hum = 0.1 * np.sin(2 * np.pi * 150 * np.arange(int(SPEECH_S * SAMPLE_RATE)) / SAMPLE_RATE)
    chunk = AudioChunk(0.0, SPEECH_S, hum.astype(np.float32), ((0.0, SPEECH_S),))
    alive: list[float] = []
    (text,) = engine.transcribe(
        [chunk], DecodingOptions("ru", SETTINGS), progress=lambda: alive.append(time.monotonic())
    )
    lengths = [length for model in endless for length in model.lengths]
    assert lengths, "the model was never asked"
    assert max(lengths) <= 20 * SPEECH_S + 30, f"so many tokens for {SPEECH_S:g} s: {lengths}"
    assert len(alive) >= len(lengths) - 1, "a sign of life comes before each further try"
    doubted = [*text.segments, *text.dropped]
    assert doubted
    assert all(segment.flags for segment in doubted), doubted
