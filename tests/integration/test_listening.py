"""Listening copies and peaks, made by the real process for the real daemon."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import socket
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import numpy as np
import psutil
import pytest

from modules.audio.recording import Hearing, Limits, Recording, open_recording
from modules.clock import SystemClock
from modules.config.schema import Config
from modules.errors import WorkerError
from modules.executors.listen_protocol import Kind, Wish
from modules.executors.local.listen import ListeningProcess, command
from modules.worker.sandbox import landlock
from tests.builders import SETTINGS, a_config
from tests.daemon_process import PROJECT
from tests.http_reply import Reply
from tests.integration.test_api import Client
from tests.integration.test_sandbox import victim
from tests.mounts import mounted
from tests.page import made
from tests.recordings.corpus import ROWS
from tests.recordings.row import Row
from tests.recordings.writing import Track, written
from tests.sandbox_probe import VARIABLE, Targets
from tests.scripted_daemon import SOON_S, ScriptedDaemon

WORKER = "modules.worker.listen"
RATE = 16_000
#: A click in the copy lies where it lies in the recording, within this many seconds.
NEAR_S = 0.05


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def shared_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path_factory.mktemp("formats")) as started:
        yield started


@pytest.fixture
def client(daemon: ScriptedDaemon) -> Client:
    return Client(daemon)


def at(name: str) -> str:
    return quote(name, safe="/")


def ready(daemon: ScriptedDaemon, client: Client, path: str, **headers: str) -> Reply:
    """The answer once it is not 202 any more."""
    answers: list[Reply] = []

    def came() -> bool:
        answers.append(client.get(path, **headers))
        if answers[-1].status == 202:
            assert answers[-1].json["status"] == "preparing"
            assert 0 <= answers[-1].json["percentage"] <= 99
            assert answers[-1].headers["retry-after"] == "1"
        return answers[-1].status != 202

    daemon.wait_for(came, f"{path} is ready", 60)
    return answers[-1]


def listen_folder(daemon: ScriptedDaemon) -> Path:
    return daemon.shared / ".transcriber" / "listen"


def beeps(seconds: int, places: tuple[float, ...]) -> Any:
    """Speech with 50 ms of a tone at these seconds, between stretches of silence."""
    speech = samples_of(made.SPEECH.read_bytes())
    sound = np.resize(speech, seconds * RATE).copy()
    for place in places:
        begin = round(place * RATE)
        sound[max(0, begin - RATE // 2) : begin + RATE // 2] = 0
        sound[begin : begin + RATE // 20] = 0.7 * np.sin(
            2 * np.pi * 1000 * np.arange(RATE // 20) / RATE
        )
    return sound.astype(np.float32)


def samples_of(content: bytes) -> Any:
    """All of a file, decoded by FFmpeg as Chromium does: what the encoder put in front is gone."""
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler("flt", "mono", RATE)
        pieces = [
            piece.to_ndarray()[0] for frame in container.decode(stream)
            for piece in resampler.resample(frame)
        ]  # fmt: skip
        pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    return np.concatenate(pieces)


def onset_s(samples: Any, near_s: float) -> float:
    """Where a tone begins around a second."""
    first = max(0, round((near_s - 0.4) * RATE))
    loud = np.flatnonzero(np.abs(samples[first : round((near_s + 0.4) * RATE)]) > 0.2)
    return float(first + loud[0]) / RATE


def placed(daemon: ScriptedDaemon, name: str, content: bytes, **result: Any) -> str:
    source = daemon.root / "source"
    source.write_bytes(content)
    made.finish(daemon.shared, name, made.TALK, source=source, **result)
    return name


PLAYED_NOWHERE = {
    "aiff": ("aiff", "pcm_s16be", 16_000),
    "caf": ("caf", "pcm_s16be", 16_000),
    "wma": ("asf", "wmav2", 44_100),
    "amr": ("amr", "libopencore_amrnb", 8_000),
    "ts": ("mpegts", "mp2", 48_000),
    "avi": ("avi", "mp3", 44_100),
    "flv": ("flv", "aac", 44_100),
    "3gp": ("3gp", "aac", 44_100),
}


def encoded(kind: str, sound: Any) -> bytes:
    container, codec, rate = PLAYED_NOWHERE[kind]
    bits = 48_000 if codec in ("wmav2", "mp3", "aac", "mp2") else 0
    return written(container, [Track(sound, codec, rate, bits_per_s=bits)])


@pytest.mark.parametrize("kind", sorted(PLAYED_NOWHERE))
def test_a_tone_lies_where_it_lies_in_the_recording(
    daemon: ScriptedDaemon, client: Client, kind: str
) -> None:
    name = placed(daemon, f"talk.{kind}", encoded(kind, beeps(30, (1.0, 29.0))))
    answer = ready(daemon, client, f"/audio/{name}")
    assert (answer.status, answer.headers["content-type"]) == (200, "audio/mpeg")
    with open_recording(daemon.shared / name, Limits()) as recording:
        original = np.concatenate(list(recording.blocks()))
    copy = samples_of(answer.body)
    assert abs(len(copy) - len(original)) / RATE < 0.1
    for place in (1.0, 29.0):
        assert abs(onset_s(copy, place) - onset_s(original, place)) < NEAR_S
    assert [path.suffix for path in sorted(listen_folder(daemon).iterdir())] == [".mp3", ".peaks"]


def test_a_tone_after_ten_minutes_is_still_in_its_place(
    daemon: ScriptedDaemon, client: Client
) -> None:
    places = (0.5, 300.0, 600.0)
    name = placed(daemon, "long.aiff", encoded("aiff", beeps(605, places)))
    copy = samples_of(ready(daemon, client, f"/audio/{name}").body)
    for place in places:
        assert abs(onset_s(copy, place) - place) < 0.005
    assert abs(len(copy) / RATE - 605) < 0.1


def test_parts_of_a_copy_are_sent(daemon: ScriptedDaemon, client: Client) -> None:
    name = placed(daemon, "talk.caf", encoded("caf", beeps(5, ())))
    whole = ready(daemon, client, f"/audio/{name}")
    part = client.get(f"/audio/{name}", Range="bytes=100-199", If_Range=whole.headers["etag"])
    assert (part.status, part.body) == (206, whole.body[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole.body)}"
    beyond = client.get(f"/audio/{name}", Range=f"bytes={len(whole.body)}-")
    assert beyond.status == 416
    known = client.get(f"/audio/{name}", If_None_Match=whole.headers["etag"])
    assert known.status == 304


def test_what_browsers_play_is_sent_as_it_is_and_a_copy_of_it_if_asked(
    daemon: ScriptedDaemon, client: Client
) -> None:
    name = made.talk(daemon.shared, "talk.wav")
    assert client.get(f"/audio/{name}").body == made.SPEECH.read_bytes()
    copy = ready(daemon, client, f"/audio/{name}?copy=true")
    assert copy.headers["content-type"] == "audio/mpeg"
    assert abs(len(samples_of(copy.body)) - len(samples_of(made.SPEECH.read_bytes()))) < RATE / 10
    assert client.get(f"/audio/{name}?copy=maybe").status == 422


def test_the_recording_itself_can_be_had_of_every_kind(
    daemon: ScriptedDaemon, client: Client
) -> None:
    content = encoded("aiff", beeps(3, ()))
    name = placed(daemon, "talk.aiff", content)
    answer = client.get(f"/audio/{name}?copy=false")
    assert (answer.status, answer.body) == (200, content)
    assert answer.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize("variable", [False, True])
def test_of_an_mp3_whose_frames_differ_there_is_a_copy(
    daemon: ScriptedDaemon, client: Client, variable: bool
) -> None:
    options = {"flags": "+qscale", "global_quality": str(118 * 5)} if variable else {}
    track = Track(beeps(20, (10.0,)), "mp3", 44_100, options=options)
    track = Track(track.sound, "mp3", 44_100, bits_per_s=0 if variable else 64_000, options=options)
    content = written("mp3", [track])
    name = placed(daemon, "talk.mp3", content)
    answer = ready(daemon, client, f"/audio/{name}")
    assert (answer.body == content) is not variable


# --- every odd recording --------------------------------------------------------------------------


def opened(row: Row, path: Path) -> Recording | None:
    try:
        return open_recording(path, Limits(), Hearing(language=SETTINGS.language))
    except Exception:  # noqa: BLE001 - what the decoder does not open is not asked here
        return None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_odd_recording_can_be_heard(shared_daemon: ScriptedDaemon, row: Row) -> None:
    """As long as the decoder says it is, which the times of the words come from."""
    path = shared_daemon.root / row.name
    path.write_bytes(row.make())
    recording = opened(row, path)
    if recording is None:
        pytest.skip("the decoder does not open it")
    with recording:
        length = sum(map(len, recording.blocks()))
    made.finish(shared_daemon.shared, row.name, made.TALK, source=path)
    client = Client(shared_daemon)
    address = f"/audio/{at(row.name)}?copy=true"
    whole = ready(shared_daemon, client, address)
    assert whole.status == 200, whole.text
    assert client.get(address, Range="bytes=0-9").status == 206
    assert abs(len(samples_of(whole.body)) - length) / RATE < 0.1
    peaks = client.get(f"/peaks/{at(row.name)}")
    assert peaks.status == 200
    assert abs(len(peaks.body) / 20 - length / RATE) < 0.1


def test_of_two_languages_only_the_one_that_was_transcribed_is_heard(
    daemon: ScriptedDaemon, client: Client
) -> None:
    first, other = np.zeros(10 * RATE, np.float32), beeps(10, ())
    tracks = [Track(first, "flac", RATE), Track(other, "flac", RATE)]
    content = written("matroska", tracks)
    placed(daemon, "both.mkv", content)
    mixed = samples_of(ready(daemon, client, "/audio/both.mkv?copy=true").body)
    assert np.abs(mixed).max() > 0.1
    result = daemon.shared / "both.mkv.result"
    left = '"metadata": {"account": {"left_out": [{"what": "track", "why": "simultaneous"}]},'
    result.write_text(result.read_text().replace('"metadata": {', left))
    alone = samples_of(ready(daemon, client, "/audio/both.mkv?copy=true").body)
    assert np.abs(alone).max() < 0.01


# --- peaks ----------------------------------------------------------------------------------------


def test_peaks_show_where_it_is_loud(daemon: ScriptedDaemon, client: Client) -> None:
    sound = beeps(60, (20.0, 40.0))
    name = placed(daemon, "talk.wav", written("wav", [Track(sound, "pcm_s16le", RATE)]))
    answer = ready(daemon, client, f"/peaks/{name}")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert float(answer.headers["x-peaks-per-second"]) == 20
    assert len(answer.body) == 1200
    assert [bool(answer.body[i] > 150) for i in (399, 400, 401, 402)] == [False, True, False, False]
    assert [path.suffix for path in listen_folder(daemon).iterdir()] == [".peaks"]
    few = client.get(f"/peaks/{name}?points=100")
    assert len(few.body) == 100
    assert float(few.headers["x-peaks-per-second"]) == pytest.approx(100 / 60)
    assert max(few.body) == max(answer.body)
    tag = few.headers["etag"]
    assert client.get(f"/peaks/{name}?points=100", If_None_Match=tag).status == 304
    assert client.get(f"/peaks/{name}?points=0").status == 422


# --- what goes wrong ------------------------------------------------------------------------------


def test_what_cannot_be_decoded_says_so_and_is_not_tried_again(
    daemon: ScriptedDaemon, client: Client
) -> None:
    placed(daemon, "broken.amr", b"\0this is no recording" * 50)
    for _ in range(3):
        answer = ready(daemon, client, "/audio/broken.amr")
        assert (answer.status, answer.error_code) == (415, "not_playable")
        assert "no known kind of recording" in answer.json["message"]
        assert ready(daemon, client, "/peaks/broken.amr").status == 415
    assert daemon.log.count("could not be prepared") == 1


@pytest.mark.parametrize("what", ["full", "read-only"])
def test_without_room_there_is_an_error_and_the_rest_goes_on(tmp_path: Path, what: str) -> None:
    place = tmp_path / "shared"
    if what == "read-only":
        place = place / ".transcriber" / "listen"
    place.mkdir(parents=True)
    options = "size=300m" if what == "full" else "ro"
    with (
        mounted(place, "-t", "tmpfs", "-o", options, "tmpfs"),
        ScriptedDaemon(tmp_path) as daemon,
    ):
        client = Client(daemon)
        name = placed(daemon, "talk.caf", encoded("caf", beeps(3, ())))
        playable = made.talk(daemon.shared, "talk.wav")
        if what == "full":
            (daemon.shared / ".ballast").write_bytes(bytes(60 * 2**20))
        for path in (f"/audio/{name}", f"/peaks/{playable}"):
            answer = ready(daemon, client, path)
            assert answer.status == 503
            assert answer.error_code == ("disk_full" if what == "full" else "read_only")
        assert client.get(f"/audio/{playable}").body == made.SPEECH.read_bytes()


def test_the_cache_may_be_removed_at_any_time(daemon: ScriptedDaemon, client: Client) -> None:
    name = placed(daemon, "talk.caf", encoded("caf", beeps(3, ())))
    first = ready(daemon, client, f"/audio/{name}").body
    shutil.rmtree(listen_folder(daemon))
    assert ready(daemon, client, f"/audio/{name}").body == first


def test_what_a_crash_left_is_removed(daemon: ScriptedDaemon, client: Client) -> None:
    folder = listen_folder(daemon)
    folder.mkdir(exist_ok=True)
    left = folder / f"{'0' * 48}.part"
    left.write_bytes(b"half")
    strange = folder / "notes.txt"
    strange.write_text("somebody's")
    placed(daemon, "talk.caf", encoded("caf", beeps(3, ())))
    ready(daemon, client, "/audio/talk.caf")
    daemon.wait_for(lambda: not left.exists(), "the part is removed", SOON_S)
    assert strange.exists()


def test_with_a_recording_its_copy_is_deleted(daemon: ScriptedDaemon, client: Client) -> None:
    name = placed(daemon, "talk.caf", encoded("caf", beeps(3, ())))
    ready(daemon, client, f"/audio/{name}")
    assert list(listen_folder(daemon).iterdir())
    assert client.ask("DELETE", f"/transcribe?filename={name}", b"", {}).status == 200
    assert not list(listen_folder(daemon).iterdir())


def listeners(daemon: ScriptedDaemon) -> list[psutil.Process]:
    found = []
    for child in daemon.children():
        try:
            if WORKER in child.cmdline():
                found.append(child)
        except psutil.Error:
            continue
    return found


def minutes(count: int) -> bytes:
    """A WAV of noise; its content decides what it is, not its name."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        minute = np.random.default_rng(0).integers(-9000, 9000, 60 * RATE, np.int16).tobytes()
        for _ in range(count):
            file.writeframes(minute)
    return buffer.getvalue()


