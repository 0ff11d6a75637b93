"""``queue``, ``retry``, ``delete`` and ``status --watch`` with a daemon and without one."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import transcriber
from modules.cli import backend, session
from modules.cli.backend import open_backend
from modules.clock import SystemClock
from modules.config.loader import load_config
from modules.errors import LockHeldError, TranscriberError
from modules.recordings.lock import Ownership
from modules.service import folder_orders
from modules.service.folder_requests import folder
from tests.builders import until
from tests.daemon_process import POLL_S, PROJECT
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import NOT_MEDIA, recording

TIMEOUT_S = 60.0
ODD = os.fsdecode(b"odd \xff name.mp3")
NAMES = ["talk.mp3", "мой разговор (2).mp3", "-dash.mp3", ODD]

Done = subprocess.CompletedProcess[str]


def run(place: ScriptedDaemon, *words: str, **environment: str) -> Done:
    return subprocess.run(
        place.command(*words),
        cwd=PROJECT,
        env=place.environment() | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that are called in here leave the log as it is."""
    monkeypatch.setattr(session, "setup_logging", lambda *_: None)


def call(place: ScriptedDaemon, *words: str) -> Done:
    """A command in this very process: twenty times as quick, and the same but for its start."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = transcriber.main(["--config", str(place.config_file), *words])
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.detach().getvalue().decode())
    return Done(words, code, *texts)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path_factory.mktemp("desk")) as started:
        yield started


@pytest.fixture
def place(tmp_path: Path) -> ScriptedDaemon:
    """Folders and a configuration; the daemon is not started."""
    found = ScriptedDaemon(tmp_path)
    found.shared.mkdir(exist_ok=True)
    return found


def everything(place: ScriptedDaemon) -> set[str]:
    """What lies in the two folders, but for the daemon's own."""
    return place.files() | {f"manual/{path.name}" for path in place.manual.iterdir()}


def fail(place: ScriptedDaemon, name: str) -> None:
    """A recording that lies in manual/ with what explains it, as the daemon leaves it."""
    (place.manual / name).write_bytes(recording(1))
    (place.manual / f"{name}.error.txt").write_text("What happened: Nothing.\n")


# --- with a daemon ------------------------------------------------------------------------------


def test_what_runs_is_interrupted_and_deleted(daemon: ScriptedDaemon) -> None:
    daemon.drop("slow deleted.mp3", 300)
    daemon.wait_for_position("slow deleted.mp3", 20)
    told = call(daemon, "delete", "--yes", "slow deleted.mp3")
    assert (told.returncode, told.stderr) == (0, "")
    assert "deleted, its transcription was interrupted." in told.stdout
    assert "  slow deleted.mp3.in_progress" in told.stdout.splitlines()
    gone = "the run let go of what was deleted"
    daemon.wait_for(lambda: not daemon.files("*slow deleted*"), gone, SOON_S)
    assert "as the command line asks" in daemon.log
    assert not list(folder(daemon.shared).iterdir())


def test_what_failed_is_brought_back_and_done(daemon: ScriptedDaemon) -> None:
    daemon.shared.joinpath("again.mp3").write_bytes(NOT_MEDIA)
    daemon.wait_until_in_manual("again.mp3", SOON_S)
    (daemon.manual / "again.mp3").write_bytes(recording(2))  # mended
    told = call(daemon, "retry", str(daemon.manual / "again.mp3"))
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == "again.mp3: back in the shared folder, and queued.\n"
    daemon.wait_for_result("again.mp3", SOON_S)
    assert not list(daemon.manual.glob("again*"))


def test_a_name_in_both_folders_is_refused_and_deleted_in_both(daemon: ScriptedDaemon) -> None:
    fail(daemon, "both.mp3")
    daemon.drop("both.mp3")
    daemon.wait_for_result("both.mp3", SOON_S)
    refused = call(daemon, "retry", "both.mp3", "nowhere.mp3")
    assert refused.returncode == 1
    assert "both.mp3: the shared folder has a file of this name already" in refused.stderr
    assert "nowhere.mp3: there is no such recording in that folder" in refused.stderr
    told = call(daemon, "delete", "--yes", "both.mp3")
    assert {"  both.mp3", "  both.txt", "  manual/both.mp3"} <= set(told.stdout.splitlines())
    assert not [name for name in everything(daemon) if "both" in name]


