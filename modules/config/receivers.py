"""Types of what names a receiver of finished texts."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, WithJsonSchema

from modules.config.languages import LANGUAGE_CODES
from modules.errors import noted


def _redis_url(value: str) -> str:
    if not re.fullmatch(r"(rediss?|unix)://[^\s]+", value):
        raise ValueError(noted("must be an address such as redis://localhost:6379/0"))
    if not (value.startswith("unix:") or _has_host(value)):
        raise ValueError(noted("must be an address such as redis://localhost:6379/0"))
    return value


def _queue_name(value: str) -> str:
    if not re.fullmatch(r"[\w.:-]{1,100}", value, re.ASCII):
        raise ValueError(noted("must be a name of letters, digits and . _ : -"))
    return value


def _function_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", value, re.ASCII):
        raise ValueError(
            noted("must be a module and a function in it, such as summaries.summarize")
        )
    return value


def _base_url(value: str) -> str:
    if not (re.fullmatch(r"https?://[^\s/?#@]+[^\s?#@]*", value) and _has_host(value)):
        raise ValueError(
            noted("must be an address such as http://localhost:11434, without a password")
        )
    return value


def _has_host(url: str) -> bool:
    """Whether an address names a host, and a port that there can be."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _summary_language(value: str) -> str:
    if value != "auto" and value not in LANGUAGE_CODES:
        raise ValueError(noted("must be auto or the code of a language, such as ru"))
    return value


RedisUrl = Annotated[str, AfterValidator(_redis_url)]

QueueName = Annotated[str, AfterValidator(_queue_name)]

FunctionName = Annotated[str, AfterValidator(_function_name)]

BaseUrl = Annotated[str, AfterValidator(_base_url)]

SummaryLanguage = Annotated[
    str,
    AfterValidator(_summary_language),
    WithJsonSchema({"type": "string", "enum": ["auto", *sorted(LANGUAGE_CODES)]}),
]
