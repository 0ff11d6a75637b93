"""Two checks of schemathesis, told what an OpenAPI document cannot say."""

from __future__ import annotations

import json
from typing import Any

import schemathesis
from schemathesis.specs.openapi import checks

#: Fields of forms that are no text; all text is written as it is, whatever JSON's type for it.
_NUMBERS = frozenset({"temperature"})
_FLAGS = frozenset({"debug", "wait", "stream"})
#: Proper requests that are refused for what they mean here: a model that is not installed, one that
#: does not know the language, an address that no callback may go to, an upload that is no sound.
_MEANINGS = frozenset({"model_unavailable", "invalid_settings", "callback_refused", "failed"})

_NO_RECORDINGS = frozenset({"no_recording", "not_playable", "unsupported_media_type"})


@schemathesis.serializer("application/offset+octet-stream")
def as_bytes(context: Any, value: Any) -> Any:
    """The body of a piece of an upload."""
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.check
def invalid_data_is_refused(ctx: Any, response: Any, case: Any) -> bool | None:
    """``negative_data_rejection``, but for forms that differ in JSON's types alone."""
    if response.status_code in (412, 413) or _is_text_on_the_wire(case):
        return None  # another version of tus, or an upload that is too long
    return checks.negative_data_rejection(ctx, response, case)


@schemathesis.check
def valid_data_is_accepted(ctx: Any, response: Any, case: Any) -> bool | None:
    """``positive_data_acceptance``, but for what is refused for its meaning."""
    if response.status_code == 410:  # as 404, of what was there once
        return None
    if response.status_code == 415 and _code(response) in _NO_RECORDINGS:
        return None
    if response.status_code == 422 and (case.headers or {}).get("Upload-Metadata") is not None:
        return None  # what it holds is said in words
    if response.status_code == 422 and (_code(response) in _MEANINGS or _names_no_file(case)):
        return None
    return checks.positive_data_acceptance(ctx, response, case)


def _is_text_on_the_wire(case: Any) -> bool:
    """Whether a form has a number, say, where text must be: nobody can see that it is none."""
    if case.media_type != "multipart/form-data" or not isinstance(case.body, dict):
        return False
    for name, value in case.body.items():
        fits = (
            isinstance(value, str | bytes)
            or (name in _FLAGS and isinstance(value, bool))
            or (name in _NUMBERS and isinstance(value, int | float))
        )
        if not fits:
            return True
    return False


def _code(response: Any) -> str | None:
    content = json.loads(response.content)
    error = content.get("error")
    code = error["code"] if isinstance(error, dict) and "code" in error else None
    return code or content.get("error_code")


def _names_no_file(case: Any) -> bool:
    """DELETE takes the name from the query or from the body: not from neither, nor two names."""
    if case.method != "DELETE":
        return False
    body = case.body if isinstance(case.body, dict) else {}
    names = [(case.query or {}).get("filename"), body.get("filename")]
    given = [name for name in names if name is not None]
    return not given or given != given[:1] * len(given)
