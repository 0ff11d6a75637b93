"""Nothing that a stranger wrote into a file steers the terminal."""

from __future__ import annotations

import json

import pytest

import transcriber
from modules.cli.commands import doctor
from modules.cli.daemon_status import Owner
from modules.cli.doctor.findings import ok
from modules.cli.printable import printable, printable_json, printable_lines
from modules.errors import ConfigError, LockHeldError

EVIL = "\x1b]0;you\x07\x1b[2J\x9b2J\r\u202e"


def test_control_characters_are_spelled_out() -> None:
    assert printable(f"a{EVIL}b\nc").isprintable()
    assert printable_lines(f"a{EVIL}\nb").split("\n")[1] == "b"


def test_json_means_the_same_without_them() -> None:
    content = {"name": f"Ж{EVIL}\udcff\n"}
    text = printable_json(content)
    assert "Ж" in text
    assert all(line.isprintable() for line in text.split("\n"))
    assert json.loads(text) == content


def test_an_owner_that_somebody_forged_is_shown_harmlessly() -> None:
    owner = Owner(role=EVIL, pid=1, host=EVIL, since=None)
    assert doctor.line(ok("lock", str(owner))).isprintable()


def test_an_error_is_printed_harmlessly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise LockHeldError("lock_held", f"{EVIL}\nworks on this folder already.")

    monkeypatch.setattr(transcriber, "build_parser", lambda: Parser(refuse))
    assert transcriber.main([]) == 75
    assert capsys.readouterr().err.rstrip("\n").isprintable()


def test_each_complaint_about_a_configuration_keeps_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise ConfigError(["api.port: wrong", "api.host: wrong"])

    monkeypatch.setattr(transcriber, "build_parser", lambda: Parser(refuse))
    assert transcriber.main([]) == 78
    assert len(capsys.readouterr().err.splitlines()) > 1


class Parser:
    """Stands for the command line; its command is the one that it was given."""

    def __init__(self, command: object) -> None:
        self.command = command

    def parse_args(self, _: object) -> Parser:
        return self
