"""What whisper-asr-webservice answers, made from the dict of a ``.result`` file. Pure.

It sends every form as plain text, JSON too, and its clients count on the forms, not on the type.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from modules.config.languages import LANGUAGES
from modules.outputs.base import utf8
from modules.outputs.formats import render
from modules.outputs.segments_json import full_text
from modules.transcript.model import Segment, Word
from modules.transcript.speakers import without_lone_label
from modules.transcript.transcript import LONGEST_S, segments_from

OUTPUTS = ("txt", "json", "srt", "vtt", "tsv")
TEXT_TYPE = "text/plain; charset=utf-8"

#: Where nothing was said, and nothing is configured.
_NO_LANGUAGE = "en"
_SCORES = ("avg_logprob", "compression_ratio", "no_speech_prob", "temperature")


def body(result: Mapping[str, Any], output: str, with_words: bool) -> bytes:
    """The answer of ``/asr``; ``output`` is one of ``OUTPUTS``. Invalid segments are left out."""
    segments = segments_from(result)
    if output == "json":
        content = json.dumps(_json(result, segments, with_words), ensure_ascii=False)
        return utf8(content)
    if output == "txt":
        return utf8("".join(f"{line}\n" for line in _lines(without_lone_label(segments))))
    if output == "tsv":  # three columns, as its readers split it
        segments = [each.model_copy(update={"speaker": None}) for each in segments]
    return render(output, segments, duration_s=_duration_s(result))


def language_json(code: str | None, probability: float | None, configured: str) -> dict[str, Any]:
    """The answer of ``/detect-language``. Without speech it is the configured language, or
    English, with no confidence: clients take an error for a broken service."""
    if code not in LANGUAGES:
        code, probability = configured if configured in LANGUAGES else _NO_LANGUAGE, 0.0
    return {
        "detected_language": LANGUAGES[code],
        "language_code": code,
        "confidence": round(min(1.0, max(0.0, probability or 0.0)), 4),
    }


def detected_in(result: Mapping[str, Any]) -> tuple[str | None, float | None]:
    """(code, probability) of the first speech of a finished recording, as far as it is known."""
    metadata = result.get("metadata")
    facts = metadata if isinstance(metadata, Mapping) else {}
    code = facts.get("language_detected")
    return code if isinstance(code, str) else None, _number(facts.get("language_probability"))


def _json(
    result: Mapping[str, Any], segments: Iterable[Segment], with_words: bool
) -> dict[str, Any]:
    listed = [_segment(number, each, with_words) for number, each in enumerate(segments)]
    return {
        "text": full_text(segments),
        "segments": listed,
        "language": _language(result),
    }


def _segment(number: int, segment: Segment, with_words: bool) -> dict[str, Any]:
    found = {"id": number, "start": segment.start, "end": segment.end, "text": segment.text}
    known = {name: getattr(segment, name) for name in ("speaker", *_SCORES)}
    found |= {name: value for name, value in known.items() if value is not None}
    return found | ({"words": list(map(_word, segment.words))} if with_words else {})


def _word(word: Word) -> dict[str, Any]:
    """faster-whisper calls how sure it is ``probability``, whisperx ``score``."""
    known = {
        "start": word.start,
        "end": word.end,
        "probability": word.confidence,
        "score": word.confidence,
        "speaker": word.speaker,
    }
    return {"word": word.word} | {key: value for key, value in known.items() if value is not None}


def _lines(segments: Iterable[Segment]) -> Iterator[str]:
    for segment in segments:
        text = " ".join(segment.text.split())
        yield f"[{segment.speaker}]: {text}" if segment.speaker else text


def _language(result: Mapping[str, Any]) -> str | None:
    """The code of what was spoken, also where the text is a translation."""
    metadata, settings = result.get("metadata"), result.get("settings")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    settings = settings if isinstance(settings, Mapping) else {}
    codes = (metadata.get("language"), metadata.get("language_detected"), settings.get("language"))
    return next((code for code in codes if isinstance(code, str) and code in LANGUAGES), None)


def _duration_s(result: Mapping[str, Any]) -> float:
    return _number(result.get("duration_seconds")) or math.inf


def _number(value: Any) -> float | None:
    """``value`` as a float, or None if it is no possible duration or probability."""
    is_number = isinstance(value, int | float) and 0 <= value <= LONGEST_S
    return float(value) if is_number else None