def test_names_of_every_kind_reach_the_daemon(daemon: ScriptedDaemon) -> None:
    for name in NAMES:
        fail(daemon, name)
    told = run(daemon, "retry", "--", *NAMES)
    assert told.returncode == 0, told.stderr
    for name in NAMES:
        daemon.wait_for_result(name, SOON_S)
    told = run(daemon, "delete", "--yes", "--", *NAMES)
    assert told.returncode == 0, told.stderr
    assert not [name for name in NAMES if (daemon.shared / name).exists()]
    again = run(daemon, "delete", "--yes", "--", *NAMES)
    assert (again.returncode, again.stderr.count("no such recording")) == (1, len(NAMES))


def test_the_queue_is_in_the_daemons_own_order(daemon: ScriptedDaemon) -> None:
    assert call(daemon, "pause").returncode == 0
    try:
        daemon.wait_for_log("The queue is paused")
        for name in ("first.mp3", "second.mp3", "third.mp3"):
            daemon.drop(name)
            daemon.wait_for_log(f"{name}: queued")
        os.utime(daemon.shared / "first.mp3")  # by their times the first would be the last
        call(daemon, "submit", "third.mp3")
        daemon.wait_for(lambda: daemon.in_progress("third.mp3"), "the order was taken", SOON_S)
        told = json.loads(call(daemon, "queue", "--json").stdout)
        assert told["paused"] is True
        names = [(each["queue_position"], each["filename"]) for each in told["queue"]]
        assert names == [(0, "third.mp3"), (1, "first.mp3"), (2, "second.mp3")]
        table = call(daemon, "queue")
        assert "The queue is paused" in table.stdout.splitlines()[-1]
        assert "does not" not in table.stderr
        call(daemon, "delete", "--yes", "first.mp3", "second.mp3", "third.mp3")
        assert call(daemon, "queue").stdout.startswith("Nothing waits.")
    finally:
        call(daemon, "resume")


def test_messages_are_russian_where_the_environment_says_so(daemon: ScriptedDaemon) -> None:
    russian = {"LC_ALL": "ru_RU.UTF-8", "LANGUAGE": ""}
    assert "Служба работает (PID" in run(daemon, "status", **russian).stdout
    refused = run(daemon, "retry", "нет.mp3", **russian)
    assert refused.stderr == "transcriber: нет.mp3: в этой папке нет такой записи\n"
    told = json.loads(run(daemon, "status", "--json", **russian).stdout)
    assert "completed" in told["counts"]


# --- without one --------------------------------------------------------------------------------


def test_without_a_daemon_it_is_done_here_by_the_same_rules(place: ScriptedDaemon) -> None:
    for name in NAMES:
        fail(place, name)
    told = call(place, "retry", "--", *NAMES)
    assert told.returncode == 0, told.stderr
    assert "No daemon runs" in told.stdout
    assert everything(place) == {*NAMES, *(f"{name}.in_progress" for name in NAMES)}
    states = [place.in_progress(name) or {} for name in NAMES]
    assert [state["priority"] for state in states] == ["api_request"] * len(NAMES)
    queue = json.loads(call(place, "queue", "--json").stdout)["queue"]
    assert [each["filename"] for each in queue] == NAMES
    told = call(place, "delete", "--yes", "--", *NAMES)
    assert (told.returncode, everything(place)) == (0, set())
    assert told.stdout.count("taken out of the queue") == len(NAMES)


def test_what_was_brought_back_is_done_at_the_next_start(place: ScriptedDaemon) -> None:
    fail(place, "talk.mp3")
    place.drop("other.mp3")
    assert call(place, "retry", "talk.mp3").returncode == 0
    with place:
        place.wait_for_result("talk.mp3", SOON_S)
        place.wait_for_result("other.mp3", SOON_S)
        # It was ordered, so it went first.
        running = [line for line in place.log.splitlines() if "running (its turn)" in line]
        assert "talk.mp3" in running[0]


