"""What the WhisperX process gives up, tried by a process that has given it up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modules.worker import sandbox

PROJECT = Path(__file__).resolve().parents[2]

#: Tries everything on a folder with a file in it, and says what happened: "done" or an errno.
TRIES = """
import ctypes, errno, json, os, signal, socket, subprocess, sys, tempfile, threading
from modules.worker import sandbox

folder, online = sys.argv[1], sys.argv[2] == "online"
missing = sandbox.apply(online)
file = os.path.join(folder, "file")

def syscall(*arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")

def write(path):
    with open(path, "ab") as opened:
        opened.write(b"x")

tries = {
    "read": lambda: open(file, "rb").read(),
    "write": lambda: write(file),
    "make": lambda: write(os.path.join(folder, "new")),
    "remove": lambda: os.unlink(os.path.join(folder, "victim")),
    "rename": lambda: os.rename(file, file + "2"),
    "truncate": lambda: os.truncate(file, 0),
    "folder": lambda: os.mkdir(os.path.join(folder, "sub")),
    "link": lambda: os.symlink("/etc/passwd", os.path.join(folder, "link")),
    "scratch": lambda: tempfile.NamedTemporaryFile().write(b"x"),
    "device": lambda: write("/dev/null"),
    "tcp": lambda: socket.socket(),
    "udp": lambda: socket.socket(type=socket.SOCK_DGRAM),
    "ipv6": lambda: socket.socket(socket.AF_INET6),
    "unix": lambda: socket.socket(socket.AF_UNIX),
    "pair": lambda: socket.socketpair(),
    "uring": lambda: syscall(425, 1, bytes(120)),
    "signal": lambda: os.kill(os.getppid(), 0),
    "in a child": lambda: subprocess.run(["touch", os.path.join(folder, "new")], check=True,
                                         stderr=subprocess.DEVNULL),
    "words": lambda: socket.create_connection(("127.0.0.1", 9)),
}
said = {}
def run():
    for name, attempt in tries.items():
        try:
            attempt()
            said[name] = "done"
        except OSError as error:
            said[name] = errno.errorcode.get(error.errno, str(error))
        except subprocess.CalledProcessError:
            said[name] = "failed"
# A thread that was started later is in the cage as well.
thread = threading.Thread(target=run)
thread.start()
thread.join()
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({"said": said, "missing": missing, "nice": os.nice(0),
    "oom": open("/proc/self/oom_score_adj").read().strip(),
    "privs": status["NoNewPrivs"].strip(), "core": __import__("resource").getrlimit(4)}))
"""


def tried(root: Path, mode: str) -> dict[str, Any]:
    folder, scratch = root / "share", root / "scratch"
    for made in (folder, scratch):
        made.mkdir()
    for name in ("file", "victim"):
        (folder / name).write_bytes(b"content")
    done = subprocess.run(
        [sys.executable, "-c", TRIES, str(folder), mode],
        cwd=PROJECT,
        env=os.environ | {"TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def caged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("caged")
    answer = tried(root, "offline")
    folder = root / "share"
    assert sorted(os.listdir(folder)) == ["file", "victim"]
    assert (folder / "file").read_bytes() == b"content"
    return answer


def needs(answer: dict[str, Any], what: str) -> None:
    """Skip, with the machine's own word, what this kernel does not know."""
    for line in answer["missing"]:
        if line.startswith(what):
            pytest.skip(line)


def test_it_writes_nothing_but_temporary_files(caged: dict[str, Any]) -> None:
    needs(caged, "writes nothing")
    tries = ("write", "make", "remove", "rename", "truncate", "folder", "link")
    assert {name: caged["said"][name] for name in tries} == dict.fromkeys(tries, "EACCES")
    assert caged["said"]["in a child"] == "failed", "what it starts must be caged as well"
    still = ("read", "scratch", "device")
    assert {name: caged["said"][name] for name in still} == dict.fromkeys(still, "done")


def test_it_opens_no_socket(caged: dict[str, Any]) -> None:
    needs(caged, "opens no connection")
    tries = ("tcp", "udp", "ipv6", "unix", "uring")
    assert {name: caged["said"][name] for name in tries} == dict.fromkeys(tries, "EACCES")
    assert caged["said"]["pair"] == "done", "Python's own libraries talk to themselves by pairs"


def test_python_code_is_told_in_words(caged: dict[str, Any]) -> None:
    assert "allow_download is off" in caged["said"]["words"]


def test_it_signals_nobody_outside(caged: dict[str, Any]) -> None:
    needs(caged, "writes nothing")
    if caged["said"]["signal"] == "done" and _landlock_version() < 6:
        pytest.skip("this kernel's Landlock knows no scopes")
    assert caged["said"]["signal"] == "EPERM"


def _landlock_version() -> int:
    try:
        return sandbox.landlock_version()
    except OSError:
        return 0


def test_it_gives_way_and_gains_nothing(caged: dict[str, Any]) -> None:
    assert caged["nice"] == min(19, os.nice(0) + 10)
    assert caged["oom"] == "1000"
    assert caged["privs"] == "1"
    assert caged["core"] == [0, 0]


def test_who_may_download_connects_and_writes(tmp_path: Path) -> None:
    answer = tried(tmp_path, "online")
    open_to_it = ("write", "make", "tcp", "udp", "unix")
    assert {name: answer["said"][name] for name in open_to_it} == dict.fromkeys(open_to_it, "done")
    assert (answer["oom"], answer["privs"]) == ("1000", "1")


def test_what_a_machine_does_not_know_is_said_and_the_rest_is_done(tmp_path: Path) -> None:
    script = """
import os, platform
platform.machine = lambda: "riscv64"
from modules.worker import sandbox
print(*sandbox.apply(False), os.nice(0), sep="\\n")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    *missing, niceness = done.stdout.splitlines()
    assert [line.partition(" (")[0] for line in missing] == [
        "writes nothing",
        "opens no connection",
    ]
    assert all("riscv64" in line for line in missing)
    assert int(niceness) == min(19, os.nice(0) + 10)
