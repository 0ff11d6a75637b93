"""Names in the locales that servers are left with: the daemon, its child, the API, the commands."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.daemon_process import PROJECT, text_of
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text

#: No help from Python: neither another locale in place of the plain one, nor its UTF-8 mode.
PLAIN = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
#: Locale, its definition and its encoding; they are made for the test, where the system can.
MADE = {
    "de_DE": ("de_DE", "ISO-8859-1"),
    "ru_RU.KOI8-R": ("ru_RU", "KOI8-R"),
    "ja_JP.eucJP": ("ja_JP", "EUC-JP"),
}
SHORT = "Запись совещания № 1.mp3"
LONG = "Очень длинное имя " * 6 + ".mp3"
COMMAND_S = 60.0


@pytest.fixture(scope="module", params=["C", *MADE])
def variables(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, str]:
    """The environment of a locale."""
    if request.param == "C":
        return PLAIN
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales").is_dir():
        pytest.skip("localedef and its sources are not installed (Debian: locales)")
    folder = tmp_path_factory.mktemp("locales")
    source, encoding = MADE[request.param]
    made = folder / request.param
    command = ["localedef", "--no-archive", "-i", source, "-f", encoding, str(made)]
    subprocess.run(command, capture_output=True, timeout=COMMAND_S, check=False)
    assert (made / "LC_CTYPE").is_file(), f"{request.param} was not made"
    return {"LC_ALL": request.param, "LOCPATH": str(folder)}


@pytest.fixture(scope="module")
def daemon(
    variables: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ScriptedDaemon]:
    root = tmp_path_factory.mktemp("share")
    with ScriptedDaemon(root, variables=variables) as running:
        yield running


@pytest.mark.parametrize("name", [SHORT, LONG, "日本語の会議.mp3"])
def test_a_name_in_utf8_becomes_a_text_whatever_the_locale(
    daemon: ScriptedDaemon, name: str
) -> None:
    content = daemon.drop(name)
    result = daemon.wait_for(lambda: _result(daemon, name), f"the text of {name}", SOON_S)
    assert text_of(result) == full_text(content)
    assert result["filename"] == name
    assert "Traceback" not in daemon.log


def _result(daemon: ScriptedDaemon, name: str) -> dict[str, object] | None:
    """By what it says of its recording: the sidecar of a long name is called otherwise."""
    for found in daemon.shared.glob("*.result"):
        content: dict[str, object] = json.loads(found.read_bytes())
        if content.get("filename") == name:
            return content
    return None


def test_a_name_that_is_in_no_encoding_becomes_a_text(daemon: ScriptedDaemon) -> None:
    name = os.fsdecode("Запись".encode("koi8-r") + b".mp3")
    content = daemon.drop(name)
    daemon.wait_for(lambda: daemon.result(name), "the text of a name in KOI8-R", SOON_S)
    text = (daemon.shared / f"{os.path.splitext(name)[0]}.txt").read_text(encoding="utf-8")
    assert full_text(content).split()[0] in text


def test_the_api_knows_the_name(daemon: ScriptedDaemon) -> None:
    name = "Совет директоров.mp3"
    daemon.drop(name)
    daemon.wait_for_result(name, SOON_S)
    port = daemon.wait_for_log(r"Listening on http://[^:]+:(\d+)", SOON_S).group(1)
    address = f"http://127.0.0.1:{port}/result/{urllib.parse.quote(name)}"
    with urllib.request.urlopen(address, timeout=60) as answer:
        assert answer.status == 200


def test_a_command_knows_the_name_and_says_it_in_utf8(daemon: ScriptedDaemon) -> None:
    name = "Планёрка.mp3"
    daemon.drop(name)
    daemon.wait_for_result(name, SOON_S)
    said = subprocess.run(
        daemon.command("submit", name), cwd=PROJECT, env=daemon.environment(),
        stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_S, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr.decode(errors="replace")
    assert name in said.stdout.decode("utf-8")


#: What a terminal of a locale shows; where it cannot show a letter, it gets its number.
TERMINALS = {"de_DE": "iso-8859-1", "ru_RU.KOI8-R": "koi8-r", "ja_JP.eucJP": "euc-jp"}


def test_a_terminal_gets_its_own_encoding(variables: Mapping[str, str], tmp_path: Path) -> None:
    """``--config`` with a Cyrillic name is repeated in the complaint."""
    encoding = TERMINALS.get(variables["LC_ALL"], "utf-8")
    program = [sys.executable, "transcriber.py", "--config", str(tmp_path / "нет.yaml"), "status"]
    ours, theirs = pty.openpty()
    try:
        subprocess.run(
            program, cwd=PROJECT, env={**os.environ, **variables}, stdin=subprocess.DEVNULL,
            stdout=theirs, stderr=theirs, timeout=COMMAND_S, check=False,
        )  # fmt: skip
        said = os.read(ours, 4096)
    finally:
        os.close(ours)
        os.close(theirs)
    assert "нет.yaml".encode(encoding, errors="backslashreplace") in said
