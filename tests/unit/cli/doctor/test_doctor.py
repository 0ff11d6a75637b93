"""The checks of ``doctor``, one by one."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from modules.cli.commands.doctor import line
from modules.cli.doctor import check_folders, check_machine, check_program, check_service
from modules.cli.doctor.findings import Finding, Level, problem
from modules.config.schema import Config
from modules.machine.processor import MemoryLimit, processor
from modules.weights import locate
from modules.weights.files import home
from modules.worker.sandbox.landlock import landlock_version


def _config(root: Path, **changes: Any) -> Config:
    folders = {f"{name}_directory": root / name for name in ("shared", "manual", "models")}
    return Config.model_validate({**folders, **changes})


def _levels(findings: Iterable[Finding]) -> list[Level]:
    return [finding.level for finding in findings]


def test_a_line_holds_all_there_is_to_say() -> None:
    finding = problem("model", "gone", "Fetch it.")
    assert line(finding) == "problem  model          gone – Fetch it."
    assert line(finding, coloured=True).startswith("\x1b[31mproblem")


# --- folders ----------------------------------------------------------------------------------


def test_folders_that_can_be_used_are_fine_and_stay_empty(tmp_path: Path) -> None:
    for name in ("shared", "manual", "models"):
        (tmp_path / name).mkdir()
    config = _config(tmp_path)
    assert _levels(check_folders.check_folders(config)) == [Level.OK] * 3
    assert _levels(check_folders.check_disk(config)) == [Level.OK]
    assert list((tmp_path / "shared").iterdir()) == []


def test_missing_folders_that_can_be_created_are_a_warning_but_the_models(tmp_path: Path) -> None:
    config = _config(tmp_path / "not" / "there")
    found = _levels(check_folders.check_folders(config))
    assert found == [Level.WARNING, Level.WARNING, Level.OK]
    assert not (tmp_path / "not").exists()
    assert list(check_folders.check_file_systems(config)) == []
    assert list(check_folders.check_disk(config)) == []


def test_folders_below_a_file_or_that_are_one_are_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    below = check_folders.check_folders(_config(tmp_path / "file"))
    assert _levels(below) == [Level.PROBLEM] * 3
    (tmp_path / "shared").write_text("x")
    shared = next(check_folders.check_folders(_config(tmp_path)))
    assert (shared.level, "is not a folder" in shared.seen) == (Level.PROBLEM, True)


def test_a_folder_that_cannot_be_written_is_a_problem_but_the_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("shared", "manual", "models"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(check_folders, "why_unwritable", lambda folder: "cannot be written")
    found = _levels(check_folders.check_folders(_config(tmp_path)))
    assert found == [Level.PROBLEM, Level.PROBLEM, Level.OK]


def test_why_a_folder_cannot_be_written(tmp_path: Path) -> None:
    assert check_folders.why_unwritable(tmp_path) is None
    # Even root cannot write here.
    assert "cannot be written" in (check_folders.why_unwritable(Path("/proc/1")) or "")


def test_a_network_share_is_worth_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("shared", "manual"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(check_folders, "_kind", lambda folder: "nfs4")
    *_, found = check_folders.check_file_systems(_config(tmp_path))
    assert found.level is Level.WARNING
    assert "processing.lock_file" in found.remedy


# --- program and machine ----------------------------------------------------------------------


def test_only_lines_for_every_machine_are_compared() -> None:
    text = (
        "flask==3.1.0 \\\n    --hash=sha256:00\n"
        "colorama==0.4.6 ; sys_platform == 'win32' \\\n"
        "# a==1\nplain==2\n"
    )
    assert check_program.locked_versions(text) == {"flask": "3.1.0", "plain": "2"}


def test_other_versions_are_a_warning(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("pydantic==0.0.1 \\\nno-such-package==1 \\\n")
    [found] = [f for f in check_program.check_packages(lock) if f.level is not Level.PROBLEM]
    assert found.level is Level.WARNING
    assert "instead of 0.0.1" in found.seen
    assert "no-such-package is not installed" in found.seen


def test_a_package_that_is_missing_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_program, "_NEEDED", ("no_such_package",))
    assert _levels(check_program.check_packages(tmp_path / "none")) == [Level.PROBLEM]


def test_a_missing_detector_is_a_problem_only_where_it_is_used() -> None:
    needed = check_program._asset("silero", "json", "silero*.onnx", needed=True)
    unused = check_program._asset("pyannote", "no_such_package", "*.bin", needed=False)
    assert (needed.level, unused.level) == (Level.PROBLEM, Level.WARNING)


def test_more_threads_than_cores_are_a_warning(tmp_path: Path) -> None:
    config = _config(tmp_path, whisperx={"cpu_threads": 64})
    cores = os.sched_getaffinity(0)
    expected = Level.WARNING if len(cores) < 64 else Level.OK
    assert _levels(check_machine.check_cores(config)) == [expected]


@pytest.mark.parametrize(("allowed_mb", "level"), [(2048, Level.OK), (700, Level.WARNING)])
def test_too_little_memory_for_the_model_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed_mb: int, level: Level
) -> None:
    limit = MemoryLimit(allowed_mb, "The limit of the container or service")
    for module in (check_machine, locate):
        monkeypatch.setattr(module, "memory_limit", lambda: limit)
    folder = home("base", tmp_path / "models")
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_text("{}")
    with (folder / "model.bin").open("wb") as file:
        file.truncate(139 * 2**20)  # no disk is used
    [found] = check_machine.check_memory(_config(tmp_path))
    assert found.level is level
    assert re.search(
        rf"{allowed_mb} MB, .* faster-whisper-base takes up to about \d+ MB", found.seen
    )


def test_memory_is_told_where_the_model_is_missing(tmp_path: Path) -> None:
    config = _config(tmp_path, whisperx={"model_size": "small"})
    assert _levels(check_machine.check_memory(config)) == [Level.OK]


def test_the_sandbox_is_tried(tmp_path: Path) -> None:
    config = _config(tmp_path)
    config.models_directory.mkdir()
    [found] = check_machine.check_sandbox(config)
    kernel = os.uname().release.split(".")
    if (int(kernel[0]), int(kernel[1])) >= (6, 12) and landlock_version() >= 6:
        assert (found.level, found.subject) == (Level.OK, "sandbox")


def test_what_the_sandbox_lacks_is_told(tmp_path: Path) -> None:
    config = _config(tmp_path)
    config.models_directory.mkdir()
    # A folder of recordings in a folder of weights can be read with it.
    (config.models_directory / "calls").mkdir()
    config = config.model_copy(update={"shared_directory": config.models_directory / "calls"})
    [found] = check_machine.check_sandbox(config)
    assert found.level is Level.WARNING
    assert "calls is in a folder of programs or weights" in found.seen


def test_the_processor_is_told() -> None:
    [found] = check_machine.check_processor()
    assert found.seen == str(processor())


@pytest.mark.parametrize(
    ("limits", "level"),
    [({"instances": 128, "watches": 10**6}, Level.OK), ({"instances": 128, "watches": 1}, Level.OK),
     ({"instances": 1, "watches": 1}, Level.WARNING), ({}, Level.WARNING)],
)  # fmt: skip
def test_scarce_file_events_are_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: dict[str, int], level: Level
) -> None:
    monkeypatch.setattr(check_machine, "_inotify_use", lambda: (1, 0))
    for name, limit in limits.items():
        (tmp_path / f"max_user_{name}").write_text(f"{limit}\n")
    assert _levels(check_machine.check_inotify(_config(tmp_path), tmp_path)) == [level]


# --- model, lock, API -------------------------------------------------------------------------


def test_a_missing_model_says_what_to_do(tmp_path: Path) -> None:
    [found] = check_service.check_model(_config(tmp_path, whisperx={"model_size": "small"}))
    assert found.level is Level.PROBLEM
    assert "allow_download" in found.remedy


def test_damaged_weights_are_found(tmp_path: Path) -> None:
    folder = home("base", tmp_path / "models")
    folder.mkdir(parents=True)
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_text("not the real thing")
    [found] = check_service.check_model(_config(tmp_path))
    assert found.level is Level.PROBLEM
    assert "SHA-256" in found.seen


def test_a_taken_port_is_a_problem(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        [found] = check_service.check_port(_config(tmp_path, api={"port": port}))
    assert found.level is Level.PROBLEM
    assert "another program listens there" in found.seen


def test_an_address_of_another_machine_is_a_problem(tmp_path: Path) -> None:
    found = next(check_service.check_port(_config(tmp_path, api={"host": "203.0.113.9"})))
    assert found.level is Level.PROBLEM


def test_an_open_address_is_a_warning(tmp_path: Path) -> None:
    config = _config(tmp_path, api={"host": "0.0.0.0", "port": 0})
    assert _levels(check_service.check_port(config)) == [Level.OK, Level.WARNING]
