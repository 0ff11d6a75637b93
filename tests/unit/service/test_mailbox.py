"""The folder of messages: hostile contents are refused, and nothing else is touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modules.errors import TranscriberError
from modules.service.mailbox import LIMIT_BYTES, Mailbox


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    return Mailbox(tmp_path / "messages")


def test_a_message_is_read_as_often_as_wanted_and_taken_once(mailbox: Mailbox) -> None:
    mailbox.put("a.json", {"filename": "odd \udcff.mp3"})
    assert mailbox.read("a.json") == mailbox.read("a.json") == {"filename": "odd \udcff.mp3"}
    assert mailbox.take("a.json") == {"filename": "odd \udcff.mp3"}
    assert mailbox.take("a.json") is mailbox.read("a.json") is None
    assert mailbox.remove("a.json") is False


def test_without_a_folder_there_are_no_messages(mailbox: Mailbox) -> None:
    assert mailbox.names((".json",)) == []
    assert mailbox.read("a.json") is None


def test_the_oldest_message_comes_first(mailbox: Mailbox) -> None:
    for number, name in enumerate(("b.json", "c.json", "a.json")):
        mailbox.put(name, {})
        os.utime(mailbox.folder / name, (number, number))
    assert mailbox.names((".json",)) == ["b.json", "c.json", "a.json"]


def test_only_small_regular_files_are_messages(mailbox: Mailbox, tmp_path: Path) -> None:
    mailbox.put("large.json", {"filename": "n" * LIMIT_BYTES})
    (tmp_path / "secret.json").write_bytes(b"{}")
    (mailbox.folder / "link.json").symlink_to(tmp_path / "secret.json")
    (mailbox.folder / "folder.json").mkdir()
    os.mkfifo(mailbox.folder / "fifo.json")
    assert mailbox.names((".json",)) == ["large.json"]
    for name in ("large.json", "link.json", "fifo.json", "folder.json"):
        with pytest.raises(TranscriberError) as caught:
            mailbox.read(name)
        assert caught.value.code == "corrupt_sidecar", name


def test_a_corrupt_message_that_is_taken_is_removed(mailbox: Mailbox) -> None:
    mailbox.put("a.json", {})
    (mailbox.folder / "a.json").write_bytes(b"{")
    with pytest.raises(TranscriberError):
        mailbox.take("a.json")
    assert mailbox.names((".json",)) == []
