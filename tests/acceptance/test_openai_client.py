"""The official ``openai`` client against the running daemon: what its users already have works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pysubs2
import pytest
from openai import OpenAI

from tests.acceptance.recordings import SAMPLES
from tests.daemon_process import DaemonProcess
from tests.speech import word_error_rate

pytestmark = pytest.mark.acceptance

RUSSIAN = SAMPLES / "please-hold-ru.wav"
ENGLISH = SAMPLES / "please-hold-en.flac"
#: A word or two of seventeen.
NEARLY_RIGHT = 0.12
KEY = "the key of the tests"
ANSWER_S = 180.0


@pytest.fixture(scope="module")
def locked(weights: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A warm daemon that wants a key."""
    with DaemonProcess(tmp_path_factory.mktemp("openai"), {"api": {"key": KEY}}) as daemon:
        daemon.wait_until_warm()
        yield daemon


@pytest.fixture
def daemon(locked: DaemonProcess) -> Iterator[DaemonProcess]:
    """The same; whatever was asked, no upload and nothing made from it is left in the share."""
    yield locked
    assert locked.files() == set()
    assert list((locked.shared / ".transcriber" / "uploads").iterdir()) == []


def a_client(daemon: DaemonProcess, key: str = KEY) -> OpenAI:
    port = daemon.wait_for_log(r"Listening on http://[^:]+:(\d+)").group(1)
    return OpenAI(
        base_url=f"http://127.0.0.1:{port}/v1", api_key=key, max_retries=0, timeout=ANSWER_S
    )


@pytest.fixture
def client(daemon: DaemonProcess) -> Iterator[OpenAI]:
    with a_client(daemon) as opened:
        yield opened


def heard(client: OpenAI, path: Path, **options: Any) -> Any:
    """The transcription of a sample, as the client hands it over."""
    with path.open("rb") as file:
        return client.audio.transcriptions.create(
            **({"model": "whisper-1", "file": file} | options)
        )


def check(text: str, sample: Path) -> None:
    said = sample.with_suffix(".txt").read_text(encoding="utf-8")
    assert word_error_rate(said, text) <= NEARLY_RIGHT, text


@pytest.mark.parametrize("sample", [RUSSIAN, ENGLISH], ids=["ru", "en"])
def test_every_form_holds_what_was_said(client: OpenAI, sample: Path) -> None:
    check(heard(client, sample).text, sample)
    check(heard(client, sample, response_format="text"), sample)
    for form in ("srt", "vtt"):
        content = heard(client, sample, response_format=form)
        assert content.startswith("WEBVTT") == (form == "vtt")
        lines = pysubs2.SSAFile.from_string(content, format_=form)
        assert all(line.end > line.start for line in lines)
        check(" ".join(line.plaintext for line in lines), sample)


@pytest.mark.parametrize(
    ("sample", "language"), [(RUSSIAN, "russian"), (ENGLISH, "english")], ids=["ru", "en"]
)
def test_the_verbose_form_has_words_and_segments_in_time(
    client: OpenAI, sample: Path, language: str
) -> None:
    answer = heard(
        client,
        sample,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    check(answer.text, sample)
    assert answer.language == language
    check(" ".join(word.word for word in answer.words), sample)
    check(" ".join(segment.text for segment in answer.segments), sample)
    for parts in (answer.words, answer.segments):
        starts = [part.start for part in parts]
        assert starts == sorted(starts)
        assert all(0 <= part.start <= part.end <= answer.duration + 0.001 for part in parts)
    assert len({word.start for word in answer.words}) == len(answer.words), "words at one time"


def test_language_prompt_and_temperature_are_taken(client: OpenAI) -> None:
    prompt = "Звонок в компанию."
    answer = heard(client, RUSSIAN, language="ru", prompt=prompt, temperature=0.2)
    check(answer.text, RUSSIAN)


@pytest.mark.parametrize("model", ["gpt-4o-mini-transcribe-2025-12-15", "large-v1", "default"])
def test_a_model_that_is_not_here_is_the_configured_one(client: OpenAI, model: str) -> None:
    check(heard(client, RUSSIAN, model=model).text, RUSSIAN)


@pytest.mark.parametrize("name", ["file.mp3", "audio", "blob"])
def test_a_file_is_told_by_its_content(client: OpenAI, name: str) -> None:
    check(heard(client, ENGLISH, file=(name, ENGLISH.read_bytes())).text, ENGLISH)


def test_a_stream_holds_what_was_said(client: OpenAI) -> None:
    *deltas, done = heard(client, RUSSIAN, stream=True)
    check(done.text, RUSSIAN)
    assert "".join(delta.delta for delta in deltas) == done.text


# The client calls its own method old.
@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_a_translation_is_english(client: OpenAI) -> None:
    with RUSSIAN.open("rb") as file:
        text = client.audio.translations.create(model="whisper-1", file=file).text
    assert len(text.split()) >= 8
    assert sum(character.isascii() for character in text) >= 0.95 * len(text), text


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"file": ("talk.docx", bytes(range(128, 160)))}, 415, "unsupported_media_type"),
        ({"file": ("talk", bytes(range(128, 160)))}, 415, "unsupported_media_type"),
        ({"extra_body": {"response_format": "docx"}}, 422, "invalid_request"),
        ({"language": "klingon"}, 422, "invalid_request"),
        ({"temperature": 7}, 422, "invalid_request"),
    ],
    ids=["ending", "no ending", "format", "language", "temperature"],
)
def test_a_mistake_is_an_error_with_its_code(
    client: OpenAI, options: dict[str, Any], status: int, code: str
) -> None:
    kind = openai.UnprocessableEntityError if status == 422 else openai.APIStatusError
    with pytest.raises(kind) as caught:
        heard(client, RUSSIAN, **options)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert caught.value.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [(b"these are no sounds " * 50, 415, "no_recording"), (b"\0" * 5000, 422, "failed")],
    ids=["text", "noughts"],
)
def test_what_is_no_recording_is_an_error_with_its_code(
    client: OpenAI, content: bytes, status: int, code: str
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        heard(client, RUSSIAN, file=("talk.mp3", content))
    assert (caught.value.status_code, caught.value.code) == (status, code)


def test_a_wrong_key_is_an_authentication_error_with_its_code(daemon: DaemonProcess) -> None:
    with a_client(daemon, "wrong") as stranger:
        with pytest.raises(openai.AuthenticationError) as caught:
            heard(stranger, RUSSIAN)
        assert caught.value.code == "unauthorized"
