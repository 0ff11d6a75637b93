"""Everything that a person reads exists in English and Russian, and nothing of it is Python's.

What there is to say is found by walking the code and the models, never by a list by hand.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
import string
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import read_po
from pydantic import BaseModel, TypeAdapter, ValidationError

from modules.api import forms
from modules.api.asr import query as asr_query
from modules.api.openai import fields as openai_fields
from modules.api.schemas import requests
from modules.cli.doctor import check_machine
from modules.config.loader import load_config
from modules.config.messages import sentence
from modules.config.recording_settings import check_settings
from modules.config.schema import Config
from modules.errors import ConfigError, TranscriberError, joined, noted
from modules.executors.protocol import Failed, parse_event
from modules.jobs.job import Attempt, ErrorInfo, Job
from modules.messages import (
    CATALOGUES,
    LANGUAGES,
    Message,
    from_json,
    language_of_texts,
    restored,
    template_of,
    translated,
)
from modules.outputs.line_breaks import speaker_name
from modules.recordings.error_texts import REMEDIES, explain, explain_settings
from modules.runner.outage import error_info
from modules.service.answers import MESSAGES
from tests.builders import a_job

PROJECT = Path(__file__).resolve().parents[2]
SOURCES = [*sorted((PROJECT / "modules").rglob("*.py")), PROJECT / "transcriber.py"]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}

#: What of Python must not be seen: tuples of texts, classes, errors, places that are not filled.
PYTHON = re.compile(
    r"\('|\", '|\bNone\b|<class|<[a-z.]+ object|\w(Error|Exception)\(|\{\w+(![rsa])?\}"
    r"|\[type=|Errno"
)
CYRILLIC = re.compile("[а-яё]", re.I)


def marks(text: str) -> str | None:
    found = PYTHON.search(text)
    return found.group() if found else None


def is_russian(text: str) -> bool:
    """Whether all words are Russian but names, keys and values: those are without a space."""
    return bool(CYRILLIC.search(text)) and not re.search(r"\b(the|is|must|of|not|and|to)\b", text)


# --- the catalogue ------------------------------------------------------------------------------


def catalogue() -> dict[str, str]:
    """Every template and its translation; of plurals the first form."""
    with (CATALOGUES / "ru" / "LC_MESSAGES" / "transcriber.po").open("rb") as file:
        found = read_po(file, locale="ru")
    return {
        str(each.id if isinstance(each.id, str) else each.id[0]): str(
            each.string if isinstance(each.string, str) else each.string[0]
        )
        for each in found
        if each.id
    }


#: What is put together alike in both languages, and names.
SAME = {
    "{who} with PID {pid}", "The {role}", "model_size: {why}", "manual", "Python", "API", "en", "N",
    "argument %(argument_name)s: %(message)s",
}  # fmt: skip


def test_every_translation_is_russian() -> None:
    odd = {key: text for key, text in catalogue().items() if not CYRILLIC.search(text)}
    assert set(odd) - SAME == set(), odd
    for key, text in catalogue().items():
        assert not re.search(r"\b(Вы|Ваш\w*|Вам|Вас)\b", text[1:]), key
        assert "  " not in text.strip() or "  " in key, text
        assert "..." not in text or "..." in key, text


def filled(template: str) -> Message:
    """With a value for each place: a number where the place has a format for one."""
    values: dict[str, Any] = {}
    for _, name, form, _ in string.Formatter().parse(template):
        if name:
            values[name] = 7.0 if form else "слово"
    return noted(template, **values)


def templates() -> list[str]:
    """What is noted: not what depends on a number, nor argparse's own."""
    with (CATALOGUES / "ru" / "LC_MESSAGES" / "transcriber.po").open("rb") as file:
        ids = [each.id for each in read_po(file, locale="ru")]
    return [each for each in ids if isinstance(each, str) and each and "%(" not in each]


