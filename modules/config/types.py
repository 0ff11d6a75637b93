"""The types of configuration values, with their checks and messages."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import core_schema

from modules.config.languages import LANGUAGE_CODES, language_hint, language_of, language_pattern
from modules.messages import noted

MODEL_SIZES = (
    "tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en",
    "large", "large-v1", "large-v2", "large-v3", "large-v3-turbo", "turbo",
    "distil-small.en", "distil-medium.en", "distil-large-v2", "distil-large-v3",
    "distil-large-v3.5",
)  # fmt: skip

#: Whisper takes 224 tokens of prompt; more characters than this cannot fit.
PROMPT_CHARS = 2000

#: The result of a longer recording would be too large to be read again in little memory.
DURATION_HOURS_MAX = 48

#: More voices than this cannot be distinguished by their sound.
MAX_SPEAKERS = 20

#: In lower case, without a final dot; container networks have names with underscores.
HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")

#: As browsers write it in the header Origin: no path, not even the slash before one.
_ORIGIN = re.compile(r"(?=.{1,300}\Z)[a-z][a-z0-9+.-]*://[^\s/?#@*,\"']+", re.ASCII)
#: For the pages of all sites.
EVERY_ORIGIN = "*"


@dataclass(frozen=True)
class between:  # noqa: N801 # is written like a function in annotations
    """Restricts a number to two limits, also in the JSON schema."""

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
            rule = noted("must be between {low:.12g} and {high:.12g}", low=self.low, high=self.high)
            raise ValueError(rule)
        return value


def _one_task(value: int) -> int:
    if value != 1:
        raise ValueError(noted("must be 1, because one machine runs one task at a time"))
    return value


def nearest(word: str, words: Iterable[str]) -> str:
    """``; did you mean WORD?`` for the closest of the words whatever their case, or nothing."""
    spelled = {known.lower(): known for known in words}
    # 0.7, because at the usual 0.6 the word "gpu" is taken for "cpu".
    close = difflib.get_close_matches(word.lower(), list(spelled), n=1, cutoff=0.7)
    return noted("; did you mean {word}?", word=spelled[close[0]]) if close else ""


def _model_size(value: str, info: ValidationInfo) -> str:
    """A Whisper name unchanged; a path, recognised by its slash, made absolute."""
    if value in MODEL_SIZES:
        return value
    if "/" in value:
        return str(_path(value, info))
    sizes = ", ".join(MODEL_SIZES)
    rule = noted("must be one of {sizes}, or a path with a slash in it", sizes=sizes)
    raise ValueError(rule, nearest(value, MODEL_SIZES))


def _language(value: str) -> str:
    code = language_of(value)
    if code is None:
        rule = noted("must be auto, mixed or a language that Whisper knows, such as ru or Russian")
        raise ValueError(rule, language_hint(value))
    return code


def is_blank(language: object) -> bool:
    """Whether a language is not given: forms and settings of other programs leave it empty."""
    return isinstance(language, str) and not language.strip()


_TRACKS = noted(
    "must be auto, all, the number of a sound track such as 2, or a language such as ru"
)


def _audio_tracks(value: object) -> object:
    """``auto``, ``all``, a number from 1 on, or the code of a language."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(_TRACKS)
    word = value.strip().lower()
    if word in ("auto", "all") or re.fullmatch(r"[1-9][0-9]?", word):
        return word
    code = language_of(word)
    if code in (None, "mixed"):
        raise ValueError(_TRACKS, language_hint(word))
    return code


def _filled(value: str) -> str:
    if not value.strip():
        raise ValueError(noted("must not be empty"))
    return value


def _prompt(value: str) -> str:
    if not value.strip() or len(value) > PROMPT_CHARS:
        raise ValueError(noted("must have 1 to {most} characters", most=PROMPT_CHARS))
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(noted("must be text; half of a character is in it")) from None
    return value


def _secret(value: str) -> str:
    """The value is not shown in the message: it may be a real secret with a typo."""
    if not value.strip():
        raise ValueError(noted("must not be empty; remove the line to do without"))
    return value


def _rate(value: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,6}/(second|minute|hour|day)", value):
        raise ValueError(noted("must be a number of requests and a span such as 120/minute"))
    return value


def _url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s]*", value):
        raise ValueError(noted("must be an address that begins with http:// or https://"))
    return value


