"""What of a recording is to be heard, and the name of what is made of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from modules.executors.listen_protocol import Wish
from modules.jobs.source import FINGERPRINT_BYTES, FileIdentity
from modules.recordings.listening_copies import PREFIX_CHARS

#: Changes with what is made of a recording.
_VERSION = "1"
_SETTING = re.compile(r"[a-z0-9]{1,20}")


def wish_of(result: Mapping[str, Any]) -> Wish:
    """The same tracks that the transcription heard, by what its result says; anybody may have
    written that."""
    settings = result.get("settings")
    settings = settings if isinstance(settings, dict) else {}
    tracks, language = (
        value if isinstance(value, str) and _SETTING.fullmatch(value) else "auto"
        for value in (settings.get("audio_tracks"), settings.get("language"))
    )
    return Wish(
        sound=True, tracks=tracks, language=language, first_alone=_heard_first_alone(result)
    )


def _heard_first_alone(result: Mapping[str, Any]) -> bool:
    """Whether tracks were left out because they speak at the same time as the first."""
    found: object = result
    for key in ("metadata", "account", "left_out"):
        found = found.get(key) if isinstance(found, dict) else None
    return isinstance(found, list) and any(
        isinstance(part, dict) and part.get("what") == "track" and part.get("why") == "simultaneous"
        for part in found
    )


def key_of(identity: FileIdentity, wish: Wish) -> str:
    """What a copy is called: by the bytes of the recording, and what of them is heard."""
    covered = identity.size <= 2 * FINGERPRINT_BYTES
    heard = wish.model_copy(update={"sound": True}).model_dump_json()
    rest = f"{_VERSION} {0 if covered else identity.mtime_ns} {heard}"
    return identity.fingerprint[:PREFIX_CHARS] + sha256(rest.encode()).hexdigest()[:16]