@pytest.mark.parametrize("template", templates())
def test_every_message_can_be_written_down_and_said_again(template: str) -> None:
    said = filled(template)
    assert marks(said) is None or not said.values, said
    written = json.loads(json.dumps(template_of(said)))
    again = from_json(written)
    assert again == said
    assert translated(again or "", "ru") == translated(said, "ru") != ""
    if said.values:
        assert marks(translated(said, "ru")) is None


# --- every place where something goes wrong -------------------------------------------------------


def error_classes() -> set[str]:
    """Our error classes, by the names of their bases."""
    known = {"TranscriberError"}
    classes = [n for tree in TREES.values() for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]
    for _ in range(5):
        known |= {
            each.name
            for each in classes
            if any(isinstance(base, ast.Name) and base.id in known for base in each.bases)
        }
    return known


#: Functions that take what a person reads: the positions of it, and names of keywords.
SPEAKING: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(error_classes() - {"ConfigError", "SettingsError", "JobError"}, (1,)),
    "ErrorInfo": (),
    "refusal": (2, 3),
    "_refused": (1, 2),
    "invalid": (0,),
    "conflict": (0,),
    "refused_private": (),
    "time_out": (0,),
    "damaged": (2,),
    "_invalid": (2,),
    "joined": (),
}
KEYWORDS = {"remedy", "message", "suggestion"}
ENDS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)


def name_of(call: ast.Call) -> str:
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def spoken() -> Iterator[tuple[str, ast.expr, ast.AST]]:
    """Where, what is said there, and the function around it."""
    for path, tree in TREES.items():
        is_sandbox = "sandbox" in path.parts  # its own ``_refused`` is another; see doctor below
        around: dict[ast.AST, ast.AST] = {}
        for outer in ast.walk(tree):
            if isinstance(outer, ENDS):
                around |= dict.fromkeys(ast.walk(outer), outer)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and name_of(node) in SPEAKING and not is_sandbox:
                said = [node.args[n] for n in SPEAKING[name_of(node)] if n < len(node.args)]
                said += [key.value for key in node.keywords if key.arg in KEYWORDS]
                if name_of(node) == "joined":
                    said += node.args[1:]
                for each in said:
                    yield f"{path.relative_to(PROJECT)}:{node.lineno}", each, around[node]


def words_in(node: ast.AST, around: ast.AST, seen: frozenset[str] = frozenset()) -> str | None:
    """English that no catalogue knows, in an expression or in what was assigned to its names."""
    match node:
        case ast.Constant(value=str(text)):
            return text if re.search("[a-z]{2} [a-z]|[a-z]{3,}[.?!]$", text, re.I) else None
        case ast.JoinedStr(values=parts):
            return next(filter(None, (words_in(part, around, seen) for part in parts)), None)
        case ast.IfExp() | ast.BoolOp() | ast.BinOp() | ast.Tuple() | ast.Starred():
            inner = ast.iter_child_nodes(node)
            return next(filter(None, (words_in(each, around, seen) for each in inner)), None)
        case ast.Name(id=name) if name not in seen:
            values = assigned(around, name)
            return next(filter(None, (words_in(v, around, seen | {name}) for v in values)), None)
    return None


def assigned(around: ast.AST, name: str) -> Iterator[ast.AST]:
    for node in ast.walk(around):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id == name:
                    yield node.value
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    pairs = zip(target.elts, node.value.elts, strict=False)
                    yield from (v for t, v in pairs if isinstance(t, ast.Name) and t.id == name)


def test_no_error_speaks_past_the_catalogue() -> None:
    found = list(spoken())
    assert len(found) > 250
    wrong = {where: words for where, node, around in found if (words := words_in(node, around))}
    assert wrong == {}, "write noted(…) around them"


