"""What ``status`` makes of the files in the folder."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from modules.cli.commands import status
from modules.cli.commands.status import as_json, row_json
from modules.cli.daemon_status import Owner
from modules.cli.session import length
from modules.cli.terminal.tables import plain_table
from modules.cli.terminal.wording import details, summary
from modules.config.schema import Config
from modules.jobs.job import ErrorInfo, Job, Priority, Progress, Status
from modules.outputs.notes import warning
from modules.recordings.store import RecordingStore
from modules.service import folder_orders
from modules.service.folder_view import rows as row_module
from modules.service.folder_view import sidecar_reader
from modules.service.folder_view.report import Report, Reporter, report
from modules.service.folder_view.rows import Row, State
from tests.fakes import FakeClock


class Share:
    """A shared and a manual folder."""

    def __init__(self, root: Path, **watch: Any) -> None:
        self.shared, self.manual = root / "shared", root / "manual"
        self.clock = FakeClock()
        self.config = Config.model_validate(
            {"shared_directory": self.shared, "manual_directory": self.manual, "watch": watch}
        )
        self.files = RecordingStore(self.shared, self.manual)
        self.files.prepare()

    def add(self, name: str, content: bytes = b"sound") -> Path:
        path = self.shared / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    def job(self, name: str) -> Job:
        settings, now = self.config.default_settings(), self.clock.utc_now()
        return Job(name, "id", Priority.API, settings, self.files.folder.identity(name), now)

    def finish(self, name: str, segments: int = 1) -> Path:
        source = self.files.folder.identity(name).model_dump()
        path = self.shared / f"{name}.result"
        content = {
            "filename": name,
            "job_id": "id",
            "processing_end": "2024-01-01T00:00:00.000Z",
            "duration_seconds": 75.5,
            "source": source,
            "outputs": [],
            "transcription": {
                "text": 'mad\n  "metadata": {' * segments,
                "segments": [{"id": n, "text": "x" * 50} for n in range(segments)],
            },
            "metadata": {"language": "ru", "word_count": 12},
            "processing_stats": {},
        }
        path.write_text(json.dumps(content, indent=2), encoding="utf-8")
        return path

    def row(self, name: str) -> Row:
        return next(row for row in report(self.config, self.files).rows if row.name == name)


@pytest.fixture
def share(tmp_path: Path) -> Share:
    return Share(tmp_path)


def test_a_file_alone_is_pending(share: Share) -> None:
    share.add("talk.mp3")
    share.add("notes.txt")
    assert [(row.name, row.state) for row in report(share.config, share.files).rows] == [
        ("talk.mp3", State.PENDING)
    ]


def test_an_order_that_nobody_has_taken_yet_is_queued(share: Share) -> None:
    share.add("talk.mp3")
    folder_orders.place(share.shared, "talk.mp3", share.clock)
    assert share.row("talk.mp3").state is State.QUEUED


@pytest.mark.parametrize("segments", [0, 1, 2000])
def test_a_result_is_completed_however_long_it_is(share: Share, segments: int) -> None:
    share.add("talk.mp3")
    share.finish("talk.mp3", segments)
    row = share.row("talk.mp3")
    assert row.state is State.COMPLETED
    assert (row.duration_s, row.language, row.words) == (75.5, "ru", 12)
    assert row.when == datetime(2024, 1, 1, tzinfo=UTC)


def test_a_text_to_be_checked_is_said_beside_it(share: Share) -> None:
    share.add("a.mp3")
    path = share.finish("a.mp3")
    content = json.loads(path.read_text("utf-8"))
    warned = warning("other_language", asked="ru", heard="en")
    content["metadata"]["warnings"] = [warned]
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
    row = share.row("a.mp3")
    assert details(row) == warned["message"]
    assert row_json(row)["warnings"] == [warned]


def test_a_long_result_is_not_read_whole(share: Share) -> None:
    share.add("talk.mp3")
    path = share.finish("talk.mp3", 2000)
    assert path.stat().st_size > 100_000
    assert len(sidecar_reader._without_transcript(path)) < 2000


def test_a_result_in_another_form_is_read_as_well(share: Share) -> None:
    share.add("talk.mp3")
    path = share.finish("talk.mp3")
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert share.row("talk.mp3").words == 12


def test_a_replaced_recording_is_pending_and_a_touched_one_is_not(share: Share) -> None:
    path = share.add("talk.mp3")
    share.finish("talk.mp3")
    os.utime(path, (1, 1))
    assert share.row("talk.mp3").state is State.COMPLETED
    path.write_bytes(b"other")
    assert share.row("talk.mp3").state is State.PENDING


@pytest.mark.parametrize("content", ["", "{", "[]", '{"source": 7}', '{"source": {"size": "x"}}'])
def test_a_broken_result_does_not_count(share: Share, content: str) -> None:
    share.add("talk.mp3")
    (share.shared / "talk.mp3.result").write_text(content)
    assert share.row("talk.mp3").state is State.PENDING


def test_an_archived_recording_is_completed(share: Share) -> None:
    path = share.add("talk.mp3")
    share.finish("talk.mp3")
    path.unlink()
    assert share.row("talk.mp3").state is State.COMPLETED


def test_a_running_one_shows_stage_percentage_and_attempt(share: Share) -> None:
    share.add("talk.mp3")
    now = share.clock.utc_now()
    progress = Progress(stage="processing_audio", percentage=45)
    job = share.job("talk.mp3").open_attempt(now).evolve(progress=progress)
    share.files.states.save(job)
    row = share.row("talk.mp3")
    assert (row.state, row.stage, row.percentage, row.attempt) == (
        State.PROCESSING, "processing_audio", 45, 1,
    )  # fmt: skip
    share.files.states.save(job.close_attempt("interrupted", now))
    assert share.row("talk.mp3").state is State.QUEUED


def test_while_the_model_is_loaded_for_it_a_file_is_processing(share: Share) -> None:
    share.add("talk.mp3")
    share.files.states.save(share.job("talk.mp3").evolve(progress=Progress(stage="loading_model")))
    assert share.row("talk.mp3").state is State.PROCESSING


def test_a_failed_attempt_waits_for_the_next_and_the_last_is_an_error(share: Share) -> None:
    share.add("talk.mp3")
    now = share.clock.utc_now()
    error = ErrorInfo(code="x", message="It broke.", timestamp="t", attempt=1, retry_after=30.0)
    job = share.job("talk.mp3").open_attempt(now)
    share.files.states.save(job.close_attempt("failed", now, 1.0, error))
    row = share.row("talk.mp3")
    assert (row.state, row.attempt, row.error) == (State.QUEUED, 2, "It broke.")
    final = error.model_copy(update={"retry_after": None})
    gone = job.close_attempt("failed", now, 1.0, final).at_start(Status.FAILED)
    share.files.states.save(gone)
    assert share.row("talk.mp3").state is State.ERROR


@pytest.mark.parametrize("content", ["", "{}", "[1]"])
def test_an_unreadable_state_is_said(share: Share, content: str) -> None:
    share.add("talk.mp3")
    (share.shared / "talk.mp3.in_progress").write_text(content)
    row = share.row("talk.mp3")
    assert row.state is State.ERROR
    assert row.error == "its .in_progress cannot be read"


def test_a_state_without_its_recording_is_said(share: Share) -> None:
    path = share.add("talk.mp3")
    share.files.states.save(share.job("talk.mp3"))
    path.unlink()
    assert "recording is missing" in (share.row("talk.mp3").error or "")


def test_the_manual_folder_tells_why(share: Share) -> None:
    for name in ("a.mp3", "b.mp3", "c.mp3"):
        (share.manual / name).write_bytes(b"x")
    state = {"error": {"message": "Not media.\nReally."}}
    (share.manual / "a.mp3.in_progress").write_text(json.dumps(state))
    (share.manual / "b.mp3.error.txt").write_text("b failed.\n\nWhat happened: It hung.\n")
    reasons = {row.name: row.error for row in report(share.config, share.files).rows}
    assert reasons == {"a.mp3": "Not media.", "b.mp3": "It hung.", "c.mp3": None}


def test_subfolders_are_looked_into_only_where_the_service_does(tmp_path: Path) -> None:
    for recursive in (False, True):
        share = Share(tmp_path / str(recursive), recursive=recursive)
        share.add("sub/talk.mp3")
        found = report(share.config, share.files)
        assert found.not_looked_into == ([] if recursive else ["sub"])
        assert [row.name for row in found.rows] == (["sub/talk.mp3"] if recursive else [])


# --- looking again and again ------------------------------------------------------------------


def test_what_did_not_change_is_not_read_again(
    share: Share, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    really = row_module.read_result

    def counted(path: Path) -> dict[str, Any] | None:
        read.append(path.name)
        return really(path)

    monkeypatch.setattr(row_module, "read_result", counted)
    for name in ("a.mp3", "b.mp3"):
        share.add(name)
        share.finish(name)
    reporter = Reporter(share.config, share.files)
    first = reporter.look()
    assert reporter.look() == first
    assert sorted(read) == ["a.mp3.result", "b.mp3.result"]
    share.add("a.mp3", b"other sound")
    assert {row.name: row.state for row in reporter.look().rows} == {
        "a.mp3": State.PENDING,
        "b.mp3": State.COMPLETED,
    }
    assert read[2:] == ["a.mp3.result"]
    result = share.finish("b.mp3")
    result.write_text(result.read_text().replace('"word_count": 12', '"word_count": 1234'))
    assert [row.words for row in reporter.look().rows if row.name == "b.mp3"] == [1234]


def test_what_went_is_forgotten(share: Share) -> None:
    path = share.add("a.mp3")
    result = share.finish("a.mp3")
    reporter = Reporter(share.config, share.files)
    assert len(reporter.look().rows) == 1
    path.unlink()
    result.unlink()
    assert reporter.look().rows == []


# --- how it is shown --------------------------------------------------------------------------


def test_the_last_line_tells_who_runs_and_counts() -> None:
    found = Report([Row("a", State.PENDING), Row("b", State.PENDING), Row("c", State.MANUAL)])
    assert summary(found, None, paused=False) == "No daemon runs. 1 manual, 2 pending."
    owner = Owner("daemon", 7, "host", None)
    expected = "The daemon runs (PID 7, on host). The queue is paused. 1 manual, 2 pending."
    assert summary(found, owner, paused=True) == expected
    assert summary(Report(), None, paused=False).endswith("There are no recordings.")


def test_json_leaves_out_what_is_not_known() -> None:
    found = Report([Row("a", State.PENDING)])
    answer = as_json(found, None, paused=False)
    assert answer["recordings"] == [{"filename": "a", "state": "pending"}]
    assert answer["counts"]["pending"] == 1
    assert answer["daemon"] is None
    json.dumps(answer)


def test_columns_are_aligned() -> None:
    head = ("NAME", "STATE", "LENGTH", "LANG", "WORDS", "WHEN", "")
    rows = [("long name.mp3", "pending", "1:05", "", "7", "", "why"), ("a", "b", "c", *"defg")]
    lines = plain_table(head, rows, right=(2, 4))
    assert lines[0].startswith("NAME")
    assert len({line.index(word) for line, word in zip(lines[1:], ("why", "g"), strict=True)}) == 1


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, ""), (0.4, "0:00"), (75.5, "1:16"), (3661.0, "1:01:01")]
)
def test_lengths(seconds: float | None, shown: str) -> None:
    assert length(seconds) == shown


# --- what is no recording ---


def test_what_is_no_recording_is_shown_with_what_it_is(
    share: Share, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(14):
        share.add(f"part{number}.ts")
        share.files.ignored.note(f"part{number}.ts", "a text document")
    row = share.row("part1.ts")
    assert (row.state, row.error) == (State.IGNORED, "a text document")
    monkeypatch.setattr(status, "configured", lambda options: share.config)
    assert status.run(Namespace(watch=False, json=False)) == 0
    said = capsys.readouterr()
    text = " ".join((said.out + said.err).split())
    assert text.count("no recording: a text document") == 10
    assert "4 more files are no recordings." in text
    assert "14 ignored." in text


def test_files_with_another_ending_are_counted(share: Share) -> None:
    for name in ("a.xyz", "photo.jpg", "b.xyz", "talk.txt", ".hidden.xyz", "talk.mp3.part"):
        share.add(name)
    share.add("talk.mp3")
    found = report(share.config, share.files)
    assert (found.skipped, found.examples) == (3, ["a.xyz", "photo.jpg"])
    shown = status.as_json(found, None, False)
    assert shown["skipped"] == {"count": 3, "examples": ["a.xyz", "photo.jpg"]}
    assert [row["filename"] for row in shown["recordings"]] == ["talk.mp3"]
