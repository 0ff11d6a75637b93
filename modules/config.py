"""The configuration as one frozen tree: keys, defaults and limits.

``config.yaml`` at the root shows the same to people; ``config_loader`` fills the tree. What a
validator refuses it says as ``ValueError(rule)`` or ``ValueError(rule, hint)``: the loader puts
the value between the two.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import core_schema

from modules.job import Settings
from modules.languages import LANGUAGE_CODES, LANGUAGES

MODEL_SIZES = (
    "tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en",
    "large", "large-v1", "large-v2", "large-v3", "large-v3-turbo", "turbo",
    "distil-small.en", "distil-medium.en", "distil-large-v2", "distil-large-v3",
    "distil-large-v3.5",
)  # fmt: skip

#: Trained without translation; they answer in the language of the speech.
_NO_TRANSLATION = frozenset({"large-v3-turbo", "turbo"})

#: Whisper takes 224 tokens of prompt; more characters than this cannot fit.
PROMPT_CHARS = 2000

#: More voices than this cannot be told apart by their sound.
MAX_SPEAKERS = 20

#: The sizes that know Cantonese, the one language that came late.
_CANTONESE = re.compile(r"^large$|large-v3|turbo")

#: The names of the keys at odds, the one to blame first, and the line that says why.
Conflict = tuple[tuple[str, ...], str]

#: In lower case, without a final dot; networks of containers have names with underscores.
HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")


# --- kinds of value ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _between:  # noqa: N801 # reads as the function that it stands for
    """Holds a number between two limits, and says so in the JSON schema."""

    low: float
    high: float

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "minimum": self.low, "maximum": self.high}

    def _check(self, value: float) -> float:
        if not self.low <= value <= self.high:
            raise ValueError(f"must be between {self.low:.12g} and {self.high:.12g}")
        return value


def _one_task(value: int) -> int:
    if value != 1:
        raise ValueError("must be 1, because one machine runs one task at a time")
    return value


def nearest(word: str, words: Iterable[str]) -> str:
    """``; did you mean WORD?`` for the closest of the words whatever their case, or nothing."""
    spelled = {known.lower(): known for known in words}
    # 0.7, because at the usual 0.6 the word "gpu" is taken for "cpu".
    close = difflib.get_close_matches(word.lower(), list(spelled), n=1, cutoff=0.7)
    return f"; did you mean {spelled[close[0]]}?" if close else ""


def _model_size(value: str, info: ValidationInfo) -> str:
    """One of Whisper's names as it is; a path, told by its slash, as an absolute one."""
    if value in MODEL_SIZES:
        return value
    if "/" in value:
        return str(_path(value, info))
    rule = f"must be one of {', '.join(MODEL_SIZES)}, or a path with a slash in it"
    raise ValueError(rule, nearest(value, MODEL_SIZES))


def _language(value: str) -> str:
    code = value.lower()
    if code in LANGUAGE_CODES or code in ("auto", "mixed"):
        return code
    named = next((c for c, name in LANGUAGES.items() if name == code), None)
    hint = f"; did you mean {named}?" if named else nearest(code, sorted(LANGUAGE_CODES))
    raise ValueError("must be auto, mixed or a Whisper language code such as ru", hint)