def test_no_value_of_a_message_is_english() -> None:
    """``noted("… {what}", what="in English")`` would stay English in a Russian sentence."""
    calls = [
        (path, node)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and name_of(node) == "noted"
    ]
    assert len(calls) > 400
    wrong = [
        f"{path.relative_to(PROJECT)}:{call.lineno} {key.arg}"
        for path, call in calls
        for key in call.keywords
        for node in ast.walk(key.value)
        if isinstance(node, ast.Constant) and words_in(node, call)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("code", "is_wrong"),
    [
        ('TranscriberError("x", "It is gone.")', True),
        ('TranscriberError("x", noted("It is gone."))', False),
        ('TranscriberError("x", noted("Gone."), remedy="Copy it again.")', True),
        ('message = f"{name} is gone"\nMediaError("x", message)', True),
        ('MediaError("x", noted("Gone.") if a else "It went away.")', True),
        ('joined("; ", noted("a"), "and more of it")', True),
        ('joined(": ", name, error.text)', False),
    ],
)
def test_english_that_is_not_noted_is_found(
    code: str, is_wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.unit.test_languages.TREES", {PROJECT / "x.py": ast.parse(code)})
    assert any(words_in(node, around) for _, node, around in spoken()) is is_wrong


def test_every_error_code_that_is_answered_has_a_message_in_both_languages() -> None:
    for code, texts in MESSAGES.items():
        for text in filter(None, texts):
            assert is_russian(translated(text, "ru")), code
            assert translated(text, "en") == text


# --- settings -------------------------------------------------------------------------------------

#: Something of every kind that YAML can hold.
VALUES = (
    None, True, -1, 0, 5, 10**30, 1.5, float("inf"), "", " ", "x", "ы" * 5000, "\ud800", [], ["x"],
    [["x"], 1], ["txt", "txt"], [None], {}, {"x": 1}, {1: [None]},
)  # fmt: skip


def complaints(model: type[BaseModel]) -> Iterator[tuple[str, Message]]:
    """What is said of each wrong value of each field, with pydantic's kind of error."""
    for name, value in itertools.product(model.model_fields, VALUES):
        content: dict[str, Any] = {name: value}
        if isinstance(value, dict) and "x" in value:
            content["nope"] = value
        try:
            model.model_validate(content)
        except ValidationError as failure:
            for error in failure.errors():
                yield error["type"], joined(": ", ".".join(map(str, error["loc"])), sentence(error))


def sections() -> list[type[BaseModel]]:
    found: list[type[BaseModel]] = [Config]
    for field in Config.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found.append(field.annotation)
    return found


def requests_of(module: Any) -> list[type[BaseModel]]:
    return [
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, BaseModel) and each.model_fields
    ]


@pytest.mark.parametrize("model", sections(), ids=lambda model: model.__name__)
def test_every_complaint_about_a_setting_is_said_in_both_languages(model: type[BaseModel]) -> None:
    found = list(complaints(model))
    assert found
    for kind, line in found:
        for language in LANGUAGES:
            assert marks(translated(line, language)) is None, (kind, translated(line, language))
        assert is_russian(translated(line, "ru").partition(": ")[2]), (kind, line)


def test_the_values_cause_every_kind_of_error() -> None:
    kinds = {kind for model in sections() for kind, _ in complaints(model)}
    assert kinds >= {
        "bool_type", "extra_forbidden", "finite_number", "float_type", "int_type",
        "literal_error", "model_type", "string_type", "string_unicode", "tuple_type", "value_error",
    }  # fmt: skip


@pytest.mark.parametrize(
    "model",
    [*requests_of(requests), *requests_of(asr_query), *requests_of(openai_fields)],
    ids=lambda model: model.__name__,
)
def test_every_complaint_about_a_request_is_said_in_both_languages(model: type[BaseModel]) -> None:
    for name, value in itertools.product([*model.model_fields, "nope"], VALUES):
        try:
            model.model_validate({name: value})
        except ValidationError as failure:
            text = forms.invalid(forms.describe(failure, model.model_fields)).text
            for language in LANGUAGES:
                assert marks(translated(text, language)) is None, translated(text, language)
            assert is_russian(translated(text, "ru")), translated(text, "ru")


