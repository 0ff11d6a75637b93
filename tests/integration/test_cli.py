"""``transcriber.py`` as a process: exit codes, and what the commands say about real folders."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from modules import __version__
from tests.page import made
from tests.ports import free_port

PROJECT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 60.0

#: Takes the lock as the daemon does, says so, and holds it until its input is closed.
HOLDER = """
import sys
from pathlib import Path
from modules.clock import SystemClock
from modules.config.loader import load_config
from modules.recordings.lock import Ownership
with Ownership(load_config(Path(sys.argv[1]), {}), SystemClock(), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


class Place:
    """Folders and a configuration of their own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.shared, self.manual = root / "shared", root / "manual"
        self.config = root / "config.yaml"
        self.shared.mkdir()
        self.manual.mkdir()
        self.configure()

    def configure(self, **changes: Any) -> None:
        port = free_port()
        tree = {"models_directory": str(self.root / "models"), "api": {"port": port}, **changes}
        self.config.write_text(yaml.safe_dump(tree), encoding="utf-8")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return run("--config", str(self.config), *words, cwd=self.root)

    @contextmanager
    def held(self, role: str) -> Iterator[int]:
        command = [sys.executable, "-c", HOLDER, str(self.config), role]
        with subprocess.Popen(
            command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n", "the lock could not be taken"
            yield holder.pid
            holder.communicate(timeout=TIMEOUT_S)


def run(*words: str, cwd: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("CONFIG_PATH", "FORCE_COLOR")}
    return subprocess.run(
        [sys.executable, str(PROJECT / "transcriber.py"), *words],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# --- the door ---------------------------------------------------------------------------------


def test_version_and_help() -> None:
    assert run("--version").stdout == f"audio-transcriber {__version__}\n"
    told = run("--help")
    assert told.returncode == 0
    for word in ("transcribe", "submit", "status", "doctor", "pause", "resume", "75", "78"):
        assert word in told.stdout


@pytest.mark.parametrize("command", ["run", "transcribe", "submit", "status", "doctor", "pause"])
def test_each_command_explains_itself(command: str) -> None:
    assert run(command, "--help").returncode == 0


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, transcriber\n"
        "transcriber.build_parser().format_help()\n"
        "print([m for m in ('pydantic', 'yaml', 'psutil', 'rich', 'flask') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_an_unknown_format_is_a_wrong_command_line(place: Place) -> None:
    refused = place.run("transcribe", "talk.mp3", "-f", "txt,doc")
    assert refused.returncode == 2
    assert "'doc' is none of" in refused.stderr


@pytest.mark.parametrize("command", ["run", "status", "pause", "submit x", "transcribe x"])
def test_a_wrong_configuration_is_78(place: Place, command: str) -> None:
    place.configure(whisperx={"temperature": 7})
    refused = place.run(*command.split())
    assert refused.returncode == 78
    assert "whisperx.temperature" in refused.stderr


def test_complaints_about_options_name_the_options(place: Place) -> None:
    refused = place.run("transcribe", "x.mp3", "--model", "bas", "--language", "xx")
    assert refused.returncode == 78
    assert "--model: must be one of" in refused.stderr
    assert "--language: must be" in refused.stderr


def test_a_reader_that_leaves_is_no_error(place: Place) -> None:
    for number in range(2000):
        (place.shared / f"a rather long name of a recording {number}.mp3").touch()
    command = f"'{sys.executable}' '{PROJECT}/transcriber.py' --config '{place.config}' status"
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("NAME")
    assert done.stderr == ""


# --- transcribe -------------------------------------------------------------------------------


def test_transcribe_refuses_while_another_one_works(place: Place) -> None:
    (place.root / "talk.mp3").write_bytes(b"x")
    with place.held("daemon") as pid:
        refused = place.run("transcribe", "talk.mp3")
    assert refused.returncode == 75
    assert f"The daemon with PID {pid}" in refused.stderr


def test_transcribe_tells_of_every_file_that_it_cannot_do(place: Place) -> None:
    (place.root / "talk.mp3").write_bytes(b"x")
    (place.root / "talk.txt").write_text("mine")
    refused = place.run("transcribe", "talk.mp3", "nope.mp3", "-o", ".", "-f", "txt")
    assert refused.returncode == 1
    assert "talk.txt is there already" in refused.stderr
    assert "nope.mp3: There is no such file." in refused.stderr
    assert (place.root / "talk.txt").read_text() == "mine"


def test_transcribe_without_the_model_is_69(place: Place) -> None:
    (place.root / "talk.mp3").write_bytes(b"x")
    refused = place.run("transcribe", "talk.mp3", "--model", "small")
    assert refused.returncode == 69
    assert "allow_download" in refused.stderr


def test_transcribe_into_an_impossible_folder_is_74(place: Place) -> None:
    (place.root / "talk.mp3").write_bytes(b"x")
    assert place.run("transcribe", "talk.mp3", "-o", "talk.mp3/sub").returncode == 74


# --- status, pause, submit --------------------------------------------------------------------


def test_status_of_a_folder(place: Place) -> None:
    (place.shared / "new.mp3").write_bytes(b"x")
    os.close(os.open(bytes(place.shared) + b"/odd \xff\n.mp3", os.O_CREAT | os.O_WRONLY))
    (place.manual / "bad.mp3").write_bytes(b"x")
    (place.manual / "bad.mp3.error.txt").write_text("What happened: Not media.\n")
    (place.shared / "sub").mkdir()
    shown = place.run("status")
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert any(line.startswith("bad.mp3") and line.endswith("Not media.") for line in lines)
    assert any(line.startswith(r"odd \udcff\n.mp3") and "pending" in line for line in lines)
    assert "Not looked into (watch.recursive is off): sub" in lines
    assert lines[-1] == "No daemon runs. 1 manual, 2 pending."
    assert json.loads(place.run("status", "--json").stdout)["counts"]["pending"] == 2


def test_status_says_what_goes_to_the_trash(place: Place) -> None:
    assert "trash" not in place.run("status").stdout
    place.configure(retention={"recordings_days": 30})
    line = "Kept: recordings 30 days, texts for ever, then 30 days in the trash."
    assert line in place.run("status").stdout.splitlines()


def test_status_tells_of_the_daemon_and_the_pause(place: Place) -> None:
    assert place.run("pause").returncode == 0
    assert "already" in place.run("pause").stdout
    with place.held("daemon") as pid:
        told = json.loads(place.run("status", "--json").stdout)
        assert told["daemon"]["pid"] == pid
        assert told["paused"] is True
        assert "Going on." in place.run("resume").stdout
    assert "was not paused" in place.run("resume").stdout
    assert json.loads(place.run("status", "--json").stdout)["daemon"] is None


def test_without_the_share_commands_say_so(place: Place) -> None:
    place.shared.rmdir()
    for command in (["status"], ["pause"], ["resume"], ["submit", "x.mp3"]):
        refused = place.run(*command)
        assert refused.returncode == 74
        assert "There is no shared folder" in refused.stderr
    assert not place.shared.exists()


def test_submit_leaves_an_order(place: Place) -> None:
    (place.shared / "talk.mp3").write_bytes(b"x")
    ordered = place.run("submit", "shared/talk.mp3", "nope.mp3")
    assert ordered.returncode == 1
    assert "talk.mp3: queued." in ordered.stdout
    assert "No daemon runs" in ordered.stdout
    assert "nope.mp3: There is no such file" in ordered.stderr
    [order] = (place.shared / ".transcriber" / "orders").iterdir()
    assert json.loads(order.read_text())["filename"] == "talk.mp3"
    with place.held("daemon"):
        assert "The daemon runs" in place.run("submit", "talk.mp3").stdout


# --- doctor -----------------------------------------------------------------------------------


def _lines(done: subprocess.CompletedProcess[str], level: str) -> str:
    return "\n".join(line for line in done.stdout.splitlines() if line.startswith(level))


def test_doctor_finds_no_problem_where_there_is_none(place: Place) -> None:
    found = place.run("doctor")
    # The weights come from installed packages.
    assert _lines(found, "problem") == ""
    assert found.returncode == 0
    assert "lock           free" in found.stdout


def test_doctor_finds_missing_weights(place: Place) -> None:
    place.configure(whisperx={"model_size": "small"})
    found = place.run("doctor")
    assert found.returncode == 1
    assert "The Whisper model small is not on this machine" in _lines(found, "problem")


def test_doctor_finds_damaged_weights(place: Place) -> None:
    folder = place.root / "models" / "faster-whisper-base"
    folder.mkdir(parents=True)
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_text("torn")
    found = place.run("doctor")
    assert found.returncode == 1
    assert "SHA-256" in _lines(found, "problem")


def test_doctor_finds_a_folder_that_cannot_be(place: Place) -> None:
    place.configure(shared_directory=str(place.config / "shared"))
    found = place.run("doctor")
    assert found.returncode == 1
    assert "cannot be created" in _lines(found, "problem")


def test_doctor_tells_what_is_wrong_with_the_configuration(place: Place) -> None:
    place.config.write_text("api: {prot: 1}\nwhisperx: {temperature: 7}\n")
    found = place.run("doctor")
    assert found.returncode == 1
    assert "api.prot" in _lines(found, "problem")
    assert "whisperx.temperature" in _lines(found, "problem")
    assert "ok       Python" in found.stdout


@pytest.mark.parametrize(("role", "level"), [("daemon", "ok"), ("transcribe command", "warning")])
def test_doctor_tells_who_holds_the_lock(place: Place, role: str, level: str) -> None:
    with place.held(role) as pid:
        found = place.run("doctor")
    assert found.returncode == 0
    assert f"The {role} runs (PID {pid}" in _lines(found, level)


def test_a_corrected_text_is_exported_and_its_corrections_are_listed(tmp_path: Path) -> None:
    place = Place(tmp_path)
    made.talk(place.shared, "talk.wav")
    made.correct(place.shared, "talk.wav")
    done = place.run("export", "talk.wav", "-f", "srt")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Операторы" in done.stdout
    original = place.run("export", str(place.shared / "talk.wav"), "--original")
    assert "все операторы" in original.stdout
    file = tmp_path / "talk.docx"
    assert place.run("export", "talk.wav", "-f", "docx", "-o", str(file)).returncode == 0
    assert file.read_bytes().startswith(b"PK")
    again = place.run("export", "talk.wav", "-o", str(file))
    assert again.returncode == 1
    assert "--overwrite" in again.stderr
    listed = place.run("corrections", "talk.wav")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert re.search(r"0:02\s+words\s+операторы\s+Операторы", listed.stdout)
    assert re.search(r"автоматы\s+операторы\s+does not fit", listed.stdout)
    assert listed.stdout.endswith("1 correction.\n")
    found = json.loads(place.run("corrections", "talk.wav", "--json").stdout)
    assert [len(found[key]) for key in ("corrections", "not_applied")] == [1, 1]


def test_a_text_that_is_not_there_or_damaged_is_said(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for command in ("export", "corrections"):
        done = place.run(command, "nothing.mp3")
        assert (done.returncode, done.stdout) == (1, "")
        assert "no text" in done.stderr
    made.talk(place.shared, "talk.wav")
    (place.shared / "talk.wav.edit.json").write_bytes(b"{")
    done = place.run("export", "talk.wav")
    assert "операторы" in done.stdout
    assert "without them" in done.stderr
    assert place.run("corrections", "talk.wav").returncode == 1
    assert place.run("export", "talk.wav", "-f", "result").returncode == 2
