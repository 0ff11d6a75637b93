"""A name that looks like that of a recording means it, if no other looks the same."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from modules.errors import TranscriberError
from modules.recordings.spellings import meant

NFC = unicodedata.normalize("NFC", "мой ёж é.mp3")
NFD = unicodedata.normalize("NFD", NFC)
#: Neither the one nor the other.
MIXED = unicodedata.normalize("NFD", "мой") + NFC[3:]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    shared, manual = tmp_path / "shared", tmp_path / "manual"
    shared.mkdir()
    manual.mkdir()
    return shared, manual


@pytest.mark.parametrize(("there", "asked"), [(NFD, NFC), (NFC, NFD), (NFD, MIXED)])
@pytest.mark.parametrize("place", [0, 1])
def test_the_only_one_that_looks_so_is_meant(
    folders: tuple[Path, Path], there: str, asked: str, place: int
) -> None:
    (folders[place] / there).touch()
    assert meant(asked, folders) == there


def test_the_exact_one_goes_before_the_one_that_looks_so(folders: tuple[Path, Path]) -> None:
    for name in (NFC, NFD):
        (folders[0] / name).touch()
    assert (meant(NFC, folders), meant(NFD, folders)) == (NFC, NFD)


def test_two_that_look_so_are_both_named(folders: tuple[Path, Path]) -> None:
    for name in (NFC, NFD):
        (folders[0] / name).touch()
    with pytest.raises(TranscriberError) as caught:
        meant(MIXED, folders)
    assert caught.value.code == "ambiguous_name"
    assert NFC in caught.value.message
    assert "мои\\u0306 е\\u0308ж e\\u0301.mp3" in caught.value.message


@pytest.mark.parametrize("suffix", [".result", ".in_progress"])
def test_what_is_left_of_a_recording_stands_for_it(folders: tuple[Path, Path], suffix: str) -> None:
    (folders[0] / (NFD + suffix)).touch()
    assert meant(NFC, folders) == NFD
    assert meant(NFD, folders) == NFD


def test_a_recording_goes_before_what_is_left_of_another(folders: tuple[Path, Path]) -> None:
    (folders[0] / NFD).touch()
    (folders[0] / f"{NFC}.result").touch()
    assert meant(MIXED, folders) == NFD


def test_subfolders_are_spelled_in_two_ways_too(folders: tuple[Path, Path]) -> None:
    folder = folders[0] / unicodedata.normalize("NFD", "чай")
    folder.mkdir()
    (folder / NFC).touch()
    found = meant(f"чай/{NFD}", folders)
    assert found == f"{folder.name}/{NFC}"
    (folders[0] / "йод").symlink_to(folder)
    other = unicodedata.normalize("NFD", "йод")
    assert meant(f"{other}/{NFD}", folders) == f"{other}/{NFD}"


@pytest.mark.parametrize("asked", ["talk.mp3", NFC, "../x.mp3", "a\0.mp3", "\ud800.mp3", "", "й"])
def test_what_is_not_there_keeps_its_name(folders: tuple[Path, Path], asked: str) -> None:
    assert meant(asked, folders, paths=True) == asked


@pytest.mark.parametrize(
    ("asked", "is_path"),
    [
        ("%D1%8F.mp3", False),
        ("%25D1%258F.mp3", False),
        ("C:\\fakepath\\я.mp3", True),
        ("я.mp3. ", True),
        (" я.mp3", True),
    ],
)
def test_what_clients_add_is_taken_off(
    folders: tuple[Path, Path], asked: str, is_path: bool
) -> None:
    (folders[0] / "я.mp3").touch()
    assert meant(asked, folders, paths=True) == "я.mp3"
    assert meant(asked, folders) == (asked if is_path else "я.mp3")


def test_a_name_with_a_percent_sign_is_itself(folders: tuple[Path, Path]) -> None:
    for name in ("100%25.mp3", "100%.mp3", "sub\\talk.mp3", "talk.mp3"):
        (folders[0] / name).touch()
        assert meant(name, folders, paths=True) == name


def test_a_path_of_windows_may_lead_into_a_subfolder(folders: tuple[Path, Path]) -> None:
    (folders[0] / "sub").mkdir()
    (folders[0] / "sub" / "talk.mp3").touch()
    assert meant("sub\\talk.mp3", folders, paths=True) == "sub/talk.mp3"
