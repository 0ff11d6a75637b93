"""Live sessions, connected with the share and the queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modules.api import forms
from modules.api.live.gate import LiveGate
from modules.api.schemas.requests import SettingsFields
from modules.clock import Clock
from modules.config.schema import Config
from modules.config.settings import TranscriptionSettings
from modules.errors import TranscriberError
from modules.executors.tasks import model_of
from modules.intake.request import TranscriptionRequest
from modules.live.containers import Containers
from modules.live.landing import Landing
from modules.live.sessions import LiveSessions
from modules.live.store import SessionStore
from modules.recordings.checkpoint import Begun
from modules.recordings.store import RecordingStore
from modules.recordings.uploads import Uploads
from modules.service.answers import Accepted
from modules.service.service import TranscriptionService
from modules.weights.files import ModelSpec


def build_live(
    config: Config,
    clock: Clock,
    store: RecordingStore,
    uploads: Uploads,
    service: TranscriptionService,
) -> tuple[LiveSessions, LiveGate]:
    """Nothing is started."""

    def submit(
        name: str, wishes: Mapping[str, Any], client: str, begun: Begun | None
    ) -> str | None:
        # They were read from the share, where others may write.
        checked = forms.checked(SettingsFields, dict(wishes)).wishes()
        request = TranscriptionRequest(
            name, wishes=checked, client=client, uploaded=True, begun=begun
        )
        answer = service.transcribe(request, False, lambda: False)
        return answer.job.job_id if isinstance(answer, Accepted) else None

    def model_for(settings: TranscriptionSettings) -> ModelSpec | None:
        whisperx = config.whisperx
        if (settings.engine, settings.model_size) != (whisperx.engine, whisperx.model_size):
            return None  # the child has another model, which may have to be fetched first
        try:
            return model_of(settings, config)
        except TranscriberError:
            return None  # reported when it is its turn

    files = SessionStore(store.folder.state / "live")
    landing = Landing(config.shared_directory, files, uploads, submit, config.live_folder)
    sessions = LiveSessions(config, files, landing, clock, model_for)
    containers = Containers(config, files, sessions)
    return sessions, LiveGate(config, sessions, containers, service.check)
