"""Values that cannot be combined."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from modules.config.schema import Config, WhisperxConfig
from modules.config.settings import RUSSIAN_ENGINES, TranscriptionSettings
from modules.config.shown import shown
from modules.config.types import EVERY_ORIGIN, MODEL_SIZES
from modules.config.workers import WorkersConfig
from modules.messages import noted

#: Trained without translation: their text is in the language of the speech.
_NO_TRANSLATION = frozenset({"large-v3-turbo", "turbo"})

#: The sizes that know Cantonese, which was added with large-v3.
_CANTONESE = re.compile(r"^large$|large-v3|turbo")

#: The names of the conflicting keys, the one to change first, and the message.
Conflict = tuple[tuple[str, ...], str]


def access_conflicts(config: Config) -> list[Conflict]:
    """A name without a password, a password without a name; open to all sites without a key."""
    api, found = config.api, list[Conflict]()
    if (api.user is None) != (api.password is None):
        names = ("api.user", "api.password") if api.user is None else ("api.password", "api.user")
        line = noted("is needed too: api.user and api.password are set together or not at all")
        found.append((names, line))
    if EVERY_ORIGIN in api.cors_origins and api.key is None:
        line = noted("must name the sites while there is no api.key, got *")
        found.append((("api.cors_origins", "api.key"), line))
    return found


def summary_conflicts(config: Config) -> list[Conflict]:
    """An address without a model."""
    if config.summary.base_url is None or config.summary.model is not None:
        return []
    line = noted("is needed too: summary.base_url and summary.model are set together")
    return [(("summary.model", "summary.base_url"), line)]


def standby_conflicts(config: Config) -> list[Conflict]:
    """A single late heartbeat is no sign that the owner has ended."""
    beat_s, silent_s = config.standby.heartbeat_seconds, config.standby.takeover_seconds
    if silent_s >= 3 * beat_s:
        return []
    line = noted(
        "must be at least three times standby.heartbeat_seconds ({beat:g}), got {silent:g}",
        beat=beat_s,
        silent=silent_s,
    )
    return [(("standby.takeover_seconds", "standby.heartbeat_seconds"), line)]


def worker_conflicts(config: Config) -> list[Conflict]:
    """What a kind of workers needs, and what means nothing to it; no key is silently ignored."""
    return _of_one_machine(config) if config.workers.kind == "local" else _of_a_cluster(config)


def _of_one_machine(config: Config) -> list[Conflict]:
    asked = {"workers.max": config.workers.max}
    asked |= {"api.max_concurrent_tasks": config.api.max_concurrent_tasks}
    found: list[Conflict] = [
        (
            (key, "workers.kind"),
            noted(
                "must be 1, because one machine runs one task at a time, got {count}; "
                "workers.kind: ray has several machines",
                count=count,
            ),
        )
        for key, count in asked.items()
        if count != 1
    ]
    defaults = WorkersConfig()
    for key in ("address", "cpus_per_worker", "gpus_per_worker", "media", "path_map", "token_file"):
        if getattr(config.workers, key) != getattr(defaults, key):
            line = noted(
                "can only be set with workers.kind: ray, got {value}; leave it out, or set that",
                value=shown(_plain(getattr(config.workers, key))),
            )
            found.append(((f"workers.{key}", "workers.kind"), line))
    return found


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _of_a_cluster(config: Config) -> list[Conflict]:
    workers, wanted = config.workers, config.api.max_concurrent_tasks
    found: list[Conflict] = []
    if workers.address is None:
        line = noted("is needed with workers.kind: ray, such as 10.0.0.1:6379")
        found.append((("workers.address", "workers.kind"), line))
    elif workers.token_file is None and not workers.is_loopback:
        line = noted("is needed, as workers.address is on another machine")
        found.append((("workers.token_file", "workers.address"), line))
    if wanted not in (1, workers.max):
        line = noted(
            "must be what workers.max is ({most}), or be left out, got {count}",
            most=workers.max,
            count=wanted,
        )
        found.append((("api.max_concurrent_tasks", "workers.max"), line))
    if config.live.enabled:
        line = noted(
            "must be false with workers.kind: ray, as live sessions need a worker on this machine"
        )
        found.append((("live.enabled", "workers.kind"), line))
    if config.live.wyoming_port is not None:
        line = noted("must be left out with workers.kind: ray, as there are no live sessions then")
        found.append((("live.wyoming_port", "workers.kind"), line))
    return found


def settings_conflicts(settings: TranscriptionSettings | WhisperxConfig) -> list[Conflict]:
    """Settings that are valid one by one but cannot be combined."""
    found = _engine_conflicts(settings)
    whisper = settings.engine not in RUSSIAN_ENGINES
    if whisper and settings.task == "translate" and settings.model_size in _NO_TRANSLATION:
        line = noted(
            "the model {model_size} cannot translate; use base, small or medium",
            model_size=settings.model_size,
        )
        found.append((("task", "model_size"), line))
    if settings.vad_offset is not None and settings.vad_offset > settings.vad_onset:
        line = noted(
            "must not be above vad_onset ({vad_onset:g}), got {vad_offset:g}",
            vad_onset=settings.vad_onset,
            vad_offset=settings.vad_offset,
        )
        found.append((("vad_offset", "vad_onset"), line))
    least, most = settings.min_speakers, settings.max_speakers
    if least is not None and most is not None and least > most:
        line = noted("must not be above max_speakers ({most}), got {least}", most=most, least=least)
        found.append((("min_speakers", "max_speakers"), line))
    size, language, compute = settings.model_size, settings.language, settings.compute_type
    if settings.device == "cpu" and compute in ("float16", "int8_float16"):
        line = noted("{compute} needs a GPU; use int8 on device cpu", compute=compute)
        found.append((("compute_type", "device"), line))
    if not whisper:
        return found  # the sizes of Whisper mean nothing to them
    known, english = size in MODEL_SIZES, size.endswith(".en")
    if known and english and language not in ("en", "auto", "mixed"):
        line = noted(
            "the model {size} knows English only, got {language!r}; use en, or another model",
            size=size,
            language=language,
        )
        found.append((("language", "model_size"), line))
    if known and not english and language == "yue" and not _CANTONESE.search(size):
        line = noted("yue is known to large-v3 and turbo only, not to the model {size}", size=size)
        found.append((("language", "model_size"), line))
    return found


def _engine_conflicts(settings: TranscriptionSettings | WhisperxConfig) -> list[Conflict]:
    engine, language = settings.engine, settings.language
    if engine not in RUSSIAN_ENGINES:
        return []
    found: list[Conflict] = []
    if language not in ("ru", "auto"):
        line = noted(
            "the engine {engine} knows Russian only, got {language!r}; use ru, or engine whisper",
            engine=engine,
            language=language,
        )
        found.append((("language", "engine"), line))
    if settings.task == "translate":
        line = noted(
            "the engine {engine} cannot translate; use transcribe, or engine whisper", engine=engine
        )
        found.append((("task", "engine"), line))
    return found


def directory_conflicts(config: Config) -> list[Conflict]:
    """Folders that are valid one by one but would feed each other."""
    shared = Path(os.path.realpath(config.shared_directory))
    manual = Path(os.path.realpath(config.manual_directory))
    return [*_manual_conflicts(config, shared, manual), *_texts_conflicts(config, shared, manual)]


def _manual_conflicts(config: Config, shared: Path, manual: Path) -> list[Conflict]:
    if shared == manual:
        line = noted("must not be the shared_directory too, got {shared} for both", shared=shared)
    elif config.watch.recursive and manual.is_relative_to(shared):
        line = noted(
            "must not lie inside shared_directory while watch.recursive is on, got {manual}",
            manual=manual,
        )
    else:
        return []
    return [(("manual_directory", "shared_directory"), line)]


def _texts_conflicts(config: Config, shared: Path, manual: Path) -> list[Conflict]:
    """One tree of folders must not mirror another that it is a part of."""
    if config.output.directory is None:
        return []
    texts = Path(os.path.realpath(config.output.directory))
    for key, folder in (("shared_directory", shared), ("manual_directory", manual)):
        if texts.is_relative_to(folder) or folder.is_relative_to(texts):
            line = noted(
                "must lie apart from {key}, got {texts} and {folder}",
                key=key,
                texts=texts,
                folder=folder,
            )
            return [(("output.directory", key), line)]
    return []


def impossible_on(
    settings: TranscriptionSettings, compute_types: Mapping[str, tuple[str, ...]]
) -> list[Conflict]:
    """Settings that this machine does not support.

    ``compute_types`` is by device, and empty while it is not known.
    """
    device, wanted = settings.device, settings.compute_type
    if not compute_types or device == "auto":
        return []
    if device not in compute_types:
        return [(("device",), noted("this machine has no {device}; use cpu", device=device))]
    possible = (*compute_types[device], "default", "auto")
    if wanted in possible:
        return []
    line = noted(
        "does not work on {device} here; use one of {possible}, got {wanted!r}",
        device=device,
        possible=", ".join(possible),
        wanted=wanted,
    )
    return [(("compute_type", "device"), line)]
