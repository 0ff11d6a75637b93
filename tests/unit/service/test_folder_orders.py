"""Orders that lie in the folder: taken in oldest first, and none can block the others."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from modules.errors import StorageError, TranscriberError
from modules.intake.request import TranscriptionRequest
from modules.service import folder_orders
from modules.service.mailbox import BATCH
from tests.fakes import FakeClock


class Witness:
    """Stands for the service; ``trouble`` says what it raises for which name."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str | None]] = []
        self.trouble: dict[str, Exception] = {}

    def submit(self, request: TranscriptionRequest) -> object:
        if request.name in self.trouble:
            raise self.trouble[request.name]
        self.taken.append((request.name, request.client))
        return None


@pytest.fixture
def witness() -> Witness:
    return Witness()


def carry_out(shared: Path, witness: Witness) -> None:
    folder_orders.carry_out(shared, witness.submit)


def place(shared: Path, name: str, number: int = 0) -> str:
    client = folder_orders.place(shared, name, FakeClock())
    os.utime(folder_orders.folder(shared) / f"{client}.json", (1000 + number, 1000 + number))
    return client


def left(shared: Path) -> list[str]:
    return sorted(os.listdir(folder_orders.folder(shared)))


def test_orders_are_carried_out_once_and_oldest_first(tmp_path: Path, witness: Witness) -> None:
    clients = [place(tmp_path, f"{n}.mp3", number=-n) for n in range(3)]
    carry_out(tmp_path, witness)
    carry_out(tmp_path, witness)
    assert witness.taken == [(f"{n}.mp3", clients[n]) for n in (2, 1, 0)]
    assert left(tmp_path) == []


def test_no_folder_is_no_order(tmp_path: Path, witness: Witness) -> None:
    carry_out(tmp_path, witness)
    assert witness.taken == []


@pytest.mark.parametrize("name", ["новый\n\U0001f399.mp3", "odd \udcff.mp3", "-dash 'x'.mp3"])
def test_any_name_can_be_ordered(tmp_path: Path, witness: Witness, name: str) -> None:
    place(tmp_path, name)
    carry_out(tmp_path, witness)
    assert [taken for taken, _ in witness.taken] == [name]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"filename": 5}', b"\xff", b"[" * 100_000]
)
def test_an_order_that_makes_no_sense_is_dropped(
    tmp_path: Path, witness: Witness, content: bytes
) -> None:
    witness.trouble["None"] = witness.trouble["5"] = TranscriberError("not_a_recording", "No.")
    place(tmp_path, "good.mp3", 5)
    bad = folder_orders.folder(tmp_path) / "bad.json"
    bad.write_bytes(content)
    carry_out(tmp_path, witness)
    assert [name for name, _ in witness.taken] == ["good.mp3"]
    assert left(tmp_path) == []


@pytest.mark.parametrize("code", ["file_not_found", "not_a_recording", "invalid_settings"])
def test_an_order_for_nothing_is_dropped(tmp_path: Path, witness: Witness, code: str) -> None:
    witness.trouble["bad.mp3"] = TranscriberError(code, "No.")
    place(tmp_path, "bad.mp3", 1)
    place(tmp_path, "good.mp3", 2)
    carry_out(tmp_path, witness)
    assert [name for name, _ in witness.taken] == ["good.mp3"]
    assert left(tmp_path) == []


def test_an_order_whose_name_cannot_be_judged_holds_up_no_other(
    tmp_path: Path, witness: Witness
) -> None:
    witness.trouble["bad.mp3"] = UnicodeEncodeError("latin-1", "Запись", 0, 1, "no")
    place(tmp_path, "bad.mp3", 1)
    place(tmp_path, "good.mp3", 2)
    carry_out(tmp_path, witness)
    assert [name for name, _ in witness.taken] == ["good.mp3"]
    assert left(tmp_path) == []


def test_an_order_waits_while_the_folder_cannot_be_used(tmp_path: Path, witness: Witness) -> None:
    client = place(tmp_path, "talk.mp3")
    witness.trouble["talk.mp3"] = StorageError("storage_error", "Not now.")
    with pytest.raises(StorageError):
        carry_out(tmp_path, witness)
    assert left(tmp_path) == [f"{client}.json"]
    witness.trouble.clear()
    carry_out(tmp_path, witness)
    assert witness.taken == [("talk.mp3", client)]


def test_what_is_no_order_is_left_alone(tmp_path: Path, witness: Witness) -> None:
    place(tmp_path, "talk.mp3")
    (folder_orders.folder(tmp_path) / "folder.json").mkdir()
    (folder_orders.folder(tmp_path) / "note.txt").write_bytes(b"")
    (folder_orders.folder(tmp_path) / "link.json").symlink_to("/etc/passwd")
    carry_out(tmp_path, witness)
    assert [name for name, _ in witness.taken] == ["talk.mp3"]
    assert left(tmp_path) == ["folder.json", "link.json", "note.txt"]


def test_what_an_order_says(tmp_path: Path) -> None:
    client = place(tmp_path, "talk.mp3")
    content: dict[str, Any] = json.loads(
        (folder_orders.folder(tmp_path) / f"{client}.json").read_bytes()
    )
    assert content == {
        "filename": "talk.mp3", "client_id": client, "creation_time": "2024-01-01T00:00:00.000Z",
    }  # fmt: skip


def test_a_name_of_20000_folders_is_dropped_unread(tmp_path: Path, witness: Witness) -> None:
    place(tmp_path, "a/" * 20_000 + "talk.mp3")
    carry_out(tmp_path, witness)
    assert (witness.taken, left(tmp_path)) == ([], [])


def test_orders_of_one_file_are_one(tmp_path: Path, witness: Witness) -> None:
    first = place(tmp_path, "talk.mp3", 0)
    for number in range(1, 20):
        place(tmp_path, "talk.mp3", number)
    carry_out(tmp_path, witness)
    assert (witness.taken, left(tmp_path)) == ([("talk.mp3", first)], [])


def test_a_flood_of_orders_leaves_time_for_the_rest(tmp_path: Path, witness: Witness) -> None:
    for number in range(BATCH + 5):
        place(tmp_path, f"{number}.mp3", number)
    carry_out(tmp_path, witness)
    assert (len(witness.taken), len(left(tmp_path))) == (BATCH, 5)
    carry_out(tmp_path, witness)
    assert left(tmp_path) == []


def test_a_link_in_the_place_of_the_folder_leads_nowhere(tmp_path: Path, witness: Witness) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious.json").write_text('{"filename": "talk.mp3"}')
    folder_orders.folder(tmp_path).parent.mkdir()
    folder_orders.folder(tmp_path).symlink_to(elsewhere)
    carry_out(tmp_path, witness)
    assert witness.taken == []
    assert os.listdir(elsewhere) == ["precious.json"]
