"""A ``.result`` in the words of OpenAI's interface, judged by the types of OpenAI's own client."""

from __future__ import annotations

import json
import math
import zlib
from typing import Any

import pysubs2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import BaseModel
from openai.types.audio import (
    Transcription,
    TranscriptionDiarized,
    TranscriptionVerbose,
    Translation,
    TranslationVerbose,
)

from modules.api.openai.format import GRANULARITIES, RESPONSE_FORMATS, body, error
from modules.outputs.result import result_json
from modules.outputs.segments_json import with_segments
from modules.transcript.model import RunFacts
from modules.transcript.transcript import Transcript
from tests.builders import NOON, a_chunk, a_job, a_segment, a_word

TEXT = "Привет, мир. Как дела?"
TEXT_TYPE = "text/plain; charset=utf-8"
SEGMENT_KEYS = {
    "id", "seek", "start", "end", "text", "tokens",
    "temperature", "avg_logprob", "compression_ratio", "no_speech_prob",
}  # fmt: skip


def a_result(**transcription: Any) -> dict[str, Any]:
    """What the program itself writes for two sentences; ``transcription`` goes over its own."""
    words = (a_word("Привет,", 0.5, 1.0), a_word(" мир. ", 1.0, 2.5))
    chunk = a_chunk(
        0,
        segments=(
            a_segment(0.5, 2.5, "Привет, мир.", words),
            a_segment(31.25, 32.0, "Как дела?", (a_word("Как"), a_word("дела?", 31.5, 32.0))),
        ),
    )
    facts = RunFacts(32.1, (), "3.8", "base", 142, 1.0, 900, 2.0)
    transcript = Transcript([chunk])
    content = result_json(a_job(), transcript, facts, [], NOON)
    result = json.loads(b"".join(with_segments(content, transcript)))
    result["transcription"] |= transcription
    return dict(result)


def in_json(
    result: dict[str, Any],
    response_format: str = "verbose_json",
    granularities: tuple[str, ...] = (),
    task: str = "transcribe",
) -> dict[str, Any]:
    answer, content_type = body(result, response_format, granularities, task, 0.2)
    assert content_type == "application/json"
    assert isinstance(answer, dict)
    return answer


def in_text(result: dict[str, Any], response_format: str) -> str:
    answer, content_type = body(result, response_format, (), "transcribe", 0.0)
    assert content_type == TEXT_TYPE
    assert isinstance(answer, str)
    return answer


def a_segment_of(**facts: Any) -> dict[str, Any]:
    """The one segment of an answer, from a result with one of these facts."""
    raw = {"start": 0.0, "end": 1.0, "text": "слово"} | facts
    segment: dict[str, Any] = in_json(a_result(segments=[raw]))["segments"][0]
    return segment


def is_valid(kind: type[BaseModel], answer: dict[str, Any]) -> None:
    """OpenAI's type takes the answer without bending a value, and knows each key but ``task``."""
    model = kind.model_validate_json(json.dumps(answer, allow_nan=False), strict=True)
    assert set(model.model_extra or {}) <= {"task"}


# --- the formats ------------------------------------------------------------------------------


def test_json_is_the_text_and_what_was_used() -> None:
    answer = in_json(a_result(), "json")
    assert answer == {"text": TEXT, "usage": {"type": "duration", "seconds": 33}}
    is_valid(Transcription, answer)


def test_json_of_a_translation_is_the_text_alone() -> None:
    answer = in_json(a_result(), "json", task="translate")
    assert answer == {"text": TEXT}
    is_valid(Translation, answer)


def test_json_with_log_probabilities_has_one_for_each_word() -> None:
    segment = {"start": 0, "end": 1, "text": "да нет"}
    words = [{"word": "да", "confidence": 0.5}, {"word": "нет"}, {"confidence": 1}, 7]
    answer, _ = body(a_result(segments=[segment | {"words": words}]), "json", (), "x", 0.0, True)
    assert isinstance(answer, dict)
    assert answer["logprobs"] == [
        {"token": "да", "logprob": math.log(0.5), "bytes": list("да".encode())}
    ]
    is_valid(Transcription, answer)


def test_diarized_json_calls_speakers_by_letters_in_their_order() -> None:
    labels = ["SPEAKER_01", "SPEAKER_00", "SPEAKER_01", "Анна", None]
    segments = [
        {"start": i, "end": i + 1, "text": "да", "speaker": label} for i, label in enumerate(labels)
    ]
    answer = in_json(a_result(segments=segments), "diarized_json")
    assert [s["speaker"] for s in answer["segments"]] == ["A", "B", "A", "Анна", "unknown"]
    assert len({s["id"] for s in answer["segments"]}) == len(labels)
    is_valid(TranscriptionDiarized, answer)