def _host_name(value: str) -> str:
    name = value.lower().removesuffix(".")
    if not HOST_NAME.fullmatch(name):
        rule = noted("must be a name such as office.example.com, without http:// or a port")
        raise ValueError(rule)
    return name


def _origin(value: str) -> str:
    origin = value.lower()
    if origin != EVERY_ORIGIN and not _ORIGIN.fullmatch(origin):
        rule = noted(
            "must be the address of a site without a path, such as https://notes.example.com "
            "or app://obsidian.md, or * for all"
        )
        raise ValueError(rule)
    return origin


def origins(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise ValueError(noted('must be a list, such as ["app://obsidian.md"]'))
    return value


def names(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise ValueError(noted("must be a list, such as [office.example.com]"))
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _path(value: object, info: ValidationInfo) -> Path:
    """An absolute path; a relative one counts from the folder of the configuration."""
    if not isinstance(value, str | Path) or not str(value).strip() or "\0" in str(value):
        raise ValueError(noted("must be the path of a file or folder"))
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        rule = noted("must be the path of a file or folder; half of a character is in it")
        raise ValueError(rule) from None
    base = (info.context or {}).get("base", Path.cwd())
    # abspath, not resolve: a symbolic link keeps the name that users know.
    return Path(os.path.abspath(os.path.join(base, os.path.expanduser(value))))


def _words(*words: str, besides: str) -> WithJsonSchema:
    """The JSON schema of a text that a function checks: words, or a pattern."""
    return WithJsonSchema({"type": "string", "anyOf": [{"enum": words}, {"pattern": besides}]})


FilePath = Annotated[Path, BeforeValidator(_path)]

Text = Annotated[str, AfterValidator(_filled)]

ModelSize = Annotated[
    str, AfterValidator(_filled), AfterValidator(_model_size), _words(*MODEL_SIZES, besides="/")
]

Language = Annotated[
    str,
    AfterValidator(_language),
    _words("auto", "mixed", *sorted(LANGUAGE_CODES), besides=language_pattern()),
]

AudioTracks = Annotated[
    str,
    BeforeValidator(_audio_tracks),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "enum": ["auto", "all", *sorted(LANGUAGE_CODES)]},
                {"type": "string", "pattern": "^[1-9][0-9]?$"},
                {"type": "integer", "minimum": 1, "maximum": 99},
            ]
        }
    ),
]

#: ``split``: each channel of stereo is a speaker of its own.
Channels = Literal["auto", "mix", "split"]

Temperature = Annotated[float, between(0, 1)]

ComputeType = Literal[
    "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16",
    "float16", "bfloat16", "float32", "default", "auto",
]  # fmt: skip

#: By what, and how exactly, the encoder is computed on the CPU.
EncoderKind = Literal["auto", "bfloat16", "float32", "ctranslate2"]

Device = Literal["cpu", "cuda", "auto"]
Task = Literal["transcribe", "translate"]
Prompt = Annotated[str, AfterValidator(_prompt)]

BeamSize = Annotated[int, between(1, 20)]

VadMethod = Literal["silero", "pyannote"]

#: A probability used as a threshold: at 0 or 1 everything or nothing would be speech.
Threshold = Annotated[float, between(0.01, 0.99)]

Speakers = Annotated[int, between(1, MAX_SPEAKERS)]

#: The one list of output formats; ``outputs/formats.py`` has a row for each.
Format = Literal["txt", "srt", "vtt", "tsv", "json", "docx", "md"]
FORMATS: tuple[str, ...] = get_args(Format)
#: Those that players show with a film.
SUBTITLE_FORMATS: tuple[str, ...] = ("srt", "vtt")

Secret = Annotated[str, AfterValidator(_secret)]

RateLimit = Annotated[str, AfterValidator(_rate)]

Url = Annotated[str, AfterValidator(_url)]

HostName = Annotated[str, AfterValidator(_host_name)]

Origin = Annotated[str, AfterValidator(_origin)]

Level = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR"],
    BeforeValidator(_upper),
    _words("DEBUG", "INFO", "WARNING", "ERROR", besides="[a-z]"),
]

#: Not ``Literal[1]``, so that the message says why.
OneTask = Annotated[int, AfterValidator(_one_task), WithJsonSchema({"type": "integer", "const": 1})]
