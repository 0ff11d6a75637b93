"""Files that arrive while everything is killed again and again, and what must be left of them."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from pathlib import Path
from random import Random
from typing import Protocol

from modules.service import folder_orders
from modules.storage.atomic import TEMPORARY_PREFIX
from tests.builders import until
from tests.daemon_process import text_of
from tests.kills import Kill, within
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text

#: How a file goes wrong stands in its name; "slow" ones are killed in their middle.
GOOD = ("slow", "slow", "quick", "slow urgent", "urgent")
BAD = ("notmedia", "crash")
AT_ONCE = 12
_FAILED = re.compile(r"\] (\d{3} .+\.mp3): attempt \d+ (failed: .*|ended in a crash)$", re.M)
_ENDED = re.compile(r"\] (\d{3} .+\.mp3): completed \(", re.M)


class HasHits(Protocol):
    """Who kills, and remembers when."""

    hits: list[Kill]


class KilledDaemon(ScriptedDaemon):
    """Tries again at once what is nobody's fault."""

    hold_s = 0.2


def is_alone_in_manual(daemon: ScriptedDaemon, name: str) -> bool:
    """Whether a file was given up on, and all of that is written down."""
    left = (daemon.shared / name).exists() or daemon.sidecar(name).exists()
    return (daemon.manual / name).exists() and not left


class Traffic:
    """Files that arrive meanwhile: some long, some urgent, some that can never be done."""

    def __init__(self, daemon: ScriptedDaemon, killer: HasHits, rng: Random) -> None:
        self._daemon = daemon
        self._killer = killer
        self._rng = rng
        self.good: dict[str, bytes] = {}
        self.bad: set[str] = set()
        #: Of both.
        self.content: dict[str, bytes] = {}
        self.dragged_back = 0

    def flow(self) -> None:
        """None to three files more: always one at least to do, and never too many."""
        waiting = sum(not self._has_ended(name) for name in (*self.good, *self.bad))
        least = 0 if waiting else 1
        for _ in range(min(self._rng.randint(least, 3), AT_ONCE - waiting)):
            kind = self._rng.choice(GOOD * 3 + BAD)
            name = f"{len(self.good) + len(self.bad):03} {kind}.mp3"
            content = self._daemon.drop(name, self._rng.randint(2, 6), seed=name[:3])
            self.content[name] = content
            if kind in BAD:
                self.bad.add(name)
            else:
                self.good[name] = content
            if "urgent" in kind:
                self._daemon.order(name)

    def all_ended(self) -> bool:
        """Whether nothing is left to do. What our kills alone made guilty is brought back."""
        for name in self.good:
            if is_alone_in_manual(self._daemon, name):
                self._drag_back(name)
        return all(self._has_ended(name) for name in (*self.good, *self.bad))

    def _has_ended(self, name: str) -> bool:
        if name in self.bad:
            return is_alone_in_manual(self._daemon, name)
        there = self._daemon.shared / f"{name}.result"
        return there.exists() and not self._daemon.sidecar(name).exists()

    def _drag_back(self, name: str) -> None:
        """Three attempts ended by SIGKILL make a file guilty; each must be one of ours."""
        state = self._daemon.wait_until_in_manual(name, SOON_S)
        attempts = [a for a in state["attempts"] if a["status"] == "failed"]
        assert len(attempts) == 3, f"{name} was given up on after {len(attempts)} failures"
        for attempt in attempts:
            ours = any(within(kill, attempt, slack_s=0.1) for kill in self._killer.hits)
            assert ours, f"{name} failed and nobody killed anything then: {attempt}"
        assert (self._daemon.manual / f"{name}.error.txt").read_text("utf-8").strip()
        self.dragged_back += 1
        for path in sorted(self._daemon.manual.glob(f"*{name}*"), key=lambda p: p.name == name):
            shutil.move(path, self._daemon.shared / path.name)


def check_files(daemon: ScriptedDaemon, traffic: Traffic) -> None:
    """One right result each, or a place in ``manual/``; and nothing besides."""
    expected = set()
    for name, content in traffic.good.items():
        result = daemon.result(name)
        assert result is not None
        assert text_of(result) == full_text(content), name
        stem = name.removesuffix(".mp3")
        expected |= {name, f"{name}.result", f"{stem}.txt", f"{stem}.srt"}
    assert daemon.files() == expected
    for name in traffic.bad:
        assert (daemon.manual / f"{name}.error.txt").read_text("utf-8").strip()
    visible = {path.name for path in daemon.manual.iterdir() if not path.name.startswith(".")}
    endings = ("", ".error.txt", ".in_progress")
    assert visible == {f"{name}{ending}" for name in traffic.bad for ending in endings}
    # The last index may just be being written.
    until(lambda: not _half_written(daemon), "nothing half-written is left", SOON_S)
    assert os.listdir(folder_orders.folder(daemon.shared)) == []


def _half_written(daemon: ScriptedDaemon) -> list[Path]:
    return list(daemon.root.rglob(f"{TEMPORARY_PREFIX}*"))


def check_log(
    daemon: ScriptedDaemon, traffic: Traffic, kills: int, reasons: tuple[str, ...]
) -> None:
    """No file is blamed but by a kill, none ends twice, and nothing surprises the program.

    ``reasons``: words of which one is in the line about each attempt that failed.
    """
    log = daemon.whole_log
    assert "Traceback" not in log, daemon.failure("the program was surprised")
    blamed = [how for name, how in _FAILED.findall(log) if name in traffic.good]
    strange = [how for how in blamed if not any(word in how for word in reasons)]
    assert not strange, f"files failed though only kills could make them: {strange}"
    assert len(blamed) <= kills, "more attempts were counted than there were kills"
    assert {name: n for name, n in Counter(_ENDED.findall(log)).items() if n > 1} == {}
