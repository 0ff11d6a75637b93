"""Summaries by a scripted model: every part is read, or it is said that there is no summary."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import re
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modules.cli.doctor.check_senders import check_summary
from modules.cli.doctor.findings import Level
from modules.clock import SystemClock
from modules.config.schema import SummaryConfig
from modules.jobs.source import FileIdentity
from modules.outputs.base import clock
from modules.recordings.sidecars import RecordingPaths
from modules.recordings.store import RecordingStore
from modules.storage.atomic import to_json
from modules.summaries import summaries as summaries_module
from modules.summaries.summaries import Summaries
from tests.builders import a_config, until
from tests.model_server import ModelServer, serving
from tests.scripted_daemon import SOON_S, ScriptedDaemon

PAGE = "http://pages.example:8000"


class Desk:
    """A folder with finished texts, and what summarises them."""

    def __init__(self, root: Path, server: ModelServer) -> None:
        self.root = root
        self.server = server
        self.store = RecordingStore(root / "shared", root / "manual")
        self.store.prepare()
        self.ends: list[str] = []
        self.settings: dict[str, Any] = {"base_url": server.url, "model": "scripted"}
        self.restart()

    def restart(self, **changes: Any) -> Summaries:
        self.settings |= changes
        self.summaries = Summaries(
            self.store.folder.state / "summaries", SummaryConfig(**self.settings), PAGE,
            self.store, SystemClock(), self.ends.append,
        )  # fmt: skip
        return self.summaries

    def finish(self, name: str, texts: list[str], job_id: str = "job-1", **more: Any) -> None:
        """A recording with its result, and the note that it is to be summarised."""
        self.put_result(name, texts, job_id, **more)
        self.summaries.note(name, job_id)

    def put_result(self, name: str, texts: list[str], job_id: str, language: str = "ru") -> None:
        (self.store.folder.path / name).write_bytes(b"sound")
        segments = [
            {"id": n, "start": n * 5.0, "end": n * 5.0 + 4.0, "text": text,
             "speaker": f"SPEAKER_0{n // 4 % 2}"}
            for n, text in enumerate(texts)
        ]  # fmt: skip
        content = {
            "filename": name, "job_id": job_id, "duration_seconds": len(texts) * 5.0,
            "outputs": [], "metadata": {"language": language},
            "source": FileIdentity(size=5, mtime_ns=1, fingerprint="f" * 64).model_dump(),
            "transcription": {"text": " ".join(texts), "segments": segments},
        }  # fmt: skip
        path = self.store.folder.path / RecordingPaths(name).result
        path.write_bytes(to_json(content))

    def json_of(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            (self.store.folder.path / f"{name}.summary.json").read_bytes()
        )
        return found

    def markdown_of(self, name: str) -> str:
        return (self.store.folder.path / f"{name}.summary.md").read_text("utf-8")

    def there(self) -> set[str]:
        return {path.name for path in self.store.folder.path.iterdir() if ".summary" in path.name}

    def state(self, name: str) -> str:
        return self.summaries.view(name, self.store.results.read(name) or {}).state


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving(ModelServer()) as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, server: ModelServer) -> Desk:
    return Desk(tmp_path, server)


def talk(count: int, facts: int = 0) -> list[str]:
    """Sentences, with facts planted evenly from the first to the last."""
    texts = [f"Это предложение номер {n}, и в нём ничего особенного нет." for n in range(count)]
    for fact in range(facts):
        place = round(fact * (count - 1) / max(1, facts - 1))
        texts[place] = f"Запомните вот что: ФАКТ-{fact} важен."
    return texts


def facts_in(found: dict[str, Any]) -> set[int]:
    return {int(n) for n in re.findall(r"ФАКТ-(\d+)", json.dumps(found, ensure_ascii=False))}


def test_a_short_text_gets_a_summary_with_times_that_lead_into_the_page(desk: Desk) -> None:
    desk.finish("беседа.mp3", ["Добрый день.", "ФАКТ-7 всем известен.", "Вот поручение Анне."])
    assert desk.state("беседа.mp3") == "waiting"
    desk.summaries.tick()
    found = desk.json_of("беседа.mp3")
    assert (found["status"], found["job_id"], found["parts"]) == ("done", "job-1", 1)
    assert found["points"] == [{"text": "ФАКТ-7 was said", "time": 5.0, "who": ""}]
    assert found["tasks"][0]["who"] == "Anna"
    text = desk.markdown_of("беседа.mp3")
    link = (
        "[00:00:05](http://pages.example:8000/#name=%D0%B1%D0%B5%D1%81%D0%B5%D0%B4%D0%B0.mp3&t=5)"
    )
    assert link in text
    assert "## Поручения" in text
    assert desk.state("беседа.mp3") == "done"
    assert desk.ends == ["made"]
    question = desk.server.questions[0]
    assert question["model"] == "scripted"
    assert "по-русски" in question["messages"][0]["content"]


def test_every_part_of_a_text_four_times_the_window_is_read(desk: Desk) -> None:
    desk.server.faults.window = 2048
    desk.server.faults.chars_per_token = 2.4
    texts = talk(480, facts=40)
    assert sum(map(len, texts)) / 2.4 > 4 * 2048
    desk.restart(context_tokens=2048)
    desk.finish("long.mp3", texts)
    desk.summaries.tick()
    found = desk.json_of("long.mp3")
    assert found["status"] == "done", found["error"]
    assert facts_in(found) == set(range(40))
    assert found["parts"] >= 5
    for entry in found["points"]:
        number = int(re.findall(r"\d+", entry["text"])[0])
        assert entry["time"] == pytest.approx(5.0 * round(number * 479 / 39), abs=0.5)


def test_parts_end_with_sentences_and_overlap(desk: Desk) -> None:
    desk.restart(context_tokens=2048)
    desk.finish("long.mp3", talk(200))
    desk.summaries.tick()
    parts = [
        question["messages"][1]["content"].splitlines()
        for question in desk.server.questions
        if not question["messages"][1]["content"].startswith("{")
    ]
    assert len(parts) > 2
    for before, after in itertools.pairwise(parts):
        assert before[-1].endswith("нет.")
        assert after[0] in before, "the next part begins with what the one before ended with"
    assert {line for part in parts for line in part} == {
        f"[{clock(n * 5)}] Голос {n // 4 % 2 + 1}: {text}" for n, text in enumerate(talk(200))
    }


def test_a_server_that_drops_what_does_not_fit_is_found_out(desk: Desk) -> None:
    """Ollama's way: the window is smaller than configured, half is dropped, the answer is 200."""
    desk.server.faults.window = 4096
    desk.restart(context_tokens=32_768)
    desk.finish("long.mp3", talk(1500, facts=10))
    desk.summaries.tick()
    found = desk.json_of("long.mp3")
    assert (found["status"], found["error"]["code"]) == ("failed", "summary_truncated")
    assert "context_tokens" in found["error"]["message"]
    assert found["points"] == []
    assert desk.there() == {"long.mp3.summary.json"}, "never half a summary"
    assert desk.ends == ["failed"]