def _filled(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def _prompt(value: str) -> str:
    if not value.strip() or len(value) > PROMPT_CHARS:
        raise ValueError(f"must have 1 to {PROMPT_CHARS} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("must be text; half of a character is in it") from None
    return value


def _secret(value: str) -> str:
    """Not shown in the complaint: it may be a real one with a slip in it."""
    if not value.strip():
        raise ValueError("must not be empty; remove the line to do without")
    return value


def _rate(value: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,6}/(second|minute|hour|day)", value):
        raise ValueError("must be a number of requests and a span such as 120/minute")
    return value


def _url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s]*", value):
        raise ValueError("must be an address that begins with http:// or https://")
    return value


def _host_name(value: str) -> str:
    name = value.lower().removesuffix(".")
    if not HOST_NAME.fullmatch(name):
        raise ValueError("must be a name such as office.example.com, without http:// or a port")
    return name


def _names(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list, such as [office.example.com]")
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _path(value: object, info: ValidationInfo) -> Path:
    """An absolute path; a relative one counts from the folder of the configuration."""
    if not isinstance(value, str | Path) or not str(value).strip() or "\0" in str(value):
        raise ValueError("must be the path of a file or folder")
    base = (info.context or {}).get("base", Path.cwd())
    # abspath, not resolve: a symbolic link keeps the name that its owner knows.
    return Path(os.path.abspath(os.path.join(base, os.path.expanduser(value))))


def _words(*words: str, besides: str) -> WithJsonSchema:
    """What a JSON schema tells editors of a text that a function judges: words, or a pattern."""
    return WithJsonSchema({"type": "string", "anyOf": [{"enum": words}, {"pattern": besides}]})


FilePath = Annotated[Path, BeforeValidator(_path)]
Text = Annotated[str, AfterValidator(_filled)]
ModelSize = Annotated[
    str, AfterValidator(_filled), AfterValidator(_model_size), _words(*MODEL_SIZES, besides="/")
]
Language = Annotated[
    str,
    AfterValidator(_language),
    _words("auto", "mixed", *sorted(LANGUAGE_CODES), besides="[A-Z]"),
]
Temperature = Annotated[float, _between(0, 1)]
ComputeType = Literal[
    "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16",
    "float16", "bfloat16", "float32", "default", "auto",
]  # fmt: skip
Device = Literal["cpu", "cuda", "auto"]
Task = Literal["transcribe", "translate"]
Prompt = Annotated[str, AfterValidator(_prompt)]
BeamSize = Annotated[int, _between(1, 20)]
VadMethod = Literal["silero", "pyannote"]
#: A probability that makes sense as a border: at 0 or 1 everything or nothing would be speech.
Threshold = Annotated[float, _between(0.01, 0.99)]
Speakers = Annotated[int, _between(1, MAX_SPEAKERS)]
Format = Literal["txt", "srt", "vtt", "tsv", "json", "docx"]
Secret = Annotated[str, AfterValidator(_secret)]
RateLimit = Annotated[str, AfterValidator(_rate)]
Url = Annotated[str, AfterValidator(_url)]
HostName = Annotated[str, AfterValidator(_host_name)]
Level = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR"],
    BeforeValidator(_upper),
    _words("DEBUG", "INFO", "WARNING", "ERROR", besides="[a-z]"),
]
#: Not "one of [1]": the refusal tells why.
OneTask = Annotated[int, AfterValidator(_one_task), WithJsonSchema({"type": "integer", "const": 1})]


def _distinct(formats: tuple[Format, ...]) -> tuple[Format, ...]:
    if len(set(formats)) < len(formats):
        raise ValueError("must name each format once")
    return formats


# --- the tree ---------------------------------------------------------------------------------


class _Section(BaseModel):
    """Frozen, no unknown keys, no conversions (``"8000"`` is not a port), finite numbers only."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_default=True,
        protected_namespaces=(),
    )


class ApiConfig(_Section):
    """Where the control API listens; port 0 means any free one."""

    host: Text = "127.0.0.1"
    port: Annotated[int, _between(0, 65535)] = 8000
    workers: OneTask = 1
    max_concurrent_tasks: OneTask = 1
    key: Secret | None = None
    user: Text | None = None
    password: Secret | None = None
    search_attempts: Annotated[int, _between(1, 100)] = 5
    search_interval_seconds: Annotated[float, _between(0, 60)] = 1.0
    wait_seconds: Annotated[float, _between(0, 86400)] = 1800.0
    max_waiting: Annotated[int, _between(0, 2000)] = 250
    max_listeners: Annotated[int, _between(0, 500)] = 50
    max_upload_mb: Annotated[int, _between(1, 1048576)] = 4096
    request_timeout_seconds: Annotated[float, _between(1, 3600)] = 60.0
    rate_limit: RateLimit | None = None
    trusted_hosts: Annotated[
        tuple[HostName, ...], Field(strict=False), BeforeValidator(_names)
    ] = ()


class WhisperxConfig(_Section):
    """What a transcription is made with when the request does not say."""

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
    vad_method: VadMethod = "silero"
    vad_onset: Threshold = 0.5
    vad_offset: Threshold | None = None
    diarize: bool = False
    min_speakers: Speakers | None = None
    max_speakers: Speakers | None = None
    debug: bool = False
    cpu_threads: Annotated[int, _between(1, 64)] = 2
    batch_size: Annotated[int, _between(1, 64)] = 8
    allow_download: bool = False


class ProcessingConfig(_Section):
    """Attempts, limits, and the care of the WhisperX process."""

    max_retry_attempts: Annotated[int, _between(1, 100)] = 3
    retry_backoff_seconds: Annotated[float, _between(0, 86400)] = 30.0
    timeout_seconds: Annotated[float, _between(1, 604800)] = 3600.0
    cleanup_temp_files: bool = True
    lock_file: FilePath | None = None
    stale_hours: Annotated[float, _between(0, 87600)] = 24.0
    max_duration_hours: Annotated[float, _between(0.01, 1000)] = 24.0
    worker_memory_mb: Annotated[int, _between(256, 1048576)] = 1700
    worker_idle_seconds: Annotated[float, _between(0, 604800)] = 0.0
    worker_hang_seconds: Annotated[float, _between(0.1, 86400)] = 55.0
    worker_start_seconds: Annotated[float, _between(0.1, 86400)] = 180.0
    stop_grace_seconds: Annotated[float, _between(0, 3600)] = 8.0

    def backoff_s(self, failures: int) -> float:
        """Seconds between so many failures and the next attempt: twice as long each time."""
        return self.retry_backoff_seconds * 2.0 ** (min(failures, self.max_retry_attempts) - 1)


class CallbacksConfig(_Section):
    """Who is told by HTTP when a recording is done."""

    url: Url | None = None
    secret: Secret | None = None
    allow_private: bool = False
    max_attempts: Annotated[int, _between(1, 50)] = 8
    timeout_seconds: Annotated[float, _between(0.1, 300)] = 10.0


class WatchConfig(_Section):
    """How recordings are found, and when one counts as whole."""

    recursive: bool = False
    events: bool = True
    rescan_seconds: Annotated[float, _between(0.1, 86400)] = 30.0
    settle_seconds: Annotated[float, _between(0, 3600)] = 0.3
    stable_seconds: Annotated[float, _between(0.1, 3600)] = 3.0


class OutputConfig(_Section):
    """What is written beside the ``.result``."""

    formats: Annotated[tuple[Format, ...], Field(strict=False), AfterValidator(_distinct)] = (
        "txt",
        "srt",
    )
    txt_timestamps: bool = False


class LoggingConfig(_Section):
    """How much the log says."""

    level: Level = "INFO"


class Config(_Section):
    """The whole configuration; every path in it is absolute."""

    api: ApiConfig = ApiConfig()
    shared_directory: FilePath = Path("shared")
    manual_directory: FilePath = Path("manual")
    models_directory: FilePath = Path("models")
    whisperx: WhisperxConfig = WhisperxConfig()
    processing: ProcessingConfig = ProcessingConfig()
    watch: WatchConfig = WatchConfig()
    output: OutputConfig = OutputConfig()
    callbacks: CallbacksConfig = CallbacksConfig()
    logging: LoggingConfig = LoggingConfig()

    def default_settings(self) -> Settings:
        """What a job gets when nobody asked for anything else."""
        chosen = self.whisperx.model_dump(include=set(Settings.model_fields))
        return Settings.model_validate(chosen)


# --- what no single key can tell --------------------------------------------------------------


def access_conflicts(config: Config) -> list[Conflict]:
    """Half of a name and a password lets nobody in, or everybody."""
    api = config.api
    if (api.user is None) == (api.password is None):
        return []
    names = ("api.user", "api.password") if api.user is None else ("api.password", "api.user")
    return [(names, "is needed too: api.user and api.password are set together or not at all")]


def settings_conflicts(settings: Settings | WhisperxConfig) -> list[Conflict]:
    """Settings that are right one by one and cannot work together."""
    found: list[Conflict] = []
    if settings.task == "translate" and settings.model_size in _NO_TRANSLATION:
        line = f"the model {settings.model_size} cannot translate; use base, small or medium"
        found.append((("task", "model_size"), line))
    if settings.vad_offset is not None and settings.vad_offset > settings.vad_onset:
        line = f"must not be above vad_onset ({settings.vad_onset:g}), got {settings.vad_offset:g}"
        found.append((("vad_offset", "vad_onset"), line))
    least, most = settings.min_speakers, settings.max_speakers
    if least is not None and most is not None and least > most:
        line = f"must not be above max_speakers ({most}), got {least}"
        found.append((("min_speakers", "max_speakers"), line))
    size, language, compute = settings.model_size, settings.language, settings.compute_type
    if settings.device == "cpu" and compute in ("float16", "int8_float16"):
        line = f"{compute} needs a GPU; use int8 on device cpu"
        found.append((("compute_type", "device"), line))
    known, english = size in MODEL_SIZES, size.endswith(".en")
    if known and english and language not in ("en", "auto", "mixed"):
        line = f"the model {size} knows English only, got {language!r}; use en, or another model"
        found.append((("language", "model_size"), line))
    if known and not english and language == "yue" and not _CANTONESE.search(size):
        line = f"yue is known to large-v3 and turbo only, not to the model {size}"
        found.append((("language", "model_size"), line))
    return found


def directory_conflicts(config: Config) -> list[Conflict]:
    """Folders that are right one by one and would feed each other."""
    shared = Path(os.path.realpath(config.shared_directory))
    manual = Path(os.path.realpath(config.manual_directory))
    if shared == manual:
        line = f"must not be the shared_directory too, got {shared} for both"
    elif config.watch.recursive and manual.is_relative_to(shared):
        line = f"must not lie inside shared_directory while watch.recursive is on, got {manual}"
    else:
        return []
    return [(("manual_directory", "shared_directory"), line)]
