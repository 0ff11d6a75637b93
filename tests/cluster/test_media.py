"""The recording on a node: mounted there under another path, or sent in pieces; and its weights."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from modules.config.schema import Config
from modules.errors import MediaError, ModelError, StorageError
from modules.executors.base import HandOut, RunCallbacks, Task
from modules.executors.ray import remote_run
from modules.executors.ray.media import Received, mapped
from modules.executors.ray.node_run import NodeRun
from modules.executors.ray.remote_run import RemoteRun
from modules.executors.ray.wire import PIECE_BYTES, Answer, Begin, Poll, State
from modules.executors.tasks import task_for
from modules.recordings.shared_folder import identity_of
from modules.weights.files import ModelSpec
from tests.builders import SETTINGS, a_config, until
from tests.cluster.local_cluster import START_S, LocalCluster
from tests.cluster.test_losses import Heard
from tests.cluster.workers import a_pool, closing, config_in, ready, spec_in
from tests.scripted_worker import NOT_MEDIA, full_text, recording


def handed_out(path: Path, config: Config) -> Task:
    task = task_for(path, SETTINGS, spec_in(config), config)
    return Task(task.command, handout=HandOut("job", "epoch", 1))


def texts(cluster: LocalCluster, root: Path, content: bytes, **plan: Any) -> str:
    """What a worker makes of a recording with that content."""
    config = config_in(root, cluster)
    path = config.shared_directory / "talk.mp3"
    path.write_bytes(content)
    with closing(a_pool(cluster, config, **plan)) as pool:
        executor, heard = ready(pool)[0], Heard()
        executor.run(handed_out(path, config), heard.callbacks())
        return heard.text


def test_a_node_may_mount_the_share_elsewhere(cluster: LocalCluster, tmp_path: Path) -> None:
    there = tmp_path / "mnt"
    there.mkdir()
    (there / "talk.mp3").write_bytes(recording(3))
    path_map = ((str(tmp_path / "shared"), str(there)),)
    assert texts(cluster, tmp_path, recording(3), path_map=path_map) == full_text(recording(3))


def test_a_machine_that_has_the_share_where_the_daemon_has_it_uses_that(tmp_path: Path) -> None:
    """As that of the daemon itself, where others mount it elsewhere."""
    share, mount = tmp_path / "shared", tmp_path / "mnt"
    path_map = ((f"{share}/", str(mount)),)
    name = os.fsencode(share / "talk.mp3")
    assert mapped(name, path_map) == os.fsencode(mount / "talk.mp3")  # neither is here
    share.mkdir()
    assert mapped(name, path_map) == name
    mount.mkdir()
    assert mapped(name, path_map) == os.fsencode(mount / "talk.mp3")
    assert mapped(os.fsencode(tmp_path / "shared2"), path_map) == os.fsencode(tmp_path / "shared2")


def test_another_file_of_that_name_on_the_node_is_refused(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    there = tmp_path / "mnt"
    there.mkdir()
    (there / "talk.mp3").write_bytes(recording(3, seed="other"))
    path_map = ((str(tmp_path / "shared"), str(there)),)
    with pytest.raises(StorageError) as caught:
        texts(cluster, tmp_path, recording(3), path_map=path_map)
    assert caught.value.code == "node_has_other_file"


def test_a_node_without_the_share_says_so(cluster: LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()  # where the share would be mounted
    path_map = ((str(tmp_path / "shared"), str(tmp_path / "empty")),)
    with pytest.raises(StorageError) as caught:
        texts(cluster, tmp_path, recording(3), path_map=path_map)
    assert caught.value.code == "node_lacks_file"
    assert "workers.path_map" in str(caught.value)


def test_a_recording_is_sent_in_pieces_to_a_node_without_the_share(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    """The second in three pieces, the last of them short; nothing of them stays there."""
    path_map = ((str(tmp_path / "shared"), str(tmp_path / "nowhere")),)
    config = config_in(tmp_path, cluster)
    small, large = (config.shared_directory / name for name in ("talk.mp3", "film.mp3"))
    small.write_bytes(recording(3))
    large.write_bytes(NOT_MEDIA + bytes(2 * PIECE_BYTES + 1000))
    with closing(a_pool(cluster, config, media="stream", path_map=path_map)) as pool:
        executor, heard = ready(pool)[0], Heard()
        tasks = [handed_out(path, config) for path in (small, large)]
        assert executor.run(tasks[0], heard.callbacks()).done is not None
        assert heard.text == full_text(recording(3))
        with pytest.raises(MediaError):  # by the child, which has it before it
            executor.run(tasks[1], heard.callbacks())
        copy = Path(tempfile.gettempdir(), f"transcriber-node-{os.getuid()}-{executor.hello.pid}")
        assert copy.is_dir()
        until(lambda: not (copy / "recording").exists(), "the copy is removed")


def test_pieces_come_in_any_order_two_at_a_time_and_wrong_ones_are_not_taken(
    tmp_path: Path,
) -> None:
    source = tmp_path / "source.mp3"
    content = bytes(range(256)) * (PIECE_BYTES // 256) * 2 + b"the end"
    source.write_bytes(content)
    pieces = [content[i : i + PIECE_BYTES] for i in range(0, len(content), PIECE_BYTES)]
    received = Received(tmp_path / "copy", b"talk.mp3", identity_of(source))
    assert received.wants == ()
    assert received.whole(lambda: False) is None
    assert received.wants == (0, 1)
    received.put(1, pieces[1])
    assert received.wants == (0, 2)
    received.put(2, pieces[0])
    received.put(7, b"")
    assert received.wants == (0, 2)
    received.put(2, pieces[2])
    received.put(0, pieces[0])
    assert received.wants == ()
    assert (tmp_path / "copy" / "talk.mp3").read_bytes() == content
    received.close()
    assert not (tmp_path / "copy").exists()


def test_what_changed_on_the_way_is_no_recording(tmp_path: Path) -> None:
    source = tmp_path / "source.mp3"
    source.write_bytes(recording(3))
    received = Received(tmp_path / "copy", b"talk.mp3", identity_of(source))
    other = recording(3, seed="other")
    with pytest.raises(StorageError):
        received.whole(lambda: (received.put(0, other), True)[1])
    received.close()


def test_a_full_disk_of_the_machine_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon would wait for ever: it sends each piece once."""
    source = tmp_path / "source.mp3"
    source.write_bytes(recording(3))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    received = Received(tmp_path / "copy", b"talk.mp3", identity_of(source))
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StorageError):
        received.whole(lambda: (received.put(0, source.read_bytes()), True)[1])
    received.close()
    assert not (tmp_path / "copy").exists()


