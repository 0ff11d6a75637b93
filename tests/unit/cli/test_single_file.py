"""The one-off command around a processor that only pretends."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modules.cli.commands import transcribe
from modules.cli.output_paths import plan
from modules.cli.single_file import SingleFile
from modules.cli.terminal.interruption import Interruption
from modules.config.schema import Config
from modules.errors import MediaError, ModelError, TranscriberError
from modules.executors.base import Outcome, RunCallbacks, Task
from modules.executors.local.executor import LocalExecutor
from modules.executors.protocol import Done, Loaded, Started
from modules.transcript.model import Chunk, Segment
from tests.fakes import FakeClock

SEGMENT = Segment(start=0.0, end=2.0, text="Добрый день.")


class FakeExecutor(LocalExecutor):
    """Hears the same two chunks in every file; a file named ``bad`` fails."""

    def __init__(self, config: Config) -> None:
        super().__init__(config, FakeClock(), ["nothing"])
        self.requests: list[Task] = []
        self.error: TranscriberError = MediaError("not_media", "This is not media.")
        self.before_chunk: Callable[[], None] = lambda: None

    def run(self, request: Task, handlers: RunCallbacks) -> Outcome:
        self.requests.append(request)
        if b"bad" in request.command.path:
            raise self.error
        handlers.on_accepted()
        handlers.on_started(Started(task_id=1, duration_s=20.0, format="wav", codec="pcm"))
        for start_s in (0.0, 10.0):
            self.before_chunk()
            if handlers.should_stop():
                return Outcome(None, 1.0, None, "", 0)
            position_s = start_s + 10
            chunk = Chunk(task_id=1, start_s=start_s, position_s=position_s, segments=(SEGMENT,))
            handlers.on_chunk(chunk)
        return Outcome(
            done=Done(task_id=1, chunks=2, duration_s=20.0, notes=("a note",)),
            ran_s=1.5,
            loaded=Loaded(name="faster-whisper-base", size_mb=139, seconds=1.0),
            whisperx_version="3.8.6",
            memory_peak_mb=1000,
        )


class RecordingMeter:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def loading(self, model: str) -> None:
        self.told.append(f"loading {model}")

    def at(self, position_s: float, duration_s: float | None, fraction: float) -> None:
        self.told.append(fraction)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    model = tmp_path / "models" / "faster-whisper-base"
    model.mkdir(parents=True)
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"):
        (model / name).write_bytes(b"x")
    return Config.model_validate({"models_directory": tmp_path / "models"})


def _transcriber(processor: FakeExecutor, config: Config, stop: bool = False) -> SingleFile:
    return SingleFile(config, FakeClock(), processor, overwrite=False, should_stop=lambda: stop)


def _recordings(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).write_bytes(b"sound")
    return [folder / name for name in names]


def test_texts_and_result_are_written_and_the_meter_moves(tmp_path: Path, config: Config) -> None:
    processor, meter = FakeExecutor(config), RecordingMeter()
    formats = ["txt", "srt", "result"]
    [target], _ = plan(_recordings(tmp_path, "talk.wav"), formats, None, overwrite=False)
    told = _transcriber(processor, config).transcribe(target, meter)
    assert told == "20.0 s of audio in 1.5 s; a note"
    assert meter.told == ["loading base", 0.0, 0.5, 1.0]
    assert "Добрый день." in (tmp_path / "talk.txt").read_text(encoding="utf-8")
    assert "-->" in (tmp_path / "talk.srt").read_text(encoding="utf-8")
    result = json.loads((tmp_path / "talk.wav.result").read_text(encoding="utf-8"))
    assert result["outputs"] == ["talk.txt", "talk.srt"]
    assert result["source"]["size"] == 5
    assert result["processing_stats"]["total_attempts"] == 1


def test_a_stopped_file_leaves_nothing(tmp_path: Path, config: Config) -> None:
    [target], _ = plan(_recordings(tmp_path, "talk.wav"), ["txt"], None, overwrite=False)
    told = _transcriber(FakeExecutor(config), config, stop=True).transcribe(
        target, RecordingMeter()
    )
    assert told is None
    assert not (tmp_path / "talk.txt").exists()


def test_a_text_that_appeared_meanwhile_is_not_written_over(tmp_path: Path, config: Config) -> None:
    [target], _ = plan(_recordings(tmp_path, "talk.wav"), ["txt"], None, overwrite=False)
    (tmp_path / "talk.txt").write_text("mine")
    with pytest.raises(TranscriberError, match="is there already"):
        _transcriber(FakeExecutor(config), config).transcribe(target, RecordingMeter())
    assert (tmp_path / "talk.txt").read_text() == "mine"


def test_a_link_is_followed_and_its_own_name_counts(tmp_path: Path, config: Config) -> None:
    [talk] = _recordings(tmp_path, "talk.wav")
    (tmp_path / "link.wav").symlink_to(talk)
    processor = FakeExecutor(config)
    [target], _ = plan([tmp_path / "link.wav"], ["txt"], None, overwrite=False)
    _transcriber(processor, config).transcribe(target, RecordingMeter())
    assert processor.requests[0].command.path == bytes(talk)
    assert (tmp_path / "link.txt").exists()


def test_a_file_that_fails_is_told_and_the_others_go_on(
    tmp_path: Path, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    recordings = _recordings(tmp_path, "bad.wav", "talk.wav")
    targets, _ = plan(recordings, ["txt"], None, overwrite=False)
    code = transcribe.do_all(_transcriber(FakeExecutor(config), config), targets, Interruption())
    assert code == 1
    said = capsys.readouterr()
    assert "bad.wav: This is not media." in said.err
    assert "talk.wav: 50 %" in said.err
    assert "talk.txt" in said.out


def test_a_missing_model_ends_it_all(tmp_path: Path, config: Config) -> None:
    processor = FakeExecutor(config)
    processor.error = ModelError("model_missing", "Not here.")
    targets, _ = plan(_recordings(tmp_path, "bad.wav", "talk.wav"), ["txt"], None, overwrite=False)
    with pytest.raises(ModelError):
        transcribe.do_all(_transcriber(processor, config), targets, Interruption())
    assert len(processor.requests) == 1


def test_ctrl_c_ends_it_with_130(
    tmp_path: Path, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    processor = FakeExecutor(config)
    processor.before_chunk = lambda: signal.raise_signal(signal.SIGINT)
    targets, _ = plan(_recordings(tmp_path, "a.wav", "b.wav"), ["txt"], None, overwrite=False)
    before = signal.getsignal(signal.SIGINT)
    with Interruption() as interruption:
        transcriber = SingleFile(
            config, FakeClock(), processor, False, lambda: interruption.number is not None
        )
        code = transcribe.do_all(transcriber, targets, interruption)
    assert code == 130
    assert len(processor.requests) == 1
    assert "a.wav is not done" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_does_not_wait() -> None:
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGINT)
        assert interruption.exit_code == 130
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
