"""``transcriber.py live``: words on the terminal, and a recording in the share."""

from __future__ import annotations

import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.cli.commands.live import Terminal
from tests.page.browsing import address_of
from tests.scripted_daemon import SOON_S, ScriptedDaemon

PROJECT = Path(__file__).resolve().parents[2]
RATE, SECONDS = 8000, 8


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    """Its port is written into its configuration, as a command would look for it there."""
    with ScriptedDaemon(tmp_path) as started:
        port = int(address_of(started).rpartition(":")[2])
        started.kill()
        started.configure({"api": {"port": port}})
        started.start()
        address_of(started)
        yield started


def command(daemon: ScriptedDaemon, *words: str) -> list[str]:
    config = str(daemon.root / "config.yaml")
    return [sys.executable, str(PROJECT / "transcriber.py"), "--config", config, "live", *words]


def sound(path: Path, channels: int = 1) -> bytes:
    """A WAV file, and the samples that are in it."""
    samples = bytes(range(256)) * (RATE * SECONDS * 2 // 256)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples)
    return samples


def stored(daemon: ScriptedDaemon) -> tuple[int, bytes]:
    """The rate and the samples of the one recording."""
    [path] = daemon.shared.glob("*.wav")
    return read(path)


def read(path: Path) -> tuple[int, bytes]:
    with wave.open(str(path)) as file:
        return file.getframerate(), file.readframes(file.getnframes())


def test_a_file_is_shown_line_by_line_and_kept(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    samples = sound(tmp_path / "talk.wav")
    done = subprocess.run(
        command(daemon, str(tmp_path / "talk.wav"), "--language", "ru", "--name", "standup"),
        capture_output=True, text=True, timeout=SOON_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    assert " ".join(lines).split() == [f"w{number}" for number in range(SECONDS)]
    [path] = daemon.shared.glob("*standup.wav")
    assert last == f"The recording is {path.name}."
    assert stored(daemon) == (RATE, samples)


def test_raw_sound_comes_by_standard_input(daemon: ScriptedDaemon) -> None:
    samples = bytes(16_000 * 2 * 3)
    done = subprocess.run(
        command(daemon, "-"), input=samples, capture_output=True, timeout=SOON_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert stored(daemon) == (16_000, samples)


def test_a_daemon_that_is_started_again_misses_nothing(
    daemon: ScriptedDaemon, tmp_path: Path
) -> None:
    """It stores what it had as one recording; what follows becomes another."""
    samples = sound(tmp_path / "talk.wav")
    with subprocess.Popen(
        command(daemon, str(tmp_path / "talk.wav"), "--pace"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        assert running.stdout.readline().split()[0] == "w0"
        daemon.kill()
        daemon.start()
        _out, err = running.communicate(timeout=SOON_S)
    assert running.returncode == 0, err
    parts = [read(path)[1] for path in sorted(daemon.shared.glob("*.wav"), key=modified)]
    assert len(parts) == 2
    assert samples.startswith(parts[0])
    assert samples.endswith(parts[1])
    assert len(parts[0]) + len(parts[1]) >= len(samples)


def test_much_that_waited_for_the_daemon_is_sent(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    """More than one message may hold: all of it is read from the pipe while nobody takes it."""
    samples = bytes(range(256)) * 10_000
    with subprocess.Popen(
        command(daemon, "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdin is not None
        running.stdin.write(samples[:64_000])
        running.stdin.flush()
        daemon.wait_for_log("live", SOON_S)
        daemon.kill()
        running.stdin.write(samples[64_000:])
        running.stdin.close()
        running.stdin = None
        daemon.start()
        _out, err = running.communicate(timeout=SOON_S)
    assert running.returncode == 0, err
    parts = [read(path)[1] for path in sorted(daemon.shared.glob("*.wav"), key=modified)]
    assert samples.startswith(parts[0])
    assert samples.endswith(parts[-1])
    assert sum(map(len, parts)) >= len(samples)


def modified(path: Path) -> int:
    return path.stat().st_mtime_ns


def test_what_cannot_be_sent_is_said(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    sound(tmp_path / "stereo.wav", channels=2)
    (tmp_path / "letter.wav").write_text("Dear all")
    for name in ("stereo.wav", "letter.wav", "missing.wav"):
        done = subprocess.run(
            command(daemon, str(tmp_path / name)),
            capture_output=True, text=True, timeout=SOON_S, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert name in done.stderr
    assert list(daemon.shared.glob("*.wav")) == []


def test_without_the_service_it_says_what_to_do(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    sound(tmp_path / "talk.wav")
    daemon.kill()
    done = subprocess.run(
        command(daemon, str(tmp_path / "talk.wav")),
        capture_output=True, text=True, timeout=SOON_S, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "transcriber.py run" in done.stderr


def test_on_a_terminal_what_may_change_is_pale(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Terminal()
    screen.show({"type": "commit", "words": [{"word": " one"}]})
    screen.show({"type": "partial", "words": [{"word": " two"}]})
    assert capsys.readouterr().out.endswith("one\x1b[2m two\x1b[0m")
    screen.show({"type": "final", "text": "One two."})
    assert capsys.readouterr().out.endswith("One two.\n")