def test_sound_goes_before_peaks_one_at_a_time_and_all_ends_with_the_daemon(
    daemon: ScriptedDaemon, client: Client
) -> None:
    hour = minutes(60)
    placed(daemon, "hour.wav", hour)
    placed(daemon, "hour.aiff", hour[:-2])
    placed(daemon, "talk.caf", encoded("caf", beeps(3, ())))
    assert client.get("/peaks/hour.wav").status == 202
    [first] = daemon.wait_for(lambda: listeners(daemon), "it began", SOON_S)
    assert ready(daemon, client, "/audio/talk.caf").status == 200
    assert not first.is_running()
    assert not list(listen_folder(daemon).glob("*.part"))
    assert client.get("/audio/hour.aiff").status == 202

    def is_made() -> bool:
        assert len(listeners(daemon)) <= 1
        return bool(list(listen_folder(daemon).glob("*.part")))

    daemon.wait_for(is_made, "it began again", SOON_S)
    [last] = listeners(daemon)
    daemon.stop()
    assert not last.is_running()
    assert not list(listen_folder(daemon).glob("*.part"))


def test_it_is_killed_with_the_daemon(daemon: ScriptedDaemon, client: Client) -> None:
    placed(daemon, "hour.aiff", minutes(60))
    assert client.get("/audio/hour.aiff").status == 202
    [child] = daemon.wait_for(lambda: listeners(daemon), "it began", SOON_S)
    daemon.kill()  # which waits for its children, and fails if one is left
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    daemon.start()
    daemon.wait_for(
        lambda: not list(listen_folder(daemon).glob("*.part")), "the part is removed", SOON_S
    )


