"""A run on a node, seen from the daemon: what the worker is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.executors.base import RunCallbacks
from modules.executors.protocol import Transcribe
from modules.executors.ray import remote_run
from modules.executors.ray.remote_run import RemoteRun
from modules.executors.ray.wire import Poll
from modules.executors.tasks import task_for
from modules.weights.files import ModelSpec
from tests.builders import SETTINGS, a_config

SPEC = ModelSpec(name="faster-whisper-base", path="/nowhere", device="cpu", compute_type="int8")


def test_what_comes_next_is_not_looked_up_with_each_poll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, asked = a_config(tmp_path), 0

    def next_up() -> Transcribe:
        nonlocal asked
        asked += 1
        name = f"next {asked}.mp3"
        return task_for(config.shared_directory / name, SETTINGS, SPEC, config).command

    task = task_for(config.shared_directory / "talk.mp3", SETTINGS, SPEC, config)
    callbacks = RunCallbacks(on_chunk=lambda chunk: None, next_up=next_up)
    run = RemoteRun(1, task, callbacks, lambda method, argument, payload: None)
    monkeypatch.setattr(remote_run, "NEXT_UP_S", 3600.0)
    polls = [Poll.model_validate_json(run.poll(stop=False, wait_s=0.0)) for _ in range(20)]
    assert asked == 1
    assert [poll.next_up for poll in polls] == [polls[0].next_up] * 20
    assert polls[0].next_up is not None
    monkeypatch.setattr(remote_run, "NEXT_UP_S", 0.0)
    run.poll(stop=False, wait_s=0.0)
    assert asked == 2
    assert Poll.model_validate_json(run.poll(stop=True, wait_s=0.0)).next_up is None
    assert asked == 2
