"""The daemons that the acceptance tests share: loading the model takes 15 to 20 s each time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.daemon_process import DaemonProcess, missing_weights
from tests.speech import Clip, asterisk_prompts, joined, require_speech

LONG_S = 190
#: These begin first: what takes longest, so that no process is left with one of them alone, and
#: with it what is spoken at its own pace, so that others compute meanwhile.
FIRST = (
    "test_long_recording", "test_live_chaos", "test_prompts", "test_live_child",
    "test_cluster_losses", "test_live_text", "test_odd_recordings", "test_memory",
    "test_whisperx_engine",
)  # fmt: skip
#: Looking at the memory takes longer than looking at the state, and must not slow the daemon.
MEMORY_EVERY = 50


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first."""
    here = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        name = item.path.stem
        return FIRST.index(name) if item.path.parent == here and name in FIRST else len(FIRST)

    items.sort(key=rank)


@pytest.fixture(scope="session")
def weights() -> None:
    """Skip where the weights are not there; under CI, fail."""
    reason = missing_weights()
    if reason is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def russian_daemon(
    weights: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DaemonProcess]:
    with DaemonProcess(tmp_path_factory.mktemp("russian")) as daemon:
        daemon.wait_until_warm()
        yield daemon


@pytest.fixture
def russian(russian_daemon: DaemonProcess) -> Iterator[DaemonProcess]:
    """A warm daemon as it is shipped, with empty folders; it is left unharmed."""
    yield russian_daemon
    _empty(russian_daemon.shared)
    _empty(russian_daemon.manual)
    assert russian_daemon.is_alive, russian_daemon.failure("the daemon ended")


@pytest.fixture(scope="session")
def long_clip() -> Clip:
    """About three minutes of Russian prompts: more chunks than are in hand at a time."""
    require_speech()
    return joined(asterisk_prompts("ru", wideband=True), LONG_S)


@dataclass
class LongRun:
    """What was seen while the long clip was transcribed and nobody disturbed it."""

    result: dict[str, Any]
    looks: int = 0
    percentages: list[float] = field(default_factory=list)
    stages: set[str] = field(default_factory=set)
    daemon_mb: float = 0.0

    @property
    def text(self) -> str:
        text: str = self.result["transcription"]["text"]
        return text


@pytest.fixture(scope="session")
def undisturbed(russian_daemon: DaemonProcess, long_clip: Clip) -> LongRun:
    """The long clip, transcribed once, while its state and the memory are watched closely."""
    seen = LongRun({})
    name = russian_daemon.put(long_clip.path, "undisturbed.wav")

    def look() -> dict[str, Any] | None:
        state = russian_daemon.in_progress(name)
        if state is None:
            return russian_daemon.result(name)
        seen.looks += 1
        seen.stages.add(state["progress_info"]["stage"])
        if seen.percentages[-1:] != [state["progress_info"]["percentage"]]:
            seen.percentages.append(state["progress_info"]["percentage"])
        if seen.looks % MEMORY_EVERY == 0:
            own_mb, _ = russian_daemon.memory_mb()
            seen.daemon_mb = max(seen.daemon_mb, own_mb)
        return None

    seen.result = russian_daemon.wait_for(look, f"the result of {name}", poll_s=0.005)
    return seen


def _empty(folder: Path) -> None:
    """Remove all files, as people do; what runs is cancelled by that."""
    for path in folder.iterdir():
        if path.is_file():
            path.unlink(missing_ok=True)
