"""Which sound tracks are heard: what may be written, by each way that settings come in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask, request

from modules.api import forms
from modules.api.schemas.requests import TranscribeRequest, UploadRequest
from modules.config.loader import load_config
from modules.config.recording_settings import check_settings
from modules.errors import ConfigError, TranscriberError

Taken = Callable[[Any], str]


def from_the_configuration(value: object) -> str:
    """Raises ValueError with the complaint, as the others do."""
    path = Path("config.yaml")
    path.write_text(yaml.safe_dump({"whisperx": {"audio_tracks": value}}), encoding="utf-8")
    try:
        return load_config(path, {}).whisperx.audio_tracks
    except ConfigError as error:
        raise ValueError(str(error)) from error


def from_a_settings_file(value: object) -> str:
    stated, problems = check_settings(yaml.safe_dump({"audio_tracks": value}).encode())
    if problems:
        raise ValueError(problems[0][1])
    return str(stated["audio_tracks"])


def from_a_request(value: object) -> str:
    body = json.dumps({"filename": "talk.mkv", "audio_tracks": value})
    with Flask("test").test_request_context(
        method="POST", data=body, content_type="application/json"
    ):
        try:
            return str(forms.from_json(request, TranscribeRequest).wishes()["audio_tracks"])
        except TranscriberError as error:
            raise ValueError(f"{error} {getattr(error, 'problems', '')}") from error


def from_a_form(value: object) -> str:
    """All fields of a form are texts."""
    try:
        found = forms.checked(UploadRequest, {"audio_tracks": str(value)})
    except TranscriberError as error:
        raise ValueError(str(error)) from error
    return str(found.wishes()["audio_tracks"])


WAYS = pytest.mark.parametrize(
    "taken", [from_the_configuration, from_a_settings_file, from_a_request, from_a_form]
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@WAYS
@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("auto", "auto"),
        (" Auto ", "auto"),
        ("all", "all"),
        ("ALL", "all"),
        (2, "2"),
        ("2", "2"),
        (99, "99"),
        ("ru", "ru"),
        ("Russian", "ru"),
        ("rus", "ru"),
        ("pt-BR", "pt"),
    ],
)
def test_what_may_be_written(taken: Taken, value: object, meant: str) -> None:
    assert taken(value) == meant


@WAYS
@pytest.mark.parametrize(
    "value", [0, "0", -1, "-1", 100, "01", 1.5, "1,2", "", " ", "Klingon", "mixed", "first", True]
)
def test_what_may_not_be_written(taken: Taken, value: object) -> None:
    with pytest.raises(ValueError, match="audio_tracks") as caught:
        taken(value)
    assert "must be auto, all, the number of a sound track" in str(caught.value)


@pytest.mark.parametrize("taken", [from_the_configuration, from_a_settings_file, from_a_request])
@pytest.mark.parametrize("value", [["1", "2"], [], {"1": True}])
def test_a_list_may_not_be_written(taken: Taken, value: object) -> None:
    with pytest.raises(ValueError, match="audio_tracks: must be auto, all, the number of a sound"):
        taken(value)


@WAYS
def test_a_language_that_was_nearly_written_is_named(taken: Taken) -> None:
    with pytest.raises(ValueError, match="did you mean ru"):
        taken("rusian")