@pytest.mark.parametrize(
    "annotation",
    [
        int, float, bool, str, list[int], tuple[int, ...], dict[str, int], set[int], int | str,
        list[int] | None, bytes,
    ],
    ids=str,
)  # fmt: skip
def test_whatever_pydantic_complains_of_is_never_said_in_its_words(annotation: Any) -> None:
    """Also of types that no setting has yet."""
    for value in VALUES:
        try:
            TypeAdapter(annotation).validate_python(value, strict=True)
        except ValidationError as failure:
            for error in failure.errors():
                text = sentence({**error, "loc": ("here",)})
                assert marks(text) is None, text
                assert is_russian(translated(text, "ru")), text


CONFIGURATIONS = (
    "api: {port: nope}", "a: b: c", "a: [", "- 1", "api: {user: x}", "a: 2020-99-99", "\x01",
    "x: *y",
    "output: {formats: [txt, txt]}", "output: {formats: {}}", "whisperx: {language: nope}",
    "whisperx: {model_size: smal}", "api: {cors_origins: ['*']}", "api: 5", "watch:", "a: 1\na: 2",
    "whisperx: {task: translate, model_size: turbo}", "manual_directory: shared", "'a\": 1",
    "processing: {max_concurrent_tasks: 3}", "whisperx: {temperature: 7}", "a: !!python/none x",
    "whisperx: {audio_tracks: klingon}", "messages: {language: de}", "\tx: 1", "a: {b: 1",
    "a: \"\\q\"",
)  # fmt: skip


