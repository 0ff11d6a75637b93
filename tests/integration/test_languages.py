"""What a person is told by the real daemon and the real command line, in English and in Russian."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.integration.test_api import Client
from tests.scripted_daemon import SOON_S, ScriptedDaemon

RUSSIAN = {"Accept-Language": "ru-RU,ru;q=0.9,en;q=0.5"}
CYRILLIC = re.compile("[а-яё]", re.I)


def failed(daemon: ScriptedDaemon, name: str = "empty.mp3") -> str:
    """The explanation of a recording that is given up at once."""
    daemon.drop(name)
    daemon.wait_until_in_manual(name)
    return (daemon.manual / f"{name}.error.txt").read_text("utf-8")


def command(daemon: ScriptedDaemon, *words: str, **variables: str) -> str:
    """What a command of the program says, to both its streams."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG"))}
    ended = subprocess.run(
        daemon.command(*words), env={**plain, **variables}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    return ended.stdout + ended.stderr


def test_a_failure_is_told_to_everybody_in_his_language(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path, {"whisperx": {"language": "ru"}}) as daemon:
        api = Client(daemon)
        text = failed(daemon)
        assert "Что произошло: Файл пуст. Скопируйте запись ещё раз.\n" in text
        for path in ("/status/empty.mp3", "/manual", "/api/tasks", "/api/tasks/empty.mp3"):
            english = api.get(path)
            assert not CYRILLIC.search(english.text), english.text
            assert "The file is empty." in english.text
            russian = api.ask("GET", path, headers=RUSSIAN)
            assert "Файл пуст." in russian.text
            assert "The file is empty." not in russian.text
            assert "Accept-Language" in russian.headers["vary"]
        state = (daemon.manual / "empty.mp3.in_progress").read_text("utf-8")
        assert '"message": "The file is empty.' in state
        assert "Файл пуст" in command(daemon, "status", LANG="ru_RU.UTF-8")
        english_status = command(daemon, "status", LANG="C.UTF-8")
        assert "The file is empty." in english_status
        assert not CYRILLIC.search(english_status)
        assert "The file is empty." in command(daemon, "status", "--json", LANG="ru_RU.UTF-8")
        assert "empty.mp3" in daemon.log
        assert not CYRILLIC.search(daemon.log)


def test_refusals_are_told_in_the_language_of_the_request(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path, {"api": {"port": 0, "key": "secret"}}) as daemon:
        api = Client(daemon)
        key = {"X-API-Key": "secret"}
        for path, headers, code, russian in (
            ("/status/a.mp3", {}, "unauthorized", "Нужен ключ, или он неверен."),
            ("/result/a.mp3", key, "file_not_found", "В общей папке нет файла 'a.mp3'."),
            ("/nothing", key, "not_found", "По этому адресу ничего нет."),
            ("/" + 5000 * "a", key, "not_found", "Слишком длинный адрес"),
            ("/api/tasks?limit=x", key, "invalid_request", "limit: нужно целое число"),
        ):
            found = api.ask("GET", path, headers={**headers, **RUSSIAN}).json
            plain = api.ask("GET", path, headers=headers).json
            assert (found["error_code"], plain["error_code"]) == (code, code)
            assert russian in found["message"]
            assert not found["suggestion"] or CYRILLIC.search(found["suggestion"])
            assert not CYRILLIC.search(plain["message"] + (plain["suggestion"] or ""))
        answer = api.ask("GET", "/v1/models/nope", headers={**key, **RUSSIAN})
        assert CYRILLIC.search(answer.json["error"]["message"])


@pytest.mark.parametrize(
    ("wished", "spoken", "russian"),
    [("auto", "ru", True), ("auto", "en", False), ("auto", "auto", False), ("en", "ru", False),
     ("ru", "en", True)],
)  # fmt: skip
def test_the_setting_decides_on_texts_beside_recordings(
    tmp_path: Path, wished: str, spoken: str, russian: bool
) -> None:
    config = {"messages": {"language": wished}, "whisperx": {"language": spoken}}
    with ScriptedDaemon(tmp_path, config) as daemon:
        assert bool(CYRILLIC.search(failed(daemon))) is russian
        (daemon.shared / "talk.mp3.settings.yaml").write_text("beam_size: 99")
        daemon.drop("talk.mp3")
        notice = daemon.shared / "talk.mp3.settings.yaml.error.txt"
        daemon.wait_for(notice.exists, "there is a text about the settings", SOON_S)
        assert bool(CYRILLIC.search(notice.read_text("utf-8"))) is russian
        (daemon.shared / "talk.mp3.settings.yaml").unlink()
        daemon.wait_for(lambda: not notice.exists(), "our own text goes again", SOON_S)
        if wished != "auto":  # also goes before the locale
            found = command(daemon, "status", LANG="ru_RU.UTF-8" if wished == "en" else "C.UTF-8")
            assert bool(CYRILLIC.search(found)) is russian


def test_a_wrong_configuration_is_told_in_the_language_of_the_locale(tmp_path: Path) -> None:
    daemon = ScriptedDaemon(tmp_path, {"whisperx": {"model_size": "smal", "temperature": 7}})
    russian = command(daemon, "status", LANG="ru_RU.UTF-8")
    assert "whisperx.temperature: нужно число от 0 до 1, получено 7" in russian
    assert "возможно, вы имели в виду small?" in russian
    english = command(daemon, "status", LANG="C.UTF-8")
    assert "whisperx.temperature: must be between 0 and 1, got 7" in english
    assert not CYRILLIC.search(english)
    assert "проблема" in command(daemon, "doctor", LANG="ru_RU.UTF-8")


def test_the_daemons_refusal_comes_to_the_command_line_in_russian(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path) as daemon:
        failed(daemon)
        (daemon.shared / "empty.mp3").mkdir()
        found = command(daemon, "retry", "empty.mp3", LANG="ru_RU.UTF-8")
        assert CYRILLIC.search(found)
        assert "already" not in found
