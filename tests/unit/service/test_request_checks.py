"""The one check of a request: what it refuses, and which settings it finds."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modules.config.settings import TranscriptionSettings
from modules.errors import TranscriberError
from modules.intake.request import TranscriptionRequest
from modules.recordings.store import RecordingStore
from modules.service.request_checks import RequestChecks
from tests.builders import SETTINGS, a_config, a_model

PROJECT = Path(__file__).resolve().parents[3]


class Bench:
    """The check over a real folder, with an index of earlier jobs."""

    def __init__(self, root: Path) -> None:
        config = a_config(root)
        a_model(config.models_directory)
        self.files = RecordingStore(config.shared_directory, config.manual_directory)
        self.files.prepare()
        self.kept: TranscriptionSettings | None = None
        self.earlier: dict[str, Any] = {}
        self.refused: list[TranscriptionRequest] = []
        self.compute_types: dict[str, tuple[str, ...]] = {}
        self.checks = RequestChecks(
            config,
            SimpleNamespace(  # type: ignore[arg-type]
                require_free_id=self.refused.append, settings_kept=lambda name: self.kept
            ),
            self.files.settings,
            SimpleNamespace(find=self.earlier.get),  # type: ignore[arg-type]
            self._check_address,
            lambda: self.compute_types,
        )

    def _check_address(self, url: str) -> None:
        if "localhost" in url:
            raise TranscriberError("callback_refused", "No.")

    def code(self, **facts: Any) -> str:
        """The error of a request that is refused."""
        with pytest.raises(TranscriberError) as caught:
            self.checks.check(TranscriptionRequest(**{"name": "talk.mp3"} | facts))
        return caught.value.code


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_settings_come_from_the_request_then_the_files_then_the_configuration(
    bench: Bench,
) -> None:
    folder = bench.files.folder.path
    (folder / "settings.yaml").write_text("language: en\nbeam_size: 2\nvad_onset: 0.4")
    (folder / "talk.mp3.settings.yaml").write_text("beam_size: 3")
    request = TranscriptionRequest("talk.mp3", {"vad_onset": 0.6}, job_id="call-1")
    checked = bench.checks.check(request)
    settings = checked.settings
    assert (settings.language, settings.beam_size, settings.vad_onset) == ("en", 3, 0.6)
    assert settings.model_size == "base"
    assert checked.request is request
    assert bench.refused == [request], "the id is compared with those in the queue"


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"name": "notes.txt"}, "not_a_recording"),
        ({"name": "sub/talk.mp3"}, "not_a_recording"),
        ({"job_id": "no spaces"}, "invalid_job_id"),
        ({"job_id": ""}, "invalid_job_id"),
        ({"callback_urls": ("http://localhost/",)}, "callback_refused"),
        ({"wishes": {"model_size": "/somewhere"}}, "invalid_settings"),
        ({"wishes": {"task": "translate", "model_size": "turbo"}}, "invalid_settings"),
        ({"wishes": {"model_size": "tiny"}}, "model_unavailable"),
    ],
)
def test_what_cannot_be_carried_out_is_refused(
    bench: Bench, facts: dict[str, Any], code: str
) -> None:
    assert bench.code(**facts) == code


def test_settings_that_this_machine_cannot_compute_are_refused(bench: Bench) -> None:
    bench.compute_types = {"cpu": ("float32",)}
    assert bench.code(wishes={"compute_type": "int8"}) == "invalid_settings"


@pytest.mark.parametrize(
    ("fate", "is_refused"),
    [(None, True), ("completed", True), ("failed", True), ("deleted", False), ("gone", False)],
)
def test_an_id_that_leads_to_another_text_is_taken(
    bench: Bench, fate: str | None, is_refused: bool
) -> None:
    bench.earlier["call-1"] = SimpleNamespace(name="other.mp3", fate=fate)
    if is_refused:
        assert bench.code(job_id="call-1") == "job_id_taken"
    else:
        bench.checks.check(TranscriptionRequest("talk.mp3", job_id="call-1"))
    bench.checks.check(TranscriptionRequest("other.mp3", job_id="call-1"))


def test_what_states_no_settings_waits_for_its_model(bench: Bench) -> None:
    """Its model may be back when its turn comes; a client that asks for the text gets no error."""
    (bench.files.folder.path / "settings.yaml").write_text("model_size: tiny")
    assert bench.code() == "model_unavailable"
    assert bench.checks.check_plain(TranscriptionRequest("talk.mp3")).settings.model_size == "tiny"


def test_a_job_that_has_begun_is_asked_for_whatever_stands_beside_it_now(bench: Bench) -> None:
    (bench.files.folder.path / "talk.mp3.settings.yaml").write_text("beam_size: many")
    request = TranscriptionRequest("talk.mp3")
    with pytest.raises(TranscriberError, match="beam_size"):
        bench.checks.check_plain(request)
    bench.kept = SETTINGS
    assert bench.checks.check_plain(request).settings == SETTINGS


def test_only_the_check_makes_checked_requests() -> None:
    makers = [
        path.relative_to(PROJECT).as_posix()
        for path in sorted((PROJECT / "modules").rglob("*.py"))
        if "CheckedRequest(" in path.read_text("utf-8")
    ]
    assert makers == ["modules/service/request_checks.py"]