def test_a_window_that_is_twice_too_large_is_found_out_too(desk: Desk) -> None:
    desk.server.faults.window = 4096
    desk.restart(context_tokens=8192)
    desk.finish("long.mp3", talk(500, facts=10))
    desk.summaries.tick()
    assert desk.json_of("long.mp3")["error"]["code"] == "summary_truncated"


def test_without_a_count_of_tokens_the_estimate_alone_keeps_to_the_window(desk: Desk) -> None:
    desk.server.faults.counts = False
    desk.server.faults.window = 2048
    desk.server.faults.chars_per_token = 2.1
    desk.restart(context_tokens=2048)
    desk.finish("long.mp3", talk(360, facts=40))
    desk.summaries.tick()
    assert facts_in(desk.json_of("long.mp3")) == set(range(40))


def test_an_answer_that_is_cut_off_makes_the_parts_smaller(desk: Desk) -> None:
    desk.server.faults.cut_above_chars = 1200
    desk.finish("long.mp3", talk(60, facts=8))
    desk.summaries.tick()
    found = desk.json_of("long.mp3")
    assert found["status"] == "done", found["error"]
    assert facts_in(found) == set(range(8))


def test_an_answer_that_is_always_cut_off_is_no_summary(desk: Desk) -> None:
    desk.server.faults.cut = 10**6
    desk.finish("talk.mp3", talk(20, facts=2))
    desk.summaries.tick()
    assert desk.json_of("talk.mp3")["error"]["code"] == "summary_cut"
    assert desk.state("talk.mp3") == "failed"