# --- the process ----------------------------------------------------------------------------------


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[tuple[psutil.Process, ListeningProcess]]:
    """The process with half of an hour in hand."""
    config = a_config(tmp_path)
    for folder in (config.shared_directory, config.manual_directory):
        folder.mkdir()
    path = config.shared_directory / "hour.aiff"
    path.write_bytes(minutes(60))
    recording = os.open(path, os.O_RDONLY)
    process = ListeningProcess(config, SystemClock(), recording, Wish(sound=True))
    os.close(recording)
    try:
        next(kind for kind, _ in process.pieces(lambda: True) if kind is Kind.PROGRESS)
        yield psutil.Process(process.process.pid), process
    finally:
        process.end()


def test_it_disturbs_nobody_and_takes_no_more_than_it_may(
    at_work: tuple[psutil.Process, ListeningProcess],
) -> None:
    process, _ = at_work
    assert process.nice() == 19
    assert process.ionice().ioclass == psutil.IOPRIO_CLASS_IDLE
    assert process.memory_info().rss < 150 * 2**20
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    assert re.search(rf"Max address space\s+{2**30}\s+{2**30} ", limits)
    assert re.search(r"Max cpu time\s+7200\s+7200 ", limits)
    assert Path(f"/proc/{process.pid}/oom_score_adj").read_text().strip() == "1000"


