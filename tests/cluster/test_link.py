"""The process in which Ray runs: it gives signs of life, and one that stands still is noticed."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from modules.executors.ray import link_process
from modules.executors.ray.channel import LinkClosedError
from modules.executors.ray.link_process import LinkProcess
from tests.builders import until
from tests.cluster.local_cluster import START_S
from tests.fakes import FakeClock

pytest.importorskip("ray", reason="the optional packages for a cluster are not installed")

#: The API key is one of the service's settings, the others are not for the link either.
SECRETS = ("API_KEY", "CALLBACK_SECRET", "HF_TOKEN", "HTTPS_PROXY", "AWS_SECRET_ACCESS_KEY")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def link(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LinkProcess]:
    """One that connects for ever: who listens there says nothing."""
    for name in SECRETS:
        monkeypatch.setenv(name, "very secret")
    (token := tmp_path / "token").touch(mode=0o600)
    token.write_text("0" * 64)
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        started = LinkProcess(f"127.0.0.1:{nobody.getsockname()[1]}", token, clock)
        yield started
        started.end()


def look_for(link: LinkProcess, clock: FakeClock, seconds: float) -> None:
    """Look as often as the pool does."""
    for _ in range(round(seconds)):
        clock.advance(1.0)
        link.look()


def test_one_that_is_busy_with_something_gives_signs_of_life(
    link: LinkProcess, clock: FakeClock
) -> None:
    """The clock of the one who looks is ten times as fast as usual."""
    until(lambda: not link.look() and link.heard_at is not None, "it gives the first", START_S)
    for _ in range(3):
        look_for(link, clock, link_process.SILENT_S - 1)
        until(lambda: not link.look() and link.heard_at == clock.monotonic(), "another", START_S)


def test_one_that_stands_still_while_it_connects_is_noticed(
    link: LinkProcess, clock: FakeClock
) -> None:
    until(
        lambda: not link.look() and link.heard_at is not None,
        "it gives the first sign of life",
        START_S,
    )
    psutil.Process(link.pid).suspend()
    with pytest.raises(LinkClosedError, match="no sign of life"):
        look_for(link, clock, link_process.SILENT_S + 2)


def test_who_stood_still_himself_blames_no_other(link: LinkProcess, clock: FakeClock) -> None:
    until(
        lambda: not link.look() and link.heard_at is not None,
        "it gives the first sign of life",
        START_S,
    )
    psutil.Process(link.pid).suspend()
    for _ in range(5):
        clock.advance(3600.0)
        link.look()


def test_it_gets_none_of_the_secrets_in_the_environment_of_the_service(
    link: LinkProcess, tmp_path: Path
) -> None:
    until(lambda: not link.look() and link.heard_at is not None, "it has begun", START_S)
    seen = psutil.Process(link.pid).environ()
    assert not {*SECRETS, "CONFIG_PATH"} & set(seen)
    assert "very secret" not in str(seen)
    assert seen["PATH"] == os.environ["PATH"]
    assert seen["RAY_AUTH_TOKEN_PATH"] == str(tmp_path / "token")
