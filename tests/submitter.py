"""Requests for an intake under test, checked as the service checks them."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

from modules.config.schema import Config
from modules.intake.intake import Intake
from modules.intake.request import CheckedRequest, TranscriptionRequest
from modules.intake.requests import Submitted
from modules.jobs.job import Job
from modules.recordings.store import RecordingStore
from modules.service.request_checks import RequestChecks


class Submitter:
    """The real check, without an index of earlier jobs; any address may be called."""

    def __init__(self, config: Config, intake: Intake, files: RecordingStore) -> None:
        self._requests = intake.requests
        no_index: Any = Mock(find=Mock(return_value=None))
        self._checks = RequestChecks(
            config, intake.requests, files.settings, no_index, lambda url: None, dict
        )

    def check(self, request: TranscriptionRequest) -> CheckedRequest:
        return self._checks.check(request)

    def submit(self, request: TranscriptionRequest) -> Submitted | None:
        return self._requests.submit(self.check(request))

    def bring_back(self, name: str, client: str | None) -> Job:
        return self._requests.bring_back(self._checks.check_return(name, client))
