"""What OpenAI's transcription interface answers, made from the dict of a ``.result`` file. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from modules.config.languages import LANGUAGES
from modules.outputs.formats import render
from modules.outputs.segments_json import full_text
from modules.transcript.model import Segment, Word
from modules.transcript.quality import compression_ratio

#: All of OpenAI's endpoints begin with it.
PREFIX = "/v1/"
RESPONSE_FORMATS = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")
GRANULARITIES = ("word", "segment")

JSON_TYPE = "application/json"
#: OpenAI says so for subtitles, too.
TEXT_TYPE = "text/plain; charset=utf-8"

#: More than any recording lasts; an edited result must not overflow a subtitle.
_LONGEST_S = 1e7
#: Whisper's own bound for a probability whose logarithm is taken.
_LEAST_PROBABILITY = 1e-10
#: Where there is no speech and no setting; the key itself is required.
_NO_LANGUAGE = "unknown"
#: Who speaks where nobody was told apart; the key itself is required.
_NO_SPEAKER = "unknown"
#: What begins the names that our results give to speakers.
_LABEL = "SPEAKER_"


def body(
    result: Mapping[str, Any],
    response_format: str,
    granularities: Sequence[str],
    task: str,
    temperature: float,
    with_logprobs: bool = False,
) -> tuple[str | dict[str, Any], str]:
    """The answer, as text or as a dict for JSON, and its content type.

    ``response_format`` is one of ``RESPONSE_FORMATS``, otherwise ValueError; ``granularities`` are
    from ``GRANULARITIES`` and count for verbose_json only, ``with_logprobs`` for json only;
    ``task`` is transcribe or translate. What is malformed in the result is left out.
    """
    if response_format not in RESPONSE_FORMATS:
        raise ValueError(
            f"response_format: must be one of {', '.join(RESPONSE_FORMATS)}, "
            f"got {response_format!r}"
        )
    if response_format == "json":
        scores = {"logprobs": logprobs(result)} if with_logprobs else {}
        return {"text": text(result)} | scores | _usage(result, task), JSON_TYPE
    if response_format == "verbose_json":
        return _verbose(result, granularities, task, temperature), JSON_TYPE
    if response_format == "diarized_json":
        return _diarized(result, task), JSON_TYPE
    if response_format == "text":
        return text(result) + "\n", TEXT_TYPE
    segments = [segment for segment, _ in _segments(result)]
    content = render(response_format, segments, duration_s=_duration_s(result))
    return content.decode(), TEXT_TYPE


def error(
    message: str, status: int, *, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """An error of that HTTP status in OpenAI's form; ``param``: the field that is at fault."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def text(result: Mapping[str, Any]) -> str:
    """The whole text, in one line."""
    whole = _string(_mapping(result.get("transcription")).get("text"))
    return full_text([segment for segment, _ in _segments(result)]) if whole is None else whole


