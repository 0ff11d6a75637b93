"""Where weights are found, how they are put in place, and what people are told."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from modules.config.schema import WhisperxConfig
from modules.config.types import MODEL_SIZES
from modules.errors import ModelError
from modules.machine.processor import MemoryLimit
from modules.weights import assemble as assembling
from modules.weights import files, store
from modules.weights import locate as locating
from modules.weights.assemble import assemble
from modules.weights.files import PACKAGED, Packaged, missing_files, verify
from modules.weights.locate import ModelSource, Origin, available, check_fits, locate, needed_mb
from modules.weights.store import prepare

CONTENT = {
    "model.bin": b"first half, second half",
    "config.json": b"{}",
    "tokenizer.json": b"{'a': 1}",
    "vocabulary.txt": b"a\nb\n",
}
SUMS = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}


def fill(folder: Path, *, without: str = "") -> Path:
    """A small model, as loaders expect its files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in CONTENT.items():
        if name != without:
            (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where packages are installed: none at first. The hub's cache is empty."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with patch.dict(files.PACKAGED, clear=True):
        yield site


@pytest.fixture
def base_packages(site: Path) -> Path:
    """``base`` in two packages, whose code must never run. Returns the folder of the first."""
    names = ("fake_whisper_part1", "fake_whisper_part2")
    parts = tuple((name, "data") for name in names)
    files.PACKAGED["base"] = Packaged("fake-part1 fake-part2", parts, SUMS)
    for name in names:
        (site / name / "data").mkdir(parents=True)
        (site / name / "__init__.py").write_text("raise AssertionError('imported')")
    first = fill(site / names[0] / "data", without="model.bin")
    (first / "model.bin.part1").write_bytes(CONTENT["model.bin"][:10])
    (site / names[1] / "data" / "model.bin.part2").write_bytes(CONTENT["model.bin"][10:])
    return first


@pytest.fixture
def directory(tmp_path: Path, site: Path) -> Path:
    return tmp_path / "models"


def hub_snapshot(tmp_path: Path, repository: str, revision: str) -> Path:
    return tmp_path / "hf" / "hub" / f"models--{repository}" / "snapshots" / revision


def code_of(size: str, directory: Path) -> str:
    with pytest.raises(ModelError) as caught:
        locate(size, directory, allow_download=False)
    return caught.value.code


# --- looking ------------------------------------------------------------------------------------


def test_folder_of_one_s_own(tmp_path: Path, directory: Path) -> None:
    mine = fill(tmp_path / "mine")
    assert locate(str(mine), directory, False) == ModelSource(str(mine), Origin.FOLDER, mine)


def test_incomplete_folder_is_told_what_it_lacks(tmp_path: Path, directory: Path) -> None:
    mine = fill(tmp_path / "mine", without="tokenizer.json")
    with pytest.raises(ModelError, match=r"lacks tokenizer\.json") as caught:
        locate(str(mine), directory, False)
    assert caught.value.code == "model_missing"


def test_neither_size_nor_folder(directory: Path) -> None:
    with pytest.raises(ModelError, match="neither a known size nor a folder"):
        locate("gigantic", directory, True)


def test_models_directory_goes_before_packages_and_cache(
    tmp_path: Path, directory: Path, base_packages: Path
) -> None:
    fill(hub_snapshot(tmp_path, "Systran--faster-whisper-base", "abc"))
    assert locate("base", directory, False).origin is Origin.PARTS
    own = fill(directory / "faster-whisper-base")
    assert locate("base", directory, False) == ModelSource("base", Origin.DIRECTORY, own)


def test_turbo_may_lie_under_the_name_of_its_repository(directory: Path) -> None:
    folder = fill(directory / "faster-whisper-large-v3-turbo")
    assert code_of("turbo", directory) == "model_missing"  # 128 bands need to be declared
    (folder / "preprocessor_config.json").write_text("{}")
    assert locate("turbo", directory, False).folder == folder


def test_package_with_a_whole_model_is_used_where_it_lies(site: Path, directory: Path) -> None:
    files.PACKAGED["tiny.en"] = Packaged("fake", (("fake_tiny", "model"),), SUMS)
    folder = fill(site / "fake_tiny" / "model")
    (site / "fake_tiny" / "__init__.py").write_text("raise AssertionError('imported')")
    source = locate("tiny.en", directory, False)
    assert source == ModelSource("tiny.en", Origin.PACKAGE, folder)
    assert prepare(source, directory) == folder
    assert not directory.exists()


def test_one_part_of_two_is_not_a_model(directory: Path, base_packages: Path) -> None:
    files.PACKAGED["base"] = Packaged(
        "fake", (("fake_whisper_part1", "data"), ("fake_not_installed", "data")), SUMS
    )
    assert code_of("base", directory) == "model_missing"


def test_hub_cache_prefers_the_revision_of_main(tmp_path: Path, directory: Path) -> None:
    old = fill(hub_snapshot(tmp_path, "Systran--faster-whisper-small", "old"))
    new = fill(hub_snapshot(tmp_path, "Systran--faster-whisper-small", "new"))
    os.utime(old, (1, 1))
    assert locate("small", directory, False) == ModelSource("small", Origin.HUB_CACHE, new)
    refs = old.parent.parent / "refs"
    refs.mkdir()
    (refs / "main").write_text("old")
    assert locate("small", directory, False).folder == old


def test_half_downloaded_snapshot_is_not_a_model(tmp_path: Path, directory: Path) -> None:
    fill(hub_snapshot(tmp_path, "Systran--faster-whisper-small", "a"), without="model.bin")
    assert code_of("small", directory) == "model_missing"


@pytest.mark.parametrize(
    ("variable", "value", "cache"),
    [
        ("HF_HUB_CACHE", "/a", "/a"),
        ("HF_HOME", "/a", "/a/hub"),
        ("XDG_CACHE_HOME", "/a", "/a/huggingface/hub"),
    ],
)
def test_hub_cache_is_where_the_hub_s_own_rules_say(variable: str, value: str, cache: str) -> None:
    assert locating._hub_cache({variable: value}) == Path(cache)


def test_download_is_only_offered_where_allowed(directory: Path) -> None:
    assert locate("small", directory, True) == ModelSource("small", Origin.DOWNLOAD, None)
    assert code_of("small", directory) == "model_missing"


def test_missing_model_names_every_way_out(directory: Path, base_packages: Path) -> None:
    with pytest.raises(ModelError) as caught:
        locate("small", directory, False)
    assert caught.value.remedy == (
        "Run `transcriber.py models get small`. "
        f"Or put a converted model into {directory}/faster-whisper-small. "
        "Or set whisperx.allow_download: true."
    )
    files.PACKAGED["base"] = Packaged("fake", (("fake_not_installed", ""),), SUMS)
    with pytest.raises(ModelError) as caught:
        locate("base", directory, False)
    assert str(caught.value.remedy).startswith("Run `make weights`. Or put a converted model")


def test_missing_model_tells_of_an_incomplete_folder(directory: Path) -> None:
    fill(directory / "faster-whisper-small", without="config.json")
    with pytest.raises(ModelError, match=r"faster-whisper-small lacks config\.json"):
        locate("small", directory, False)


def test_available_lists_what_is_here_and_nothing_else(
    tmp_path: Path, directory: Path, base_packages: Path
) -> None:
    fill(directory / "faster-whisper-medium")
    fill(hub_snapshot(tmp_path, "Systran--faster-whisper-tiny", "a"))
    assert available(directory) == ["tiny", "base", "medium"]


def test_every_size_has_a_repository() -> None:
    assert tuple(locating.REPOSITORIES) == MODEL_SIZES
    assert locating.REPOSITORIES["base"] == "Systran/faster-whisper-base"
    assert locating.REPOSITORIES["turbo"] == "mobiuslabsgmbh/faster-whisper-large-v3-turbo"


def test_source_knows_its_name_and_size(tmp_path: Path) -> None:
    folder = fill(tmp_path / "mine")
    with (folder / "model.bin").open("wb") as file:
        file.truncate(145_217_532)
    assert ModelSource("base", Origin.DIRECTORY, folder).name == "faster-whisper-base"
    assert ModelSource("base", Origin.DIRECTORY, folder).size_mb == 138
    assert ModelSource(str(folder), Origin.FOLDER, folder).name == "mine"
    assert ModelSource("small", Origin.DOWNLOAD, None).size_mb is None
    (folder / "model.bin.bak").write_bytes((folder / "model.bin").read_bytes())
    assert ModelSource("base", Origin.DIRECTORY, folder).size_mb == 138, "a copy is counted too"
    (folder / "model.bin").unlink()
    assert ModelSource("base", Origin.DIRECTORY, folder).size_mb is None, "it may vanish"


# --- checking -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("base_packages")
def test_verify_hashes_whatever_the_stamp_says(directory: Path) -> None:
    folder = assemble("base", directory)
    assert verify(folder, "base") == []
    damage(folder / "model.bin")
    [problem] = verify(folder, "base")
    assert problem.startswith(f"{folder / 'model.bin'}: SHA-256 is ")
    (folder / "config.json").unlink()
    assert f"{folder / 'config.json'}: is missing or empty" in verify(folder, "base")


def damage(path: Path) -> None:
    """Change a byte and nothing that ``stat`` shows."""
    before = path.stat()
    path.write_bytes(b"X" + path.read_bytes()[1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_verify_reads_the_sum_in_the_name_of_a_hub_blob(tmp_path: Path) -> None:
    folder, blobs = fill(tmp_path / "snapshot", without="model.bin"), tmp_path / "blobs"
    blobs.mkdir()
    (blobs / SUMS["model.bin"]).write_bytes(CONTENT["model.bin"])
    (folder / "model.bin").symlink_to(blobs / SUMS["model.bin"])
    assert verify(folder, "small") == []
    damage(blobs / SUMS["model.bin"])
    assert len(verify(folder, "small")) == 1


@pytest.mark.usefixtures("base_packages")
def test_start_hashes_only_what_changed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = assemble("base", directory)
    hashed: list[str] = []
    actual = files.sha256_of

    def counted(path: Path) -> str:
        hashed.append(path.name)
        return actual(path)

    monkeypatch.setattr(files, "sha256_of", counted)
    locate("base", directory, False)
    assert hashed == []
    os.utime(folder / "model.bin", (5, 5))
    locate("base", directory, False)
    assert "model.bin" in hashed
    hashed.clear()
    locate("base", directory, False)
    assert hashed == [], "the stamp was not renewed"


@pytest.mark.usefixtures("base_packages")
@pytest.mark.parametrize("stamp", ["intact", "garbage"])
def test_changed_weights_are_refused(directory: Path, stamp: str) -> None:
    folder = assemble("base", directory)
    (folder / "model.bin").write_bytes(b"something else")
    if stamp == "garbage":
        (folder / ".verified.json").write_text("{")
    with pytest.raises(ModelError) as caught:
        locate("base", directory, False)
    assert caught.value.code == "model_damaged"
    assert "model.bin" in str(caught.value.details)
    assert caught.value.remedy == "Run `transcriber.py models get base` to replace it."


@pytest.mark.usefixtures("base_packages")
def test_folder_without_a_stamp_is_taken_as_it_is(directory: Path) -> None:
    own = fill(directory / "faster-whisper-base")
    (own / "model.bin").write_bytes(b"fine-tuned")
    assert locate("base", directory, False).folder == own


@pytest.mark.parametrize("size", sorted(PACKAGED))
def test_packaged_models_are_whole(size: str) -> None:
    sums = PACKAGED[size].sums
    assert set(sums) == set(CONTENT)
    assert all(len(known) == 64 for known in sums.values())


def test_empty_file_counts_as_missing(tmp_path: Path) -> None:
    folder = fill(tmp_path / "m")
    (folder / "model.bin").write_bytes(b"")
    (folder / "vocabulary.txt").rename(folder / "vocabulary.json")
    assert missing_files(folder, "base") == ["model.bin"]


# --- putting in place ---------------------------------------------------------------------------


@pytest.mark.usefixtures("base_packages")
def test_parts_are_joined(directory: Path) -> None:
    folder = prepare(locate("base", directory, False), directory)
    assert folder == directory / "faster-whisper-base"
    assert {name: (folder / name).read_bytes() for name in CONTENT} == CONTENT
    assert set(json.loads((folder / ".verified.json").read_text())) == set(CONTENT)
    assert folder.stat().st_mode & 0o777 == 0o755
    assert os.listdir(directory) == [folder.name]
    assert locate("base", directory, False).origin is Origin.DIRECTORY


def test_damaged_package_puts_nothing_in_place(directory: Path, base_packages: Path) -> None:
    (base_packages / "model.bin.part1").write_bytes(b"broken")
    with pytest.raises(ModelError) as caught:
        assemble("base", directory)
    assert caught.value.code == "model_damaged"
    assert "pip install --force-reinstall fake-part1 fake-part2" in str(caught.value)
    assert os.listdir(directory) == []


def test_assemble_without_packages_names_what_to_install(directory: Path, site: Path) -> None:
    files.PACKAGED["base"] = Packaged("fake==1", (("fake_not_installed", ""),), SUMS)
    with pytest.raises(ModelError, match="pip install fake==1"):
        assemble("base", directory)


@pytest.mark.usefixtures("base_packages")
def test_good_folder_of_a_faster_process_stays(directory: Path) -> None:
    first = assemble("base", directory)
    inode = (first / "model.bin").stat().st_ino
    assert assemble("base", directory) == first
    assert (first / "model.bin").stat().st_ino == inode
    assert os.listdir(directory) == [first.name]


@pytest.mark.usefixtures("base_packages")
def test_several_at_once_leave_one_good_folder(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(4, timeout=60)
    publish = assembling.publish

    def publish_together(temporary: Path, target: Path, size: str) -> None:
        together.wait()
        publish(temporary, target, size)

    monkeypatch.setattr(assembling, "publish", publish_together)
    done: list[Path] = []
    threads = [
        threading.Thread(target=lambda: done.append(assemble("base", directory))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
        assert not thread.is_alive(), "a thread still assembles after 20 s"
    assert done == [directory / "faster-whisper-base"] * 4
    assert os.listdir(directory) == ["faster-whisper-base"]
    assert verify(done[0], "base") == []


@pytest.mark.usefixtures("base_packages")
def test_what_stood_there_is_kept_aside(directory: Path) -> None:
    mine = directory / "faster-whisper-base"
    mine.mkdir(parents=True)
    (mine / "notes.txt").write_text("mine")
    assert verify(assemble("base", directory), "base") == []
    [kept] = directory.glob("faster-whisper-base.old-*")
    assert (kept / "notes.txt").read_text() == "mine"


@pytest.mark.usefixtures("base_packages")
def test_leftovers_of_a_killed_process_go_and_those_of_a_living_one_stay(directory: Path) -> None:
    dead = directory / ".faster-whisper-base.part-dead"
    alive = directory / ".faster-whisper-base.part-alive"
    for leftover in (dead, alive):
        fill(leftover)
    os.utime(dead, (1, 1))
    assemble("base", directory)
    assert sorted(os.listdir(directory)) == [alive.name, "faster-whisper-base"]


@pytest.mark.usefixtures("base_packages")
def test_full_disk_is_a_model_error_and_leaves_nothing(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelError, match="No space left on device") as caught:
        assemble("base", directory)
    assert caught.value.code == "model_not_written"
    assert os.listdir(directory) == []


# --- the command --------------------------------------------------------------------------------


@pytest.mark.usefixtures("base_packages")
def test_command_says_what_it_did(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert store.main(["base", "--directory", str(directory)]) == 0
    assert capsys.readouterr().out == (
        f"The Whisper model base is in {directory}/faster-whisper-base "
        "(found in: installed packages, in parts); checksums are right.\n"
    )


@pytest.mark.usefixtures("base_packages")
def test_command_replaces_a_damaged_model(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = assemble("base", directory)
    (folder / "model.bin").write_bytes(b"something else")
    assert store.main(["base", "--directory", str(directory)]) == 0
    assert verify(folder, "base") == []
    assert "What stood there before is kept in" in capsys.readouterr().out


def test_command_fails_with_the_reason(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert store.main(["small", "--directory", str(directory)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("The Whisper model small is not on this machine. Run `")


@pytest.mark.parametrize(
    ("size_mb", "available_mb", "fits"),
    [(139, 1024, True), (139, 448, False), (2950, 2048, False), (2950, 8192, True)],
)
def test_a_model_that_cannot_fit_is_refused_with_the_estimate(
    size_mb: int, available_mb: int, fits: bool
) -> None:
    if fits:
        check_fits("large-v3", size_mb, available_mb)
        return
    with pytest.raises(ModelError) as refused:
        check_fits("large-v3", size_mb, available_mb)
    assert refused.value.code == "model_too_large"
    assert f"and {available_mb} MB may be used" in str(refused.value)
    assert "Use a smaller whisperx.model_size" in str(refused.value)


def test_weights_on_the_disk_are_weighed_before_they_are_loaded(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locating, "memory_limit", lambda: MemoryLimit(256, "This machine"))
    folder = fill(files.home("tiny.en", directory))
    with (folder / "model.bin").open("ab") as file:
        file.truncate(72 * 2**20)  # no disk is used
    with pytest.raises(
        ModelError, match=r"needs at least \d+ MB of memory, and 256 MB may be used"
    ):
        locate("tiny.en", directory, allow_download=False)


def test_an_encoder_that_is_loaded_besides_is_weighed_too(tmp_path: Path) -> None:
    """A hundred million numbers of 16 bits each."""
    folder = fill(tmp_path / "own")
    weights = folder / "model.bin"
    name = struct.pack("<H", 15) + b"encoder/weight\0"
    variable = name + struct.pack("<BIIBI", 2, 1000, 100_000, 4, 200_000_000)
    weights.write_bytes(struct.pack("<IH2sII", 6, 2, b"W\0", 3, 1) + variable)
    with weights.open("ab") as file:
        file.truncate(461 * 2**20)  # no disk is used
    source = ModelSource(str(folder), Origin.FOLDER, folder)
    plain_mb = needed_mb(source, WhisperxConfig()) or 0
    assert 380 < (needed_mb(source, WhisperxConfig(encoder="bfloat16")) or 0) - plain_mb < 460
    with weights.open("r+b") as file:
        file.write(b"no model")
    assert needed_mb(source, WhisperxConfig(encoder="bfloat16")) == plain_mb, "at least that much"


def test_what_is_needed_is_known_before_packages_are_joined(
    base_packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (base_packages / "model.bin.part1").open("ab") as file:
        file.truncate(139 * 2**20)  # no disk is used
    source = ModelSource("base", Origin.PARTS, None)
    assert source.size_mb == 139
    assert (needed_mb(source, WhisperxConfig()) or 0) > 500
    assert needed_mb(source, WhisperxConfig(device="cuda")) is None
    monkeypatch.setattr(locating, "_CARD", Path("/dev/null"))
    assert needed_mb(source, WhisperxConfig(device="auto")) is None
    monkeypatch.setattr(locating, "_CARD", Path("/nowhere"))
    assert needed_mb(source, WhisperxConfig(device="auto")) == needed_mb(source, WhisperxConfig())
    assert needed_mb(ModelSource("small", Origin.DOWNLOAD, None), WhisperxConfig()) is None
