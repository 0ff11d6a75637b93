"""Names of listening copies, and peaks reduced to what a screen shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modules.api.page.sound import reduced
from modules.executors.listen_protocol import Wish
from modules.recordings.shared_folder import identity_of
from modules.service.listening_key import key_of, wish_of


def test_a_copy_has_a_name_by_what_is_heard(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    path.write_bytes(b"one")
    wish = Wish(sound=True)
    key = key_of(identity_of(path), wish)
    os.utime(path, (1, 1))
    assert key_of(identity_of(path), wish) == key
    assert key_of(identity_of(path), Wish(sound=False)) == key
    assert key_of(identity_of(path), Wish(sound=True, language="ru")) != key
    path.write_bytes(b"two")
    assert key_of(identity_of(path), wish)[:32] != key[:32]


def test_where_the_middle_is_not_looked_at_its_time_counts(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with path.open("wb") as file:
        file.truncate(3 * 2**20)
    key = key_of(identity_of(path), Wish(sound=True))
    os.utime(path, (1, 1))
    assert key_of(identity_of(path), Wish(sound=True)) != key


@pytest.mark.parametrize(
    ("result", "wish"),
    [
        ({}, Wish(sound=True)),
        ({"settings": {"audio_tracks": "2", "language": "ru"}},
         Wish(sound=True, tracks="2", language="ru")),
        ({"settings": {"audio_tracks": "--parent", "language": "x" * 99}}, Wish(sound=True)),
        ({"settings": {"audio_tracks": ["2"], "language": None}}, Wish(sound=True)),
        ({"settings": 1, "metadata": {"account": {"left_out": 3}}}, Wish(sound=True)),
        ({"metadata": {"account": {"left_out": [{"what": "track", "why": "language"}]}}},
         Wish(sound=True)),
        ({"metadata": {"account": {"left_out": [1, {"what": "track", "why": "simultaneous"}]}}},
         Wish(sound=True, first_alone=True)),
    ],
)  # fmt: skip
def test_what_is_heard_follows_from_the_result(result: dict[str, object], wish: Wish) -> None:
    assert wish_of(result) == wish


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 199, 200, 12_345])
def test_no_peak_is_lost_when_there_are_fewer(count: int) -> None:
    peaks = bytes((number * 7) % 251 for number in range(count))
    found = reduced(peaks, 100)
    assert len(found) == min(count, 100)
    assert max(found, default=0) == max(peaks, default=0)
    assert reduced(peaks, None) == peaks
