"""What runs on a node, without Ray: events are kept, paths and folders mapped, weights compared."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from modules.config.schema import Config
from modules.errors import MediaError, ModelError, TranscriberError, noted
from modules.executors.base import Outcome
from modules.executors.local.process import worker_environment
from modules.executors.protocol import Started
from modules.executors.ray import channel as channel_module
from modules.executors.ray import frames
from modules.executors.ray.channel import Channel, LinkClosedError
from modules.executors.ray.link_process import is_loopback, ray_environment
from modules.executors.ray.media import mapped
from modules.executors.ray.node_run import NodeRun, ended_with
from modules.executors.ray.node_weights import on_this_node
from modules.executors.ray.node_worker import MODELS_VARIABLE, node_config
from modules.executors.ray.slot import ClusterPlan
from modules.executors.ray.wire import (
    Begin,
    Failure,
    Line,
    Numbered,
    Poll,
    error_of,
    failure_of,
)
from modules.executors.tasks import task_for
from modules.messages import translated
from modules.weights.files import ModelSpec
from modules.weights.sums import sums_of
from tests.builders import SETTINGS, SOURCE, a_chunk, a_config, a_model

SPEC = ModelSpec(name="faster-whisper-base", path="/nowhere", device="cpu", compute_type="int8")


def a_run(root: Path) -> NodeRun:
    task = task_for(root / "talk.mp3", SETTINGS, SPEC, a_config(root))
    begin = Begin(order=1, command=task.command, spent_s=0.0, identity=SOURCE, sums={})
    return NodeRun(begin, None)


def polled(run: NodeRun, after: int, stop: bool = False) -> tuple[Numbered, ...]:
    return run.take(Poll(order=1, after=after, stop=stop, hurry=True, wait_s=0.0))


def test_what_was_reported_is_kept_until_the_daemon_has_it(tmp_path: Path) -> None:
    """A poll whose answer got lost is simply asked again."""
    run = a_run(tmp_path)
    callbacks = run.callbacks(on_tick=lambda: None, here=lambda command: None)
    callbacks.on_accepted()
    callbacks.on_started(Started(task_id=1, format="mp3", codec="mp3"))
    callbacks.on_chunk(a_chunk(0))
    first = polled(run, 0)
    assert [each.number for each in first] == [1, 2, 3]
    assert polled(run, 0) == first
    assert [each.number for each in polled(run, 2)] == [3]
    run.end(ended_with(Outcome(None, 1.0, None, "", 0)))
    [chunk, ended] = polled(run, 2)
    assert isinstance(chunk.event, Line)
    assert ended.number == 4
    assert polled(run, 4) == ()


def test_a_stop_comes_with_a_poll_and_an_abandoned_run_says_nothing_more(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    callbacks = run.callbacks(on_tick=lambda: None, here=lambda command: None)
    assert not callbacks.should_stop()
    polled(run, 0, stop=True)
    assert callbacks.should_stop()
    callbacks.on_accepted()
    run.abandon(1)
    assert polled(run, 0) == ()


def test_word_of_an_earlier_run_that_comes_late_abandons_no_other(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    run.abandon(0)
    assert run.is_wanted
    run.abandon(1)
    assert not run.is_wanted


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (b"/srv/shared/a/talk.mp3", b"/mnt/a/talk.mp3"),
        (b"/srv/shared", b"/mnt"),
        (b"/srv/shared2/talk.mp3", b"/srv/shared2/talk.mp3"),
        (b"/srv/shared/\xff.mp3", b"/mnt/\xff.mp3"),
    ],
)
def test_paths_are_mapped_by_whole_folders(path: bytes, found: bytes) -> None:
    assert mapped(path, (("/srv/shared/", "/mnt/"),)) == found


def test_the_configuration_travels_without_what_is_secret(tmp_path: Path) -> None:
    config = a_config(
        tmp_path,
        api={"key": "very secret key"},
        whisperx={"cpu_threads": 3},
        processing={"worker_hang_seconds": 7.0},
    )
    plan = ClusterPlan(address="10.0.0.1:6379", path_map=((str(tmp_path), "/mnt"),))
    setup = plan.setup(config)
    assert "very secret key" not in setup.model_dump_json()
    there = node_config(setup, {MODELS_VARIABLE: "/opt/models"})
    assert isinstance(there, Config)
    assert there.whisperx == config.whisperx
    assert there.processing == config.processing
    assert there.shared_directory == Path("/mnt/shared")
    assert there.models_directory == Path("/opt/models")


def test_an_error_is_the_same_after_the_journey_and_can_still_be_translated() -> None:
    remedy = noted("Copy the recording again.")
    error = MediaError("empty_file", noted("The file is empty."), details="why", remedy=remedy)
    sent = failure_of(error)
    back = error_of(Failure.model_validate_json(sent.model_dump_json()))
    assert isinstance(back, MediaError)
    assert (back.code, str(back), back.details) == (error.code, str(error), error.details)
    assert back.permanent
    assert translated(back.text, "ru") == translated(error.text, "ru") != str(error)


def test_weights_are_found_by_name_and_must_be_the_same(tmp_path: Path) -> None:
    a_model(tmp_path / "here")
    a_model(tmp_path / "there")
    folder = tmp_path / "here" / SPEC.name
    sums = sums_of(folder)
    assert set(sums) == {"model.bin", "config.json", "tokenizer.json", "vocabulary.txt"}
    found = on_this_node(SPEC, sums, tmp_path / "there")
    assert found.path == str(tmp_path / "there" / SPEC.name)
    (tmp_path / "there" / SPEC.name / "config.json").write_bytes(b"[]")
    with pytest.raises(ModelError) as caught:
        on_this_node(SPEC, sums, tmp_path / "there")
    assert caught.value.code == "node_weights_differ"
    other = SPEC.model_copy(update={"name": "mine"})
    with pytest.raises(TranscriberError) as missing:
        on_this_node(other, sums, tmp_path / "there")
    assert missing.value.code == "node_weights_missing"


def test_the_child_gets_nothing_by_which_ray_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/somewhere")
    monkeypatch.setenv("API_KEY", "key")
    assert not {"RAY_AUTH_TOKEN_PATH", "API_KEY"} & set(worker_environment(tmp_path))


def test_only_a_loopback_address_is_one() -> None:
    for address in ("127.0.0.1:6379", "127.0.0.2:6379", "localhost:1", "[::1]:6379", "::1"):
        assert is_loopback(address), address
    for address in ("10.0.0.1:6379", "head:6379", "127.example:6379"):
        assert not is_loopback(address), address
    assert ray_environment({}, None, "10.0.0.1:6379")["RAY_AUTH_MODE"] == "token"


def test_a_refused_check_costs_a_second_and_one_without_an_answer_five() -> None:
    """A machine whose Ray is dead is given up within 5 s, and one that is busy not within 20 s."""
    chosen = ray_environment({}, None, "10.0.0.1:6379")
    names = ("period_ms", "timeout_ms", "failure_threshold")
    period, timeout, count = (int(chosen[f"RAY_health_check_{name}"]) for name in names)
    assert period * count < 5000
    assert timeout * count >= 20000
    assert (period + timeout) * count < 30000


def test_an_answer_to_an_earlier_question_is_not_taken_for_the_next() -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    with theirs:
        channel.ask({"op": "call"})
        channel.ask({"op": "call"}, b"bytes")
        assert channel.answer(0) is None
        assert frames.receive(theirs) == ({"op": "call", "number": 1}, b"")
        assert frames.receive(theirs) == ({"op": "call", "number": 2}, b"bytes")
        frames.send(theirs, {"number": 1, "answer": "old"})
        frames.send(theirs, {"number": 2, "answer": "new"})
        answer = channel.answer(5)
        assert answer is not None
        assert answer["answer"] == "new"
        theirs.sendall(b"\xff" * 8)
        channel.ask({"op": "call"})
        with pytest.raises(LinkClosedError):
            channel.answer(5)
    channel.close()
    with pytest.raises(LinkClosedError):
        channel.answer(0)


def test_a_link_that_stops_in_the_middle_of_a_message_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In either direction; one that begins no answer may only be busy."""
    monkeypatch.setattr(channel_module, "STUCK_S", 0.1)
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    with theirs:
        assert channel.answer(0) is None
        with pytest.raises(LinkClosedError):
            channel.ask({"op": "call"}, bytes(8 * 2**20))
        theirs.sendall(b"\0\0")
        with pytest.raises(LinkClosedError):
            channel.answer(5)
    channel.close()
