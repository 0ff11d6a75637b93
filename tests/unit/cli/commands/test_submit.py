"""Which file of the share ``submit`` means."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.cli.commands.submit import _check
from modules.cli.file_arguments import name_in_either, name_in_manual, name_in_share
from modules.config.schema import Config
from modules.errors import TranscriberError


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    (tmp_path / "shared" / "sub").mkdir(parents=True)
    (tmp_path / "manual").mkdir()
    (tmp_path / "shared" / "talk.mp3").write_bytes(b"x")
    (tmp_path / "shared" / "sub" / "deep.mp3").write_bytes(b"x")
    (tmp_path / "elsewhere.mp3").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "shared")
    monkeypatch.chdir(tmp_path)
    folders = {f"{name}_directory": tmp_path / name for name in ("shared", "manual")}
    return Config.model_validate(folders)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("talk.mp3", "talk.mp3"),
        ("shared/talk.mp3", "talk.mp3"),
        ("./shared/sub/../talk.mp3", "talk.mp3"),
        ("link/talk.mp3", "talk.mp3"),
        ("sub/deep.mp3", "sub/deep.mp3"),
        ("nope.mp3", "nope.mp3"),
    ],
)
def test_names_and_paths(config: Config, text: str, name: str) -> None:
    assert name_in_share(text, config) == name


def test_an_absolute_path_and_one_through_a_link(config: Config, tmp_path: Path) -> None:
    assert name_in_share(str(tmp_path / "shared" / "talk.mp3"), config) == "talk.mp3"
    assert name_in_share(str(tmp_path / "link" / "talk.mp3"), config) == "talk.mp3"


@pytest.mark.parametrize("text", ["elsewhere.mp3", "../x.mp3", "/etc/passwd"])
def test_what_lies_elsewhere_is_refused(config: Config, text: str) -> None:
    with pytest.raises(TranscriberError, match="does not lie in the shared folder"):
        name_in_share(text, config)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nope.mp3", "no such file"),
        ("sub", "no regular file"),
        ("notes.txt", "not the name of a recording"),
        ("sub/deep.mp3", "in a subfolder"),
        ("failed.mp3", "failed before"),
        ("linked.mp3", "no regular file"),
    ],
)
def test_what_the_service_would_not_take_is_refused(config: Config, name: str, why: str) -> None:
    (config.shared_directory / "notes.txt").write_text("x")
    (config.shared_directory / "linked.mp3").symlink_to("talk.mp3")
    (config.manual_directory / "failed.mp3").write_bytes(b"x")
    with pytest.raises(TranscriberError, match=why):
        _check(name, config)


def test_a_recording_in_the_share_is_taken(config: Config) -> None:
    _check("talk.mp3", config)


# --- names for retry and delete ---------------------------------------------------------------


def test_a_failed_recording_is_named_by_its_name_or_its_path(config: Config) -> None:
    (config.manual_directory / "bad.mp3").write_bytes(b"x")
    for text in ("bad.mp3", "manual/bad.mp3", str(config.manual_directory / "bad.mp3")):
        assert name_in_manual(text, config) == "bad.mp3"
        assert name_in_either(text, config) == "bad.mp3"
    with pytest.raises(TranscriberError, match="does not lie in the manual folder"):
        name_in_manual("shared/talk.mp3", config)


def test_what_is_in_neither_folder_is_refused(config: Config) -> None:
    assert name_in_either("shared/talk.mp3", config) == "talk.mp3"
    assert name_in_either("gone.mp3", config) == "gone.mp3"
    for text in ("elsewhere.mp3", "/etc/passwd"):
        with pytest.raises(TranscriberError, match="neither"):
            name_in_either(text, config)