def test_what_a_killed_daemon_left_is_deleted_with_all_its_files(place: ScriptedDaemon) -> None:
    with place:
        place.drop("slow talk.mp3", 300)
        place.drop("slow other.mp3", 300)
        place.wait_for_position("slow talk.mp3", 20)
        place.kill()
    place.drop("new.mp3")
    for name in ("slow other.mp3", "new.mp3"):
        folder_orders.place(place.shared, name, SystemClock())
    (place.shared / "slow talk.txt").write_text("mine, and of nobody's result")
    told = call(place, "delete", "--yes", "slow talk.mp3", "new.mp3")
    assert (told.returncode, told.stderr) == (0, "")
    kept = {"slow other.mp3", "slow other.mp3.in_progress", "slow talk.txt"}
    assert everything(place) == kept
    assert not list(folder_orders.folder(place.shared).iterdir())


def test_a_refusal_without_a_daemon_changes_nothing(place: ScriptedDaemon) -> None:
    fail(place, "both.mp3")
    (place.shared / "both.mp3").write_bytes(b"other")
    (place.shared / "notes.txt").write_text("mine")
    before = everything(place)
    assert call(place, "retry", "both.mp3").returncode == 1
    assert call(place, "delete", "--yes", "notes.txt").returncode == 1
    assert call(place, "delete", "--yes", "/etc/passwd", "../config.yaml").returncode == 1
    assert everything(place) == before


def test_scripts_must_say_yes(place: ScriptedDaemon) -> None:
    place.drop("talk.mp3")
    refused = run(place, "delete", "talk.mp3")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert everything(place) == {"talk.mp3"}


def test_without_the_share_nothing_is_made(place: ScriptedDaemon) -> None:
    place.shared.rmdir()
    for command in ("queue", "retry x.mp3", "delete --yes x.mp3", "status --watch"):
        assert call(place, *command.split()).returncode == 74
    assert not place.shared.exists()


# --- who else may be there ------------------------------------------------------------------------


@contextlib.contextmanager
def held(place: ScriptedDaemon, role: str) -> Iterator[None]:
    with Ownership(load_config(place.config_file, {}), SystemClock(), role):
        yield


def test_while_files_are_transcribed_by_hand_nothing_is_done(place: ScriptedDaemon) -> None:
    fail(place, "talk.mp3")
    with held(place, "transcribe command"):
        for command in ("retry talk.mp3", "delete --yes talk.mp3"):
            refused = call(place, *command.split())
            assert refused.returncode == 75
            assert "The transcribe command with PID" in refused.stderr
    assert everything(place) == {"manual/talk.mp3", "manual/talk.mp3.error.txt"}


def test_no_daemon_can_start_in_the_middle(place: ScriptedDaemon) -> None:
    config = load_config(place.config_file, {})
    with open_backend(config, SystemClock(), "delete command") as own:
        assert not own.has_daemon
        refused = run(place, "run")
        assert refused.returncode == 75
        assert "The delete command with PID" in refused.stdout + refused.stderr


