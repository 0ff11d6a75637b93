"""A ``.in_progress`` that somebody else wrote: it asks for no more than an order may."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modules.errors import TranscriberError
from modules.intake.intake import Intake
from modules.jobs.job import Job, Priority
from modules.jobs.scheduler import Scheduler
from modules.recordings.state import job_from_json, job_to_json, shown
from modules.recordings.state_writer import StateWriter
from modules.recordings.store import RecordingStore
from modules.storage.atomic import to_json
from tests.builders import a_config, a_job
from tests.fakes import FakeClock
from tests.submitter import Submitter

ATTEMPT: dict[str, Any] = {"attempt_number": 1, "start_time": "2024-01-01T00:00:00.000Z"}


def forged(**settings: Any) -> dict[str, Any]:
    content = json.loads(to_json(job_to_json(a_job(priority=Priority.API))))
    content["settings"].update(settings)
    return content


@pytest.mark.parametrize(
    "settings",
    [
        {"beam_size": 10**9},
        {"temperature": 7.0},
        {"vad_onset": 0.0},
        {"max_speakers": 10**9},
        {"initial_prompt": "word " * 10**6},
        {"model_size": "weights"},
        {"device": "whatever"},
    ],
)
def test_settings_beyond_the_limits_make_no_job(settings: dict[str, Any]) -> None:
    job_from_json("talk.mp3", forged())
    with pytest.raises(TranscriberError) as caught:
        job_from_json("talk.mp3", forged(**settings))
    assert caught.value.code == "corrupt_sidecar"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("job_id", "x" * 2_000_000),
        ("job_id", "../../outside"),
        ("job_id", "a\r\nHost: evil"),
        ("job_id", "a\n"),
        ("job_id", 5),
        ("creation_time", "0001-01-01T00:00:00+14:00"),
        ("creation_time", "9999-12-31T23:59:59-14:00"),
        ("callback_urls", ["http://example.org/"] * 100_000),
        ("callback_urls", ["http://example.org/" + "x" * 10_000]),
        ("callback_urls", "http://example.org/"),
        ("api_clients", ["a"] * 100_000),
        ("attempts", [ATTEMPT] * 100_000),
        ("attempts", [ATTEMPT | {"start_time": "9999-12-31T23:59:59-14:00"}]),
        ("attempts", [ATTEMPT | {"attempt_number": 10**400}]),
        ("attempts", [ATTEMPT | {"running_seconds": 1e300}]),
        ("outputs", ["talk.txt"] * 100_000),
        ("intermediate", {"position_seconds": 10**400}),
        ("intermediate", {"position_seconds": -1}),
        ("nodes_lost", 10**9),
        ("nodes_lost", "3"),
        ("nodes_lost", True),
        ("intermediate", [1]),
        ("source", {"size": -1, "mtime_ns": 10**30, "fingerprint": "f"}),
    ],
)
def test_ids_times_and_counts_have_limits_where_they_are_read(key: str, value: Any) -> None:
    with pytest.raises(TranscriberError) as caught:
        job_from_json("talk.mp3", forged() | {key: value})
    assert caught.value.code == "corrupt_sidecar"
    assert len(str(caught.value)) < 1000


def test_what_is_shown_of_a_state_in_manual_has_the_right_form() -> None:
    content = {"job_id": "../x", "error": [], "start_time": "x" * 100, "priority": "auto_scan"}
    assert shown(content | {"current_attempt": 10**9}) == {"priority": "auto_scan"}


class Bench:
    """An intake over real files, with one recording."""

    def __init__(self, root: Path, **whisperx: Any) -> None:
        config = a_config(root, whisperx=whisperx)
        self.files = RecordingStore(config.shared_directory, config.manual_directory)
        self.files.prepare()
        self.scheduler = Scheduler(FakeClock(), lambda _: None)
        journal = StateWriter(self.files.states, self.scheduler.get)
        self.intake = Intake(
            config, self.scheduler, self.files, journal, FakeClock(),
            is_complete=lambda _: False, look_again=lambda _: None,
            is_same_share=lambda: True, on_ended=lambda _: None,
        )  # fmt: skip
        self.submitter = Submitter(config, self.intake, self.files)

    def put(self, folder: Path, state: dict[str, Any]) -> None:
        (folder / "talk.mp3").write_bytes(b"sound")
        (folder / "talk.mp3.in_progress").write_text(json.dumps(state))

    def recovered(self, state: dict[str, Any]) -> Job:
        """The job that a restart makes of a recording with this state beside it."""
        self.put(self.files.folder.path, state)
        self.intake.recovery.recover()
        job = self.scheduler.get("talk.mp3")
        assert job is not None
        return job


def test_a_state_file_names_no_folder_of_weights(tmp_path: Path) -> None:
    job = Bench(tmp_path).recovered(forged(model_size=str(tmp_path / "shared" / "weights")))
    assert job.settings.model_size == "base"


def test_the_folder_that_the_configuration_names_may_stand_in_it(tmp_path: Path) -> None:
    mine = str(tmp_path / "weights")
    job = Bench(tmp_path, model_size=mine).recovered(forged(model_size=mine))
    assert job.settings.model_size == mine


def test_nor_does_one_in_manual(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.put(bench.files.manual.path, forged(model_size=str(tmp_path / "shared" / "weights")))
    job = bench.submitter.bring_back("talk.mp3", None)
    assert (job.priority, job.settings.model_size) == (Priority.API, "base")