def test_text_is_one_line() -> None:
    assert in_text(a_result(), "text") == TEXT + "\n"


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_subtitles_are_read_back(form: str) -> None:
    events = pysubs2.SSAFile.from_string(in_text(a_result(), form), form).events
    assert [(e.start, e.end, e.plaintext) for e in events] == [
        (500, 2500, "Привет, мир."),
        (31250, 32100, "Как дела?"),  # kept on for as long as the recording lasts
    ]


def test_verbose_json_is_what_openai_promises() -> None:
    answer = in_json(a_result(), granularities=GRANULARITIES)
    is_valid(TranscriptionVerbose, answer)
    assert {key: answer[key] for key in ("task", "language", "duration", "text", "usage")} == {
        "task": "transcribe",
        "language": "russian",
        "duration": 32.1,
        "text": TEXT,
        "usage": {"type": "duration", "seconds": 33},
    }
    assert [segment.keys() for segment in answer["segments"]] == [SEGMENT_KEYS] * 2
    second = answer["segments"][1]
    assert (second["id"], second["seek"], second["start"], second["end"]) == (1, 3125, 31.25, 32.0)
    assert (second["text"], second["tokens"], second["temperature"]) == ("Как дела?", [], 0.2)


def test_verbose_json_of_a_translation_is_english() -> None:
    answer = in_json(a_result(), task="translate")
    assert (answer["task"], answer["language"]) == ("translate", "english")
    assert "usage" not in answer
    is_valid(TranslationVerbose, answer)


def test_words_without_times_are_left_out_and_the_others_stripped() -> None:
    assert in_json(a_result(), granularities=("word",))["words"] == [
        {"word": "Привет,", "start": 0.5, "end": 1.0},
        {"word": "мир.", "start": 1.0, "end": 2.5},
        {"word": "дела?", "start": 31.5, "end": 32.0},
    ]


@pytest.mark.parametrize(
    ("granularities", "given"),
    [
        ((), {"segments"}),
        (("segment",), {"segments"}),
        (("word",), {"words"}),
        (("word", "segment"), {"words", "segments"}),
    ],
)
def test_granularities_choose_what_is_given(
    granularities: tuple[str, ...], given: set[str]
) -> None:
    answer = in_json(a_result(), granularities=granularities)
    assert answer.keys() & {"words", "segments"} == given
    is_valid(TranscriptionVerbose, answer)


def test_an_unknown_format_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"one of json, text, .*, got 'docx'"):
        body(a_result(), "docx", (), "transcribe", 0.0)


@pytest.mark.parametrize(
    ("form", "expected"),
    [("text", "\n"), ("srt", ""), ("vtt", "WEBVTT\n\n")],
)
def test_silence_is_an_empty_text(form: str, expected: str) -> None:
    assert in_text(a_result(text="", segments=[]), form) == expected


# --- the numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"avg_logprob": -0.25, "confidence": 0.5}, -0.25),
        ({"avg_logprob": 0.0, "confidence": 0.5}, 0.0),
        ({"confidence": 0.5}, math.log(0.5)),
        ({"confidence": 0}, math.log(1e-10)),
        ({"avg_logprob": None, "confidence": 1}, 0.0),
        ({}, 0.0),
        ({"avg_logprob": float("nan")}, 0.0),
    ],
)
def test_avg_logprob_is_the_models_or_from_the_confidence(
    facts: dict[str, Any], expected: float
) -> None:
    assert a_segment_of(**facts)["avg_logprob"] == expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [({"no_speech_prob": 0.75}, 0.75), ({}, 0.0), ({"no_speech_prob": float("inf")}, 0.0)],
)
def test_no_speech_prob_is_the_models_or_nothing(facts: dict[str, Any], expected: float) -> None:
    assert a_segment_of(**facts)["no_speech_prob"] == expected


def test_compression_ratio_is_whispers() -> None:
    text = "раз два " * 50
    expected = len(text.encode()) / len(zlib.compress(text.encode()))
    assert a_segment_of(text=text)["compression_ratio"] == expected > 2.4
    assert a_segment_of(text="")["compression_ratio"] == 0.0


