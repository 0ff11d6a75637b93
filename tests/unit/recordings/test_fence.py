"""Who may write into the folder: the latest owner alone, and nobody while another takes over."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from modules.errors import StorageError
from modules.recordings import fence
from modules.recordings.fence import Fence, TakenOverError

US, THEM = {"host": "here", "pid": 1}, {"host": "there", "pid": 2}


def nothing() -> None:
    pass


def armed(state: Path) -> Fence:
    made = Fence(state)
    made.arm(US)
    return made


def number(state: Path) -> int:
    return int(json.loads((state / "epoch.json").read_bytes())["epoch"])


def test_until_it_is_armed_everything_passes(tmp_path: Path) -> None:
    Fence(tmp_path).check()
    with Fence(tmp_path).held():
        pass
    assert list(tmp_path.iterdir()) == []


def test_each_owner_has_a_higher_number_and_shuts_the_one_before_it_out(tmp_path: Path) -> None:
    first = armed(tmp_path)
    first.check()
    second = Fence(tmp_path)
    second.arm(THEM)
    assert number(tmp_path) == 2
    with pytest.raises(TakenOverError, match="PID 2 on there"):
        first.check()
    with pytest.raises(TakenOverError), first.held():
        pytest.fail("it may write")
    with second.held():
        pass


def test_who_is_no_longer_due_takes_nothing_over(tmp_path: Path) -> None:
    first = armed(tmp_path)
    done = []
    assert not Fence(tmp_path).shut_out(THEM, lambda: False, lambda: done.append(1))
    assert (number(tmp_path), done) == (1, [])
    first.check()
    assert Fence(tmp_path).shut_out(THEM, lambda: True, lambda: done.append(1))
    assert (number(tmp_path), done) == (2, [1])
    with pytest.raises(TakenOverError):
        first.check()


def test_nobody_takes_over_in_the_middle_of_a_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fence, "_PATIENCE_S", 0.05)
    with armed(tmp_path).held(), pytest.raises(StorageError, match="cannot be used"):
        Fence(tmp_path).shut_out(THEM, lambda: True, nothing)
    assert number(tmp_path) == 1


def test_who_takes_over_waits_for_a_write_to_end(tmp_path: Path) -> None:
    owner, taken = armed(tmp_path), list[bool]()
    thread = threading.Thread(
        target=lambda: taken.append(Fence(tmp_path).shut_out(THEM, lambda: True, nothing))
    )
    with owner.held():
        thread.start()
        owner.check()
    thread.join(20)
    assert taken == [True]


def test_two_writes_of_one_process_do_not_wait_for_each_other(tmp_path: Path) -> None:
    owner = armed(tmp_path)
    with owner.held(), owner.held():
        pass


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"epoch": -1}', b'{"epoch": 0}'])
def test_an_epoch_that_was_spoilt_shuts_nobody_out_and_is_written_again(
    tmp_path: Path, content: bytes | None
) -> None:
    owner = armed(tmp_path)
    if content is None:
        (tmp_path / "epoch.json").unlink()
    else:
        (tmp_path / "epoch.json").write_bytes(content)
    owner.check()
    owner.restore()
    assert number(tmp_path) == 1


def test_a_folder_that_is_away_lets_nothing_through(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    owner = armed(state)
    state.rename(tmp_path / "away")
    with pytest.raises(StorageError), owner.held():
        pytest.fail("it may write")


def test_the_lock_is_ours_alone(tmp_path: Path) -> None:
    (tmp_path / "epoch.lock").symlink_to(tmp_path / "elsewhere")
    armed(tmp_path)
    lock = tmp_path / "epoch.lock"
    assert (lock.is_symlink(), lock.stat().st_mode & 0o777) == (False, 0o600)
    assert not (tmp_path / "elsewhere").exists()
