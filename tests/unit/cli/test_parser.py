"""The command line as people type it."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules import PACKAGE
from modules.cli import shells
from modules.cli.parser import build_parser


@pytest.mark.parametrize(
    ("line", "config"),
    [
        ("status", None),
        ("--config a.yaml status", "a.yaml"),
        ("status --config a.yaml", "a.yaml"),
        ("submit --config a.yaml talk.mp3", "a.yaml"),
        ("--config a.yaml status --config b.yaml", "b.yaml"),
        ("--config a.yaml", "a.yaml"),
    ],
)
def test_config_is_taken_before_and_after_the_command(line: str, config: str | None) -> None:
    options = build_parser().parse_args(line.split())
    assert options.config == (Path(config) if config else None)


@pytest.mark.parametrize(
    ("line", "meant"),
    [("statu", "status"), ("trancribe a.mp3", "transcribe"), ("completion bahs", "bash")],
)
def test_a_slip_of_the_finger_gets_a_suggestion(
    line: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(line.split())
    assert ended.value.code == 2
    assert f"did you mean {meant}?" in capsys.readouterr().err


def test_a_word_that_resembles_no_command_gets_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["xyzzy"])
    complaint = capsys.readouterr().err
    assert "'transcribe'" in complaint
    assert "did you mean" not in complaint


@pytest.mark.parametrize(
    ("started", "name"),
    [
        ("/usr/bin/audio-transcriber", "audio-transcriber"),
        ("/lib/audio_transcriber/__main__.py", f"python -m {PACKAGE}"),
    ],
)
def test_an_installed_copy_is_called_what_the_user_called_it(
    started: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shells, "IS_INSTALLED", True)
    monkeypatch.setattr("sys.argv", [started])
    for line in (["--help"], ["status", "--help"]):
        with pytest.raises(SystemExit):
            build_parser().parse_args(line)
        told = capsys.readouterr().out
        assert told.startswith(f"usage: {name} ")
        assert f"  {name} status --watch " in told
    said = shells.message_as_called("transcriber.py x.mp3: `transcriber.py resume` lets it go on.")
    assert said == f"transcriber.py x.mp3: `{name} resume` lets it go on."


def test_a_checkout_is_called_by_its_start_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/somewhere/pytest"])
    assert build_parser().prog == "transcriber.py"
