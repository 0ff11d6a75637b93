"""The configuration as one frozen tree: keys, defaults and limits.

``config.yaml`` at the root documents the same keys; ``loader.py`` fills the tree. A validator
refuses a value with ``ValueError(rule)`` or ``ValueError(rule, hint)``; the message has the value
between the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    model_validator,
)

from modules.config.receivers import (
    BaseUrl,
    FunctionName,
    QueueName,
    RedisUrl,
    SummaryLanguage,
)
from modules.config.section import Section
from modules.config.settings import EngineName, TranscriptionSettings
from modules.config.types import (
    DURATION_HOURS_MAX,
    AudioTracks,
    BeamSize,
    Channels,
    ComputeType,
    Device,
    EncoderKind,
    FilePath,
    Format,
    HostName,
    Language,
    Level,
    ModelSize,
    OneTask,
    Origin,
    Prompt,
    RateLimit,
    Secret,
    Speakers,
    Task,
    Temperature,
    Text,
    Threshold,
    Url,
    VadMethod,
    between,
    is_blank,
    names,
    origins,
)
from modules.config.workers import WORKERS_MAX, WorkersConfig
from modules.errors import noted

#: None, where it may be, means for ever.
Days = Annotated[int, between(1, 36500)]


class ApiConfig(Section):
    """Where the control API listens; port 0 means any free one."""

    host: Text = "127.0.0.1"
    port: Annotated[int, between(0, 65535)] = 8000
    workers: OneTask = 1
    max_concurrent_tasks: Annotated[int, between(1, WORKERS_MAX)] = 1
    key: Secret | None = None
    user: Text | None = None
    password: Secret | None = None
    search_attempts: Annotated[int, between(1, 100)] = 5
    search_interval_seconds: Annotated[float, between(0, 60)] = 1.0
    wait_seconds: Annotated[float, between(0, 86400)] = 1800.0
    max_waiting: Annotated[int, between(0, 2000)] = 250
    max_listeners: Annotated[int, between(0, 500)] = 50
    keep_openai_uploads: bool = False
    unknown_model: Literal["configured", "refuse"] = "configured"
    max_upload_mb: Annotated[int, between(1, 1048576)] = 4096
    request_timeout_seconds: Annotated[float, between(1, 3600)] = 60.0
    rate_limit: RateLimit | None = None
    trusted_hosts: Annotated[tuple[HostName, ...], Field(strict=False), BeforeValidator(names)] = ()
    cors_origins: Annotated[tuple[Origin, ...], Field(strict=False), BeforeValidator(origins)] = ()


class WhisperxConfig(Section):
    """Settings of transcriptions, unless a request has its own."""

    engine: EngineName = "whisper"
    model_size: ModelSize = "base"
    language: Language = "ru"
    temperature: Temperature = 0.0
    compute_type: ComputeType = "int8"
    device: Device = "cpu"
    task: Task = "transcribe"
    initial_prompt: Prompt | None = None
    hotwords: Prompt | None = None
    beam_size: BeamSize = 5
    suppress_numerals: bool = False
    fast_mode: bool = False
    audio_tracks: AudioTracks = "auto"
    channels: Channels = "auto"
    vad_method: VadMethod = "silero"
    vad_onset: Threshold = 0.5
    vad_offset: Threshold | None = None
    diarize: bool = False
    min_speakers: Speakers | None = None
    max_speakers: Speakers | None = None
    debug: bool = False
    cpu_threads: Annotated[int, between(1, 64)] = 2
    batch_size: Annotated[int, between(1, 64)] = 8
    encoder: EncoderKind = "auto"
    allow_download: bool = False

    @model_validator(mode="before")
    @classmethod
    def _without_blank_language(cls, tree: Any) -> Any:
        """An empty language counts as not given, as an empty variable does."""
        if isinstance(tree, dict) and is_blank(tree.get("language")):
            return {key: value for key, value in tree.items() if key != "language"}
        return tree


class ProcessingConfig(Section):
    """Attempts, limits, and the WhisperX process."""

    max_retry_attempts: Annotated[int, between(1, 100)] = 3
    retry_backoff_seconds: Annotated[float, between(0, 86400)] = 30.0
    growth_wait_seconds: Annotated[float, between(0, 86400)] = 60.0
    timeout_seconds: Annotated[float, between(1, 604800)] = 3600.0
    failed: Literal["manual", "leave"] = "manual"
    skip_if_subtitles: bool = False
    cleanup_temp_files: bool = True
    lock_file: FilePath | None = None
    stale_hours: Annotated[float, between(0, 87600)] = 24.0
    max_duration_hours: Annotated[float, between(0.01, DURATION_HOURS_MAX)] = 24.0
    worker_memory_mb: Annotated[int, between(256, 1048576)] = 1700
    worker_idle_seconds: Annotated[float, between(0, 604800)] = 0.0
    worker_hang_seconds: Annotated[float, between(0.1, 86400)] = 55.0
    worker_start_seconds: Annotated[float, between(0.1, 86400)] = 180.0
    stop_grace_seconds: Annotated[float, between(0, 3600)] = 8.0


class CallbacksConfig(Section):
    """Webhooks about ended jobs."""

    url: Url | None = None
    secret: Secret | None = None
    allow_private: bool = False
    max_attempts: Annotated[int, between(1, 50)] = 8
    timeout_seconds: Annotated[float, between(0.1, 300)] = 10.0


class HandoverConfig(Section):
    """The RQ queue in Redis that finished transcripts go into."""

    url: RedisUrl | None = None
    queue: QueueName = "transcripts"
    function: FunctionName = "summaries.summarize"
    serializer: Literal["default", "json"] = "default"


class SummaryConfig(Section):
    """The language model that summarises finished texts."""

    base_url: BaseUrl | None = None
    model: Text | None = None
    api_key_file: FilePath | None = None
    language: SummaryLanguage = "auto"
    template: Literal["minutes"] = "minutes"
    context_tokens: Annotated[int, between(1024, 4_000_000)] = 4096
    timeout_seconds: Annotated[float, between(1, 86400)] = 600.0
    page_url: BaseUrl | None = None


class WatchConfig(Section):
    """How recordings are found, and when one counts as complete."""

    recursive: bool = False
    events: bool = True
    rescan_seconds: Annotated[float, between(0.1, 86400)] = 30.0
    settle_seconds: Annotated[float, between(0, 3600)] = 0.3
    stable_seconds: Annotated[float, between(0.1, 3600)] = 3.0


def distinct(formats: tuple[Format, ...]) -> tuple[Format, ...]:
    if len(set(formats)) < len(formats):
        raise ValueError(noted("must name each format once"))
    return formats


class OutputConfig(Section):
    """The files that are written beside the ``.result``."""

    formats: Annotated[tuple[Format, ...], Field(strict=False), AfterValidator(distinct)] = (
        "txt",
        "srt",
    )
    txt_timestamps: bool = False
    subtitle_language: bool = False
    directory: FilePath | None = None
    result: Literal["beside", "hidden"] = "beside"


class RetentionConfig(Section):
    """How many days after its text a recording, and after that the text, goes to the trash."""

    recordings_days: Days | None = None
    results_days: Days | None = None
    trash_days: Annotated[int, between(0, 36500)] = 30


def _folder_name(value: str) -> str:
    parts = value.split("/")
    if any(not part or part.startswith((".", "~")) or not part.isprintable() for part in parts):
        raise ValueError(
            noted("must be the name of a subfolder without a leading dot, such as live")
        )
    return value


class LiveConfig(Section):
    """Text while people still speak."""

    enabled: bool = True
    max_sessions: Annotated[int, between(1, 100)] = 6
    resume_seconds: Annotated[float, between(0, 86400)] = 60.0
    directory: Annotated[str, AfterValidator(_folder_name)] = "live"
    wyoming_port: Annotated[int, between(0, 65535)] | None = None
    wyoming_host: Text = "127.0.0.1"
    wyoming_keep: bool = True


class StandbyConfig(Section):
    """When a process that waits (``run --standby``) takes the folder over."""

    heartbeat_seconds: Annotated[float, between(0.5, 10)] = 10.0
    takeover_seconds: Annotated[float, between(2, 3600)] = 60.0


class MessagesConfig(Section):
    """What the program says to people; the log and JSON for programs are English."""

    language: Literal["auto", "en", "ru"] = "auto"


class LoggingConfig(Section):
    """How much is logged."""

    level: Level = "INFO"


class Config(Section):
    """The whole configuration; every path in it is absolute."""

    api: ApiConfig = ApiConfig()
    shared_directory: FilePath = Path("shared")
    manual_directory: FilePath = Path("manual")
    models_directory: FilePath = Path("models")
    whisperx: WhisperxConfig = WhisperxConfig()
    processing: ProcessingConfig = ProcessingConfig()
    workers: WorkersConfig = WorkersConfig()
    watch: WatchConfig = WatchConfig()
    output: OutputConfig = OutputConfig()
    retention: RetentionConfig = RetentionConfig()
    callbacks: CallbacksConfig = CallbacksConfig()
    handover: HandoverConfig = HandoverConfig()
    live: LiveConfig = LiveConfig()
    standby: StandbyConfig = StandbyConfig()
    summary: SummaryConfig = SummaryConfig()
    messages: MessagesConfig = MessagesConfig()
    logging: LoggingConfig = LoggingConfig()

    @property
    def live_folder(self) -> str:
        """Where the recordings of live sessions land; empty for the share itself, as subfolders
        may not be looked into."""
        return self.live.directory if self.watch.recursive else ""

    @property
    def tasks_at_once(self) -> int:
        """How many recordings may be transcribed at the same time."""
        return max(self.workers.max, self.api.max_concurrent_tasks)

    def default_settings(self) -> TranscriptionSettings:
        """The settings of a job without its own."""
        chosen = self.whisperx.model_dump(include=set(TranscriptionSettings.model_fields))
        return TranscriptionSettings.model_validate(chosen)
