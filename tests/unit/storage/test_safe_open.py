"""Files that others may have placed are opened without following a link or waiting for a FIFO."""

from __future__ import annotations

import errno
import os
import re
import socket
from pathlib import Path

import pytest

from modules.errors import TranscriberError
from modules.storage.safe_open import open_regular, read_json, read_regular


def test_a_regular_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "note").write_bytes(b"12345")
    assert read_regular(tmp_path / "note", 5) == b"12345"
    with open_regular(tmp_path / "note") as file:
        assert file.read(2) == b"12"


def test_a_larger_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note").write_bytes(b"123456")
    with pytest.raises(OSError, match="larger than 5 bytes") as caught:
        read_regular(tmp_path / "note", 5)
    assert caught.value.errno == errno.EFBIG


def test_a_file_without_end_is_not_read_into_memory() -> None:
    with pytest.raises(OSError, match="not a regular file"):
        read_regular(Path("/dev/zero"), 5)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    expected = {"folder": errno.EINVAL, "fifo": errno.EINVAL, "link": errno.ELOOP}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(tmp_path / "socket"))
        for name, number in (expected | {"socket": errno.ENXIO}).items():
            with pytest.raises(OSError, match=re.escape(f"[Errno {number}]")):
                open_regular(tmp_path / name)
    assert len(os.listdir("/proc/self/fd")) == before, "no descriptor is left open"


def test_json_of_one_of_our_files(tmp_path: Path) -> None:
    path = tmp_path / "owner.json"
    path.write_text('{"pid": 1}')
    assert read_json(path, 100) == {"pid": 1}
    for content, limit in (('{"pid": 1}', 5), ("{", 100), ("[]", 100)):
        path.write_text(content)
        with pytest.raises(TranscriberError) as caught:
            read_json(path, limit)
        assert caught.value.code == "corrupt_sidecar"