@pytest.mark.parametrize(
    ("metadata", "setting", "expected"),
    [
        ({"language": "ht", "language_detected": "fr"}, "fr", "haitian creole"),
        ({"language_detected": "fr"}, "ru", "french"),
        ({}, "ru", "russian"),
        ({}, "auto", "unknown"),
        ({"language": "xx"}, "mixed", "unknown"),
    ],
)
def test_language_is_the_english_name(
    metadata: dict[str, str], setting: str, expected: str
) -> None:
    result = a_result() | {"metadata": metadata, "settings": {"language": setting}}
    assert in_json(result)["language"] == expected


# --- results that somebody else wrote ---------------------------------------------------------


def test_what_is_malformed_is_left_out() -> None:
    word = {"word": "да", "start": 1.0, "end": 0.5, "confidence": 7}
    good = {"start": -1, "end": 2, "text": "да", "confidence": "high", "words": [word, 5, {}]}
    torn = [{"start": 1.0, "text": "нет"}, {"start": 0, "end": 1, "text": None}, "нет", good]
    answer = in_json(a_result(segments=torn), granularities=GRANULARITIES)
    assert [(s["id"], s["start"], s["end"], s["text"]) for s in answer["segments"]] == [
        (0, 0.0, 2.0, "да")
    ]
    assert answer["words"] == [{"word": "да", "start": 1.0, "end": 1.0}]


def test_half_a_surrogate_pair_does_not_break_the_answer() -> None:
    assert in_text(a_result(text="да\ud83d"), "text") == "да?\n"
    torn = {"start": 0, "end": 1, "text": "\ud83d", "words": [{"word": "\ud83d"}]}
    assert in_text(a_result(segments=[torn]), "srt").endswith("\n?\n\n")


def test_without_a_text_the_segments_make_it() -> None:
    assert in_text(a_result(text=None), "text") == TEXT + "\n"


ANY_TEXT = st.text() | st.text(st.characters(exclude_categories=()))
#: What JSON and Python's reader of it allow, and an answer must not hold.
ODD = st.sampled_from([math.nan, math.inf, -math.inf, 10**400, 1e308, -1.0, "\ud83d", None, True])
ANYTHING = ODD | st.recursive(
    st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=5,
)


def mostly(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The usual, and now and then something else: often enough, too seldom to void it all."""
    return st.integers(0, 9).flatmap(lambda n: usual if n else ANYTHING)


def dicts(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return mostly(st.fixed_dictionaries({key: mostly(value) for key, value in values.items()}))


def lists(item: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(item, max_size=4)


SECONDS = st.floats(0, 100) | st.floats(0, 100) | st.floats(allow_nan=False, allow_infinity=False)
PROBABILITY = st.floats(0, 1) | st.none()
WORDS = lists(dicts(word=ANY_TEXT, start=SECONDS, end=SECONDS))
SEGMENTS = lists(
    dicts(
        start=SECONDS,
        end=SECONDS,
        text=ANY_TEXT,
        words=WORDS,
        confidence=PROBABILITY,
        avg_logprob=st.floats(-10, 0) | st.none(),
        no_speech_prob=PROBABILITY,
    )
)
LANGUAGE = st.sampled_from(["ru", "auto", "xx"])
RESULTS = st.fixed_dictionaries(
    {"transcription": dicts(text=ANY_TEXT, segments=SEGMENTS)},
    optional={
        "duration_seconds": mostly(SECONDS),
        "metadata": dicts(language=LANGUAGE),
        "settings": dicts(language=LANGUAGE),
    },
)


# SubRip has no times of 100 hours and more; pysubs2 stops the clock there, and says so.
@pytest.mark.filterwarnings("ignore:Overflow in SubRip timestamp:RuntimeWarning")
@given(
    RESULTS,
    st.lists(st.sampled_from(GRANULARITIES)),
    st.sampled_from(["transcribe", "translate"]),
)
def test_any_result_makes_valid_answers(
    result: dict[str, Any], granularities: list[str], task: str
) -> None:
    for form in RESPONSE_FORMATS:
        answer, _ = body(result, form, granularities, task, 0.0)
        if isinstance(answer, str):
            answer.encode()
        elif form == "json":
            is_valid(Transcription, answer)
        elif form == "diarized_json":
            is_valid(TranscriptionDiarized, answer | {"task": "transcribe"})
        else:
            is_valid(TranscriptionVerbose, answer)


# --- errors -----------------------------------------------------------------------------------


def test_an_error_has_openais_form() -> None:
    assert error("no file", 400, param="file", code="missing") == {
        "error": {
            "message": "no file",
            "type": "invalid_request_error",
            "param": "file",
            "code": "missing",
        }
    }
    assert error("busy", 503)["error"] == {
        "message": "busy",
        "type": "server_error",
        "param": None,
        "code": None,
    }
