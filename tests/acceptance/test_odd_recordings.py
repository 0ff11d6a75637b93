"""Recordings as people have them, of every odd kind: the text is right, or what is missing is said.

One engine hears all of them, in this process, by the code that the child runs.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modules.engines.base import Engine
from modules.recordings.names import is_recording
from tests.contract.test_worker_contract import real
from tests.recordings.corpus import ROWS
from tests.recordings.hearing import complaints, heard
from tests.recordings.row import Row

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.filterwarnings("ignore"),  # torch, lightning and pyannote warn on import
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    # The threads that these libraries start and keep are there before a test is watched for leaks.
    os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
    from modules.engines.whisperx.engine import WhisperXEngine

    folder = tmp_path_factory.mktemp("real")
    return WhisperXEngine(real(folder).spec, 2, folder)


def _parameter(row: Row) -> object:
    marks = [pytest.mark.xfail(reason=row.red, strict=True)] if row.red else []
    return pytest.param(row, id=row.name, marks=marks)


@pytest.mark.parametrize("row", [_parameter(row) for row in ROWS if row.heard])
def test_what_is_said_is_found(row: Row, engine: Engine, tmp_path: Path) -> None:
    assert is_recording(row.name)
    path = tmp_path / row.name
    path.write_bytes(row.make())
    found = heard(path, row, engine)
    assert list(complaints(row, found)) == [], f"{row.kind}, met in {row.met}"
