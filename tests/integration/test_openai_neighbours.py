"""Those who speak OpenAI's interface: requests as their sources write them; a scripted worker.

What can be installed is tried as it is in test_openai.py and test_other_clients.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests
from openai import OpenAI

from tests.http_reply import Reply
from tests.integration.test_api import Client
from tests.integration.test_uploads import FORM, SPEECH, everything
from tests.scripted_daemon import ScriptedDaemon
from tests.scripted_worker import full_text, recording

CONTENT = recording(3)
SAID = full_text(CONTENT)
FOR_EVER_S = 600.0
KEY = "a key of the tests"
USER, PASSWORD = "nextcloud", "a password of the tests"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    config: dict[str, dict[str, Any]] = {
        "watch": {"stable_seconds": FOR_EVER_S, "settle_seconds": FOR_EVER_S},
        "api": {"port": 0, "key": KEY, "user": USER, "password": PASSWORD},
    }
    with ScriptedDaemon(tmp_path_factory.mktemp("neighbours"), config) as running:
        yield running


@pytest.fixture
def api(serving: ScriptedDaemon) -> Iterator[Client]:
    """Whatever was asked, nothing of it is left in the folders."""
    yield Client(serving)
    assert everything(serving) == set()
    assert list(serving.manual.iterdir()) == []


def base_url(api: Client) -> str:
    return f"http://127.0.0.1:{api.port}/v1"


# --- Open WebUI ---------------------------------------------------------------------------------
# As backend/open_webui/routers/audio.py of Open WebUI (6adde203) does it, by ``requests``: first
# with a language, and without one if that is refused. The part has no type.


def ask_open_webui(api: Client, name: str, languages: tuple[str | None, ...]) -> dict[str, Any]:
    """What it keeps of the first answer that is 200."""
    answer = None
    for language in languages:
        fields = {"model": "Systran/faster-distil-whisper-large-v3"}
        answer = requests.post(
            f"{base_url(api)}/audio/transcriptions",
            headers={
                "Authorization": f"Bearer {KEY}",
                "X-OpenWebUI-User-Name": "%D0%90%D0%BD%D0%BD%D0%B0",
                "X-OpenWebUI-User-Role": "admin",
            },
            files={"file": (name, CONTENT)},
            data=fields | ({"language": language} if language else {}),
            timeout=60,
        )
        if answer.status_code == 200:
            break
    assert answer is not None
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("name", ["0b7c5cf1-5b1c-4f1e-9d8c-0f6b6f3f3b5a.wav", "voice.webm"])
def test_open_webui(api: Client, name: str) -> None:
    assert ask_open_webui(api, name, ("ru", None))["text"] == SAID
    assert ask_open_webui(api, name, (None,))["text"] == SAID


def test_open_webui_asks_again_without_a_language_that_nobody_knows(api: Client) -> None:
    assert ask_open_webui(api, "voice.webm", ("no language", None))["text"] == SAID


def test_open_webui_finds_the_reason_of_a_refusal(api: Client) -> None:
    answer = requests.post(
        f"{base_url(api)}/audio/transcriptions",
        headers={"Authorization": "Bearer wrong"},
        files={"file": ("voice.wav", CONTENT)},
        data={"model": "whisper-1"},
        timeout=60,
    )
    assert answer.status_code == 401
    assert answer.json()["error"]["message"]


# --- Nextcloud ----------------------------------------------------------------------------------
# As lib/Service/OpenAiAPIService.php of integration_openai 5.0.0 (d807260) sends it by Guzzle,
# whose parts tell their length: each file is file.mp3, whatever it is. A key, or Basic.


def guzzle(fields: Mapping[str, bytes | str]) -> bytes:
    """The body of a multipart request as Guzzle writes it."""
    lines = []
    for name, value in fields.items():
        content = value.encode() if isinstance(value, str) else value
        is_file = name == "file"
        head = f'--B\r\nContent-Disposition: form-data; name="{name}"'
        head += '; filename="file.mp3"' if is_file else ""
        head += f"\r\nContent-Length: {len(content)}" if content else ""
        head += "\r\nContent-Type: audio/mpeg" if is_file else ""
        lines.append(head.encode() + b"\r\n\r\n" + content + b"\r\n")
    return b"".join([*lines, b"--B--\r\n"])


def ask_nextcloud(api: Client, path: str, basic: bool = False, **fields: bytes | str) -> Reply:
    kind = {"Content-Type": FORM, "User-Agent": "Nextcloud OpenAI/LocalAI integration"}
    if basic:
        signed = requests.auth._basic_auth_str(USER, PASSWORD)
        return api.ask("POST", path, guzzle(fields), kind | {"Authorization": signed})
    return api.ask("POST", path, guzzle(fields), kind | {"Authorization": f"Bearer {KEY}"})


@pytest.mark.parametrize("basic", [False, True], ids=["key", "basic"])
def test_nextcloud_gets_a_text_and_how_long_it_is(api: Client, basic: bool) -> None:
    fields = {"model": "whisper-1", "file": CONTENT, "response_format": "verbose_json"}
    for more in ({}, {"language": "ru"}):
        reply = ask_nextcloud(api, SPEECH, basic, **fields, **more)
        assert reply.headers["content-type"].startswith("application/json")
        assert reply.json["text"] == SAID
        assert round(float(reply.json["segments"][-1]["end"])) == 25


def test_nextcloud_gets_subtitles_that_are_no_json(api: Client) -> None:
    for form, mark in (("srt", ","), ("vtt", ".")):
        reply = ask_nextcloud(api, SPEECH, model="base", file=CONTENT, response_format=form)
        assert not reply.headers["content-type"].startswith("application/json")
        assert f"--> 00:00:05{mark}000" in reply.text


def test_nextcloud_gets_a_translation(api: Client) -> None:
    path = "/v1/audio/translations"
    fields = {"model": "whisper-1", "file": CONTENT, "response_format": "verbose_json"}
    assert ask_nextcloud(api, path, **fields).json["text"].startswith("EN ")


def test_nextcloud_finds_models_and_that_speech_is_understood(api: Client) -> None:
    models = api.get("/v1/models", Authorization=f"Bearer {KEY}").json["data"]
    assert models
    assert all(model["id"] for model in models)
    # It asks with a file of one byte, and takes all but 401 and 404 for a yes.
    probed = ask_nextcloud(api, "/v1/audio/translations", model="invalid-model", file=b"a")
    assert probed.status == 415
    assert "it has only 1 bytes" in probed.json["error"]["message"]


# --- n8n ----------------------------------------------------------------------------------------
# As packages/@n8n/nodes-langchain/nodes/vendors/OpenAi/v2/actions/audio/transcribe.operation.ts of
# n8n (9f32051) does it, by form-data of Node: fields first, then a file with its name and type.


def ask_n8n(api: Client, operation: str, name: str, kind: str, **options: str) -> Any:
    parts = [
        f'--B\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in {"model": "whisper-1", **options}.items()
    ]
    head = f'--B\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    parts.append(f"{head}Content-Type: {kind}\r\n\r\n".encode() + CONTENT + b"\r\n--B--\r\n")
    headers = {"content-type": FORM, "Authorization": f"Bearer {KEY}", "Accept": "application/json"}
    reply = api.ask("POST", f"/v1/audio/{operation}", b"".join(parts), headers)
    assert reply.status == 200, reply.text
    return json.loads(reply.body)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("Голосовое 12.oga", "audio/ogg"), ("data", "audio/mpeg"), ("talk.mp4", "video/mp4")],
)
def test_n8n(api: Client, name: str, kind: str) -> None:
    assert ask_n8n(api, "transcriptions", name, kind)["text"] == SAID
    found = ask_n8n(api, "transcriptions", name, kind, language="ru", temperature="0.3")
    assert found["text"] == SAID
    assert ask_n8n(api, "translations", name, kind)["text"].startswith("EN ")


# --- Speakr -------------------------------------------------------------------------------------
# As src/services/transcription/connectors/openai_transcribe.py and openai_whisper.py of Speakr
# 0.9.4-alpha (43f3981) call OpenAI's client. Its other connector is in test_asr_webservice.py.


@pytest.fixture
def client(api: Client) -> Iterator[OpenAI]:
    with OpenAI(base_url=base_url(api), api_key=KEY, max_retries=0, timeout=60) as opened:
        yield opened


def test_speakr_tells_speakers_apart_and_names_those_it_knows(client: OpenAI) -> None:
    answer: Any = client.audio.transcriptions.create(
        model="gpt-4o-transcribe-diarize",
        file=("встреча.m4a", CONTENT),
        language="ru",
        chunking_strategy="auto",
        response_format="diarized_json",
        extra_body={
            "known_speaker_names": ["A", "B"],
            "known_speaker_references": [
                "data:audio/wav;base64,UklGRg==",
                "data:audio/wav;base64,",
            ],
        },
    )
    found = [(each.speaker, each.text.strip()) for each in answer.segments]
    assert found == list(zip("ABA", SAID.split(), strict=True))
    assert all(each.end > each.start for each in answer.segments)


def test_speakr_joins_its_prompt_and_its_hotwords(client: OpenAI) -> None:
    models = [model.id for model in client.models.list()]
    assert any("whisper" in model or "transcribe" in model for model in models)
    for model in ("whisper-1", "gpt-4o-mini-transcribe-2025-12-15"):
        answer = client.audio.transcriptions.create(
            model=model, file=("talk.webm", CONTENT), language="ru",
            prompt="Протокол. Ромашкин, Вектор-М",
        )  # fmt: skip
        assert answer.text == f"[Протокол. Ромашкин, Вектор-М] {SAID}"
