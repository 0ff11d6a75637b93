"""One live session to which things happen at random, and what must hold of it all the same.

The child is ``scripted_live.py``: it hears the word ``wN`` in second N, so whatever is lost,
doubled or changed on the way shows in the words; the sound is noise, so the same holds of samples.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Protocol

import psutil

from tests.builders import until
from tests.daemon_process import DaemonProcess
from tests.live_client import SOON_S, port_of
from tests.live_wire import Wire
from tests.scripted_daemon import ScriptedDaemon

#: A client that stays away so long has ended its session, in seconds.
RESUME_S = 4.0
_WORKER = "tests.scripted_worker"

#: Shortens what would make the runs long, and makes room for sessions on a small disk.
_PATCHES = """
from modules.executors.local import executor, live_offer
executor._RESTART_GAP_S = executor._LIVE_RESTART_GAP_S = live_offer._GAP_S = 0.2
from modules.live import landings, room, sessions
room._SPARE_BYTES, sessions._DISK_S, landings._RETRY_S = 65536, 0.5, 0.5
from modules.api.live import client
client._RECEIVED_S = 0.1
"""


class ChaosDaemon(ScriptedDaemon):
    """Replaces a child at once, and tells often what it has."""

    def command(self, *arguments: str) -> list[str]:
        python, option, program, *rest = super().command(*arguments)
        return [python, option, _PATCHES + program, *rest]

    def kill_child(self) -> bool:
        for child in self.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if any(_WORKER in word for word in child.cmdline()):
                    child.kill()
                    return True
        return False


class Disk(Protocol):
    def fill(self, but_pages: int = 0) -> None: ...
    def drop(self) -> None: ...


def ask(daemon: DaemonProcess, path: str, method: str = "GET") -> dict[str, Any]:
    """The answer, also where it is an error."""
    request = urllib.request.Request(f"http://127.0.0.1:{port_of(daemon)}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=SOON_S) as answer:
            return dict(json.loads(answer.read()))
    except urllib.error.HTTPError as refused:
        with refused:
            return dict(json.loads(refused.read()))


class Run:
    """A session from its start to its recording; ``happened`` says what was done to it."""

    def __init__(
        self,
        daemon: ChaosDaemon,
        seed: int,
        disk: Disk | None = None,
        may_kill_daemon: bool = True,
    ) -> None:
        self.rng = Random(seed)
        self.daemon = daemon
        self.happened: Counter[str] = Counter()
        self._disk = disk
        self._may_kill_daemon = may_kill_daemon
        self._name = f"chaos{seed}"
        self._rate = self.rng.choice([8000, 16_000])
        self._content = self.rng.randbytes(2 * int(self._rate * self.rng.uniform(3.0, 14.0)))
        self._deaf = self.rng.random() < 0.06
        if self._deaf:  # so many words that they cannot all wait for a client
            self._content = self.rng.randbytes(2 * 8000 * 900)
            self._rate = 8000
        self._session = ""
        self._wire: Wire | None = None
        self._seen = 0
        #: What was acknowledged, of samples; what was sent, of bytes.
        self.acked = 0
        self._at = 0
        #: Commits and finals by their number.
        self._told: dict[int, dict[str, Any]] = {}
        self.stored: dict[str, Any] | None = None
        #: The live text ends with the daemon, and where the disk was full.
        self._is_broken_off = False

    # --- the story ---

    def play(self) -> None:
        try:
            self._play()
            self.check()
        finally:
            if self._wire:
                self._wire.close()

    def _play(self) -> None:
        self._connect(first=True)
        actions = self._plan()
        while self._at < len(self._content) and self.stored is None:
            if actions and self._at >= actions[0][0]:
                actions.pop(0)[1]()
            elif self._is_gone():
                self._come_back()
            else:
                self._speak()
        for _, action in actions:
            if self.stored is None:
                action()
        if self.stored is None:
            self._finish()

    def _plan(self) -> list[tuple[int, Callable[[], None]]]:
        kinds: list[Callable[[], None]] = [
            self._kill_child, self._kill_child, self._cut, self._cut, self._usurp, self._flush,
        ]  # fmt: skip
        if self._disk:
            kinds.append(self._fill_disk)
        if self._may_kill_daemon:
            kinds.append(self._kill_daemon)
        chosen = [self.rng.choice(kinds) for _ in range(self.rng.randrange(5))]
        moments = sorted(self.rng.randrange(len(self._content)) for _ in chosen)
        return list(zip(moments, chosen, strict=True))

    def _connect(self, first: bool = False, keeps_earlier: bool = False) -> None:
        """Begin, or go on; ``stored`` is set if it was over."""
        query = f"?session={self._session}" if self._session else ""
        wire = Wire(port_of(self.daemon), query, 4096 if self._deaf else None)
        if first:
            tricks = "fat" if self._deaf else self.rng.choice(["", "", "", "crash3"])
            wire.say("start", rate=self._rate, name=self._name, hotwords=tricks or None)
        else:
            known = max(self._told, default=0)
            seq = known if self.rng.random() < 0.6 else self.rng.randrange(known + 1)
            wire.say("start", session=self._session, seq=seq)
        answer = wire.wait_for("ready", "stored", "error")
        assert answer is not None, f"closed with {wire.close_code} before its answer"
        if answer["type"] == "error":  # it ended before there was anything to keep
            assert (answer["error_code"], self.acked) == ("session_not_found", 0), answer
            self.stored = {"recording": None}
        if self._wire and not keeps_earlier:
            self._wire.close()
        self._wire, self._seen = wire, 0
        if answer["type"] == "ready":
            self._session = answer["session"]
            self._at = 2 * answer["received_samples"]
            assert self._at >= 2 * self.acked, f"{self.acked} were acknowledged, {answer} are there"
            assert self._at <= len(self._content), "more than was ever sent"
            assert answer["seq"] >= max(self._told, default=0), f"{answer} after {max(self._told)}"
        self._note()

    def _speak(self) -> None:
        size = self.rng.choice([160, 999, 3200, 6400, 6401, 40_000])
        piece = self._content[self._at : self._at + size]
        assert self._wire
        try:
            self._wire.send(piece)
            self._at += len(piece)
        except OSError:  # it was closed
            self._read(0.1)
        if not self._deaf:
            time.sleep(self.rng.choice([0.0, 0.0, 0.001, 0.01]))
            self._read()

    def _read(self, seconds: float = 0.0) -> None:
        while self._wire and self._wire.read(seconds):
            seconds = 0.0
        self._note()

    def _note(self) -> None:
        """What was read: acknowledgements only grow, and what was committed does not change."""
        assert self._wire
        new, self._seen = self._wire.messages[self._seen :], len(self._wire.messages)
        for message in new:
            kind = message["type"]
            if kind in ("ready", "received"):
                assert message["received_samples"] >= self.acked, f"{message} after {self.acked}"
                self.acked = message["received_samples"]
            elif kind in ("commit", "final"):
                seq = message["seq"]
                assert self._told.setdefault(seq, message) == message, f"{seq} was changed"
            elif kind == "stored":
                self.stored = message
            elif kind == "error":
                self.happened[message["error_code"]] += 1

    def _is_gone(self) -> bool:
        return self._wire is None or self._wire.is_over or self._wire.close_code is not None

    def _come_back(self) -> None:
        """After the other side has closed: it says no more than was there."""
        self._deaf = False
        self._read()
        assert self._wire
        self.happened[f"closed with {self._wire.close_code}"] += 1
        if self.stored is None:
            time.sleep(0.05)
            self._connect()

    # --- what happens ---

    def _kill_child(self) -> None:
        self.happened["kill child"] += self.daemon.kill_child()

    def _kill_daemon(self) -> None:
        """Its next life stores what there is; sometimes only the one after that."""
        self.happened["kill daemon"] += 1
        time.sleep(self.rng.uniform(0, 0.2))  # the moment is what is tried out
        self.daemon.kill()
        self._is_broken_off = True
        self._read()
        self.daemon.start()
        if self.rng.random() < 0.3:
            time.sleep(self.rng.uniform(0, 0.3))
            self.daemon.kill()
            self.daemon.start()
        self._connect()
        self._await_stored()

    def _cut(self) -> None:
        self.happened["cut"] += 1
        assert self._wire
        with contextlib.suppress(OSError):
            rest = self._content[self._at : self._at + 6400]
            self._wire.send_torn(rest, self.rng.random())
        if self.rng.random() < 0.5:
            self._wire.cut()
        else:
            self._wire.close()
        time.sleep(self.rng.choice([0.0, 0.0, 0.1, 0.5]))
        self._connect()

    def _usurp(self) -> None:
        """Another connection goes on while the first still sends."""
        self.happened["usurp"] += 1
        earlier, at = self._wire, self._at
        assert earlier

        def go_on() -> None:
            with contextlib.suppress(OSError):
                for start in range(at, len(self._content), 3200):
                    earlier.send(self._content[start : start + 3200])

        sending = threading.Thread(target=go_on)
        sending.start()
        self._connect(keeps_earlier=True)
        for _ in range(20):  # before the other end of the first is closed
            if self._at < len(self._content) and self.stored is None:
                self._speak()
        sending.join(SOON_S)
        earlier.close()

    def _flush(self) -> None:
        self.happened["flush"] += 1
        with contextlib.suppress(OSError):
            assert self._wire
            self._wire.say("flush")

    def _fill_disk(self) -> None:
        assert self._disk
        self.happened["full disk"] += 1
        self._is_broken_off = True  # what was said cannot be kept for a client that comes back
        self._disk.fill(self.rng.choice([0, 0, 1, 5]))
        try:
            ends = time.monotonic() + self.rng.uniform(0.1, 1.2)
            while time.monotonic() < ends and not self._is_gone():
                self._speak() if self._at < len(self._content) else self._read(0.05)
        finally:
            self._disk.drop()

    # --- the end ---

    def _finish(self) -> None:
        self._deaf = False
        ends = ["stop", "stop", "stop", "delete", "discard", "away"]
        end = self.rng.choice([*ends, "restart"] if self._may_kill_daemon else ends)
        self.happened[end] += 1
        if end in ("stop", "delete", "discard"):
            self._await_words()
        if self.stored is not None:
            return
        if end == "restart":
            self._kill_daemon()
            return
        if end == "stop":
            self._stop()
        elif end == "away":
            assert self._wire
            self._wire.cut()
            until(self._is_unknown, f"{self._name} was ended", RESUME_S + SOON_S)
        else:
            query = "?discard=true" if end == "discard" else ""
            answer = ask(self.daemon, f"/sessions/{self._session}{query}", "DELETE")
            assert "session" in answer or self._is_broken_off, answer
            if end == "discard" and "session" in answer:
                self._was_discarded()
                return
        self._await_stored(stops=end == "stop")

    def _stop(self) -> None:
        with contextlib.suppress(OSError):
            assert self._wire
            self._wire.say("stop")

    def _await_words(self) -> None:
        """Until every word is there that the child heard; what the daemon says is the same."""
        deadline = time.monotonic() + SOON_S

        def complete() -> bool:
            if self._is_gone():
                self._come_back()
            while self._at < len(self._content) and not self._is_gone():
                self._speak()  # what was on its way when the connection was closed
            self._read(0.05)
            if self.stored is not None:
                return True
            state = ask(self.daemon, f"/sessions/{self._session}")
            received, counted = state.get("received_samples", 0), state.get("word_count", -1)
            return 2 * received == len(self._content) and counted == received // self._rate

        while not complete():
            assert time.monotonic() < deadline, ask(self.daemon, f"/sessions/{self._session}")
        if self.stored is None and not self._is_broken_off:
            while len(self._words()) < len(self._content) // 2 // self._rate:
                assert time.monotonic() < deadline, f"words are missing: {sorted(self._told)}"
                if self._is_gone():
                    self._come_back()
                self._read(0.05)

    def _await_stored(self, stops: bool = False) -> None:
        deadline = time.monotonic() + 2 * SOON_S
        while self.stored is None:
            assert time.monotonic() < deadline, f"it was not stored: {self._session}"
            if self._is_gone():
                self._come_back()
                if stops and self.stored is None:
                    self._stop()
            self._read(0.1)

    def _is_unknown(self) -> bool:
        state = ask(self.daemon, f"/sessions/{self._session}")
        return state.get("error_code") == "session_not_found"

    def _was_discarded(self) -> None:
        """Nothing of it is left."""
        self.stored = {"recording": None}
        self._content, self.acked = b"", 0
        assert self._is_unknown()
        folder = self.daemon.shared / ".transcriber" / "live"
        until(lambda: not list(folder.glob(f"{self._session}*")), "it is gone", SOON_S)

    # --- what must hold ---

    def check(self) -> None:
        found = list(self.daemon.files(f"* {self._name}.wav*"))
        found = [name for name in found if name.endswith(".wav")]
        name = (self.stored or {}).get("recording")
        assert found == ([name] if name else []), f"{found}, but it was told {name}"
        kept = sound_in(self.daemon.shared / name) if name else b""
        assert len(kept) // 2 >= self.acked, f"{len(kept) // 2} of {self.acked} samples are there"
        assert self._content.startswith(kept), f"wrong from {_differ(kept, self._content)} on"
        assert sorted(self._told) == list(range(1, len(self._told) + 1)), sorted(self._told)
        said = self._words()
        assert said == [f"w{number}" for number in range(len(said))], said

    def _words(self) -> list[str]:
        """All that were committed, without what makes them fat."""
        commits = [self._told[seq] for seq in sorted(self._told)]
        words = [word for each in commits if each["type"] == "commit" for word in each["words"]]
        return [word["word"].strip().rstrip("ф") for word in words]


def _differ(one: bytes, other: bytes) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def sound_in(path: Path) -> bytes:
    """The samples of a stored session."""
    content = path.read_bytes()
    assert content[:4] == b"RIFF"
    return content[44:]
