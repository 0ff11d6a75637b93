"""Several workers in the real daemon: one shape everywhere, those that are lost, no live text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.builders import until
from tests.daemon_process import PROJECT
from tests.integration.test_live import port_of
from tests.integration.test_statistics import ask
from tests.pooled_daemon import WORKERS, PooledDaemon
from tests.scripted_daemon import SOON_S, ScriptedDaemon

LATER_S = 3 * SOON_S


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PooledDaemon]:
    with PooledDaemon(tmp_path_factory.mktemp("daemon")) as running:
        until(lambda: len(workers(running)) == WORKERS, "all of them are there", LATER_S)
        yield running


def workers(daemon: ScriptedDaemon) -> list[dict[str, Any]]:
    return list(ask(daemon, "/stats/workers")["workers"])


def states(daemon: ScriptedDaemon) -> dict[str, str]:
    return {worker["name"]: worker["state"] for worker in workers(daemon)}


def said(daemon: ScriptedDaemon, *words: str, language: str = "en") -> str:
    """What a command prints."""
    done = subprocess.run(
        [sys.executable, "transcriber.py", "--config", str(daemon.config_file), *words],
        cwd=PROJECT, env=os.environ | {"LANGUAGE": language, "LC_ALL": "en_US.UTF-8"},
        capture_output=True, text=True, timeout=LATER_S, check=True,
    )  # fmt: skip
    return done.stdout


def test_everybody_is_shown_the_same(daemon: PooledDaemon) -> None:
    daemon.drop("talk.mp3")
    until(lambda: "transcribing" in states(daemon).values(), "it began", LATER_S)
    until(lambda: daemon.metrics()["transcriber_jobs_running"] == 1, "it is counted", LATER_S)
    [busy] = [worker for worker in workers(daemon) if worker["filename"]]
    assert (busy["filename"], busy["state"], busy["node"]) == (
        "talk.mp3", "transcribing", busy["name"],
    )  # fmt: skip
    job_id = json.loads(daemon._get("/status/talk.mp3"))["job_id"]
    assert busy["job_id"] == job_id
    by_status = json.loads(said(daemon, "status", "--json"))["workers"]
    for found in (ask(daemon, "/health/detailed"), ask(daemon, "/api/tasks")):
        assert found["workers"] == workers(daemon) == by_status
    series = daemon.metrics()
    name = busy["name"]
    assert series[f'transcriber_worker_state{{state="transcribing",worker="{name}"}}'] == 1
    assert series[f'transcriber_worker_busy{{worker="{name}"}}'] == 1


def test_a_lost_one_is_told_in_words_until_it_is_back(daemon: PooledDaemon) -> None:
    daemon.lose("node2")
    until(lambda: states(daemon).get("node2") == "lost", "it is lost", LATER_S)
    assert "is lost, since 2" in said(daemon, "status")
    assert "Its machine, or the network to it, was lost." in said(daemon, "status")
    assert "Обработчик node2 (cpu faster-whisper-base): потерян, с 2" in said(
        daemon, "status", language="ru"
    )
    assert daemon.metrics()['transcriber_worker_state{state="lost",worker="node2"}'] == 1
    daemon.lose()
    until(lambda: states(daemon).get("node2") == "waiting", "it is back", LATER_S)


@pytest.mark.parametrize("path", ["/live", "/v1/realtime?intent=transcription", "/v1/listen", "/"])
def test_live_text_is_refused_with_the_reason(daemon: PooledDaemon, path: str) -> None:
    address = f"ws://127.0.0.1:{port_of(daemon)}{path}"
    with pytest.raises(InvalidStatus) as caught:
        connect(address, additional_headers={"Accept-Language": "ru"})
    response = caught.value.response
    assert response.status_code == 503
    answer = json.loads(response.body)
    found = answer.get("error", answer)  # as OpenAI has it, below /v1/
    assert found.get("code", found.get("error_code")) == "live_needs_local_worker"
    assert "все обработчики в кластере" in found["message"]
    assert "workers.kind: local" in found["message"] + answer.get("suggestion", "")


def test_the_other_answers_about_live_text_say_so(daemon: PooledDaemon) -> None:
    answer = ask(daemon, "/sessions")
    assert (answer["enabled"], answer["free"], answer["sessions"]) == (False, False, [])
    assert answer["error_code"] == "live_needs_local_worker"
    [live] = [p for p in ask(daemon, "/health/detailed")["parts"] if p["name"] == "live"]
    assert live["state"] == "off"
    assert "in a cluster" in live["why"]


def test_one_worker_of_this_machine_makes_no_noise(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path) as daemon:
        [worker] = json.loads(said(daemon, "status", "--json"))["workers"]
        assert worker["name"] not in said(daemon, "status")
        assert ask(daemon, "/api/tasks")["workers"] is None
