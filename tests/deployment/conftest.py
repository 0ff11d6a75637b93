"""A daemon behind a real nginx, for the tests of this folder that ask through it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deployment.front import Front, port_of
from tests.scripted_daemon import ScriptedDaemon

LIMIT_MB = 300


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    api = {"port": 0, "max_upload_mb": LIMIT_MB}
    with ScriptedDaemon(tmp_path_factory.mktemp("daemon"), {"api": api}) as running:
        yield running


@pytest.fixture(scope="module")
def front(daemon: ScriptedDaemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with Front(tmp_path_factory.mktemp("nginx"), port_of(daemon)) as running:
        yield running


@pytest.fixture
def paused(front: Front) -> Iterator[Front]:
    """Nothing is done meanwhile."""
    assert front.ask("POST", "/pause").status == 200
    yield front
    assert front.ask("POST", "/resume").status == 200
