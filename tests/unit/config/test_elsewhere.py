"""What leaves the machine, by the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modules.config.elsewhere import stays_here, texts_go_to
from tests.builders import a_config


@pytest.mark.parametrize(
    ("sections", "hosts", "stays"),
    [
        ({}, [], True),
        ({"summary": {"base_url": "http://localhost:11434", "model": "m"}}, [], True),
        ({"summary": {"base_url": "http://[::1]:11434", "model": "m"}}, [], True),
        ({"summary": {"base_url": "http://10.0.0.5:8000", "model": "m"}}, ["10.0.0.5"], False),
        ({"summary": {"base_url": "https://Models.Example/v1", "model": "m"},
          "handover": {"url": "rediss://me:secret@models.example/0"}}, ["models.example"], False),
        ({"handover": {"url": "unix:///run/redis.sock"}}, [], True),
        ({"handover": {"url": "redis://127.0.0.1/0"}}, [], True),
        ({"callbacks": {"url": "https://example.com/done"}}, [], False),
    ],
)  # fmt: skip
def test_where_it_goes(
    tmp_path: Path, sections: dict[str, Any], hosts: list[str], stays: bool
) -> None:
    config = a_config(tmp_path, **sections)
    assert (texts_go_to(config), stays_here(config)) == (hosts, stays)