@pytest.mark.parametrize("content", CONFIGURATIONS)
def test_every_complaint_about_a_configuration_is_said_in_both(
    content: str, tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_config(file, {})
    for line in (*caught.value.problems, caught.value.text):
        for language in LANGUAGES:
            assert marks(translated(line, language)) is None
        said = translated(line, "ru").replace(str(tmp_path), "")
        assert is_russian(said), said


@pytest.mark.parametrize(
    "content",
    [b"a: &x 1", b"\xff", b"[1]", b"nope: 1", b"model_size: ./x", b"language: klingon",
     b"whisperx: {}", b"device: 5", b"api: 1", b"beam_size: 99", b"min_speakers: [1]",
     b"a: {b: {c: {d: {e: {f: {g: 1}}}}}}", b"\n".join(b"k%d: 1" % n for n in range(60))],
)  # fmt: skip
def test_every_complaint_about_settings_beside_a_recording_is_said_in_both(content: bytes) -> None:
    _, problems = check_settings(content)
    assert problems
    text = explain_settings("talk.mp3.settings.yaml", [line for _, line in problems], "ru")
    assert marks(text) is None, text
    for line in (line for _, line in problems):
        assert is_russian(translated(line, "ru")), translated(line, "ru")


# --- explanations ---------------------------------------------------------------------------------


def failed(code: str, message: str, language: str = "ru") -> Job:
    info = ErrorInfo(code=code, message=message, timestamp="2024-01-01T00:00:00Z", attempt=1)
    attempt = Attempt(attempt_number=1, start_time=info.timestamp, status="failed", error=info)
    return a_job("talk.mp3", attempts=(attempt,), error=info)


@pytest.mark.parametrize("code", [*REMEDIES, "too_long"])
def test_an_explanation_is_all_in_one_language(code: str) -> None:
    job = failed(code, noted("The file is empty."))
    assert job.error
    text = explain(job, job.error, "ru")
    assert marks(text) is None
    for line in filter(None, text.splitlines()):
        assert CYRILLIC.search(line), line
    english = explain(job, job.error, "en")
    assert not CYRILLIC.search(english)
    assert len(english.splitlines()) == len(text.splitlines())


def test_a_message_of_an_earlier_version_stays_as_it_was_written() -> None:
    job = failed("too_long", "The recording is rather long.")
    assert job.error
    assert "Что произошло: The recording is rather long.\n" in explain(job, job.error, "ru")
    old = {"code": "x", "message": "It failed.", "timestamp": "t", "attempt": 1}
    assert ErrorInfo.model_validate(old).message == "It failed."


def test_an_error_is_said_in_russian_after_it_went_through_child_and_state_file() -> None:
    error = TranscriberError("x", noted("The file is empty."), remedy=noted("Send less."))
    sent = Failed(task_id=1, code="x", message=error.text)
    came = parse_event(sent.model_dump_json().encode())
    assert isinstance(came, Failed)
    info = error_info(TranscriberError("x", came.message), 1, "t", None)
    written = info.model_dump_json()
    read = ErrorInfo.model_validate_json(written)
    assert json.loads(written)["message"] == "The file is empty. Send less."
    assert read == info
    assert translated(read.message, "ru") == "Файл пуст. Отправьте меньше."


@pytest.mark.parametrize(
    "template",
    [
        5, [], {}, {"text": 5, "values": {}}, {"text": "x", "values": 5},
        {"text": "Nobody noted this.", "values": {}},
        {"text": "{p0.__class__}", "values": {"p0": "a"}},
        {"text": "{p0:1000000000}", "values": {"p0": "a"}},
        {"text": "The file is empty.", "values": {str(n): "a" for n in range(100)}},
        {"text": "{p0}", "values": {"p0": "a" * 10_000}},
        {"text": "{p0}", "values": {"p0": 1e300}},
        {"text": "{p0}", "values": {"p0": None}},
        {"text": "{p0}", "values": {"p0": ["a"]}},
        {"text": "What happened: {message}", "values": {}},
    ],
)  # fmt: skip
def test_what_others_wrote_into_a_state_file_is_no_template(template: object) -> None:
    assert from_json(template) is None
    assert restored("as it was", template) == "as it was"


def test_templates_in_each_other_end_somewhere() -> None:
    nested: Mapping[str, Any] = {"text": "{p0}", "values": {"p0": "a"}}
    for _ in range(50):
        nested = {"text": "{p0}", "values": {"p0": nested}}
    assert from_json(nested) is None


# --- doctor, speakers, languages ------------------------------------------------------------------


def test_what_a_sandbox_lacks_is_said_in_russian(monkeypatch: pytest.MonkeyPatch) -> None:
    confine = TREES[PROJECT / "modules" / "worker" / "sandbox" / "confine.py"]
    [call] = [n for n in ast.walk(confine) if isinstance(n, ast.Call) and name_of(n) == "_refused"]
    steps = [ast.literal_eval(each.elts[0]) for each in call.args if isinstance(each, ast.Tuple)]
    assert len(steps) >= 8
    assert set(steps) <= set(check_machine._PROTECTIONS)
    monkeypatch.setattr(check_machine, "_", lambda text: translated(noted(text), "ru"))
    for step in steps:
        line = check_machine._protection(f"{step} ([Errno 1] Operation not permitted)")
        assert is_russian(line)
        assert line.endswith("(действие не разрешено)")
    folder = "reads no other files (/srv/x is in a folder of programs or weights)"
    assert check_machine._protection(folder) == (
        "не читает других файлов (/srv/x лежит в папке программ или моделей)"
    )


def test_speakers_have_names_in_the_readers_language() -> None:
    assert speaker_name("SPEAKER_00", "ru") == "Голос 1"
    assert speaker_name("SPEAKER_11", "en") == "Speaker 12"
    assert speaker_name("Ада", "en") == "Ада"


@pytest.mark.parametrize(
    ("wished", "spoken_there", "language"),
    [
        ("auto", ("ru",), "ru"),
        ("auto", ("de", "ru"), "en"),
        ("auto", ("auto", "ru"), "ru"),
        ("auto", ("mixed", None, "en"), "en"),
        ("auto", (), "en"),
        ("auto", ("auto", None), "en"),
        ("en", ("ru",), "en"),
        ("ru", ("en",), "ru"),
    ],
)
def test_the_language_beside_a_recording(
    wished: str, spoken_there: tuple[str | None, ...], language: str
) -> None:
    assert language_of_texts(wished, *spoken_there) == language