def test_what_a_model_thinks_aloud_is_left_out(desk: Desk) -> None:
    desk.server.faults.thinks = True
    desk.finish("talk.mp3", talk(20, facts=3))
    desk.summaries.tick()
    found = desk.json_of("talk.mp3")
    assert facts_in(found) == {0, 1, 2}
    assert "wrong" not in json.dumps(found)


@pytest.mark.parametrize(
    ("fault", "code"), [("empty", "summary_empty"), ("prose", "summary_unusable")]
)
def test_an_answer_without_notes_is_asked_for_again_and_then_refused(
    desk: Desk, fault: str, code: str
) -> None:
    setattr(desk.server.faults, fault, 2)
    desk.finish("one.mp3", talk(10, facts=1))
    desk.summaries.tick()
    assert desk.json_of("one.mp3")["status"] == "done"
    temperatures = [question["temperature"] for question in desk.server.questions[:3]]
    assert temperatures == [0.0, 0.3, 0.6]
    setattr(desk.server.faults, fault, 10**6)
    desk.finish("two.mp3", talk(10, facts=1), "job-2")
    desk.summaries.tick()
    assert desk.json_of("two.mp3")["error"]["code"] == code


def test_a_thought_that_never_ends_is_no_answer(desk: Desk) -> None:
    desk.server.faults.thinks, desk.server.faults.empty = True, 10**6
    desk.finish("talk.mp3", talk(10))
    desk.summaries.tick()
    assert desk.json_of("talk.mp3")["error"]["code"] == "summary_empty"


