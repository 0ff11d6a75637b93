"""The one check of a request: its name, id, addresses and settings, before it becomes a job."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from modules.config.rules import impossible_on, settings_conflicts
from modules.config.schema import Config
from modules.config.settings import TranscriptionSettings
from modules.config.shown import shown
from modules.errors import ModelError, TranscriberError, joined, noted
from modules.intake.request import CheckedRequest, TranscriptionRequest
from modules.intake.requests import Requests
from modules.jobs.job import JOB_ID_PATTERN
from modules.jobs.queue_reader import JobLookup
from modules.recordings.names import is_recording
from modules.recordings.settings_files import RecordingSettings
from modules.weights.engines import locate_for


class RequestChecks:
    """Turns requests from any source into ``CheckedRequest``. Thread-safe.

    ``check_address`` raises TranscriberError for a webhook address that cannot be called.
    ``compute_types``: what each device can compute with, empty while this is not known.
    """

    def __init__(
        self,
        config: Config,
        requests: Requests,
        settings: RecordingSettings,
        index: JobLookup,
        check_address: Callable[[str], None],
        compute_types: Callable[[], Mapping[str, tuple[str, ...]]],
    ) -> None:
        self._config = config
        self._requests = requests
        self._settings = settings
        self._index = index
        self._check_address = check_address
        self._compute_types = compute_types

    def check(self, request: TranscriptionRequest) -> CheckedRequest:
        """The request with its settings. It may not be in the folder yet.

        Raises TranscriberError if it cannot be carried out, StorageError.
        """
        self._check_id_form(request)
        self.check_name(request.name)
        self._requests.require_free_id(request)
        self._check_earlier(request)
        for url in request.callback_urls:
            self._check_address(url)
        checked = CheckedRequest(request, self._resolve(request))
        self._check_settings(checked.settings)
        return checked

    def check_plain(self, request: TranscriptionRequest) -> CheckedRequest:
        """A request with no settings of its own: one through the folder, or for a waiting text.

        Whether this machine can carry out the settings is found when its turn comes, as for a file
        that was only dropped. Raises TranscriberError, StorageError.
        """
        self.check_name(request.name)
        kept = self._requests.settings_kept(request.name)
        return CheckedRequest(request, kept or self._resolve(request))

    def check_return(
        self, name: str, client: str | None, *, in_manual: bool = True
    ) -> CheckedRequest:
        """The request to try a file once more; one in ``manual/`` may have its settings there.

        Whether this machine can carry them out is found when its turn comes, as at the first time.
        Raises TranscriberError, StorageError.
        """
        self.check_name(name)
        request = self._requests.repeated(name, client)
        return CheckedRequest(request, self._resolve(request, in_manual))

    def check_name(self, name: str) -> None:
        """Raises TranscriberError if no recording that is looked at can have this name."""
        if not is_recording(name):
            raise TranscriberError(
                "not_a_recording",
                noted("{name!r} is not the name of a recording.", name=name),
                remedy=noted(
                    "Give a path inside the shared folder, with an ending such as .mp3 or .mp4."
                ),
            )
        if "/" in name and not self._config.watch.recursive:
            raise TranscriberError(
                "not_a_recording",
                noted("{name!r} lies in a subfolder, and those are not looked at.", name=name),
                remedy=noted("Set watch.recursive: true, or move it up."),
            )

    def _check_id_form(self, request: TranscriptionRequest) -> None:
        if request.job_id is not None and not re.fullmatch(JOB_ID_PATTERN, request.job_id):
            raise TranscriberError(
                "invalid_job_id",
                noted("job_id: {job_id!r} cannot be one.", job_id=request.job_id),
                remedy=noted("Use 1 to 64 letters, digits, hyphens and underscores."),
            )

    def _check_earlier(self, request: TranscriptionRequest) -> None:
        """The id of a finished job still leads to its text."""
        entry = self._index.find(request.job_id) if request.job_id else None
        if entry and entry.name != request.name and entry.fate in (None, "completed", "failed"):
            raise TranscriberError(
                "job_id_taken",
                noted(
                    "The job id {job_id!r} belongs to {name!r}.",
                    job_id=request.job_id,
                    name=entry.name,
                ),
                remedy=noted("Choose another id, or leave it out."),
            )

    def _resolve(
        self, request: TranscriptionRequest, in_manual: bool = False
    ) -> TranscriptionSettings:
        """The configuration's settings, those beside the recording, then the request's own."""
        base = self._config.default_settings()
        beside = self._settings.stated(request.name, base, request.wishes, in_manual).wishes
        return base.model_copy(update={**beside, **request.wishes})

    def _check_settings(self, settings: TranscriptionSettings) -> None:
        size = settings.model_size
        if "/" in size and size != self._config.whisperx.model_size:
            raise _invalid("model_size", size, noted("a path can only be set in the configuration"))
        impossible = impossible_on(settings, self._compute_types())
        for names, line in (*settings_conflicts(settings), *impossible):
            raise _invalid(names[0], getattr(settings, names[0]), line)
        try:
            locate_for(
                settings, self._config.models_directory, self._config.whisperx.allow_download
            )
        except ModelError as error:
            raise TranscriberError(
                "model_unavailable",
                noted("model_size: {why}", why=error.message),
                remedy=error.remedy,
            ) from error


def _invalid(key: str, value: object, rule: str) -> TranscriberError:
    got = "" if ", got " in rule else noted(", got {value}", value=shown(value))
    return TranscriberError("invalid_settings", joined("", f"{key}: ", rule, got, "."))
