"""Transcripts that go into a real Redis, to a stock RQ worker: none is lost, whoever dies."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest

from modules.cli.doctor.check_senders import check_handover
from modules.cli.doctor.findings import Level
from modules.config.loader import load_config
from tests.builders import until
from tests.daemon_process import PROJECT, text_of
from tests.redis_server import RedisServer, Worker, require_redis
from tests.scripted_daemon import PROGRAM, SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text
from tests.soak import soak

#: Everything has arrived by then, also on a busy machine.
ARRIVED_S = 180.0

#: Goes on quickly after an outage; dies at a step of the way, where DIES names one.
MORE = """
import os, signal
from modules.delivery import handover, job_loop, outbox, rq_queue
from modules.jobs.backoff import Backoff
from modules.recordings import state_writer
handover._PAUSES = Backoff(0.2, 0.5)
job_loop._FAILED_S = job_loop._FOLDER_S = 0.5
rq_queue.ANSWER_S = 1.0
step, _, moment = os.environ.get("DIES", "").partition(" ")
owners = dict(put=outbox.Outbox, clear=state_writer.StateWriter, add=rq_queue.RqQueue,
              remove=outbox.Outbox)
if step:
    real = getattr(owners[step], step)
    def dying(*given, **named):
        if moment == "after":
            real(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(owners[step], step, dying)
import transcriber
"""

#: What the worker calls: a line for each time, and then what the name says.
CONSUMER = """
import json, os, time
def summarize(message):
    with open(os.environ["RUNS"], "a", encoding="utf-8") as runs:
        runs.write(json.dumps(message, ensure_ascii=False) + "\\n")
    if "slow" in message["name"]:
        time.sleep(float(os.environ.get("SLOW_S", "0")))
"""


class HandingDaemon(ScriptedDaemon):
    """``dies``: the step at which it ends itself, and whether before or after it."""

    hold_s = 0.2
    dies = ""

    def command(self, *arguments: str) -> list[str]:
        program = PROGRAM.format(hold_s=self.hold_s).replace("import transcriber\n", MORE, 1)
        return [sys.executable, "-c", program, "--config", str(self.config_file), *arguments]

    def environment(self) -> dict[str, str]:
        return super().environment() | {"DIES": self.dies}

    def kept(self) -> list[Path]:
        return list((self.shared / ".transcriber" / "handover").glob("*.json"))


class Place:
    """A daemon, a Redis and a worker, each with folders of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.redis = RedisServer(root / "redis")
        (root / "consumer").mkdir()
        (root / "consumer" / "summaries.py").write_text(CONSUMER, encoding="utf-8")
        self.runs_file = root / "runs"
        self.variables = {"RUNS": str(self.runs_file), "WORKER_LOG": str(root / "worker.log")}
        self.worker = self.a_worker()
        self.daemon = self.a_daemon()

    def a_worker(self, *more: str) -> Worker:
        return Worker(self.redis.url, self.root / "consumer", self.variables, *more)

    def a_daemon(self, **handover: Any) -> HandingDaemon:
        section = {"url": self.redis.url, "queue": "transcripts"} | handover
        return HandingDaemon(self.root, {"handover": section})

    def runs(self) -> list[dict[str, Any]]:
        if not self.runs_file.exists():
            return []
        return [json.loads(line) for line in self.runs_file.read_text("utf-8").splitlines()]

    def names(self) -> Counter[str]:
        return Counter(run["name"] for run in self.runs())

    def wait_for(self, names: set[str]) -> None:
        until(lambda: set(self.names()) >= names, self._missing(names), ARRIVED_S)
        until(lambda: not self.daemon.kept(), "no file was left in the outbox", ARRIVED_S)

    def _missing(self, names: set[str]) -> str:
        return f"all of {len(names)} transcripts reached the worker; see {self.root}"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    require_redis()
    found = Place(tmp_path)
    try:
        yield found
    finally:
        if found.daemon.is_alive:
            found.daemon.kill()
        found.worker.kill()
        found.redis.kill()


def test_each_transcript_reaches_a_stock_worker_once(place: Place) -> None:
    place.redis.start()
    place.daemon.start()
    content = place.daemon.drop("беседа.mp3")
    result = place.daemon.wait_for_result("беседа.mp3", SOON_S)
    place.worker.start()
    place.wait_for({"беседа.mp3"})
    (message,) = place.runs()
    raw = (place.daemon.shared / message["result_path"]).read_bytes()
    assert message == {
        "schema": 1,
        "job_id": result["job_id"],
        "name": "беседа.mp3",
        "language": message["language"],
        "duration_s": result["duration_seconds"],
        "result_path": "беседа.mp3.result",
        "text_path": "беседа.txt",
        "result_sha256": sha256(raw).hexdigest(),
        "text": full_text(content),
        "api_url": f"/result/{result['job_id']}",
    }
    assert text_of(result) == message["text"]
    series = place.daemon.metrics()
    assert series['transcriber_handovers_total{outcome="delivered"}'] == 1
    assert series['transcriber_outbox{kind="handover"}'] == 0


def test_the_sample_worker_takes_what_is_written_as_json(place: Place) -> None:
    place.daemon = place.a_daemon(serializer="json")
    done = place.root / "done"
    place.variables["SUMMARIES"] = str(done)
    place.worker = Worker(
        place.redis.url, PROJECT / "samples", place.variables, "--serializer", "json"
    )
    place.redis.start()
    place.worker.start()
    place.daemon.start()
    content = place.daemon.drop("talk.mp3")
    result = place.daemon.wait_for_result("talk.mp3", SOON_S)
    file = done / f"{result['job_id']}.txt"
    # It is there before it is written.
    written = until(
        lambda: file.exists() and file.read_text("utf-8"), "the worker did its work", ARRIVED_S
    )
    assert written == f"talk.mp3: {len(full_text(content).split())} words\n"


def test_while_redis_is_away_transcripts_are_made_and_wait(place: Place) -> None:
    place.daemon.start()
    for name in ("a.mp3", "b.mp3"):
        place.daemon.drop(name)
    for name in ("a.mp3", "b.mp3"):
        place.daemon.wait_for_result(name, SOON_S)
    until(lambda: "handover" in place.daemon.health()["troubles"], "health says so", SOON_S)
    report = place.daemon.health()
    assert report["status"] == "degraded"
    assert "2 recordings wait (handover)" in " ".join(report["reasons"])
    assert place.daemon.metrics()['transcriber_trouble{kind="handover"}'] == 1
    assert place.daemon.metrics()['transcriber_outbox{kind="handover"}'] == 2
    place.redis.start()
    place.worker.start()
    place.wait_for({"a.mp3", "b.mp3"})
    assert set(place.names().values()) == {1}
    until(lambda: place.daemon.health()["troubles"] == [], "the trouble is over", SOON_S)
    assert "works again (handover)" in place.daemon.log


def test_a_full_redis_is_waited_for(place: Place) -> None:
    place.redis.start()
    client = place.redis.client
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", used)
    client.config_set("maxmemory", max(1, used // 2))
    place.daemon.start()
    place.daemon.drop("talk.mp3")
    place.daemon.wait_for_result("talk.mp3", SOON_S)
    until(lambda: "handover" in place.daemon.health()["troubles"], "health says so", SOON_S)
    assert "maxmemory" in " ".join(place.daemon.health()["reasons"])
    client.config_set("maxmemory", 0)
    client.close()
    place.worker.start()
    place.wait_for({"talk.mp3"})
    assert place.names() == {"talk.mp3": 1}


def test_a_redis_that_stands_still_delays_no_transcript(place: Place) -> None:
    place.redis.start()
    place.redis.signal(signal.SIGSTOP)
    try:
        place.daemon.start()
        names = [f"{number}.mp3" for number in range(3)]
        for name in names:
            place.daemon.drop(name)
        for name in names:
            place.daemon.wait_for_result(name, SOON_S)
        until(lambda: "handover" in place.daemon.health()["troubles"], "health says so", SOON_S)
    finally:
        place.redis.signal(signal.SIGCONT)
    place.worker.start()
    place.wait_for(set(names))
    assert set(place.names().values()) == {1}, "what was in flight is not there twice"


STEPS = [
    f"{step} {moment}"
    for step in ("put", "clear", "add", "remove")
    for moment in ("before", "after")
]


@pytest.mark.parametrize("dies", STEPS)
def test_a_death_at_any_step_loses_nothing_and_doubles_nothing(place: Place, dies: str) -> None:
    place.redis.start()
    place.worker.start()
    place.daemon.dies = dies
    place.daemon.start()
    place.daemon.drop("talk.mp3")
    place.daemon.wait_for(lambda: not place.daemon.is_alive, f"it died {dies} its step", SOON_S)
    place.daemon.dies = ""
    place.daemon.start()
    place.daemon.wait_for_result("talk.mp3", SOON_S)
    place.wait_for({"talk.mp3"})
    place.daemon.drop("next.mp3")
    place.wait_for({"next.mp3"})
    assert place.names() == {"talk.mp3": 1, "next.mp3": 1}, "RQ refuses the repeat"


def test_a_worker_that_dies_in_a_job_gets_it_again(place: Place) -> None:
    """The process of the job first, then the worker with it: RQ's own ways back."""
    from rq.registry import StartedJobRegistry

    place.variables["SLOW_S"] = "60"
    place.redis.start()
    place.worker.start()
    place.daemon.start()
    place.daemon.drop("slow.mp3")
    until(lambda: len(place.runs()) == 1, "the worker began", ARRIVED_S)
    (horse,) = psutil.Process(place.worker.pid).children()
    horse.kill()
    until(lambda: len(place.runs()) == 2, "it was tried again", ARRIVED_S)
    place.worker.kill()
    place.variables["SLOW_S"] = "0"
    client = place.redis.client
    # Later, in RQ's eyes: it waits a minute and a half for a worker that is silent.
    StartedJobRegistry("transcripts", connection=client).cleanup(timestamp=2**40)
    client.close()
    place.worker.start()
    until(lambda: len(place.runs()) == 3, "another worker got it", ARRIVED_S)
    assert place.names() == {"slow.mp3": 3}, "more than once, as is said: by its job id"
    assert len({run["job_id"] for run in place.runs()}) == 1


def test_no_password_reaches_the_log(place: Place) -> None:
    place.redis = RedisServer(place.root / "guarded", "--requirepass", "right-one")
    place.redis.start()
    url = f"redis://:s3cret-wrong@127.0.0.1:{place.redis.port}/0"
    place.daemon = place.a_daemon(url=url)
    place.daemon.start()
    place.daemon.drop("talk.mp3")
    place.daemon.wait_for_result("talk.mp3", SOON_S)
    until(lambda: "handover" in place.daemon.health()["troubles"], "health says so", SOON_S)
    told = place.daemon.whole_log + json.dumps(place.daemon.health(), ensure_ascii=False)
    assert "wait for redis://127.0.0.1" in told
    assert "s3cret-wrong" not in told
    assert "s3cret-wrong" not in json.dumps([p.read_text("utf-8") for p in place.daemon.kept()])


def test_doctor_tries_redis_and_says_what_would_lose_the_queue(place: Place) -> None:
    def found() -> list[tuple[str, str]]:
        config = load_config(place.daemon.config_file, {})
        return [(each.level, each.seen) for each in check_handover(config)]

    [(level, seen)] = found()
    assert (level, "refused" in seen) == (Level.PROBLEM, True), seen
    place.redis.start()
    [(level, seen)] = found()
    assert level == Level.OK, seen
    client = place.redis.client
    client.config_set("maxmemory", 10**9)
    client.config_set("maxmemory-policy", "allkeys-lru")
    [(level, seen)] = found()
    assert (level, "allkeys-lru" in seen) == (Level.WARNING, True), seen
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("appendonly", "no")
    [(level, seen)] = found()
    assert (level, "nothing to the disk" in seen) == (Level.WARNING, True), seen
    client.close()


def test_status_says_what_waits(place: Place) -> None:
    place.daemon.start()
    place.daemon.drop("talk.mp3")
    place.daemon.wait_for_result("talk.mp3", SOON_S)
    said = subprocess.run(
        place.daemon.command("status"), env=place.daemon.environment(), capture_output=True,
        text=True, timeout=60, check=True, cwd=PROJECT,
    )  # fmt: skip
    assert "1 transcript waits to be handed over." in said.stdout


def test_a_deleted_recording_is_not_handed_over(place: Place) -> None:
    place.daemon.start()
    place.daemon.drop("talk.mp3")
    place.daemon.wait_for_result("talk.mp3", SOON_S)
    until(lambda: "handover" in place.daemon.health()["troubles"], "it waits", SOON_S)
    for file in place.daemon.shared.glob("talk*"):
        file.unlink()
    place.redis.start()
    place.daemon.wait_for_log(r"talk.mp3: not handed over", SOON_S)
    until(lambda: not place.daemon.kept(), "it is forgotten", SOON_S)
    client = place.redis.client
    assert client.llen("rq:queue:transcripts") == 0
    client.close()


def test_deaths_of_all_three_at_random_lose_no_transcript(place: Place) -> None:
    rng = Random(7)
    names = {f"{number:03}.mp3" for number in range(soak(60, 500))}
    place.redis.start()
    place.worker.start()
    place.daemon.start()
    deaths: Counter[str] = Counter()
    for number, name in enumerate(sorted(names)):
        place.daemon.drop(name, chunks=1, seed=name)
        if number % 10 == 5:
            victim = rng.choice(("redis", "worker", "daemon"))
            deaths[victim] += 1
            _kill_and_start(place, victim)
    _finish(place, names)
    ids = Counter(run["job_id"] for run in place.runs())
    assert len(ids) == len(names), "each has one job id, however often it came"
    again = sum(ids.values()) - len(ids)
    # RQ gives a job again when its worker died in it; nothing else makes repeats.
    assert again <= deaths["worker"] + deaths["redis"], f"{again} repeats for {deaths}"
    assert "Traceback" not in place.daemon.whole_log
    print(f"{len(names)} transcripts, deaths {dict(deaths)}, {again} repeats")


def _kill_and_start(place: Place, victim: str) -> None:
    """In the middle of what it does, whatever that is."""
    if victim == "daemon":
        place.daemon.kill()
        place.daemon.start()
    elif victim == "worker":
        place.worker.kill()
        place.worker.start()
    else:
        place.redis.kill()
        place.redis.start()
        if not place.worker.is_alive:
            place.worker.kill()
            place.worker.start()


def _finish(place: Place, names: set[str]) -> None:
    """Until all arrived; what RQ still holds for dead workers is given back, as after a while."""
    from rq.registry import StartedJobRegistry

    def all_came() -> bool:
        if set(place.names()) >= names:
            return True
        if not place.worker.is_alive:
            place.worker.kill()
            place.worker.start()
        client = place.redis.client
        idle = client.llen("rq:queue:transcripts") == 0 and not place.daemon.kept()
        if idle and len(list(place.daemon.shared.glob("*.result"))) == len(names):
            StartedJobRegistry("transcripts", connection=client).cleanup(timestamp=2**40)
        client.close()
        return False

    place.daemon.wait_for(
        all_came, "all transcripts reached the worker", ARRIVED_S * soak(1, 5), 0.5
    )
    until(lambda: not place.daemon.kept(), "no file was left in the outbox", ARRIVED_S)
