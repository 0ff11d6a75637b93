"""Where the weights of the engines are that are no Whisper, and what is said if they are not."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from modules.config.settings import TranscriptionSettings
from modules.errors import ModelError
from modules.weights import onnx_files
from modules.weights.engines import locate_for
from tests.builders import SETTINGS, a_model

FILES = {
    "t-one": ("model.onnx", "config.json"),
    "gigaam": ("v3_e2e_ctc.onnx", "v3_e2e_ctc_vocab.txt", "config.json"),
}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """onnx-asr counts as installed; nothing here loads it."""
    found = importlib.util.find_spec

    def find(name: str, *rest: str) -> object:
        return found("json" if name == "onnx_asr" else name, *rest)

    monkeypatch.setattr(onnx_files.importlib.util, "find_spec", find)


def put(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"{}")
    return folder


def asking(engine: str, **changes: str) -> TranscriptionSettings:
    return SETTINGS.model_copy(update={"engine": engine, **changes})


@pytest.mark.parametrize("engine", FILES)
def test_they_lie_in_a_folder_of_their_own_name(tmp_path: Path, engine: str) -> None:
    folder = put(tmp_path / engine, *FILES[engine])
    source = locate_for(asking(engine), tmp_path, False)
    assert (source.folder, source.name, source.size_mb) == (folder, engine, 0)


@pytest.mark.parametrize("engine", FILES)
def test_or_in_one_that_is_named(tmp_path: Path, engine: str) -> None:
    folder = put(tmp_path / "elsewhere", *FILES[engine])
    settings = asking(engine, model_size=str(folder))
    assert locate_for(settings, tmp_path / "models", False).folder == folder


def test_a_folder_with_whisper_in_it_is_whisper_s(tmp_path: Path) -> None:
    """The configuration has it for its own engine, and a request asks for another one."""
    a_model(tmp_path)
    whisper = tmp_path / "faster-whisper-base"
    folder = put(tmp_path / "t-one", *FILES["t-one"])
    settings = asking("t-one", model_size=str(whisper))
    assert locate_for(settings, tmp_path, False).folder == folder
    same = locate_for(asking("whisper", model_size=str(whisper)), tmp_path, False)
    assert same.folder == whisper
    assert locate_for(asking("whisperx", model_size=str(whisper)), tmp_path, False) == same


@pytest.mark.parametrize(
    ("engine", "gone"), [(engine, gone) for engine, names in FILES.items() for gone in names]
)
def test_a_file_that_is_missing_is_named_and_who_has_it(
    tmp_path: Path, engine: str, gone: str
) -> None:
    folder = put(tmp_path / engine, *FILES[engine])
    (folder / gone).write_bytes(b"")
    with pytest.raises(ModelError, match="lacks") as caught:
        locate_for(asking(engine), tmp_path, False)
    assert caught.value.code == "model_missing"
    assert gone in caught.value.message
    assert onnx_files.FILES[engine].published in (caught.value.remedy or "")


def test_of_two_kinds_of_weights_the_smaller_is_preferred(tmp_path: Path) -> None:
    folder = put(tmp_path / "gigaam", *FILES["gigaam"], "v3_e2e_ctc.int8.onnx")
    assert onnx_files.weights_in(folder, "gigaam") == "v3_e2e_ctc.int8.onnx"


@pytest.mark.parametrize("sign", ["file", "config"])
def test_the_first_gigaam_is_refused_for_its_licence(tmp_path: Path, sign: str) -> None:
    folder = put(tmp_path / "gigaam", *FILES["gigaam"])
    if sign == "file":
        put(folder, "v1_ctc.onnx")
    else:
        (folder / "config.json").write_text('{"version": "v1"}', encoding="utf-8")
    with pytest.raises(ModelError, match="forbids commercial"):
        locate_for(asking("gigaam"), tmp_path, False)


def test_a_package_that_is_missing_comes_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "t-one", *FILES["t-one"])
    monkeypatch.setattr(onnx_files.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="not installed: onnx-asr") as caught:
        locate_for(asking("t-one"), tmp_path, False)
    assert caught.value.code == "engine_not_installed"
    assert "requirements-onnx.lock" in (caught.value.remedy or "")
