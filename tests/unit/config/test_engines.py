"""Which engine, and which channels: by each way that settings come in, and what fits together."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from modules.config.loader import load_config
from modules.config.recording_settings import check_settings
from modules.config.rules import settings_conflicts
from modules.config.settings import TranscriptionSettings
from modules.errors import ConfigError
from tests.builders import SETTINGS


def loaded(folder: Path, **whisperx: object) -> TranscriptionSettings:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"whisperx": whisperx}), encoding="utf-8")
    return load_config(path, {}).default_settings()


def test_without_a_word_it_is_whisper_and_the_channels_are_mixed(tmp_path: Path) -> None:
    assert (loaded(tmp_path).engine, loaded(tmp_path).channels) == ("whisper", "auto")


@pytest.mark.parametrize("engine", ["whisper", "whisperx", "t-one", "gigaam"])
@pytest.mark.parametrize("channels", ["auto", "mix", "split"])
def test_each_can_be_configured_and_written_beside_a_recording(
    tmp_path: Path, engine: str, channels: str
) -> None:
    wishes = {"engine": engine, "channels": channels}
    settings = loaded(tmp_path, **wishes)
    assert (settings.engine, settings.channels) == (engine, channels)
    assert check_settings(yaml.safe_dump(wishes).encode()) == (wishes, [])


def test_another_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"whisperx\.engine.*whisper.*gigaam"):
        loaded(tmp_path, engine="kaldi")
    _, [(_, problem)] = check_settings(b"channels: left\n")
    assert "split" in problem


@pytest.mark.parametrize("engine", ["t-one", "gigaam"])
@pytest.mark.parametrize("language", ["en", "mixed", "uk"])
def test_russian_engines_refuse_other_languages_at_load(
    tmp_path: Path, engine: str, language: str
) -> None:
    with pytest.raises(ConfigError, match=f"the engine {engine} knows Russian only"):
        loaded(tmp_path, engine=engine, language=language)
    for known in ("ru", "auto"):
        assert loaded(tmp_path, engine=engine, language=known).language == known


def test_they_do_not_translate_and_whisper_s_sizes_are_not_about_them() -> None:
    asked = SETTINGS.model_copy(update={"engine": "gigaam", "task": "translate"})
    assert [line for _, line in settings_conflicts(asked)] == [
        "the engine gigaam cannot translate; use transcribe, or engine whisper"
    ]
    english = SETTINGS.model_copy(update={"engine": "t-one", "model_size": "base.en"})
    assert settings_conflicts(english) == []
    assert settings_conflicts(english.model_copy(update={"engine": "whisper"}))


def test_settings_of_before_there_were_engines_are_whisper_s() -> None:
    """State files, checkpoints and results have them as they were."""
    old = {k: v for k, v in SETTINGS.model_dump().items() if k not in ("engine", "channels")}
    read = TranscriptionSettings.model_validate(old)
    assert read == SETTINGS
    assert (read.engine, read.channels) == ("whisper", "auto")
