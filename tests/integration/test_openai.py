"""OpenAI's own client, unchanged, against the running daemon; with a scripted worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import openai
import pysubs2
import pytest
from openai import OpenAI

from tests.builders import until
from tests.integration.test_api import Client
from tests.integration.test_uploads import SPEECH, everything, form, left_alone, part, send
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text, recording, text_of

CONTENT = recording(3)
SAID = full_text(CONTENT)
FOR_EVER_S = 600.0


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    config = {"watch": {"stable_seconds": FOR_EVER_S, "settle_seconds": FOR_EVER_S}}
    with ScriptedDaemon(tmp_path_factory.mktemp("openai"), config) as running:
        yield running


@pytest.fixture
def api(serving: ScriptedDaemon) -> Iterator[Client]:
    yield Client(serving)
    for path in serving.shared.iterdir():
        if path.is_file():
            Client(serving).delete(path.name)


@pytest.fixture
def client(api: Client) -> Iterator[OpenAI]:
    with a_client(api) as opened:
        yield opened


def a_client(api: Client) -> OpenAI:
    base = f"http://127.0.0.1:{api.port}/v1"
    return OpenAI(base_url=base, api_key="none", max_retries=0, timeout=60)


def heard(client: OpenAI, name: str = "talk.mp3", content: bytes = CONTENT, **options: Any) -> Any:
    return client.audio.transcriptions.create(
        **({"model": "whisper-1", "file": (name, content)} | options)
    )


# --- models -------------------------------------------------------------------------------------


def test_the_models_are_listed_and_each_can_be_asked_for(client: OpenAI) -> None:
    ids = [model.id for model in client.models.list()]
    assert ids[:2] == ["whisper-1", "base"]
    for name in ids:
        model = client.models.retrieve(name)
        assert (model.id, model.object) == (name, "model")
        assert model.created >= 0
        assert model.owned_by


def test_a_model_that_is_not_here_is_not_found(client: OpenAI) -> None:
    for name in ("gpt-7", "small", "somebody/else's"):
        with pytest.raises(openai.NotFoundError) as caught:
            client.models.retrieve(name)
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize(
    "model",
    ["gpt-4o-mini-transcribe-2025-12-15", "Systran/faster-distil-whisper-large-v3", "default", ""],
)
def test_every_models_name_is_taken(client: OpenAI, model: str) -> None:
    assert heard(client, model=model).text == SAID


def test_an_unknown_model_is_refused_if_so_set(tmp_path: Path) -> None:
    config = {"api": {"port": 0, "unknown_model": "refuse"}}
    with ScriptedDaemon(tmp_path, config) as daemon, a_client(Client(daemon)) as client:
        for model, code in [("default", "invalid_settings"), ("small", "model_unavailable")]:
            with pytest.raises(openai.UnprocessableEntityError) as caught:
                heard(client, model=model)
            assert caught.value.code == code
        assert heard(client, model="gpt-4o-transcribe").text == SAID


# --- what is answered ---------------------------------------------------------------------------


def test_every_form_holds_the_text(client: OpenAI) -> None:
    assert heard(client, response_format="json").text == SAID
    assert heard(client, response_format="text") == SAID + "\n"
    for kind in ("srt", "vtt"):
        lines = pysubs2.SSAFile.from_string(heard(client, response_format=kind), kind)
        assert " ".join(line.plaintext for line in lines) == SAID
    verbose = heard(
        client, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert (verbose.text, verbose.language, verbose.duration) == (SAID, "russian", 30)
    assert (len(verbose.words), len(verbose.segments)) == (3, 3)


# The client calls its own method old.
@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_a_translation_is_in_english(client: OpenAI) -> None:
    file = ("talk.mp3", recording(1))
    answer = client.audio.translations.create(model="whisper-1", file=file)
    assert answer.text == f"EN {full_text(recording(1))}"


def test_speakers_are_told_apart_where_they_are_asked_for(client: OpenAI) -> None:
    answer = heard(
        client,
        model="gpt-4o-transcribe-diarize",
        response_format="diarized_json",
        chunking_strategy="auto",
    )
    assert [(s.speaker, s.text) for s in answer.segments] == [
        (speaker, text_of(CONTENT, i)) for i, speaker in enumerate("ABA")
    ]


def test_log_probabilities_are_those_of_words(client: OpenAI) -> None:
    answer = heard(client, model="gpt-4o-transcribe", include=["logprobs"])
    assert [each.token for each in answer.logprobs] == SAID.split()
    assert all(each.logprob < 0 for each in answer.logprobs)


def test_keywords_are_hotwords(client: OpenAI) -> None:
    answer = heard(client, model="gpt-transcribe", keywords=["Вектор-М", "Ромашкин"])
    assert answer.text.startswith("[Вектор-М, Ромашкин] ")


# --- what clients send --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"language": ""},
        {"language": "ru-RU"},
        {"languages": ["ru", "en"]},
        {"chunking_strategy": {"type": "server_vad", "threshold": 0.5}},
        {"vad_filter": True, "hallucination_silence_threshold": 2},
        {"without_timestamps": ["a", "b"]},
        {"stream": False, "response_format": "json"},
    ],
    ids=str,
)
def test_what_other_servers_know_is_let_pass(client: OpenAI, fields: dict[str, Any]) -> None:
    assert heard(client, extra_body=fields).text == SAID


def test_pythons_words_for_yes_and_no_are_read(api: Client) -> None:
    file = part('name="file"; filename="talk.mp3"', CONTENT)
    assert send(api, SPEECH, form(file, stream="False")).json["text"] == SAID
    reply = send(api, SPEECH, form(file, stream="True"))
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert send(api, SPEECH, form(file, stream="perhaps")).status == 422


# --- while it is made ---------------------------------------------------------------------------


def test_the_text_comes_chunk_by_chunk(client: OpenAI) -> None:
    with heard(client, stream=True) as stream:
        events = list(stream)
    assert [event.type for event in events] == ["transcript.text.delta"] * 3 + [
        "transcript.text.done"
    ]
    assert [event.delta for event in events[:-1]] == [
        text_of(CONTENT, 0), f" {text_of(CONTENT, 1)}", f" {text_of(CONTENT, 2)}"
    ]  # fmt: skip
    assert events[-1].text == SAID


def test_the_first_words_are_there_while_the_rest_is_made(api: Client, client: OpenAI) -> None:
    with heard(client, "slow.mp3", recording(100), stream=True) as events:
        assert next(events).delta == text_of(recording(100), 0)
        assert [name for name, _ in api.queue()] == ["slow.mp3"]
    until(lambda: everything(api.daemon) == set(), "what was left is removed", SOON_S)
    until(lambda: api.queue() == [], "its job is over", SOON_S)


def test_nothing_is_lost_of_a_recording_of_many_chunks(client: OpenAI) -> None:
    """Of more than a hundred chunks, some take no percent."""
    content = recording(450)
    events = list(heard(client, content=content, stream=True))
    assert "".join(e.delta for e in events[:-1]) == events[-1].text == full_text(content)
    assert len(events) == 451


def test_a_stream_has_the_speakers_before_the_end(client: OpenAI) -> None:
    events = list(heard(client, stream=True, response_format="diarized_json"))
    assert [e.type.rpartition(".")[2] for e in events] == ["delta"] * 3 + ["segment"] * 3 + ["done"]
    assert [e.speaker for e in events if e.type == "transcript.text.segment"] == list("ABA")


def test_a_streamed_upload_leaves_nothing(api: Client, client: OpenAI) -> None:
    list(heard(client, stream=True))
    assert everything(api.daemon) == set()


def test_what_fails_in_a_stream_is_an_error_in_it(api: Client, client: OpenAI) -> None:
    with pytest.raises(openai.APIError) as caught:
        list(heard(client, "talk notmedia.mp3", stream=True))
    assert caught.value.code == "failed"
    body = form(part('name="file"; filename="notmedia.mp3"', CONTENT), stream="true")
    last = send(api, SPEECH, body).text.strip().rpartition("\n\n")[2]
    name, _, data = last.partition("\ndata: ")
    assert name == "event: error"
    assert json.loads(data)["error"]["code"] == "failed"
    api.daemon.wait_until_in_manual("talk notmedia.mp3", SOON_S)


def test_what_cannot_be_done_is_refused_before_the_stream(client: OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        heard(client, stream=True, language="klingon")
    assert caught.value.code == "invalid_request"


def test_who_leaves_a_stream_that_waits_is_noticed(api: Client) -> None:
    body = form(part('name="file"; filename="slow.mp3"', recording(100)), stream="true")
    with closing(left_alone(api, body)):
        api.daemon.wait_for_position("slow.mp3", 10)
    until(lambda: everything(api.daemon) == set(), "all of it is removed", SOON_S)
    until(lambda: api.queue() == [], "its job is over", SOON_S)


def test_a_stream_takes_a_place_of_those_that_wait(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path, {"api": {"port": 0, "max_waiting": 1}}) as daemon:
        api = Client(daemon)
        with a_client(api) as client, heard(client, "slow.mp3", recording(100), stream=True) as one:
            next(one)
            with pytest.raises(openai.APIStatusError) as caught:
                heard(client, "other.mp3", stream=True)
            assert (caught.value.status_code, caught.value.code) == (503, "timeout")
        until(lambda: [n for n, _ in api.queue() if n == "slow.mp3"] == [], "it left", SOON_S)
        with a_client(api) as client:
            assert heard(client, "third.mp3").text == SAID