def test_a_piece_that_was_lost_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = a_config(tmp_path)
    config.shared_directory.mkdir()
    path = config.shared_directory / "talk.mp3"
    path.write_bytes(recording(3))
    spec = ModelSpec(name="m", path="/nowhere", device="cpu", compute_type="int8")
    sent: list[bytes] = []
    run = RemoteRun(
        1, task_for(path, SETTINGS, spec, config), RunCallbacks(on_chunk=lambda chunk: None),
        lambda method, argument, payload: sent.append(payload),
    )  # fmt: skip
    answer = Answer(wants=(0,), state=State())
    assert under_way(run) == ()
    run.take(answer)
    run.take(answer)
    assert sent == [recording(3)], "it is under way"
    assert under_way(run) == (0,)
    monkeypatch.setattr(remote_run, "RESEND_S", 0.0)
    assert under_way(run) == ()
    run.take(answer)
    assert sent == [recording(3)] * 2
    run.close()


def under_way(run: RemoteRun) -> tuple[int, ...]:
    """What the next poll says of the pieces."""
    return Poll.model_validate_json(run.poll(False, 0.0)).under_way


def test_a_poll_waits_while_all_pieces_that_are_wanted_are_on_their_way(tmp_path: Path) -> None:
    """It would be answered at once otherwise, thousands of times for a film."""
    source = tmp_path / "source.mp3"
    source.write_bytes(bytes(3 * PIECE_BYTES))
    config = a_config(tmp_path)
    spec = ModelSpec(name="m", path="/nowhere", device="cpu", compute_type="int8")
    command = task_for(source, SETTINGS, spec, config).command
    begin = Begin(order=1, command=command, spent_s=0, identity=identity_of(source), sums={})
    received = Received(tmp_path / "copy", b"talk.mp3", begin.identity)
    run = NodeRun(begin, received)
    assert received.whole(lambda: False) is None
    poll = Poll(order=1, after=0, stop=False, hurry=False, wait_s=START_S, under_way=(0,))
    assert run.take(poll) == ()  # at once: another one may be sent
    waits = threading.Thread(
        target=run.take, args=(poll.model_copy(update={"under_way": (0, 1)}),), name="poll"
    )
    waits.start()
    waits.join(0.5)
    assert waits.is_alive(), "it was answered, and there was nothing to say"
    run.put(0, bytes(PIECE_BYTES))
    waits.join(START_S / 2)
    assert not waits.is_alive()
    assert received.wants == (1, 2)
    received.close()


def test_a_node_with_other_weights_gets_no_work(cluster: LocalCluster, tmp_path: Path) -> None:
    config = config_in(tmp_path, cluster)
    models = tmp_path / "models"
    shutil.copytree(cluster.models, models)
    (models / "faster-whisper-base" / "model.bin").write_bytes(b"{ }")
    config = config.model_copy(update={"models_directory": models})
    with closing(a_pool(cluster, config)) as pool:

        def refused() -> bool:
            pool.maintain()
            return isinstance(pool.problem, ModelError)

        until(refused, "the node is refused", START_S)
        assert pool.problem is not None
        assert pool.problem.code == "node_weights_differ"
        assert "model.bin" in str(pool.problem.details)
        assert pool.workers() == ()
