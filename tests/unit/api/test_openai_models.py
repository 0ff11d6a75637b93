"""Which model a request to ``/v1/`` means, whatever its client calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.api.openai.models import Models, model_size
from modules.config.schema import ApiConfig, Config, WhisperxConfig
from modules.config.types import MODEL_SIZES
from modules.errors import TranscriberError
from tests.builders import a_model

#: As clients send them.
SENT = [
    "gpt-4o-mini-transcribe-2025-12-15", "Systran/faster-distil-whisper-large-v3", "default",
    "small", "whisper-enormous", "/etc/passwd", "../base", "",
]  # fmt: skip


def models(
    folder: Path, unknown: str = "configured", size: str = "base", **whisperx: bool
) -> Models:
    return Models(
        Config(
            api=ApiConfig(unknown_model=unknown),  # type: ignore[arg-type]
            models_directory=folder / "models",
            whisperx=WhisperxConfig(model_size=size, **whisperx),  # type: ignore[arg-type]
        )
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is here but base, in the models' folder."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    a_model(tmp_path / "models")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    ["", "whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe-2025-12-15", "gpt-transcribe"],
)
def test_openais_names_mean_the_configured_model(name: str) -> None:
    assert model_size(name, "/models/own") == "/models/own"


def test_a_folder_may_be_called_by_its_name() -> None:
    assert model_size("own", "/models/own") == "/models/own"
    assert model_size("/models/other", "/models/own") is None


@pytest.mark.parametrize("size", MODEL_SIZES)
@pytest.mark.parametrize(
    "prefix", ["", "Systran/faster-whisper-", "openai/whisper-", "faster-whisper-", "whisper-"]
)
def test_our_sizes_have_many_names(size: str, prefix: str) -> None:
    assert model_size(prefix + size, "base") == size


def test_repositories_are_names_too() -> None:
    assert model_size("Systran/faster-distil-whisper-large-v3", "base") == "distil-large-v3"
    assert model_size("faster-distil-whisper-large-v3", "base") == "distil-large-v3"
    assert model_size("distil-whisper/distil-large-v3.5-ct2", "base") == "distil-large-v3.5"


@pytest.mark.parametrize("name", SENT)
def test_what_is_not_here_means_the_configured_model(folder: Path, name: str) -> None:
    assert models(folder).meant(name) == "base"


def test_what_is_here_is_taken(folder: Path) -> None:
    turbo = folder / "models" / "faster-whisper-large-v3-turbo"
    (folder / "models" / "faster-whisper-base").rename(turbo)
    (turbo / "preprocessor_config.json").write_bytes(b"{}")
    assert models(folder).meant("whisper-large-v3-turbo") == "large-v3-turbo"
    assert models(folder).meant("turbo") == "turbo"
    assert models(folder).meant("mobiuslabsgmbh/faster-whisper-large-v3-turbo") == "turbo"


def test_what_may_be_fetched_is_not_unknown(folder: Path) -> None:
    assert models(folder, allow_download=True).meant("small") == "small"
    assert models(folder, allow_download=True).meant("whisper-enormous") == "base"


@pytest.mark.parametrize("name", ["whisper-2", "/etc/passwd", "../base", " base", "default"])
def test_an_unknown_model_is_refused_with_the_remedy_if_so_set(folder: Path, name: str) -> None:
    with pytest.raises(TranscriberError, match="must be whisper-1 for the configured") as refusal:
        models(folder, "refuse").meant(name)
    assert repr(name) in str(refusal.value)
    assert refusal.value.code == "invalid_settings"


def test_a_slip_in_a_models_name_gets_a_hint(folder: Path) -> None:
    with pytest.raises(TranscriberError, match=r"got 'whisper-medum'; did you mean medium\?"):
        models(folder, "refuse").meant("whisper-medum")


def test_a_size_that_is_not_here_is_left_to_the_check_of_settings(folder: Path) -> None:
    assert models(folder, "refuse").meant("small") == "small"


def test_the_list_begins_with_the_configured_model(folder: Path) -> None:
    (folder / "models" / "faster-whisper-base").rename(folder / "models" / "faster-whisper-small")
    ids = [facts["id"] for facts in models(folder, size="/models/own").listed()]
    assert ids[:2] == ["whisper-1", "own"]
    assert "small" in ids
    assert len(ids) == len(set(ids))


def test_one_is_found_by_any_of_its_names(folder: Path) -> None:
    known = models(folder)
    for name in ("whisper-1", "base", "Systran/faster-whisper-base"):
        facts = known.one(name)
        assert facts["id"] == name
        assert facts["created"] > 0
    for name in ("small", "gpt-4o-transcribe", "nothing/like/it"):
        with pytest.raises(TranscriberError) as refusal:
            known.one(name)
        assert refusal.value.code == "model_not_found"
