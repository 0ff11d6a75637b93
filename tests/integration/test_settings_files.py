"""Settings beside the recordings, with the real daemon and a scripted worker."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon_process import text_of
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    """One daemon for all of them, which also looks into subfolders."""
    root = tmp_path_factory.mktemp("steady")
    with ScriptedDaemon(root, {"watch": {"recursive": True}}) as running:
        yield running


def ask(daemon: ScriptedDaemon, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    port = daemon.wait_for_log(r"Listening on http://[^:]+:(\d+)", SOON_S).group(1)
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=SOON_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def write(daemon: ScriptedDaemon, file: str, content: str) -> Path:
    path = daemon.shared / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def wait_for_complaint(daemon: ScriptedDaemon, name: str, words: str) -> None:
    def said() -> bool:
        error = (daemon.in_progress(name) or {}).get("error") or {}
        return error.get("code") == "invalid_settings" and words in error["message"]

    daemon.wait_for(said, f"{name} waits because of {words!r}", SOON_S)


def test_settings_of_folder_and_file_reach_worker_and_result(steady: ScriptedDaemon) -> None:
    write(steady, "set/settings.yaml", 'initial_prompt: "Acme"\nbeam_size: 3\n')
    write(steady, "set/one.mp3.settings.yaml", "beam_size: 4\n")
    contents = {name: steady.drop(name) for name in ("one.mp3", "two.mp3")}
    for name in contents:
        (steady.shared / name).rename(steady.shared / "set" / name)
    for name, beam_size in (("one.mp3", 4), ("two.mp3", 3)):
        result = steady.wait_for_result(f"set/{name}", SOON_S)
        assert text_of(result) == f"[Acme] {full_text(contents[name])}"
        assert result["settings"]["beam_size"] == beam_size
    assert (steady.shared / "set" / "one.mp3.settings.yaml").exists()


def test_a_mistake_waits_is_told_and_mended(steady: ScriptedDaemon) -> None:
    own = write(steady, "wrong.mp3.settings.yaml", "beam_size: 99\nlangage: en\n")
    notice = steady.shared / "wrong.mp3.settings.yaml.error.txt"
    steady.drop("wrong.mp3")
    steady.drop("bystander.mp3")
    steady.wait_for_result("bystander.mp3", SOON_S)
    wait_for_complaint(steady, "wrong.mp3", "did you mean language?")
    steady.wait_for(notice.exists, "the text about the mistake", SOON_S)
    assert "beam_size: нужно число от 1 до 20, получено 99" in notice.read_text("utf-8")
    code, view = ask(steady, "GET", "/status/wrong.mp3")
    assert (code, view["status"], view["current_attempt"]) == (200, "processing", 1)
    assert view["error"]["code"] == "invalid_settings"
    code, said = ask(steady, "POST", "/transcribe", {"filename": "wrong.mp3"})
    assert (code, said["error_code"]) == (422, "invalid_settings")
    assert "wrong.mp3.settings.yaml: beam_size: must be" in said["message"]
    lines = steady.log.count("wrong.mp3: waiting")
    own.write_text("beam_size: 3\n", encoding="utf-8")
    result = steady.wait_for_result("wrong.mp3", SOON_S)
    assert (result["settings"]["beam_size"], lines) == (3, 1)
    assert result["processing_stats"]["total_attempts"] == 1
    assert not notice.exists()


def test_a_folders_mistake_is_over_when_the_file_is_removed(steady: ScriptedDaemon) -> None:
    wrong = write(steady, "calls/settings.yaml", "- no keys\n")
    steady.drop("call.mp3")
    (steady.shared / "call.mp3").rename(steady.shared / "calls" / "call.mp3")
    notice = steady.shared / "calls" / "settings.yaml.error.txt"
    steady.wait_for(notice.exists, "the text about the mistake", SOON_S)
    wait_for_complaint(steady, "calls/call.mp3", "must hold keys and values")
    wrong.unlink()
    steady.wait_for_result("calls/call.mp3", SOON_S)
    assert not notice.exists()


def test_traps_neither_hang_nor_leak(steady: ScriptedDaemon, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2: 1\n")
    (steady.shared / "link.mp3.settings.yaml").symlink_to(tmp_path / "secret")
    os.mkfifo(steady.shared / "pipe.mp3.settings.yaml")
    (steady.shared / "folder.mp3.settings.yaml").mkdir()
    for name, words in (("link", "a link"), ("pipe", "something special"), ("folder", "a folder")):
        steady.drop(f"{name}.mp3")
        wait_for_complaint(steady, f"{name}.mp3", words)
        code, gone = ask(steady, "DELETE", f"/transcribe?filename={name}.mp3")
        assert code == 200, gone
    assert "hunter2" not in steady.log
    assert (tmp_path / "secret").exists()
    left = {name for name in steady.files("*.settings.yaml") if name.partition(".")[0] in
            ("link", "pipe", "folder")}  # fmt: skip
    assert left == {"folder.mp3.settings.yaml"}


def test_settings_go_to_manual_and_come_back(steady: ScriptedDaemon) -> None:
    write(steady, "notmedia.mp3.settings.yaml", "beam_size: 3\n")
    steady.drop("notmedia.mp3")
    steady.wait_until_in_manual("notmedia.mp3", SOON_S)
    moved = steady.manual / "notmedia.mp3.settings.yaml"
    assert moved.read_text() == "beam_size: 3\n"
    moved.write_text("beam_size: 99\n")
    code, said = ask(steady, "POST", "/manual/notmedia.mp3/retry")
    assert (code, said["error_code"]) == (422, "invalid_settings")
    moved.write_text("beam_size: 4\n")
    code, said = ask(steady, "POST", "/manual/notmedia.mp3/retry")
    assert (code, said["settings"]["beam_size"]) == (202, 4)


def test_a_wrong_file_is_found_again_after_a_restart(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path) as daemon:
        own = write(daemon, "talk.mp3.settings.yaml", "beam_size: 99\n")
        content = daemon.drop("talk.mp3")
        wait_for_complaint(daemon, "talk.mp3", "beam_size")
        daemon.kill()
        own.write_text("beam_size: 3\n")
        daemon.start()
        result = daemon.wait_for_result("talk.mp3", SOON_S)
        assert (text_of(result), result["settings"]["beam_size"]) == (full_text(content), 3)
        assert daemon.files() == {
            "talk.mp3", "talk.mp3.result", "talk.mp3.settings.yaml", "talk.srt", "talk.txt",
        }  # fmt: skip