def test_a_daemon_that_starts_at_the_last_moment_is_asked(
    place: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, answers = load_config(place.config_file, {}), [False]
    really = backend.daemon_runs
    monkeypatch.setattr(
        backend, "daemon_runs", lambda c, k: answers.pop() if answers else really(c, k)
    )
    with held(place, "daemon"), open_backend(config, SystemClock(), "delete command") as other:
        assert other.has_daemon
    assert answers == []


def test_whoever_else_was_quicker_is_told(
    place: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(place.config_file, {})
    with (
        held(place, "retry command"),
        pytest.raises(LockHeldError, match="The retry command with PID"),
        open_backend(config, SystemClock(), "delete command"),
    ):
        raise AssertionError("two have the folder")


def test_a_daemon_that_does_not_answer_is_told_and_nothing_is_changed(
    place: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modules.service.folder_requests.ANSWER_TIMEOUT_S", 0.2)
    monkeypatch.setattr("modules.service.folder_requests.ask.__defaults__", (0.2,))
    place.drop("talk.mp3")
    config = load_config(place.config_file, {})
    with (
        held(place, "daemon"),
        open_backend(config, SystemClock(), "delete command") as other,
        pytest.raises(TranscriberError, match="nothing was changed"),
    ):
        other.delete("talk.mp3")
    assert everything(place) == {"talk.mp3"}
    assert not list(folder(place.shared).iterdir())


# --- at a terminal ------------------------------------------------------------------------------


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, place: ScriptedDaemon, *words: str, **environment: str) -> None:
        self._end, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 80, 0, 0))
        os.set_blocking(self._end, False)
        ours = place.environment().items()
        clean = {k: v for k, v in ours if k not in ("NO_COLOR", "COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            place.command(*words),
            cwd=PROJECT,
            env=clean | {"TERM": "xterm-256color"} | environment,
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that ^C is a signal
        )
        os.close(other)
        self.shown = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(TIMEOUT_S)
        os.close(self._end)

    def type(self, keys: str) -> None:
        os.write(self._end, keys.encode())

    def wait_for(self, text: str) -> None:
        until(lambda: text in self._read(), f"{text!r} was not shown", SOON_S)

    def end(self) -> int:
        deadline = time.monotonic() + SOON_S
        while self.process.poll() is None:
            self._read()
            assert time.monotonic() < deadline, f"it did not end; shown: {self.shown[-2000:]}"
            time.sleep(POLL_S)
        self._read()
        return self.process.returncode

    def _read(self) -> str:
        try:
            while more := os.read(self._end, 65536):
                self.shown += more.decode(errors="replace")
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.EIO:  # the other end was closed
                raise
        return self.shown


@pytest.mark.parametrize(
    ("keys", "code", "is_gone"),
    [("y\n", 0, True), ("да\n", 0, True), ("\n", 1, False), ("n\n", 1, False),
     ("\x04", 1, False), ("\x03", 130, False)],
)  # fmt: skip
def test_a_person_is_asked(place: ScriptedDaemon, keys: str, code: int, is_gone: bool) -> None:
    place.drop("talk.mp3")
    fail(place, "talk.mp3")
    with Terminal(place, "delete", "talk.mp3") as terminal:
        terminal.wait_for("[y/N]")
        assert "talk.mp3 (in the shared folder and in the manual folder)" in terminal.shown
        terminal.type(keys)
        assert terminal.end() == code
    assert (everything(place) == set()) is is_gone


ENTERED, LEFT = "\x1b[?1049h", "\x1b[?1049l"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_the_watched_table_follows_and_gives_the_terminal_back(
    place: ScriptedDaemon, number: signal.Signals, code: int
) -> None:
    for n in range(300):
        (place.shared / f"waiting {n:03}.mp3").touch()
    with Terminal(place, "status", "--watch", "--interval", "0.1") as terminal:
        terminal.wait_for("300 pending")
        (place.shared / "one more.mp3").touch()
        terminal.wait_for("301 pending")
        terminal.process.send_signal(number)
        assert terminal.end() == code
    shown = terminal.shown
    assert shown.count(ENTERED) == shown.count(LEFT) == 1
    screens = shown[shown.index(ENTERED) : shown.index(LEFT)].split("\x1b[H")
    assert len(screens) > 2
    assert all(screen.count("\n") < 20 for screen in screens), "it scrolls"


def test_no_color_is_obeyed(place: ScriptedDaemon) -> None:
    place.drop("talk.mp3")
    with Terminal(place, "status", "--watch", NO_COLOR="1") as terminal:
        terminal.wait_for("1 pending")
        terminal.type("\x03")
        assert terminal.end() == 0
    assert not any(f"\x1b[{code}m" in terminal.shown for code in range(30, 48))


def test_elsewhere_it_is_lines_without_escapes(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    log = tmp_path / "watched"
    with (
        log.open("wb") as file,
        subprocess.Popen(
            daemon.command("status", "--watch", "--interval", "0.1"),
            cwd=PROJECT,
            env=daemon.environment(),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        ) as watcher,
    ):
        try:
            until(lambda: "The daemon runs" in log.read_text(), "it told who runs", SOON_S)
            daemon.drop("slow watched.mp3", 10)
            daemon.wait_for_result("slow watched.mp3", SOON_S)
            done = "slow watched.mp3: completed"
            until(lambda: done in log.read_text(), f"it told {done!r}", SOON_S)
        finally:
            watcher.send_signal(signal.SIGINT)
        assert watcher.wait(TIMEOUT_S) == 0
    text = log.read_text()
    assert "slow watched.mp3: processing" in text
    assert "\x1b" not in text
    assert all(line.startswith("[20") for line in text.splitlines())