def logprobs(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One for each word that has a confidence: a result holds no tokens."""
    return [
        {"token": word, "logprob": _logarithm(confidence), "bytes": list(word.encode())}
        for _, raw in _segments(result)
        for word, confidence in map(_scored, map(_mapping, _list(raw.get("words"))))
        if word is not None and confidence is not None
    ]


def speaker_segments(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The segments with who speaks in each: A for who speaks first, B for the next."""
    letters: dict[str, str] = {}
    return [
        {
            "type": "transcript.text.segment",
            "id": f"seg_{number}",
            "start": segment.start,
            "end": segment.end,
            "text": segment.text,
            "speaker": _speaker(raw, letters),
        }
        for number, (segment, raw) in enumerate(_segments(result))
    ]


# --- verbose_json -----------------------------------------------------------------------------


def _verbose(
    result: Mapping[str, Any], granularities: Sequence[str], task: str, temperature: float
) -> dict[str, Any]:
    segments = _segments(result)
    answer: dict[str, Any] = {
        "task": task,
        "language": _language(result, task),
        "duration": _duration_s(result),
        "text": text(result),
    }
    if "word" in granularities:
        answer["words"] = [_word_json(w) for s, _ in segments for w in s.words if _timed(w)]
    if "segment" in granularities or not granularities:
        answer["segments"] = [
            _segment_json(index, segment, raw, temperature)
            for index, (segment, raw) in enumerate(segments)
        ]
    return answer | _usage(result, task)


def _segment_json(
    index: int, segment: Segment, raw: Mapping[str, Any], temperature: float
) -> dict[str, Any]:
    return {
        "id": index,
        "seek": int(segment.start * 100),  # in Whisper's frames of 10 ms
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "tokens": [],  # not in a result, and the key is required
        "temperature": _number(raw.get("temperature")) or temperature,
        "avg_logprob": _avg_logprob(raw),
        "compression_ratio": compression_ratio(segment.text),
        "no_speech_prob": _number(raw.get("no_speech_prob")) or 0.0,
    }


def _avg_logprob(raw: Mapping[str, Any]) -> float:
    """The model's own where the result has it; otherwise as if each token were as likely."""
    known = _number(raw.get("avg_logprob"))
    if known is not None:
        return known
    confidence = _number(raw.get("confidence"))
    return 0.0 if confidence is None else _logarithm(confidence)


def _logarithm(probability: float) -> float:
    return math.log(min(1.0, max(_LEAST_PROBABILITY, probability)))


def _timed(word: Word) -> bool:
    return word.start is not None and word.end is not None


def _word_json(word: Word) -> dict[str, Any]:
    return {"word": word.word.strip(), "start": word.start, "end": word.end}


def _language(result: Mapping[str, Any], task: str) -> str:
    """The English name; the text of a translation is English whatever was spoken."""
    if task == "translate":
        return LANGUAGES["en"]
    metadata, settings = _mapping(result.get("metadata")), _mapping(result.get("settings"))
    codes = (metadata.get("language"), metadata.get("language_detected"), settings.get("language"))
    names = (LANGUAGES.get(code) for code in codes if isinstance(code, str))
    return next((name for name in names if name), _NO_LANGUAGE)


def _usage(result: Mapping[str, Any], task: str) -> dict[str, Any]:
    """OpenAI's translations have none."""
    if task == "translate":
        return {}
    return {"usage": {"type": "duration", "seconds": math.ceil(_duration_s(result))}}


# --- diarized_json and log-probabilities ------------------------------------------------------


def _diarized(result: Mapping[str, Any], task: str) -> dict[str, Any]:
    answer = {
        "task": task,
        "duration": _duration_s(result),
        "text": text(result),
        "segments": speaker_segments(result),
    }
    return answer | _usage(result, task)


def _speaker(raw: Mapping[str, Any], letters: dict[str, str]) -> str:
    """A letter in place of our own label; a name that a person gave stays."""
    label = _string(raw.get("speaker"))
    if label is None:
        return _NO_SPEAKER
    if not label.startswith(_LABEL) or len(letters) >= len(ascii_uppercase):
        return letters.get(label, label)
    return letters.setdefault(label, ascii_uppercase[len(letters)])


def _scored(raw: Mapping[str, Any]) -> tuple[str | None, float | None]:
    return _string(raw.get("word")), _number(raw.get("confidence"))


# --- what a result holds ----------------------------------------------------------------------


def _duration_s(result: Mapping[str, Any]) -> float:
    return _seconds(result.get("duration_seconds")) or 0.0


def _segments(result: Mapping[str, Any]) -> list[tuple[Segment, Mapping[str, Any]]]:
    """Each segment with the dict that it is from, which may say more than ours do."""
    raws = map(_mapping, _list(_mapping(result.get("transcription")).get("segments")))
    pairs = [(_segment(raw), raw) for raw in raws]
    return [(segment, raw) for segment, raw in pairs if segment]


def _segment(raw: Mapping[str, Any]) -> Segment | None:
    text = _string(raw.get("text"))
    start, end = _seconds(raw.get("start")), _seconds(raw.get("end"))
    if text is None or start is None or end is None:
        return None
    words = tuple(word for word in map(_word, _list(raw.get("words"))) if word)
    return Segment(start=start, end=max(start, end), text=text, words=words)


def _word(raw: Any) -> Word | None:
    facts = _mapping(raw)
    word = _string(facts.get("word"))
    start, end = _seconds(facts.get("start")), _seconds(facts.get("end"))
    if word is None:
        return None
    if start is None or end is None:
        return Word(word=word)
    return Word(word=word, start=start, end=max(start, end))


def _string(value: Any) -> str | None:
    """``value`` if it is text; JSON can hold half of a surrogate pair, and UTF-8 cannot."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    """``value`` as a float, or None if it is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number of JSON has no bound
        return None
    return number if math.isfinite(number) else None


def _seconds(value: Any) -> float | None:
    number = _number(value)
    return None if number is None else min(_LONGEST_S, max(0.0, number))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()
