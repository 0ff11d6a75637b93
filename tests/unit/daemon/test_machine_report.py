"""What the service says at its start of the machine and its memory, before it loads anything."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from modules.clock import SystemClock
from modules.daemon.daemon import Daemon
from modules.machine.processor import MemoryLimit, processor
from modules.weights.locate import ModelSource, Origin
from tests.builders import a_config


def said(
    root: Path, caplog: pytest.LogCaptureFixture, allowed_mb: int, **whisperx: object
) -> list[tuple[str, str]]:
    """(level, line) of each line, with a model as large as base and so much memory."""
    folder = root / "model"
    folder.mkdir()
    with (folder / "model.bin").open("wb") as file:
        file.truncate(139 * 2**20)  # no disk is used
    daemon = Daemon(a_config(root, whisperx=whisperx), SystemClock())
    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.INFO):
        limit = MemoryLimit(allowed_mb, "The limit of the container or service")
        patch.setattr("modules.daemon.daemon.memory_limit", lambda: limit)
        daemon._report_machine(ModelSource("base", Origin.DIRECTORY, folder))
    daemon._clients.index.close()
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_where_there_is_enough_one_line_tells_of_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    [(level, line)] = said(tmp_path, caplog, 2048)
    assert level == "INFO"
    assert line.startswith(f"Processor: {processor()}; memory: up to about ")
    assert line.endswith(" MB for faster-whisper-base, 2048 MB allowed")


def test_too_little_is_said_with_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, (level, line) = said(tmp_path, caplog, 700)
    assert level == "WARNING"
    assert line.startswith("The limit of the container or service allows 700 MB of memory")
    assert "set a smaller whisperx.model_size" in line


def test_what_a_card_holds_is_not_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    [(level, line)] = said(tmp_path, caplog, 700, device="cuda")
    assert (level, "memory: not known" in line) == ("INFO", True)
