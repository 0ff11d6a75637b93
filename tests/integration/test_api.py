"""The control API of the real daemon, over HTTP, with a scripted worker: what clients see."""

from __future__ import annotations

import base64
import http.client
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from urllib3.filepost import encode_multipart_formdata

from modules.outputs.notes import warning
from tests.builders import until
from tests.daemon_process import text_of
from tests.http_reply import Reply
from tests.page import made
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text, recording

RUSSIAN = "запись встречи.mp3"
SEARCH = {"search_attempts": 5, "search_interval_seconds": 0.2}
#: What a run that is to stop is given; who deletes its file waits for none of it.
GRACE_S = 5.0
STATUS_KEYS = set(
    "filename job_id status current_attempt start_time stage percentage queue_position "
    "eta_seconds priority settings error".split()
)


class Client:
    """Asks a daemon; each request has a connection of its own."""

    def __init__(self, daemon: ScriptedDaemon) -> None:
        self.daemon = daemon

    @property
    def port(self) -> int:
        return int(self.daemon.wait_for_log(r"Listening on http://[^:]+:(\d+)", SOON_S).group(1))

    @contextmanager
    def open(
        self, method: str, path: str, body: bytes | None = None, headers: Any = None
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            with connection.getresponse() as response:
                yield response
        finally:
            connection.close()

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Any = None) -> Reply:
        with self.open(method, path, body, headers) as response:
            answered = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, answered, response.read())

    def get(self, path: str, **headers: str | bytes) -> Reply:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("GET", path, headers=sent)

    def post(self, path: str) -> Reply:
        return self.ask("POST", path)

    def order(self, name: str, **fields: Any) -> Reply:
        body = json.dumps({"filename": name, **fields}).encode()
        return self.ask("POST", "/transcribe", body, {"Content-Type": "application/json"})

    def delete(self, name: str) -> Reply:
        return self.ask("DELETE", "/transcribe", json.dumps({"filename": name}).encode())

    def upload(self, *files: tuple[str, bytes], **fields: str) -> Reply:
        parts: list[tuple[str, Any]] = [("file", file) for file in files]
        body, kind = encode_multipart_formdata([*parts, *fields.items()])
        return self.ask("POST", "/transcribe", body, {"Content-Type": kind})

    def status(self, key: str) -> dict[str, Any]:
        return self.get(f"/status/{quote(key)}").json

    def result(self, key: str, form: str = "") -> Reply:
        return self.get(f"/result/{quote(key)}" + (f"?format={form}" if form else ""))

    def queue(self) -> list[tuple[str, int]]:
        jobs = self.get("/queue").json["jobs"]
        return [(job["filename"], job["queue_position"]) for job in jobs]

    def run_slowly(self, name: str, chunks: int = 300, **fields: Any) -> dict[str, Any]:
        """Drop and order a file, and wait until it is being done."""
        self.daemon.drop(name, chunks, seed=name.partition(" ")[0])
        accepted = self.order(name, wait=False, **fields)
        assert accepted.status == 202, accepted.text
        self.daemon.wait_for_position(name, 10)
        return accepted.json

    def wait_for_clients(self, name: str, count: int) -> None:
        def there() -> bool:
            return (
                len((self.daemon.in_progress(name) or {"api_clients": []})["api_clients"]) == count
            )

        until(there, f"{count} clients ordered {name}")