def test_a_server_that_is_gone_is_waited_for(
    desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.restart(base_url="http://127.0.0.1:1")
    for number in range(3):
        desk.finish(f"{number}.mp3", talk(10, facts=1), f"job-{number}")
    assert desk.summaries.tick() == 5
    assert desk.state("0.mp3") == "waiting"
    assert desk.summaries.problem is not None
    assert desk.summaries.waiting == 3
    assert caplog.text.count("texts wait for") == 1
    assert desk.there() == set()
    desk.restart(base_url=desk.server.url).tick()
    assert len(desk.there()) == 6
    assert desk.summaries.waiting == 0


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_server_that_refuses_everybody_is_waited_for(desk: Desk, status: int) -> None:
    desk.server.faults.status = status
    desk.finish("talk.mp3", talk(10))
    assert desk.summaries.tick() == 5
    assert f"{status} (no such model)" in str(desk.summaries.problem)
    assert desk.there() == set()


def test_a_question_that_is_refused_is_a_failure_of_this_text(desk: Desk) -> None:
    desk.server.faults.status = 400
    desk.finish("talk.mp3", talk(10))
    desk.summaries.tick()
    assert desk.json_of("talk.mp3")["error"]["code"] == "summary_refused"


def test_a_server_that_is_too_slow_is_waited_for(desk: Desk) -> None:
    desk.server.faults.hold.clear()
    desk.restart(timeout_seconds=1.0)
    desk.finish("talk.mp3", talk(10))
    assert desk.summaries.tick() == 5
    assert "not within 1 s" in str(desk.summaries.problem)


def test_a_stop_breaks_off_what_is_being_made(desk: Desk) -> None:
    desk.server.faults.hold.clear()
    desk.finish("talk.mp3", talk(10))
    desk.summaries.start()
    until(lambda: desk.state("talk.mp3") == "making", "it began")
    until(lambda: desk.server.questions, "the server was asked")
    desk.summaries.stop()
    desk.server.faults.hold.set()
    assert desk.there() == set()
    desk.restart().tick()
    assert desk.state("talk.mp3") == "done"


@contextlib.contextmanager
def black_hole(scheme: str, *, takes_connections: bool) -> Iterator[str]:
    """A port on this machine that never answers: no packet, or nothing that is said to it."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(5 if takes_connections else 0)
        where = listening.getsockname()
        is_full = takes_connections
        while not is_full:
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(where)
            is_full = not select.select([], [client], [], 0.5)[1]
        yield f"{scheme}://127.0.0.1:{where[1]}"


@pytest.mark.parametrize(
    ("scheme", "takes_connections"), [("http", False), ("http", True), ("https", True)]
)
def test_a_stop_waits_for_no_host_that_is_silent(
    desk: Desk, scheme: str, takes_connections: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with black_hole(scheme, takes_connections=takes_connections) as url:
        desk.restart(base_url=url)
        desk.finish("talk.mp3", talk(10))
        desk.summaries.start()
        until(lambda: desk.state("talk.mp3") == "making", "it began")
        time.sleep(0.2)  # whether it comes to wait for an answer or not, it must end
        desk.summaries.stop()
        assert "hangs" not in caplog.text
        desk.summaries.start()  # its thread is no longer busy
        desk.summaries.stop()
    desk.restart(base_url=desk.server.url).tick()
    assert desk.state("talk.mp3") == "done"


def test_a_server_that_knows_no_wish_for_json_is_asked_without(desk: Desk) -> None:
    desk.server.faults.refuses_format = True
    desk.finish("talk.mp3", talk(10, facts=1))
    desk.summaries.tick()
    assert desk.state("talk.mp3") == "done"
    assert all("response_format" not in question for question in desk.server.questions)


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("", "/v1/chat/completions"),
        ("/", "/v1/chat/completions"),
        ("/v1", "/v1/chat/completions"),
        ("/v1/", "/v1/chat/completions"),
        ("/openai", "/openai/chat/completions"),
        ("/openai", "/openai/v1/chat/completions"),
        ("", "/chat/completions"),
        ("/v1/chat/completions", "/v1/chat/completions"),
    ],
)
def test_the_address_may_have_its_version_or_not(desk: Desk, base: str, path: str) -> None:
    desk.server.faults.path = path
    desk.restart(base_url=desk.server.url + base)
    desk.finish("talk.mp3", talk(10, facts=1))
    desk.summaries.tick()
    assert desk.state("talk.mp3") == "done", desk.server.paths


def test_the_key_is_sent_and_never_said(
    desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = tmp_path / "key"
    key.write_text("sk-hidden\n")
    desk.restart(api_key_file=key)
    desk.finish("talk.mp3", talk(10))
    desk.summaries.tick()
    assert set(desk.server.keys) == {"Bearer sk-hidden"}
    assert "sk-hidden" not in caplog.text
    key.unlink()
    desk.finish("next.mp3", talk(10), "job-2")
    assert desk.summaries.tick() == 5
    assert "cannot be read" in str(desk.summaries.problem)


def test_a_redirect_is_not_followed(desk: Desk) -> None:
    with serving(ModelServer()) as other:
        desk.server.faults.redirect = f"{other.url}/v1/chat/completions"
        desk.finish("talk.mp3", talk(10))
        desk.summaries.tick()
        assert other.paths == []
    assert "302" in str(desk.summaries.problem)


def test_the_same_text_template_and_model_are_not_summarised_again(desk: Desk) -> None:
    desk.finish("talk.mp3", talk(10, facts=1))
    desk.summaries.tick()
    asked = len(desk.server.questions)
    desk.finish("talk.mp3", talk(10, facts=1), "job-2")
    desk.summaries.tick()
    assert len(desk.server.questions) == asked
    assert desk.json_of("talk.mp3")["job_id"] == "job-2"
    assert desk.state("talk.mp3") == "done"
    desk.restart(model="another")
    desk.finish("talk.mp3", talk(10, facts=1), "job-3")
    desk.summaries.tick()
    assert len(desk.server.questions) > asked
    assert desk.ends == ["made", "kept", "made"]


def test_a_new_text_has_no_old_summary(desk: Desk) -> None:
    desk.finish("talk.mp3", talk(10, facts=1))
    desk.summaries.tick()
    desk.put_result("talk.mp3", talk(12, facts=2), "job-2")
    assert desk.state("talk.mp3") == "none"
    desk.server.faults.cut = 10**6
    desk.summaries.note("talk.mp3", "job-2")
    desk.summaries.tick()
    assert desk.state("talk.mp3") == "failed"
    assert desk.there() == {"talk.mp3.summary.json"}


def test_what_a_person_wrote_into_it_is_moved_aside(desk: Desk) -> None:
    desk.finish("talk.mp3", talk(10, facts=1))
    desk.summaries.tick()
    text = desk.store.folder.path / "talk.mp3.summary.md"
    text.write_text("My own words.", encoding="utf-8")
    desk.finish("talk.mp3", talk(12, facts=2), "job-2")
    desk.summaries.tick()
    assert "ФАКТ-1" in desk.markdown_of("talk.mp3")
    (aside,) = desk.store.folder.path.glob("talk.mp3.summary.md.*.aside")
    assert aside.read_text("utf-8") == "My own words."


def test_a_text_that_was_deleted_meanwhile_leaves_no_summary(desk: Desk) -> None:
    desk.finish("gone.mp3", talk(10))
    desk.store.delete("gone.mp3", ())
    desk.summaries.tick()
    assert (desk.there(), desk.ends) == (set(), ["dropped"])
    desk.server.faults.hold.clear()
    desk.finish("talk.mp3", talk(10), "job-2")
    desk.summaries.start()
    until(lambda: desk.server.questions, "the server was asked")
    desk.store.delete("talk.mp3", ())
    desk.server.faults.hold.set()
    until(lambda: desk.ends == ["dropped", "made"], "it was made")
    desk.summaries.stop()
    assert desk.there() == set()


def test_a_deletion_takes_the_summary_along(desk: Desk) -> None:
    desk.finish("talk.mp3", talk(10))
    desk.summaries.tick()
    deleted = desk.store.delete("talk.mp3", ())
    assert {"talk.mp3.summary.json", "talk.mp3.summary.md"} <= set(deleted)
    assert desk.there() == set()


def test_nothing_said_is_nothing_to_summarise(desk: Desk) -> None:
    desk.finish("silence.mp3", [])
    desk.summaries.tick()
    assert (desk.server.paths, desk.there(), desk.ends) == ([], set(), ["dropped"])


def test_a_summary_somebody_else_wrote_is_checked_before_it_is_shown(desk: Desk) -> None:
    desk.put_result("talk.mp3", talk(3), "job-1")
    file = desk.store.folder.path / "talk.mp3.summary.json"
    for content in (
        b"{",
        b"[]",
        b'{"status": "done"}',
        b"\xff",
        b'{"job_id": "job-1", "points": 5}',
    ):
        file.write_bytes(content)
        assert desk.state("talk.mp3") == "none"
    file.unlink()
    file.symlink_to("/etc/hostname")
    assert desk.state("talk.mp3") == "none"


def test_a_crash_between_the_two_files_is_made_good(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.finish("talk.mp3", talk(10, facts=1))
    desk.summaries.tick()
    asked = len(desk.server.questions)
    (desk.store.folder.path / "talk.mp3.summary.md").unlink()
    desk.summaries.note("talk.mp3", "job-1")
    desk.summaries.tick()
    assert len(desk.server.questions) == asked
    assert "ФАКТ-0" in desk.markdown_of("talk.mp3")


def test_too_many_notes_are_condensed_in_rounds_or_it_is_said(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scripted model shortens nothing but repeats: of 300 facts the notes never fit."""
    desk.restart(context_tokens=2048)
    desk.finish("facts.mp3", [f"ФАКТ-{n} такой." for n in range(300)])
    desk.summaries.tick()
    assert desk.json_of("facts.mp3")["error"]["code"] == "summary_too_long"


def test_the_thread_goes_on_after_a_bug(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(summaries_module, "lines_of", broken)
        desk.finish("bad.mp3", talk(3))
        with pytest.raises(RuntimeError):
            desk.summaries.tick()
    desk.finish("good.mp3", talk(3, facts=1), "job-2")
    desk.summaries.tick()
    assert desk.state("good.mp3") == "done"


def test_a_daemon_that_is_killed_while_it_summarises_does_it_after_the_next_start(
    server: ModelServer, tmp_path: Path
) -> None:
    server.faults.hold.clear()
    config = {"summary": {"base_url": server.url, "model": "scripted"}}
    with ScriptedDaemon(tmp_path, config) as daemon:
        daemon.drop("talk.mp3")
        result = daemon.wait_for_result("talk.mp3", SOON_S)
        until(lambda: server.questions, "the model was asked", SOON_S)
        daemon.kill()
        server.faults.hold.set()
        assert not (daemon.shared / "talk.mp3.summary.json").exists()
        daemon.start()
        daemon.wait_for_log(r"talk\.mp3: summarised in", SOON_S)
        found = json.loads((daemon.shared / "talk.mp3.summary.json").read_bytes())
        assert (found["status"], found["job_id"]) == ("done", result["job_id"])
        assert (daemon.shared / "talk.mp3.summary.md").exists()
        until(lambda: daemon.metrics()['transcriber_outbox{kind="summary"}'] == 0, "done", SOON_S)
        daemon.stop()
    server.questions.clear()
    with ScriptedDaemon(tmp_path, config) as daemon:
        daemon.drop("next.mp3")
        daemon.wait_for_log(r"next\.mp3: summarised in", SOON_S)
    assert len(server.questions) == 2, "nothing is made again after a restart"


def test_a_stop_does_not_wait_for_an_answer(server: ModelServer, tmp_path: Path) -> None:
    server.faults.hold.clear()
    config = {"summary": {"base_url": server.url, "model": "scripted"}}
    with ScriptedDaemon(tmp_path, config) as daemon:
        daemon.drop("talk.mp3")
        until(lambda: server.questions, "the model was asked", SOON_S)
        assert daemon.stop() == 0
        assert "hangs" not in daemon.log
        assert "texts wait" not in daemon.log


def test_doctor_asks_the_model(server: ModelServer, tmp_path: Path) -> None:
    def found(**summary: Any) -> tuple[str, str]:
        section = {"base_url": server.url, "model": "scripted"} | summary
        [finding] = check_summary(a_config(tmp_path, summary=section))
        return finding.level, finding.seen

    assert found() == (Level.OK, f"scripted at {server.url} answers")
    server.faults.counts = False
    level, seen = found()
    assert (level, "how many tokens" in seen) == (Level.WARNING, True)
    server.faults.status = 401
    level, seen = found()
    assert (level, "401" in seen) == (Level.PROBLEM, True)
    level, seen = found(base_url="http://127.0.0.1:1")
    assert level == Level.PROBLEM
    assert list(check_summary(a_config(tmp_path))) == []
