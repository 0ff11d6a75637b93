"""Walls behind walls: each alone must keep out what the others would let in."""

from __future__ import annotations

import contextlib
import hmac
import os
import stat
from pathlib import Path
from typing import Any

import av
import pytest

from modules.api.server.access import Access
from modules.audio.decoder import Limits
from modules.audio.recording import open_recording
from modules.config.schema import ApiConfig
from modules.errors import MediaError
from modules.storage import beneath
from modules.watching.scan import look, scan
from tests.unit.api.test_security import an_app, basic
from tests.unit.audio.test_recording import PLAYLISTS, OpenWatch, make, written

BOTH = ("format_whitelist", "protocol_whitelist")


def without(monkeypatch: pytest.MonkeyPatch, walls: tuple[str, ...]) -> None:
    """Have FFmpeg open files as if some of the options were never given."""
    real = av.open

    def opened(*words: Any, container_options: dict[str, str], **more: Any) -> Any:
        assert set(walls) <= set(container_options), "the wall is not there at all"
        left = {name: value for name, value in container_options.items() if name not in walls}
        return real(*words, container_options=left, **more)

    monkeypatch.setattr("modules.audio.probe.av.open", opened)


def opens_another_file(folder: Path, kind: str, form: str) -> bool:
    """Whether looking at a playlist makes anybody open the recording that it names."""
    other = folder / "tone.mp3"
    target = {"absolute": str(other), "relative": other.name, "url": f"file://{other}"}[form]
    path = written(folder, PLAYLISTS[kind](target).encode(), "list.mp3")
    watch = OpenWatch(other)
    try:
        with open_recording(path, Limits()) as recording:
            for _ in recording.blocks():
                pass
    except MediaError:
        return watch.seen()
    else:
        return True
    finally:
        watch.close()


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("wall", BOTH)
def test_either_whitelist_alone_keeps_a_playlist_from_opening_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, wall: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path, "tone.mp3", 1.0)
    without(monkeypatch, (wall,))
    for form in ("absolute", "relative", "url"):
        assert not opens_another_file(tmp_path, kind, form)


def test_without_either_a_playlist_does_open_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the test above would prove nothing."""
    monkeypatch.chdir(tmp_path)
    make(tmp_path, "tone.mp3", 1.0)
    without(monkeypatch, BOTH)
    assert opens_another_file(tmp_path, "concat", "relative")


def test_a_walk_sees_regular_files_alone_and_leaves_the_folder_by_no_link(tmp_path: Path) -> None:
    share, outside = tmp_path / "share", tmp_path / "outside"
    beneath.guard(share)
    for folder in (share / "sub", outside / "deep"):
        folder.mkdir(parents=True)
    for file in (
        share / "a.mp3",
        share / "sub" / "b.mp3",
        outside / "c.mp3",
        outside / "deep/d.mp3",
    ):
        file.write_bytes(b"x")
    (share / "link.mp3").symlink_to(outside / "c.mp3")
    (share / "way").symlink_to(outside)
    (share / "sub" / "round").symlink_to(share)
    (share / "folder.mp3").mkdir()
    os.mkfifo(share / "pipe.mp3")
    with contextlib.suppress(PermissionError):  # making devices is for root
        os.mknod(share / "null.mp3", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    seen = scan(share, recursive=True, wants_file=lambda n: True, wants_folder=lambda n: True)
    assert sorted(seen.files) == ["a.mp3", "sub/b.mp3"]
    assert sorted(seen.folders) == ["folder.mp3", "sub"]
    for name in ("link.mp3", "way/c.mp3", "sub/round/a.mp3", "folder.mp3", "pipe.mp3", "null.mp3"):
        assert look(share, name) is None, name
    assert look(share, "sub/b.mp3") is not None


WORD = "s3cret-of-the-office"


@pytest.mark.parametrize(
    "headers",
    [{"x-api-key": given} for given in (WORD, "X" + WORD[1:], WORD[:-1] + "X", WORD[:3], "é")]
    + [
        {"authorization": f"Bearer {WORD[:-1]}"},
        basic("office", WORD),
        basic("office", "X" + WORD[1:]),
        basic("nobody", WORD),
        basic("nobody", "wrong"),
    ],
)
def test_a_secret_is_compared_whole_however_much_of_it_is_right(
    headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long it takes tells nothing: the same comparisons are made, each in constant time."""
    made: list[bytes] = []
    real = hmac.compare_digest

    def compared(given: bytes, wanted: bytes) -> bool:
        made.append(wanted)
        return real(given, wanted)

    monkeypatch.setattr(hmac, "compare_digest", compared)
    config = ApiConfig(key=WORD, user="office", password=WORD)
    Access(config).admits(an_app(config), "/queue", headers)
    secrets = [wanted for wanted in made if wanted == WORD.encode()]
    # Each as Latin-1 and as UTF-8; a password may be the password or the key.
    assert len(secrets) == (4 if headers.get("authorization", "").startswith("Basic") else 2)