REFUSALS = {"EACCES", "EPERM", "ENOSYS", "EBADF", "EINVAL", "ENOTDIR"}
POSSIBLE = {"descriptor": {"read the recording", "seek in the recording"}}


def test_it_is_confined_as_the_whisperx_process_is(tmp_path: Path) -> None:
    """And writes no file at all."""
    try:
        landlock.landlock_version()
    except OSError as error:
        pytest.skip(f"this kernel has no Landlock ({error})")
    config = a_config(tmp_path)
    for folder in (config.shared_directory, config.manual_directory):
        folder.mkdir()
    for name in ("talk.wav", "other.wav", "victim.wav"):
        (config.shared_directory / name).write_bytes(b"content of a recording")
        with contextlib.suppress(OSError):
            os.setxattr(config.shared_directory / name, "user.note", b"private")
    share = str(config.shared_directory)
    secrets = ("/etc/passwd", "/etc/hostname", str(PROJECT / "config.yaml"))
    listener = str(tmp_path / "listener")
    with victim() as process, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(listener)
        targets = Targets(process.pid, share, f"{share}/talk.wav", secrets, listener)
        said = tried(config, targets)
    for group, attempts in said.items():
        done = {name for name, what in attempts.items() if what == "done"}
        if group == "usual":
            assert done == set(attempts)
            continue
        assert done == POSSIBLE.get(group, set()), group
        assert {what for what in attempts.values() if what != "done"} <= REFUSALS, group
    assert sum(map(len, said.values())) > 190
    files = {path.name: path.read_bytes() for path in config.shared_directory.iterdir()}
    assert set(files.values()) == {b"content of a recording"}
    assert len(files) == 3


