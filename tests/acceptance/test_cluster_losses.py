"""Real WhisperX on the nodes of a real cluster: a node is lost, and two workers work at once."""

from __future__ import annotations

import importlib.util
import json
import os
import time
import wave
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from modules.executors.ray.node_worker import MODELS_VARIABLE
from tests.acceptance.recordings import SAMPLES
from tests.cluster.cluster_daemon import RealClusterDaemon
from tests.cluster.local_cluster import LocalCluster, a_cluster
from tests.daemon_process import MODELS, DaemonProcess
from tests.soak import SOAKING, soak
from tests.speech import Clip, festvox_russian, joined, require_speech, spread

pytestmark = pytest.mark.acceptance

SHORT = SAMPLES / "please-hold-ru.wav"
#: Some chunks: less is in hand at once.
REPEATED = 12
LONG_S = 1800
#: Where the node is lost, as a share of the file.
LOST_AT = 0.5
#: Of that much sound, and many times slower than two quiet cores are.
LONG_LIMIT_S = 3600.0
RECORDINGS = soak(4, 20)
CPUS = 2

#: What of a ``.result`` says when and how fast it was made.
_OF_TIME = {
    "": ("job_id", "processing_start", "processing_end", "processing_time_seconds"),
    "processing_stats": ("memory_peak_mb", "cpu_time_seconds"),
}


@pytest.fixture
def cluster(weights: None) -> Iterator[LocalCluster]:
    """Two machines, each with room for one worker with two processors, or two with one."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("the optional packages for a cluster are not installed")
    with a_cluster(nodes=2, cpus=CPUS, **{MODELS_VARIABLE: str(MODELS)}) as started:
        yield started


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A sample over and over, over a minute; in ``make soak`` half an hour of a man who reads."""
    if SOAKING:
        require_speech()
        return joined(festvox_russian(), LONG_S).path
    made = tmp_path / "recording.wav"
    with wave.open(str(SHORT)) as source, wave.open(str(made), "wb") as target:
        target.setparams(source.getparams())
        target.writeframes(source.readframes(source.getnframes()) * REPEATED)
    return made


def put(daemon: DaemonProcess, source: Path, name: str) -> str:
    """Copy it with a time of its own, as that is in the ``.result``."""
    hidden = daemon.shared / f".{name}.part"
    hidden.write_bytes(source.read_bytes())
    os.utime(hidden, (1_700_000_000, 1_700_000_000))
    hidden.rename(daemon.shared / name)
    return name


def written(daemon: DaemonProcess, name: str) -> dict[str, bytes]:
    """Everything that was made of a recording, without what says when."""
    stem = Path(name).stem
    paths = [p for p in daemon.shared.glob(f"{stem}.*") if p.name != name]
    found = {path.name: path.read_bytes() for path in paths}
    found[f"{name}.result"] = _timeless(json.loads(found[f"{name}.result"]))
    return found


def _timeless(result: dict[str, Any]) -> bytes:
    for section, keys in _OF_TIME.items():
        part = result[section] if section else result
        for key in keys:
            del part[key]
    del result["metadata"]["model_info"]["load_time_seconds"]
    return json.dumps(result, ensure_ascii=False).encode()


def undisturbed(root: Path, sources: Mapping[str, Path]) -> dict[str, dict[str, bytes]]:
    """What this machine alone makes of recordings, one after the other."""
    with DaemonProcess(root) as daemon:
        for name, source in sources.items():
            put(daemon, source, name)
        return {name: _finished(daemon, name) for name in sources}


def _finished(daemon: DaemonProcess, name: str) -> dict[str, bytes]:
    daemon.wait_for_result(name, LONG_LIMIT_S)
    return written(daemon, name)


def busy(daemon: DaemonProcess) -> list[str]:
    """What the workers have in hand."""
    workers = json.loads(daemon._get("/health/detailed"))["workers"]
    return [worker["filename"] for worker in workers if worker["filename"]]


@pytest.mark.timeout(2 * LONG_LIMIT_S)
def test_a_file_goes_on_elsewhere_from_the_checkpoint_when_its_node_is_killed(
    cluster: LocalCluster, recording: Path, tmp_path: Path
) -> None:
    """Byte for byte as if nothing had happened, and no attempt counts."""
    began = time.monotonic()
    here = undisturbed(tmp_path / "here", {"talk.wav": recording})["talk.wav"]
    alone_s = time.monotonic() - began
    with wave.open(str(recording)) as sound:
        duration_s = sound.getnframes() / sound.getframerate()
    with RealClusterDaemon(tmp_path / "there", cluster, cpus_per_worker=CPUS) as daemon:
        name = put(daemon, recording, "talk.wav")
        goal_s = LOST_AT * duration_s if SOAKING else 0.0
        daemon.wait_for(
            lambda: daemon.position_s(name) > goal_s, "it is in the middle", LONG_LIMIT_S
        )
        [actor] = cluster.actors()
        lost = cluster.node_of(actor)
        cluster.kill(lost)
        killed = time.monotonic()
        daemon.wait_for_log(r"is lost")
        noticed_s = time.monotonic() - killed
        at_s = float(daemon.wait_for_log(r"going on from the checkpoint at (\d+\.\d) s")[1])
        resumed_s = time.monotonic() - killed
        [other] = cluster.actors()
        assert cluster.node_of(other) != lost
        assert max(goal_s, 1.0) <= at_s < duration_s
        result = daemon.wait_for_result(name, LONG_LIMIT_S)
        assert result["processing_stats"]["total_attempts"] == 1, "the file was blamed for it"
        assert written(daemon, name) == here
    print(
        f"{duration_s:.0f} s of sound, {alone_s:.0f} s alone; lost at {at_s:.1f} s, noticed after "
        f"{noticed_s:.1f} s, went on after {resumed_s:.1f} s, {len(here)} files are the same"
    )


def clips() -> Sequence[Clip | Path]:
    if not SOAKING:
        return [SHORT, SAMPLES / "queue-ru.mp4", SAMPLES / "please-hold-en.flac", SHORT]
    require_speech()
    return spread(festvox_russian(), RECORDINGS)


@pytest.mark.timeout(2 * LONG_LIMIT_S)
def test_two_workers_at_once_write_what_this_machine_alone_does(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    chosen = [clip.path if isinstance(clip, Clip) else clip for clip in clips()]
    sources = {f"talk {n:02}{path.suffix}": path for n, path in enumerate(chosen)}
    assert len(sources) == RECORDINGS
    here = undisturbed(tmp_path / "here", sources)
    cluster.kill(cluster.nodes[-1])  # both are on one machine
    with RealClusterDaemon(tmp_path / "there", cluster, max=2) as daemon:
        for number in (1, 2):
            daemon.wait_for_log(rf"The worker \S+-{number} is there")
        for name, source in sources.items():
            put(daemon, source, name)
        daemon.wait_for(lambda: len(busy(daemon)) == 2, "two are transcribed at once")
        there = {name: _finished(daemon, name) for name in sources}
    assert there == here
