"""Settings beside recordings: what holds, what people are told, and what a hostile share can do."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from modules.recordings.error_texts import SETTINGS_EXAMPLE
from modules.recordings.settings_files import SettingsError, files_for, own_files, report, stated
from modules.storage import beneath
from tests.builders import SETTINGS

LONG = "ы" * 125 + ".mp3"


class Share:
    """A shared folder with settings files in it."""

    def __init__(self, root: Path) -> None:
        self.root = root / "shared"
        self.root.mkdir()
        beneath.guard(self.root)

    def put(self, file: str, content: str | bytes = "") -> Path:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def wishes(self, name: str = "talk.mp3", **asked: Any) -> dict[str, Any]:
        return stated(self.root, name, SETTINGS, asked).wishes

    def wrong(self, name: str = "talk.mp3", **asked: Any) -> dict[str, tuple[str, ...]]:
        with pytest.raises(SettingsError) as caught:
            self.wishes(name, **asked)
        assert caught.value.code == "invalid_settings"
        return caught.value.wrong

    def complaint(self, content: str | bytes) -> str:
        self.put("talk.mp3.settings.yaml", content)
        wrong = self.wrong()
        assert list(wrong) == ["talk.mp3.settings.yaml"]
        (line,) = wrong["talk.mp3.settings.yaml"]
        return line


@pytest.fixture
def share(tmp_path: Path) -> Share:
    return Share(tmp_path)


# --- what holds ---


def test_the_nearest_file_has_the_last_word_key_by_key(share: Share) -> None:
    share.put("settings.yaml", "language: en\nbeam_size: 2\ntemperature: 0")
    share.put("calls/settings.yaml", "beam_size: 3\nhotwords: Acme")
    share.put("calls/may/talk.mp3.settings.yaml", "hotwords: null\ndebug: true")
    share.put("other/settings.yaml", "language: de")
    assert share.wishes("calls/may/talk.mp3") == {
        "language": "en", "beam_size": 3, "temperature": 0.0, "hotwords": None, "debug": True,
    }  # fmt: skip
    assert share.wishes("calls/talk.mp3")["hotwords"] == "Acme"
    assert share.wishes("talk.mp3") == {"language": "en", "beam_size": 2, "temperature": 0.0}
    assert files_for("a/b/c.mp3") == (
        "settings.yaml", "a/settings.yaml", "a/b/settings.yaml", "a/b/c.mp3.settings.yaml",
    )  # fmt: skip


@pytest.mark.parametrize("content", ["", "\n", "# nothing yet\n", "---\n", "{}", "\ufeff"])
def test_an_empty_file_states_nothing(share: Share, content: str) -> None:
    share.put("talk.mp3.settings.yaml", content)
    assert share.wishes() == {}


def test_no_files_state_nothing(share: Share) -> None:
    assert share.wishes() == {}
    assert share.wishes("no/such/folder/talk.mp3") == {}
    assert share.wishes("talk.mp3/x.mp3") == {}


def test_a_name_as_long_as_it_may_be_has_settings_too(share: Share) -> None:
    file = files_for(LONG)[-1]
    assert len(os.fsencode(file)) <= 255
    share.put(file, "beam_size: 3")
    assert share.wishes(LONG) == {"beam_size": 3}


def test_the_example_in_the_text_is_right(share: Share) -> None:
    share.put("talk.mp3.settings.yaml", SETTINGS_EXAMPLE)
    assert share.wishes()["model_size"] == "small"


def test_a_file_in_manual_holds_where_the_share_has_none(share: Share, tmp_path: Path) -> None:
    manual = tmp_path / "manual"
    manual.mkdir()
    (manual / "talk.mp3.settings.yaml").write_text("beam_size: 3")
    assert stated(share.root, "talk.mp3", SETTINGS, {}, manual).wishes == {"beam_size": 3}
    share.put("talk.mp3.settings.yaml", "beam_size: 4")
    assert stated(share.root, "talk.mp3", SETTINGS, {}, manual).wishes == {"beam_size": 4}


# --- what people are told ---


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("beam_size: 99", "beam_size: must be between 1 and 20, got 99"),
        ("beam_size: '5'", "beam_size: must be a whole number, got '5'"),
        ("langage: en", "langage: is not a known key; did you mean language?"),
        ("cpu_threads: 8", "cpu_threads: can only be set in the configuration"),
        ("language: rusian", "language: must be auto, mixed or a language that Whisper knows, such "
         "as ru or Russian, got 'rusian'; did you mean ru?"),
        ("language: no", "language: must be text, got false; put it in quotes"),
        ("language:", "language: has no value; give it one, or remove the line to use the default"),
        ("device: gpu0", "device: must be one of cpu, cuda, auto, got 'gpu0'"),
        ("beam_size: 3\nbeam_size: 4", "line 2: the key beam_size is there twice"),
        ("beam_size: 3\n x: [", "line 2: "),
        ("- a\n- b", "must hold keys and values, got ['a', 'b']"),
        ("a: &x 1", "line 1: anchors and aliases (& and *) are not allowed in a settings file"),
        ("language: \xe9".encode("latin-1"), "is not UTF-8 text (byte 10); save it as UTF-8"),
        ("a: \x01", "line 1: a character that YAML does not allow"),
        ("model_size: ./mine", "model_size: a path can only be set in the configuration, got"),
        ("model_size: larg", "model_size: must be one of tiny, "),
        ("whisperx:\n  beam_size: 3", "whisperx: is not a known key here; write the keys below"),
        ("5: 6", "5: is not a known key; known here: engine, model_size"),
    ],
)  # fmt: skip
def test_complaints(share: Share, content: str | bytes, line: str) -> None:
    assert share.complaint(content).startswith(line)


def test_all_complaints_come_at_once_with_their_files(share: Share) -> None:
    share.put("settings.yaml", "beam_size: 99\nvad_onset: 2\nx1: 1")
    share.put("talk.mp3.settings.yaml", "beam_size: 0")
    share.put("calls/settings.yaml", "- nobody reads this")
    with pytest.raises(SettingsError) as caught:
        share.wishes()
    assert sorted(str(caught.value).splitlines()) == [
        "settings.yaml: beam_size: must be between 1 and 20, got 99",
        "settings.yaml: vad_onset: must be between 0.01 and 0.99, got 2",
        "settings.yaml: x1: is not a known key; known here: " + ", ".join(SETTINGS.model_dump()),
        "talk.mp3.settings.yaml: beam_size: must be between 1 and 20, got 0",
    ]


def test_keys_at_odds_are_blamed_on_the_nearest_file(share: Share) -> None:
    share.put("settings.yaml", "model_size: turbo")
    share.put("talk.mp3.settings.yaml", "task: translate")
    line = "task: the model turbo cannot translate; use base, small or medium"
    assert share.wrong() == {"talk.mp3.settings.yaml": (line,)}
    assert share.wrong("other.mp3", task="translate") == {"settings.yaml": (line,)}
    assert share.wishes(model_size="base") == {"model_size": "turbo", "task": "translate"}
    assert share.wishes("other.mp3") == {"model_size": "turbo"}


def test_keys_at_odds_without_a_part_in_a_file_are_not_its_fault(share: Share) -> None:
    share.put("settings.yaml", "beam_size: 3")
    assert share.wishes(min_speakers=5, max_speakers=2) == {"beam_size": 3}


def test_a_wrong_key_is_not_blamed_twice(share: Share) -> None:
    share.put("talk.mp3.settings.yaml", "vad_onset: 7\nvad_offset: 0.9")
    assert share.wrong() == {
        "talk.mp3.settings.yaml": ("vad_onset: must be between 0.01 and 0.99, got 7",)
    }


# --- a hostile share ---


def test_links_folders_and_pipes_are_refused_at_once(
    share: Share, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = share.root / "talk.mp3.settings.yaml"
    secret = tmp_path / "secret"
    secret.write_text("password: hunter2")
    path.symlink_to(secret)
    (line,) = share.wrong()["talk.mp3.settings.yaml"]
    assert line == "is a link, not a file; put the settings themselves there"
    path.unlink()
    path.symlink_to(tmp_path / "nothing")
    assert "is a link" in str(share.wrong())
    path.unlink()
    path.mkdir()
    assert "is a folder" in str(share.wrong())
    path.rmdir()
    os.mkfifo(path)
    assert "something special" in str(share.wrong())
    path.unlink()
    monkeypatch.chdir(share.root)  # a socket's address holds 107 bytes, a test's path more
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(path.name)
        assert "something special" in str(share.wrong())


def test_a_folder_that_is_a_link_leads_nowhere(share: Share, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "settings.yaml").write_text("beam_size: 99")
    (share.root / "way").symlink_to(tmp_path / "outside")
    assert share.wishes("way/talk.mp3") == {}


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join(['*' + old] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (BOMB, "anchors and aliases"),
        ("<<: [*a, *a]", "anchors and aliases"),
        ("[" * 60_000, "line 1: too much inside each other"),
        ("{a: " * 15_000, "line 1: too much inside each other"),
        ("x" * 65_536 + "y", "larger than 64 KiB"),
        ("".join(f"k{n}: 1\n" for n in range(6000)), "holds 6000 keys"),
        ("? " + "x" * 60_000 + "\n: 1", "is not a known key"),
        ("beam_size: 0x" + "f" * 60_000, "beam_size: "),
        ("beam_size: " + "9" * 60_000, "cannot read"),
        ("temperature: " + "1:" * 30_000 + "1.5", ""),
        ("language: " + "ж" * 30_000, "language: "),
        ('"a\\nb: 1": 1', "is not a known key"),
        ("initial_prompt: !!python/object/apply:os.system [true]", "line 1: "),
        ("? [a]\n: 1", "line 1: "),
        ("null: 1", "is not a known key"),
    ],
)
def test_bombs_are_harmless(share: Share, content: str, word: str) -> None:
    began = time.process_time()
    share.put("talk.mp3.settings.yaml", content)
    lines = share.wrong()["talk.mp3.settings.yaml"]
    assert word in lines[0]
    assert all(len(line) <= 400 for line in lines)
    assert not any("\n" in line for line in lines)
    assert time.process_time() - began < 5


# --- the text beside a wrong file ---


def test_the_text_says_what_is_wrong_and_goes(share: Share) -> None:
    report(share.root, "calls/settings.yaml", [])
    share.put("calls/settings.yaml")
    report(share.root, "calls/settings.yaml", ["beam_size: must be 1."])
    notice = share.root / "calls/settings.yaml.error.txt"
    before = notice.stat()
    text = notice.read_text("utf-8")
    assert "What is wrong in settings.yaml:\n  beam_size: must be 1.\n" in text
    assert "  model_size: small\n" in text
    report(share.root, "calls/settings.yaml", ["beam_size: must be 1."])
    assert notice.stat().st_ino == before.st_ino, "it is written only when it changes"
    report(share.root, "calls/settings.yaml", [])
    assert not notice.exists()


@pytest.mark.parametrize("kind", ["text", "folder", "link", "large"])
def test_somebody_elses_file_is_left_alone(share: Share, tmp_path: Path, kind: str) -> None:
    notice = share.root / "settings.yaml.error.txt"
    if kind == "folder":
        notice.mkdir()
    elif kind == "link":
        (tmp_path / "outside").write_text("mine")
        notice.symlink_to(tmp_path / "outside")
    else:
        notice.write_text("mine" if kind == "text" else "mine" * 50_000)
    before = notice.lstat()
    report(share.root, "settings.yaml", ["x"])
    report(share.root, "settings.yaml", [])
    assert notice.lstat() == before


def test_what_belongs_to_one_recording(share: Share) -> None:
    assert own_files(share.root, "talk.mp3") == []
    share.put("settings.yaml")
    share.put("talk.mp3.settings.yaml")
    share.put("talk.mp3.settings.yaml.error.txt", "mine")
    assert own_files(share.root, "talk.mp3") == ["talk.mp3.settings.yaml"]
    share.put("talk.mp3.settings.yaml.error.txt").unlink()
    report(share.root, "talk.mp3.settings.yaml", ["x"])
    assert own_files(share.root, "talk.mp3") == [
        "talk.mp3.settings.yaml", "talk.mp3.settings.yaml.error.txt",
    ]  # fmt: skip
    share.put("talk.mp3.settings.yaml").unlink()
    (share.root / "talk.mp3.settings.yaml").mkdir()
    assert own_files(share.root, "talk.mp3") == ["talk.mp3.settings.yaml.error.txt"]
