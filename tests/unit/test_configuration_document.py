"""docs/configuration.md and the schema for editors say what the program believes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from docs import write_configuration
from modules.config.loader import ENVIRONMENT, load_config
from modules.config.schema import Config
from modules.config.settings import TranscriptionSettings
from modules.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[2]
SHIPPED = PROJECT / "config.yaml"
AGAIN = "is not what the models say; run `python -m docs.write_configuration`"


def keys() -> list[tuple[str, ...]]:
    sections = {
        name: getattr(field.annotation, "model_fields", None)
        for name, field in Config.model_fields.items()
    }
    return [
        key
        for name, inner in sections.items()
        for key in ([(name, each) for each in inner] if inner else [(name,)])
    ]


def row_of(key: tuple[str, ...]) -> list[str]:
    page = write_configuration.PAGE.read_text("utf-8")
    found = re.search(rf"^\| `{re.escape('.'.join(key))}` \|(.*)\|$", page, re.MULTILINE)
    assert found, f"{'.'.join(key)} has no row"
    return [cell.strip() for cell in found.group(1).split(" | ")]


def schema() -> dict[str, Any]:
    return dict(yaml.safe_load(write_configuration.SCHEMA.read_text("utf-8")))


# --- both are up to date ------------------------------------------------------------------------


def test_the_page_is_what_the_generator_writes() -> None:
    assert write_configuration.PAGE.read_text("utf-8") == write_configuration.page(), AGAIN


def test_the_schema_is_what_the_generator_writes() -> None:
    assert write_configuration.SCHEMA.read_text("utf-8") == write_configuration.schema(), AGAIN


def test_every_section_has_its_table_in_the_template() -> None:
    assert "[[" not in write_configuration.PAGE.read_text("utf-8")
    assert [key for key in keys() if not row_of(key)] == []


# --- the rows -----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", keys(), ids=".".join)
def test_a_row_has_a_value_a_default_and_a_meaning(key: tuple[str, ...]) -> None:
    value, default, _, meaning = row_of(key)
    assert value
    assert meaning
    facts: Any = yaml.safe_load(SHIPPED.read_text("utf-8"))
    for part in key:
        facts = facts[part]
    assert yaml.safe_load(default.strip("`")) == facts


@pytest.mark.parametrize("variable", ENVIRONMENT)
def test_a_row_names_the_variable_that_goes_before_it(variable: str) -> None:
    assert f"`{variable}`" in row_of(ENVIRONMENT[variable])[2]


def test_a_row_says_whether_requests_and_settings_files_may_set_it() -> None:
    told = {key: "request" in row_of(key)[2] for key in keys()}
    assert {key[-1] for key, may in told.items() if may} == set(TranscriptionSettings.model_fields)
    assert told == {key: "settings file" in row_of(key)[2] for key in keys()}


def test_the_comment_behind_a_key_names_its_own_variable() -> None:
    for variable, key in ENVIRONMENT.items():
        line = next(
            line for line in SHIPPED.read_text("utf-8").splitlines() if f"[{variable}]" in line
        )
        assert line.strip().startswith(f"{key[-1]}:"), line


# --- the words around them ----------------------------------------------------------------------


def test_the_mistakes_on_the_page_are_told_as_it_says(tmp_path: Path) -> None:
    page = write_configuration.PAGE.read_text("utf-8")
    shown = re.search(r"```yaml\n(.*?)```\n\ngives\n\n```text\ntranscriber: (.*?)\n```", page, re.S)
    assert shown
    file = tmp_path / "config.yaml"
    file.write_text(shown.group(1))
    with pytest.raises(ConfigError) as refusal:
        load_config(file, {})
    assert str(refusal.value) == shown.group(2)


# --- the schema for editors ---------------------------------------------------------------------


def test_the_shipped_file_names_its_schema_and_keeps_to_it() -> None:
    text = SHIPPED.read_text("utf-8")
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named
    assert PROJECT / named.group(1) == write_configuration.SCHEMA
    jsonschema_rs.validator_for(schema()).validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "whisperx: {language: RU}",
        "whisperx: {model_size: ./models/mine}",
        "logging: {level: debug}",
        "api: {port: 0, key: null, trusted_hosts: [office.example.com]}",
        "output: {formats: []}",
        "watch: {rescan_seconds: 5}",
        "{}",
    ],
)
def test_an_editor_finds_no_fault_with_what_the_program_takes(text: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    load_config(file, {})
    assert jsonschema_rs.validator_for(schema()).is_valid(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "api: {port: 65536}",
        "api: {prot: 8000}",
        "api: {workers: 2}",
        "whisperx: {language: rusian}",
        "whisperx: {model_size: huge}",
        "whisperx: {vad_onset: 0}",
        "output: {formats: [pdf]}",
        "watch: {recursive: yes please}",
    ],
)
def test_an_editor_marks_what_the_program_refuses(text: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError):
        load_config(file, {})
    assert not jsonschema_rs.validator_for(schema()).is_valid(yaml.safe_load(text))
