"""Every wrong value, by each way that values come in, is answered with a plain sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask, request

from modules.api import forms
from modules.api.openai.fields import SpeechRequest
from modules.api.schemas.requests import DeleteRequest, TranscribeRequest, UploadRequest
from modules.config.loader import load_config
from modules.config.recording_settings import check_settings
from modules.config.schema import Config, WhisperxConfig
from modules.config.settings import TranscriptionSettings
from modules.errors import ConfigError, TranscriberError

#: Each is wrong for nearly every field; where one is right, nothing is said.
WRONG: list[Any] = [
    "", " ", "Klingonisch", "yes", "12,5", "x" * 5000, "\ud800", "\u2028", "{}", "ftp://x",
    -1, 0, 3, 1.5, 1e30, 10**30, float("inf"), True, False, None,
    [], ["a", None], ["ru", "ru"], {}, {"a": True}, {"a": {"b": None}},
]  # fmt: skip
TEXTS = [value for value in WRONG if isinstance(value, str)]
#: What Python writes and people do not.
_PYTHON = re.compile(
    r"\('|', '[^']*'\)|\bNone\b|\bTrue\b|\bFalse\b|<class|Error\b|Input should|Value error"
    r"|Field req|object at 0x|datetime\.|OrderedDict|\bb'|pydantic"
)
_REMEDY = re.compile(
    r"must |did you mean|is not a known|has no value; give|is missing; |needs |can only be"
)


def check(message: str, field: str, value: object) -> None:
    assert re.match(rf"(whisperx\.|[a-z]+\.)?{re.escape(field)}(\.\w+)*: ", message), message
    assert not _PYTHON.search(message), message
    assert _REMEDY.search(message), message
    names_value = ", got " in message or "has no value" in message or value is None
    assert names_value or "is not a known" in message or "is missing" in message, message


@pytest.mark.parametrize("model", [TranscribeRequest, UploadRequest, SpeechRequest, DeleteRequest])
@pytest.mark.parametrize("values", [WRONG, TEXTS], ids=["as JSON", "as a form"])
def test_a_wrong_field_of_a_request_is_a_sentence(model: type[Any], values: list[Any]) -> None:
    needed = {"filename": "talk.mp3"} if "filename" in model.model_fields else {}
    found = 0
    for field in model.model_fields:
        for value in values:
            try:
                forms.checked(model, needed | {field: value})
            except TranscriberError as error:
                found += 1
                check(error.message, field, value)
    assert found >= 3 * len(model.model_fields)


def test_an_unknown_or_missing_field_is_a_sentence() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"langage": "ru"}, "langage: is not a known field; did you mean language?"),
        ({"zzz": 1}, "zzz: is not a known field; leave it out."),
        ({"filename": None}, "filename: has no value; give it one, or leave it out."),
        ({"language": "Rusian"}, "language: must be auto, mixed or a language that Whisper knows, "
         "such as ru or Russian, got 'Rusian'; did you mean ru?"),
    ]  # fmt: skip
    for content, message in cases:
        with pytest.raises(TranscriberError) as caught:
            forms.checked(TranscribeRequest, {"filename": "a.mp3"} | content)
        assert caught.value.message == message
    with pytest.raises(TranscriberError, match="filename: is missing; it must be given"):
        forms.checked(TranscribeRequest, {})


@pytest.mark.parametrize("body", ["[1]", "null", "'", "", "filename=talk.mp3"])
def test_a_body_that_is_no_object_is_a_sentence(body: str) -> None:
    with Flask("test").test_request_context(data=body), pytest.raises(TranscriberError) as caught:
        forms.from_json(request, TranscribeRequest)
    assert caught.value.message == f"the body: must be a JSON object, got {body!r}."


def test_a_wrong_setting_of_a_recording_is_a_sentence() -> None:
    found = 0
    for field in TranscriptionSettings.model_fields:
        for value in WRONG:
            content = yaml.safe_dump({field: value}).encode("utf-8", "surrogatepass")
            for _, line in check_settings(content)[1]:
                found += 1
                if not line.startswith(("holds", "line", "is not UTF-8")):
                    check(line, field, value)
    assert found > 3 * len(TranscriptionSettings.model_fields)


@pytest.mark.parametrize("section", sorted(Config.model_fields))
def test_a_wrong_key_of_the_configuration_is_a_sentence(section: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    keys = getattr(Config.model_fields[section].annotation, "model_fields", {None: None})
    for key in keys:
        for value in WRONG:
            file.write_text(json.dumps({section: {key: value} if key else value}))
            try:
                load_config(file, {})
            except ConfigError as error:
                for line in error.problems:
                    if not line.startswith((str(file), "api.user", "api.password")):
                        secret = key in ("key", "password", "secret")
                        check(line, key or section, None if secret else value)


def test_every_setting_has_a_way_to_be_wrong() -> None:
    assert set(TranscriptionSettings.model_fields) <= set(WhisperxConfig.model_fields)


def test_a_whole_number_may_be_written_as_json_has_it() -> None:
    asked = forms.checked(TranscribeRequest, {"filename": "a.mp3", "beam_size": 4.0})
    assert asked.wishes() == {"beam_size": 4}
    with pytest.raises(TranscriberError, match=r"beam_size: must be a whole number, got 4\.5\."):
        forms.checked(TranscribeRequest, {"filename": "a.mp3", "beam_size": 4.5})
