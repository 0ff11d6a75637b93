"""Below a guarded folder no link is followed, whatever is done and whenever the link appears."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from modules.errors import StorageError
from modules.storage import beneath
from modules.storage.atomic import own_folder, put_aside_unless, remove, write_own, write_whole
from modules.storage.safe_open import append_regular, open_regular, read_regular
from modules.storage.transfer import facts_of, is_folder, is_taken, transfer
from modules.storage.tree import files_below

CONTENT = b"theirs"

ACTS: dict[str, Callable[[Path], object]] = {
    "open": open_regular,
    "read": lambda path: read_regular(path, 100),
    "append": append_regular,
    "write": lambda path: write_whole(path, b"ours"),
    "write a new one": lambda path: write_whole(path.with_name("new"), b"ours"),
    "write our own": lambda path: write_own(path, b"ours"),
    "create": lambda path: beneath.descriptor(path.with_name("new"), os.O_WRONLY | os.O_CREAT),
    "look at": beneath.lstat,
    "list": lambda path: beneath.names_in(path.parent),
    "delete": beneath.unlink,
    "rename": lambda path: beneath.rename(path, path.with_name("new")),
    "rename in": lambda path: beneath.rename(path.parents[1] / "mine", path),
    "link": lambda path: beneath.link(path.parents[1] / "mine", path.with_name("new")),
    "transfer": lambda path: transfer(path.parents[1] / "mine", path.with_name("new")),
    "transfer out": lambda path: transfer(path, path.parents[1] / "new"),
    "make a folder": lambda path: beneath.make_folders(path.parent / "new"),
    "make our own folder": lambda path: own_folder(path.parent / "new"),
}


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """A guarded folder, with a link ``sub`` to a folder outside that holds a file ``a``."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_bytes(CONTENT)
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "mine").write_bytes(b"mine")
    (shared / "sub").symlink_to(outside)
    beneath.guard(shared)
    return shared


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_a_link_to_a_folder_is_not_followed(act: Callable[[Path], object], share: Path) -> None:
    with pytest.raises((OSError, StorageError)) as caught:
        act(share / "sub" / "a")
    error = caught.value if isinstance(caught.value, OSError) else caught.value.__cause__
    assert isinstance(error, OSError)
    assert error.errno == errno.ENOTDIR
    _check_untouched(share)


def test_what_lies_behind_a_link_is_not_there(share: Path) -> None:
    hidden = share / "sub" / "a"
    assert not remove(hidden)
    assert facts_of(hidden) is None
    assert not is_taken(hidden)
    assert not is_folder(share / "sub")
    assert put_aside_unless(hidden, lambda mode: False) is None
    assert list(files_below(share)) == ["sub", "mine"] or set(files_below(share)) == {"sub", "mine"}
    _check_untouched(share)


def test_a_folder_that_is_swapped_for_a_link_stays_the_folder(share: Path) -> None:
    (share / "deep" / "er").mkdir(parents=True)
    with beneath.pinned(share / "deep" / "er" / "a") as real:
        os.rename(share / "deep", share / "moved")
        (share / "deep").symlink_to(share.parent / "outside")
        Path(real).write_bytes(b"ours")
        with beneath.pinned_folder(share / "moved") as folder:
            assert os.listdir(folder) == ["er"]
    assert (share / "moved" / "er" / "a").read_bytes() == b"ours"
    _check_untouched(share)


def test_the_guarded_folder_itself_may_lie_behind_a_link(share: Path, tmp_path: Path) -> None:
    (tmp_path / "way").symlink_to(share)
    beneath.guard(tmp_path / "way")
    beneath.make_folders(tmp_path / "way" / "new" / "er")
    write_whole(tmp_path / "way" / "new" / "er" / "a", b"ours")
    assert (share / "new" / "er" / "a").read_bytes() == b"ours"


def test_elsewhere_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "sub").symlink_to(tmp_path / "real")
    write_whole(tmp_path / "sub" / "a", b"ours")
    assert read_regular(tmp_path / "real" / "a", 9) == b"ours"


def test_no_path_leads_upwards(share: Path) -> None:
    (share / "real").mkdir()
    with pytest.raises(OSError, match="leads out of its folder"):
        beneath.lstat(share / "real" / ".." / ".." / "outside" / "a")


def test_errors_name_the_path_that_people_know(share: Path) -> None:
    (share / "real").mkdir()
    for path in (share / "real" / "no", share / "no" / "a", share / "sub" / "a"):
        with pytest.raises(OSError, match=f"'{path}'$"):
            open_regular(path)
    with pytest.raises(OSError, match=r"real/no' -> '.*real/new'$") as caught:
        beneath.rename(share / "real" / "no", share / "real" / "new")
    assert "/proc/" not in str(caught.value)


def test_no_descriptor_is_left_open(share: Path) -> None:
    (share / "real" / "er").mkdir(parents=True)
    before = len(os.listdir("/proc/self/fd"))
    write_whole(share / "real" / "er" / "a", b"ours")
    for act in ACTS.values():
        with pytest.raises((OSError, StorageError)):
            act(share / "sub" / "a")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_in_the_place_of_a_folder_is_no_folder(share: Path) -> None:
    with pytest.raises(NotADirectoryError):
        beneath.make_folders(share / "mine")


def _check_untouched(share: Path) -> None:
    outside = share.parent / "outside"
    assert os.listdir(outside) == ["a"]
    assert (outside / "a").read_bytes() == CONTENT
    assert (share / "mine").read_bytes() == b"mine"
