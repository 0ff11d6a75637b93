"""A rename that replaces nothing, whatever the file system knows."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from modules.storage import no_replace
from modules.storage.atomic import write_new
from modules.storage.no_replace import rename_new


def refusing(number: int) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.fixture(params=["flag", "link", "look"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the file system knows."""
    if request.param != "flag":
        monkeypatch.setattr(no_replace, "rename_unless_taken", refusing(errno.EINVAL))
    if request.param == "look":
        monkeypatch.setattr(os, "link", refusing(errno.EPERM))
    return str(request.param)


def test_a_free_name_is_taken(way: str, tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"ours")
    rename_new(str(tmp_path / "new"), str(tmp_path / "text"))
    assert [each.name for each in tmp_path.iterdir()] == ["text"]
    assert (tmp_path / "text").read_bytes() == b"ours"


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_a_taken_name_is_left_alone(way: str, kind: str, tmp_path: Path) -> None:
    theirs = tmp_path / "text"
    if kind == "file":
        theirs.write_bytes(b"theirs")
    elif kind == "link":
        theirs.symlink_to("nowhere")
    else:
        theirs.mkdir()
    before = theirs.lstat()
    assert not write_new(theirs, b"ours")
    assert theirs.lstat() == before
    assert [each.name for each in tmp_path.iterdir()] == ["text"]


def test_other_trouble_is_told(way: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        rename_new(str(tmp_path / "none"), str(tmp_path / "text"))


def test_a_link_whose_answer_was_lost_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link

    def link(source: str, target: str) -> None:
        real(source, target)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    monkeypatch.setattr(no_replace, "rename_unless_taken", refusing(errno.EINVAL))
    monkeypatch.setattr(os, "link", link)
    assert write_new(tmp_path / "text", b"ours")
    assert [each.name for each in tmp_path.iterdir()] == ["text"]


def test_a_c_library_without_the_call_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(no_replace, "_libc", object())
    assert write_new(tmp_path / "text", b"ours")
    assert not write_new(tmp_path / "text", b"others")
    assert (tmp_path / "text").read_bytes() == b"ours"
