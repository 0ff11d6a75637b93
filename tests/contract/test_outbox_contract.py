"""What every outbox promises: kept until delivered, in order, over any restart."""

from __future__ import annotations

import errno
import json
import math
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from modules.delivery import outbox as outbox_module
from modules.delivery.outbox import Outbox
from modules.errors import StorageError
from tests.fakes import FakeClock

#: Another implementation is added here, and has to pass the same.
Make = Callable[[Path, FakeClock], Outbox]
OUTBOXES: list[Make] = [Outbox]

PAYLOAD = {"filename": "беседа.mp3", "status": "completed"}


class Office:
    """An outbox that can be opened again, as after a restart."""

    def __init__(self, make: Make, folder: Path) -> None:
        self._make = make
        self.folder = folder
        self.clock = FakeClock()
        self.outbox = make(folder, self.clock)

    def restart(self) -> Outbox:
        self.outbox = self._make(self.folder, self.clock)
        return self.outbox

    def targets(self) -> list[str]:
        return [item.target for item in self.outbox.due()]


@pytest.fixture(params=OUTBOXES, ids=lambda make: make.__name__)
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Office:
    return Office(request.param, tmp_path / "outbox")


def test_an_empty_one_has_nothing_to_send(office: Office) -> None:
    assert office.outbox.due() == []
    assert office.outbox.next_due_in_s() == math.inf


def test_what_is_put_in_is_due_at_once_the_oldest_first(office: Office) -> None:
    for number in range(5):
        office.outbox.put(f"to {number}", PAYLOAD)
        office.clock.advance(0.0001)
    assert office.targets() == [f"to {number}" for number in range(5)]
    assert office.outbox.next_due_in_s() == 0.0


def test_it_is_kept_over_a_restart_with_its_id_and_its_attempts(office: Office) -> None:
    office.outbox.put("there", PAYLOAD, key="job-7")
    (item,) = office.outbox.due()
    item.attempts, item.error = 2, "no answer"
    office.outbox.save(item)
    (again,) = office.restart().due()
    assert (again.id, again.target, again.payload) == (item.id, "there", PAYLOAD)
    assert (again.attempts, again.error) == (2, "no answer")


def test_two_puts_with_one_key_are_one_item(office: Office) -> None:
    office.outbox.put("there", PAYLOAD, key="job-7")
    office.restart().put("there", PAYLOAD, key="job-7")
    assert len(office.outbox.due()) == 1


def test_what_is_removed_does_not_come_back(office: Office) -> None:
    office.outbox.put("there", PAYLOAD)
    office.outbox.remove(office.outbox.due()[0])
    assert office.targets() == []
    assert office.restart().due() == []


def test_what_is_put_off_waits_so_long(office: Office) -> None:
    office.outbox.put("there", PAYLOAD)
    (item,) = office.outbox.due()
    office.outbox.put_off(item, 60.0)
    assert office.targets() == []
    assert office.outbox.next_due_in_s() == pytest.approx(60.0)
    office.clock.advance(60.0)
    assert office.targets() == ["there"]


def test_what_is_given_up_is_kept_apart_and_not_sent_again(office: Office) -> None:
    office.outbox.put("there", PAYLOAD)
    kept_in = office.outbox.give_up(office.outbox.due()[0])
    assert office.targets() == []
    assert office.restart().due() == []
    (file,) = kept_in.iterdir()
    assert json.loads(file.read_bytes())["payload"] == PAYLOAD


def test_only_the_latest_that_were_given_up_are_kept(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "FAILED_KEPT", 2)
    for number in range(4):
        office.outbox.put(str(number), PAYLOAD)
        kept_in = office.outbox.give_up(office.outbox.due()[0])
    assert sorted(json.loads(f.read_bytes())["url"] for f in kept_in.iterdir()) == ["2", "3"]


def test_what_could_not_be_written_is_no_item(office: Office) -> None:
    full = OSError(errno.ENOSPC, "full")
    with patch("os.replace", side_effect=full), pytest.raises(StorageError):
        office.outbox.put("there", PAYLOAD)
    assert office.targets() == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"id": "other"}', b"\xff\xfe"])
def test_an_unusable_file_is_set_aside_and_the_others_are_sent(
    office: Office, content: bytes
) -> None:
    office.outbox.put("there", PAYLOAD)
    (office.folder / "msg_odd.json").write_bytes(content)
    office.restart()
    assert office.targets() == ["there"]
    assert (office.folder / "msg_odd.json.corrupt").read_bytes() == content


def test_a_removal_that_fails_leaves_it_an_item(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.outbox.put("there", PAYLOAD)
    (item,) = office.outbox.due()

    def broken(path: Path) -> bool:
        raise StorageError("read_only", "The folder is read-only.")

    with monkeypatch.context() as patched:
        patched.setattr(outbox_module, "remove", broken)
        with pytest.raises(StorageError):
            office.outbox.remove(item)
    assert office.targets() == ["there"], "at least once: it is sent again"


def test_a_file_from_before_there_were_kinds_is_a_webhook(office: Office) -> None:
    office.outbox.put("there", PAYLOAD, key="job-7")
    (file,) = office.folder.glob("*.json")
    content = json.loads(file.read_bytes())
    assert content.pop("kind") == "webhook"
    file.write_text(json.dumps(content), encoding="utf-8")
    office.restart()
    assert office.targets() == ["there"]


def test_an_item_of_another_kind_is_left_where_it_is(office: Office) -> None:
    office.outbox.put("there", PAYLOAD, key="job-7")
    (file,) = office.folder.glob("*.json")
    content = json.loads(file.read_bytes()) | {"kind": "handover"}
    file.write_text(json.dumps(content), encoding="utf-8")
    office.restart()
    assert office.targets() == []
    assert json.loads(file.read_bytes())["kind"] == "handover"


def test_a_kind_that_nobody_knows_is_set_aside(office: Office) -> None:
    office.outbox.put("there", PAYLOAD, key="job-7")
    (file,) = office.folder.glob("*.json")
    content = json.loads(file.read_bytes()) | {"kind": "pigeon"}
    file.write_text(json.dumps(content), encoding="utf-8")
    office.restart()
    assert office.targets() == []
    assert file.with_name(file.name + ".corrupt").exists()


def test_more_than_are_read_at_once_come_when_those_are_done(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "_ITEMS_MAX", 2)
    for number in range(5):
        office.outbox.put(str(number), PAYLOAD)
    office.restart()
    seen = set()
    for _ in range(3):
        for item in office.outbox.due():
            seen.add(item.target)
            office.outbox.remove(item)
    assert seen == set("01234")