def tried(config: Config, targets: Targets) -> dict[str, dict[str, str]]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(VARIABLE, targets.encoded())
        patched.setattr(
            "modules.executors.local.listen.command",
            lambda config, wish: [
                "tests.listen_probe" if word.endswith("worker.listen") else word
                for word in command(config, wish)
            ],
        )
        recording = os.open(f"{targets.share}/talk.wav", os.O_RDONLY)
        process = ListeningProcess(config, SystemClock(), recording, Wish(sound=False))
        os.close(recording)
    try:
        pieces = dict(process.pieces(lambda: True))
    finally:
        process.end()
    said: dict[str, dict[str, str]] = json.loads(pieces[Kind.PEAKS])
    return said


def test_a_process_that_floods_or_hangs_is_ended(tmp_path: Path) -> None:
    config = a_config(tmp_path)
    flood = (
        "import sys\nwhile True: sys.stdout.buffer.write(bytes([3, 0, 16, 0, 0]) + bytes(2**20))"
    )
    silence = "import time\ntime.sleep(600)"
    nonsense = "print('hello')"
    for program, code in (
        (flood, "implausible_output"), (nonsense, "implausible_output"),
        ("", "listening_failed"), (silence, "listening_hung"),
    ):  # fmt: skip
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(
                "modules.executors.local.listen.command",
                lambda config, wish, program=program: [sys.executable, "-c", program],
            )
            patched.setattr("modules.executors.local.listen.SILENT_MAX_S", 1.0)
            process = ListeningProcess(config, SystemClock(), 0, Wish(sound=False))
            try:
                with pytest.raises(WorkerError) as error:
                    list(process.pieces(lambda: True))
                assert error.value.code == code
            finally:
                process.end()