class Receiver(ThreadingHTTPServer):
    """Takes callbacks."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Taking)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/done"


class _Taking(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.messages.append(json.loads(content))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        server.daemon_threads = False
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    config = {
        "api": {"port": 0, **SEARCH},
        "processing": {"stop_grace_seconds": GRACE_S},
    }
    with ScriptedDaemon(tmp_path_factory.mktemp("serving"), config) as running:
        yield running


@pytest.fixture
def api(serving: ScriptedDaemon) -> Iterator[Client]:
    """The serving daemon with empty folders and nothing to do."""
    client = Client(serving)
    client.post("/resume")
    for name, _ in client.queue():
        client.delete(name)
    for folder in (serving.shared, serving.manual):
        for path in folder.iterdir():
            if path.is_file():
                path.unlink()
    until(lambda: client.queue() == [], "the queue became empty", SOON_S)
    yield client
    client.post("/resume")


@pytest.fixture
def others() -> Iterator[ThreadPoolExecutor]:
    """Clients that wait."""
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Client]:
    config = {"api": {"port": 0, **SEARCH}, "callbacks": {"allow_private": True}}
    with ScriptedDaemon(tmp_path, config) as running:
        yield Client(running)


# --- orders ---


def test_an_order_is_accepted_and_becomes_text(api: Client) -> None:
    content = api.daemon.drop("talk.mp3")
    reply = api.order("talk.mp3", language="en")
    assert reply.status == 202
    assert set(reply.json) == set(
        "status message filename job_id client_id priority settings queue_position".split()
    )
    assert (reply.json["filename"], reply.json["priority"]) == ("talk.mp3", "high")
    assert reply.json["settings"]["language"] == "en"
    assert reply.headers["location"] == f"/status/{reply.json['job_id']}"
    assert api.get(reply.headers["location"]).status == 200
    result = api.daemon.wait_for_result("talk.mp3", SOON_S)
    assert text_of(result) == full_text(content)
    assert (result["settings"]["language"], result["job_id"]) == ("en", reply.json["job_id"])


def test_an_order_for_what_is_done_gets_the_text_whatever_the_settings(api: Client) -> None:
    content = api.daemon.drop("talk.mp3")
    api.daemon.wait_for_result("talk.mp3", SOON_S)
    reply = api.order("talk.mp3", language="en")
    assert (reply.status, text_of(reply.json)) == (200, full_text(content))
    assert reply.json["settings"]["language"] == "ru"


def test_who_wants_to_wait_gets_the_text(api: Client) -> None:
    content = api.daemon.drop("slow.mp3", 4)
    reply = api.order("slow.mp3", wait=True)
    assert (reply.status, text_of(reply.json)) == (200, full_text(content))


def test_equal_orders_are_one_job(api: Client, others: ThreadPoolExecutor) -> None:
    api.daemon.drop("slow.mp3", 10)
    first = others.submit(api.order, "slow.mp3", wait=True, language="en")
    api.daemon.wait_for_position("slow.mp3", 10)
    second = others.submit(api.order, "slow.mp3", language="en", debug=True)
    replies = [first.result(SOON_S), second.result(SOON_S)]
    assert [reply.status for reply in replies] == [200, 200]
    assert len({reply.json["job_id"] for reply in replies}) == 1
    assert replies[0].json["processing_stats"]["total_attempts"] == 1


def test_who_does_not_want_to_wait_joins_all_the_same(api: Client) -> None:
    job_id = api.run_slowly("slow.mp3")["job_id"]
    reply = api.order("slow.mp3", wait=False)
    assert (reply.status, reply.json["job_id"]) == (202, job_id)
    assert reply.json["status"] == "started"
    api.wait_for_clients("slow.mp3", 2)


def test_other_settings_take_the_place_of_a_run(api: Client, others: ThreadPoolExecutor) -> None:
    api.daemon.drop("slow.mp3", 30)
    waiting = others.submit(api.order, "slow.mp3", wait=True, language="ru")
    api.daemon.wait_for_position("slow.mp3", 30)
    second = api.order("slow.mp3", language="en")
    assert (second.status, second.json["settings"]["language"]) == (202, "en")
    first = waiting.result(SOON_S)
    assert (first.status, first.error_code) == (409, "superseded")
    result = api.daemon.wait_for_result("slow.mp3", SOON_S)
    assert (result["settings"]["language"], result["job_id"]) == ("en", second.json["job_id"])
    assert result["processing_stats"]["total_attempts"] == 1
    assert text_of(result) == full_text((api.daemon.shared / "slow.mp3").read_bytes())
    assert api.daemon.files("*.result") == {"slow.mp3.result"}


@pytest.mark.parametrize(
    "wrong",
    [{"model_size": "tiny"}, {"compute_type": "float16"}, {"language": "xx"}, {"colour": "red"}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_wrong_settings_are_refused_and_interrupt_nothing(
    api: Client, wrong: dict[str, str]
) -> None:
    job_id = api.run_slowly("slow.mp3")["job_id"]
    reply = api.order("slow.mp3", **wrong)
    assert reply.status == 422, reply.text
    assert next(iter(wrong)) in reply.json["message"]
    status = api.status("slow.mp3")
    assert (status["job_id"], status["stage"]) == (job_id, "processing_audio")
    assert api.get("/health").json["processing"] == "slow.mp3"


def test_force_does_it_again_and_the_old_text_stays_till_then(api: Client) -> None:
    api.daemon.drop("slow.mp3", 20)
    old = api.order("slow.mp3", wait=True).json
    forced = api.order("slow.mp3", force=True, language="en")
    assert forced.status == 202
    assert forced.json["job_id"] != old["job_id"]
    api.daemon.wait_for_position("slow.mp3", 20)
    assert (api.daemon.result("slow.mp3") or {})["job_id"] == old["job_id"]
    new = api.daemon.wait_for_result("slow.mp3", SOON_S)
    assert (new["job_id"], new["settings"]["language"]) == (forced.json["job_id"], "en")


def test_asking_for_the_text_of_a_waiting_file_promotes_it(api: Client) -> None:
    api.run_slowly("slow.mp3")
    for name in ("first.mp3", "second.mp3"):
        api.daemon.drop(name)
        until(lambda name=name: name in dict(api.queue()), f"{name} is in the queue")  # type: ignore[misc]
    assert api.status("second.mp3")["status"] == "pending"
    reply = api.result("second.mp3")
    assert (reply.status, reply.json["priority"]) == (202, "high")
    assert api.queue() == [("slow.mp3", 0), ("second.mp3", 1), ("first.mp3", 2)]


def test_a_file_that_appears_during_the_search_is_accepted(
    tmp_path: Path, others: ThreadPoolExecutor
) -> None:
    search = {"search_attempts": 10, "search_interval_seconds": 2.0}  # over long after the drop
    with ScriptedDaemon(tmp_path, {"api": {"port": 0, **search}}) as daemon:
        reply = others.submit(Client(daemon).order, "slow late.mp3", wait=False)
        time.sleep(0.3)  # the search must have begun
        daemon.drop("slow late.mp3", 300)  # it is not done when it is found
        assert reply.result(SOON_S).status == 202
        daemon.wait_for_position("slow late.mp3", 10)


def test_a_missing_file_is_not_found(api: Client) -> None:
    began = time.monotonic()
    reply = api.order("missing.mp3")
    assert (reply.status, reply.error_code) == (404, "file_not_found")
    assert reply.json["filename"] == "missing.mp3"
    assert time.monotonic() - began >= 0.75
    assert api.get("/status/missing.mp3").status == 404
    assert api.result("missing.mp3").status == 404


def test_a_job_id_in_use_for_another_file_is_refused(api: Client) -> None:
    api.run_slowly("slow.mp3", job_id="mine")
    api.daemon.drop("other.mp3")
    reply = api.order("other.mp3", job_id="mine")
    assert (reply.status, reply.error_code) == (409, "job_id_taken")


def test_a_failure_that_is_waited_for_tells_all_with_debug(api: Client) -> None:
    api.daemon.drop("crash1.mp3", 3)
    reply = api.order("crash1.mp3", wait=True, debug=True)
    assert (reply.status, reply.error_code) == (422, "failed")
    content = reply.json
    assert "exit code 3" in json.dumps(content["error"])
    info = content["debug_info"]
    assert info["in_progress_content"]["filename"] == "crash1.mp3"
    assert [each["attempt_number"] for each in info["full_error_history"]] == [1, 2, 3]
    assert [each["status"] for each in info["processing_timeline"]] == ["failed"] * 3
    assert len(info["waiting_clients"]) == 1
    assert info["timeout_settings"]


# --- deleting ---


@pytest.mark.parametrize("name", ["slow.mp3", "obstinate sluggish.mp3"])
def test_deleting_a_running_file_is_instant_and_the_next_begins(
    api: Client, others: ThreadPoolExecutor, name: str
) -> None:
    api.run_slowly(name)
    waiting = others.submit(api.order, name, wait=True)
    api.wait_for_clients(name, 2)
    api.daemon.drop("next.mp3")
    api.order("next.mp3")
    began = time.monotonic()
    reply = api.delete(name)
    assert time.monotonic() - began < GRACE_S, "it waited until the run had ended"
    assert (reply.status, reply.json["status"]) == (200, "deleted")
    assert name in reply.json["deleted_files"]
    assert (reply.json["processing_interrupted"], reply.json["removed_from_queue"]) == (True, False)
    left = waiting.result(SOON_S)
    assert (left.status, left.error_code) == (410, "deleted")
    until(lambda: api.daemon.result("next.mp3"), "the next job was done", SOON_S)
    assert api.daemon.files(f"*{name}*") == set()
    assert api.result(name).status == 410


def test_deleting_a_waiting_file_takes_it_from_the_queue(api: Client) -> None:
    api.run_slowly("slow.mp3")
    api.daemon.drop("other.mp3")
    job_id = api.order("other.mp3").json["job_id"]
    reply = api.ask("DELETE", "/transcribe?filename=other.mp3")
    assert (reply.json["processing_interrupted"], reply.json["removed_from_queue"]) == (False, True)
    assert api.queue() == [("slow.mp3", 0)]
    assert (api.result("other.mp3").status, api.result(job_id).status) == (410, 410)


def test_deleting_what_is_done_leaves_nothing(api: Client) -> None:
    api.daemon.drop("talk.mp3")
    api.order("talk.mp3", wait=True)
    reply = api.delete("talk.mp3")
    assert {"talk.mp3", "talk.mp3.result", "talk.txt"} <= set(reply.json["deleted_files"])
    assert api.daemon.files() == set()
    assert api.result("talk.mp3").status == 410


def test_deleting_what_is_not_there_is_not_found(api: Client) -> None:
    assert api.delete("unknown.mp3").status == 404


# --- uploads ---


def test_an_upload_is_found_by_its_job_id(api: Client) -> None:
    content = recording(3)
    reply = api.upload(("talk.mp3", content), job_id="job-1", language="en")
    assert (reply.status, reply.json["job_id"]) == (202, "job-1")
    api.daemon.wait_for_result("talk.mp3", SOON_S)
    status = api.status("job-1")
    assert (status["filename"], status["status"]) == ("talk.mp3", "completed")
    result = api.result("job-1")
    assert (result.status, text_of(result.json)) == (200, full_text(content))
    assert result.json["settings"]["language"] == "en"


def test_an_upload_never_goes_over_another_file(api: Client) -> None:
    content = api.daemon.drop("talk.mp3")
    api.daemon.wait_for_result("talk.mp3", SOON_S)
    refused = api.upload(("talk.mp3", recording(2, "other")))
    assert (refused.status, refused.error_code) == (409, "name_taken")
    renamed = api.upload(("talk.mp3", recording(2, "other")), if_exists="rename")
    assert (renamed.status, renamed.json["filename"]) == (202, "talk (2).mp3")
    result = api.daemon.wait_for_result("talk (2).mp3", SOON_S)
    assert text_of(result) == full_text(recording(2, "other"))
    assert (api.daemon.shared / "talk.mp3").read_bytes() == content


def test_uploads_of_other_things_are_refused(api: Client) -> None:
    assert api.upload(("talk.exe", recording(1))).status == 415
    assert api.upload(("a.mp3", recording(1)), ("b.mp3", recording(1))).status == 422
    assert api.upload(language="en").status == 422
    too_long = api.upload(("x" * 300 + ".mp3", recording(1)))
    assert (too_long.status, too_long.error_code) == (422, "invalid_request")
    assert api.upload(("a.mp3", recording(1)), language="xx").status == 422
    assert api.daemon.files() == set()
    until(
        lambda: not list((api.daemon.shared / ".transcriber" / "uploads").iterdir()),
        "nothing of them is kept",
    )


# --- names and formats ---


def test_russian_names_work_everywhere(api: Client) -> None:
    content = api.daemon.drop(RUSSIAN)
    reply = api.order(RUSSIAN, wait=True)
    assert (reply.status, reply.json["filename"]) == (200, RUSSIAN)
    status = api.status(RUSSIAN)
    assert (status["filename"], status["status"]) == (RUSSIAN, "completed")
    assert set(status) >= STATUS_KEYS
    for form in ("srt", "txt", "vtt", "tsv", "json"):
        found = api.result(RUSSIAN, form)
        stem = RUSSIAN.removesuffix("mp3")
        assert found.status == 200
        assert f"filename*=UTF-8''{quote(stem + form)}" in found.headers["content-disposition"]
        assert full_text(content).split()[0] in found.text
    assert api.result(RUSSIAN, "doc").status == 422
    uploaded = api.upload((f"ещё {RUSSIAN}", recording(1)))
    assert uploaded.json["filename"] == f"ещё {RUSSIAN}"


# --- queue, pause, events ---


def test_the_queue_says_who_is_next(api: Client) -> None:
    api.run_slowly("slow.mp3")
    api.daemon.drop("scanned.mp3")
    until(lambda: "scanned.mp3" in dict(api.queue()), "it is in the queue")
    for name in ("b.mp3", "a.mp3"):
        api.daemon.drop(name)
        assert api.order(name).json["status"] == "queued"
    expected = ["slow.mp3", "b.mp3", "a.mp3", "scanned.mp3"]
    assert api.queue() == [(name, position) for position, name in enumerate(expected)]
    assert api.status("a.mp3")["queue_position"] == 2


def test_a_pause_lets_orders_in_and_starts_nothing(api: Client) -> None:
    api.run_slowly("slow.mp3", 12)
    assert api.post("/pause").status == 200
    until(lambda: api.get("/health").json["processing"] is None, "it stopped")
    health = api.get("/health")
    assert (health.status, health.json["status"], health.json["paused"]) == (200, "degraded", True)
    api.daemon.drop("other.mp3")
    reply = api.order("other.mp3")
    assert (reply.status, reply.json["status"]) == (202, "queued")
    assert api.get("/queue").json["paused"] is True
    api.daemon.drop("third.mp3")
    assert api.delete("third.mp3").status == 200
    assert api.post("/resume").status == 200
    result = api.daemon.wait_for_result("slow.mp3", SOON_S)
    assert result["processing_stats"]["total_attempts"] == 1
    api.daemon.wait_for_result("other.mp3", SOON_S)
    assert api.get("/health").json["status"] == "healthy"


def test_a_pause_survives_a_restart(fresh: Client) -> None:
    fresh.post("/pause")
    fresh.daemon.drop("talk.mp3")
    job_id = fresh.order("talk.mp3").json["job_id"]
    fresh.daemon.stop()
    fresh.daemon.start()
    assert fresh.get("/queue").json["paused"] is True
    until(lambda: fresh.status(job_id)["status"] == "processing", "it was taken up again")
    assert "its turn" not in fresh.daemon.log
    fresh.post("/resume")
    assert fresh.daemon.wait_for_result("talk.mp3", SOON_S)["job_id"] == job_id


def test_events_tell_each_step(api: Client, others: ThreadPoolExecutor) -> None:
    listening = threading.Event()

    def listen() -> list[dict[str, Any]]:
        heard: list[dict[str, Any]] = []
        with api.open("GET", "/events?filename=slow.mp3") as stream:
            assert stream.headers["Content-Type"].startswith("text/event-stream")
            for line in stream:
                listening.set()
                if line.startswith(b"data: "):
                    heard.append(json.loads(line.removeprefix(b"data: ")))
                    if heard[-1]["status"] == "completed":
                        break
        return heard

    hearing: Future[list[dict[str, Any]]] = others.submit(listen)
    assert listening.wait(SOON_S)
    api.daemon.drop("other.mp3")
    api.daemon.drop("slow.mp3", 5)
    api.order("slow.mp3", wait=True)
    heard = hearing.result(SOON_S)
    assert {each["filename"] for each in heard} == {"slow.mp3"}
    assert {each["event"] for each in heard} == {"transition", "progress"}
    percentages = [each["percentage"] for each in heard if each["event"] == "progress"]
    assert percentages == sorted(percentages)
    assert len(set(percentages)) >= 4
    assert heard[0]["status"] in ("pending", "processing")


def test_a_language_that_the_speech_contradicts_is_in_the_status(api: Client) -> None:
    other = warning("other_language", asked="ru", heard="en")
    made.finish(api.daemon.shared, "english.wav", made.TALK, warnings=[other])
    assert api.status("english.wav")["warnings"] == [other]
    api.daemon.drop("quiet.mp3")
    api.daemon.wait_for_result("quiet.mp3", SOON_S)
    assert api.status("quiet.mp3")["warnings"] == []


# --- manual ---


def test_what_failed_is_listed_and_can_be_tried_again(api: Client) -> None:
    api.daemon.drop("crash.mp3")
    job_id = api.order("crash.mp3").json["job_id"]
    api.daemon.wait_until_in_manual("crash.mp3", SOON_S)
    until(lambda: api.queue() == [], "its job is over")
    for key in ("crash.mp3", job_id):
        status = api.status(key)
        assert (status["status"], status["where"]) == ("error", "manual/crash.mp3")
        assert status["error"]["message"]
        assert (api.result(key).status, api.result(key).error_code) == (409, "in_manual")
    (listed,) = api.get("/manual").json["files"]
    assert (listed["filename"], listed["job_id"]) == ("crash.mp3", job_id)
    assert listed["error"]["code"]
    assert "exit code 3" in listed["explanation"]
    retried = api.post("/manual/crash.mp3/retry")
    assert (retried.status, retried.json["filename"]) == (202, "crash.mp3")
    assert retried.json["job_id"] != job_id
    again = api.daemon.wait_until_in_manual("crash.mp3", SOON_S)
    assert (again["job_id"], len(again["attempts"])) == (retried.json["job_id"], 3)


def test_a_retry_never_goes_over_another_file(api: Client) -> None:
    api.daemon.drop("notmedia.mp3")
    api.daemon.wait_until_in_manual("notmedia.mp3", SOON_S)
    until(lambda: api.queue() == [], "its job is over")
    api.post("/pause")
    other = api.daemon.drop("notmedia.mp3", seed="other")
    reply = api.post("/manual/notmedia.mp3/retry")
    assert (reply.status, reply.error_code) == (409, "name_taken")
    assert (api.daemon.shared / "notmedia.mp3").read_bytes() == other
    assert (api.daemon.manual / "notmedia.mp3").exists()
    assert api.post("/manual/unknown.mp3/retry").status == 404


def test_deleting_reaches_into_manual(api: Client) -> None:
    api.daemon.drop("notmedia.mp3")
    api.daemon.wait_until_in_manual("notmedia.mp3", SOON_S)
    until(lambda: api.queue() == [], "its job is over")
    assert api.delete("notmedia.mp3").status == 200
    assert list(api.daemon.manual.iterdir()) == []
    assert api.result("notmedia.mp3").status == 410


# --- a crash ---


def test_orders_survive_a_kill_with_all_they_say(fresh: Client, receiver: Receiver) -> None:
    settings = [{"language": "en"}, {"temperature": 0.5}, {"language": "auto", "debug": True}]
    names = ["slow first.mp3", "slow second.mp3", "slow third.mp3"]
    for number, (name, wishes) in enumerate(zip(names, settings, strict=True)):
        fresh.daemon.drop(name, 30 if number == 0 else 3, seed=str(number))
        url = f"{receiver.url}/{number}"
        reply = fresh.order(name, job_id=f"job-{number}", callback_url=url, **wishes)
        assert reply.status == 202, reply.text
        # The others come once it runs, or one of them might be whole, and begun, before it.
        fresh.daemon.wait_for_position("slow first.mp3", 10)
    kept = ["job_id", "priority", "settings", "api_clients", "callback_urls", "creation_time"]
    before = [fresh.daemon.in_progress(name) or {} for name in names]
    fresh.daemon.kill()
    # So that nothing ends before it was looked at, however slow the machine is.
    (fresh.daemon.shared / ".transcriber" / "paused").touch()
    fresh.daemon.start()
    until(lambda: len(fresh.queue()) == 3, "all came back")
    assert [name for name, _ in fresh.queue()] == names
    after = [fresh.daemon.in_progress(name) or {} for name in names]
    fresh.post("/resume")
    assert [[b[key] for key in kept] for b in before] == [[a[key] for key in kept] for a in after]
    results = [fresh.daemon.wait_for_result(name, SOON_S) for name in names]
    assert [r["job_id"] for r in results] == ["job-0", "job-1", "job-2"]
    assert [r["settings"] for r in results] == [b["settings"] for b in before]
    ended = [r["processing_end"] for r in results]
    assert ended == sorted(ended)
    until(lambda: len(receiver.messages) >= 3, "three callbacks came")
    told = json.dumps(receiver.messages)
    assert all(f'"job-{number}"' in told for number in range(3)), told


# --- how it is, and for whom ---


def test_metrics_count_jobs(api: Client) -> None:
    api.daemon.drop("talk.mp3")
    api.order("talk.mp3", wait=True)
    until(lambda: "transcriber_jobs_total{" in api.get("/metrics").text, "the job was counted")
    assert set(api.get("/openapi.json").json["paths"]) >= {"/transcribe", "/queue", "/events"}
    assert api.get("/docs").status == 200


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    config = {"api": {"port": 0, "key": "s3cret", "user": "anna", "password": "пароль"}}
    with ScriptedDaemon(tmp_path_factory.mktemp("guarded"), config) as running:
        yield Client(running)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "headers",
    [
        {"X_API_Key": "s3cret"},
        {"Authorization": "Bearer s3cret"},
        {"Authorization": basic("", "s3cret")},
        {"Authorization": basic("anybody", "s3cret")},
        {"Authorization": basic("anna", "пароль")},
    ],
    ids=["key", "bearer", "key as password", "key with a name", "password"],
)
def test_who_has_a_key_comes_in(guarded: Client, headers: dict[str, str]) -> None:
    assert guarded.get("/queue", **headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X_API_Key": "wrong"},
        {"X_API_Key": ""},
        {"X_API_Key": "ключ".encode()},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer ключ".encode()},
        {"Authorization": basic("anna", "wrong")},
        {"Authorization": basic("boris", "пароль")},
        {"Authorization": basic("анна", "ключ")},
        {"Authorization": "Basic ???"},
        {"Authorization": "ключ".encode()},
    ],
    ids=repr,
)
def test_who_has_none_stays_out(guarded: Client, headers: dict[str, str | bytes]) -> None:
    reply = guarded.get("/queue", **headers)
    assert (reply.status, reply.error_code) == (401, "unauthorized")
    assert "www-authenticate" in reply.headers


def test_health_is_open_to_all(guarded: Client) -> None:
    assert guarded.get("/health").status == 200
    refused = guarded.delete("talk.mp3")
    assert refused.status == 401


# --- what is no recording ---

SOURCE = b"export const translations = { save: 'Speichern', open: 'Open' };\n" * 3


def test_a_text_among_the_recordings_is_refused_and_stays(api: Client) -> None:
    path = api.daemon.shared / "index.ts"
    path.write_bytes(SOURCE)
    for _ in range(2):
        refused = api.order("index.ts", wait=True)
        assert (refused.status, refused.error_code) == (415, "no_recording")
        assert "it is a text document" in refused.json["message"]
    assert api.result("index.ts").error_code == "no_recording"
    shown = api.status("index.ts")
    assert (shown["status"], shown["error"]["code"]) == ("ignored", "no_recording")
    assert path.read_bytes() == SOURCE
    assert api.daemon.files("index*") == {"index.ts"}


def test_an_upload_of_a_text_is_refused_and_not_kept(api: Client) -> None:
    refused = api.upload(("notes.mp3", SOURCE))
    assert (refused.status, refused.error_code) == (415, "no_recording")
    assert refused.json["message"].startswith("file: 'notes.mp3' is no recording")
    assert api.daemon.files("notes*") == set()
    assert list((api.daemon.shared / ".transcriber" / "uploads").iterdir()) == []
