"""``config --write``: a whole file, or none."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from modules.cli.commands.config import _write
from modules.errors import TranscriberError


def test_a_full_disk_leaves_no_half_of_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str, encoding: str) -> None:
        path.write_bytes(text.encode(encoding)[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(TranscriberError, match="No space left") as caught:
        _write(tmp_path / "new" / "config.yaml", "api: {}\n")
    assert caught.value.code == "config_not_written"
    assert list((tmp_path / "new").iterdir()) == []


def test_what_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    _write(file, "first")
    with pytest.raises(TranscriberError) as caught:
        _write(file, "second")
    assert caught.value.code == "config_exists"
    assert [each.name for each in tmp_path.iterdir()] == ["config.yaml"]
    assert file.read_text() == "first"
