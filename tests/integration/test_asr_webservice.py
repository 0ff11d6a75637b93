"""whisper-asr-webservice's interface: requests as its clients send them, with a scripted worker."""

from __future__ import annotations

import io
import json
import socket
import wave
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import requests

from tests.builders import until
from tests.http_reply import Reply
from tests.integration.test_api import Client
from tests.integration.test_uploads import FORM, everything, form, part
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import full_text, recording

#: So long that a file which has to hold still is not begun within a test.
FOR_EVER_S = 600.0
HELD_STILL = {"watch": {"stable_seconds": FOR_EVER_S, "settle_seconds": FOR_EVER_S}}
KEY = "a key of the tests"
FILM = "/films/Осенний марафон (1979)/Осенний марафон (1979).mkv"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path_factory.mktemp("asr"), HELD_STILL) as running:
        yield running


@pytest.fixture
def api(serving: ScriptedDaemon) -> Iterator[Client]:
    """Whatever was asked, nothing of it is left in the share."""
    yield Client(serving)
    assert everything(serving) == set()
    assert list((serving.shared / ".transcriber" / "uploads").iterdir()) == []


def as_wav(samples: bytes) -> bytes:
    """What raw samples are to the worker."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes(samples)
    return file.getvalue()


def send(api: Client, path: str, content: bytes, name: str = "talk.mp3", **query: str) -> Reply:
    body = form(part(f'name="audio_file"; filename="{name}"', content))
    return api.ask("POST", f"{path}?{urlencode(query)}", body, {"Content-Type": FORM})


# --- Bazarr -------------------------------------------------------------------------------------
# As custom_libs/subliminal_patch/providers/whisperai.py of Bazarr 1.5.2 (920853d) sends it: with
# ``requests``, a set as a parameter, bytes without a name as the part, and samples without header.


class Bazarr:
    def __init__(self, endpoint: str, pass_video_name: bool) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.film = FILM if pass_video_name else None

    def detect_language(self, samples: bytes) -> dict[str, Any]:
        answer = self._post("/detect-language", {"encode": "false"}, samples)
        found: dict[str, Any] = answer.json()
        return found

    def subtitles(self, samples: bytes, task: str, language: str) -> bytes:
        params = {"task": task, "language": language, "output": "srt", "encode": "false"}
        return self._post("/asr", params, samples).content

    def _post(self, path: str, params: dict[str, Any], samples: bytes) -> requests.Response:
        with requests.Session() as session:
            session.headers["User-Agent"] = "Subliminal/2.2"
            return session.post(
                f"{self.endpoint}{path}",
                params={**params, "video_file": {self.film}},
                files={"audio_file": samples},
                timeout=(10, 60),
            )


@pytest.mark.parametrize("pass_video_name", [True, False])
def test_bazarr_gets_subtitles(api: Client, pass_video_name: bool) -> None:
    bazarr = Bazarr(f"http://127.0.0.1:{api.port}/", pass_video_name)
    samples = recording(3)
    said = full_text(as_wav(samples)).split()
    assert bazarr.detect_language(samples) == {
        "detected_language": "russian", "language_code": "ru", "confidence": 0.99
    }  # fmt: skip
    subtitles = bazarr.subtitles(samples, "transcribe", "ru").decode()
    assert subtitles.startswith("1\n00:00:00,000 --> ")
    assert [line for line in subtitles.splitlines() if line.endswith(".")] == said
    assert f"EN {said[0]}" in bazarr.subtitles(samples, "translate", "ru").decode()
    name = "Осенний марафон (1979).wav" if pass_video_name else "audio_file.wav"
    api.daemon.wait_for_log(name.replace("(", r"\(").replace(")", r"\)"), SOON_S)


def test_bazarr_sends_a_key_in_its_endpoint(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path, HELD_STILL | {"api": {"port": 0, "key": KEY}}) as daemon:
        port = Client(daemon).port
        bazarr = Bazarr(f"http://bazarr:{quote(KEY)}@127.0.0.1:{port}", pass_video_name=True)
        assert bazarr.subtitles(recording(3), "transcribe", "ru").startswith(b"1\n")
        without = Bazarr(f"http://127.0.0.1:{port}", pass_video_name=True)
        assert without.detect_language(recording(3))["error_code"] == "unauthorized"


# --- Speakr -------------------------------------------------------------------------------------
# As src/services/transcription/connectors/asr_endpoint.py of Speakr 0.9.4-alpha (43f3981) sends it
# by httpx, which writes True as "true".


def ask_speakr(api: Client, name: str, content: bytes, mime_type: str, **params: str) -> Any:
    """The request of ``ASREndpointConnector.transcribe``, and what it takes from the answer."""
    query = {"encode": "true", "task": "transcribe", "output": "json", **params}
    body = form(part(f'name="audio_file"; filename="{name}"', content, mime_type))
    reply = api.ask("POST", f"/asr?{urlencode(query)}", body, {"Content-Type": FORM})
    assert reply.status == 200, reply.text
    data = json.loads(reply.text)
    segments = [
        (segment.get("speaker"), segment.get("text", "").strip(), segment.get("start"))
        for segment in data["segments"]
    ]
    return data["text"], data.get("language"), segments


def test_speakr_gets_speakers(api: Client) -> None:
    content = recording(3)
    words = full_text(content).split()
    found = ask_speakr(
        api, "встреча.m4a", content, "audio/mp4", diarize="true", enable_diarization="true",
        return_speaker_embeddings="true", min_speakers="2", max_speakers="4", model="large-v3",
    )  # fmt: skip
    speakers = ["SPEAKER_00", "SPEAKER_01", "SPEAKER_00"]
    assert found == (
        full_text(content), "ru", list(zip(speakers, words, [0.0, 10.0, 20.0], strict=True))
    )  # fmt: skip


def test_speakr_hands_its_prompt_and_hotwords_on(api: Client) -> None:
    for params in ({"initial_prompt": "Протокол"}, {"hotwords": "Протокол"}):
        text, _, segments = ask_speakr(
            api, "talk.webm", recording(2), "video/webm", language="ru", diarize="false",
            enable_diarization="false", **params,
        )  # fmt: skip
        assert text.startswith("[Протокол] ")
        assert segments[0][0] is None


# --- others -------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["txt", "json", "srt", "vtt", "tsv"])
def test_every_form_is_plain_text(api: Client, output: str) -> None:
    content = recording(2)
    reply = send(api, "/asr", content, output=output, vad_filter="True", beam_size="5")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert reply.headers["asr-engine"] == "whisperx"
    assert f'filename="talk.mp3.{output}"' in reply.headers["content-disposition"]
    assert all(word in reply.text for word in full_text(content).split())


def test_words_come_if_they_are_asked_for(api: Client) -> None:
    content = recording(1)
    reply = send(api, "/asr", content, output="json", word_timestamps="true")
    assert reply.json["segments"][0]["words"] == [
        {"word": full_text(content), "start": 0.0, "end": 5.0, "probability": 0.9, "score": 0.9}
    ]


def test_the_language_of_a_long_film_is_known_after_its_first_speech(api: Client) -> None:
    # The whole film would take ten minutes, which the client does not wait.
    reply = send(api, "/detect-language", recording(3000), "slow film.mkv")
    assert reply.json["language_code"] == "ru"
    assert everything(api.daemon) == set()
    until(lambda: api.queue() == [], "its job is over", SOON_S)


def test_raw_sound_lands_as_a_wav_file(tmp_path: Path) -> None:
    config: dict[str, dict[str, Any]] = {"api": {"port": 0, "keep_openai_uploads": True}}
    with ScriptedDaemon(tmp_path, HELD_STILL | config) as daemon:
        samples = recording(2) + b"\1"
        assert send(Client(daemon), "/asr", samples, "talk.mp3", encode="0").status == 200
        assert (daemon.shared / "talk.wav").read_bytes() == as_wav(samples[:-1])


def test_a_name_of_a_film_is_only_a_name(tmp_path: Path) -> None:
    config: dict[str, dict[str, Any]] = {"api": {"port": 0, "keep_openai_uploads": True}}
    with ScriptedDaemon(tmp_path, HELD_STILL | config) as daemon:
        before = set(tmp_path.iterdir())
        for film in (
            "../../up.mkv",
            "/etc/passwd",
            "..",
            ".hidden.mkv",
            "д" * 200,
            "C:\\a.avi",
            "%",
        ):
            query = {"encode": "false", "video_file": film}
            assert send(Client(daemon), "/asr", recording(1), "x.mp3", **query).status == 200
        assert {path.name for path in daemon.shared.glob("*.wav")} == {
            "up.wav", "passwd.wav", "a.wav", "%.wav", "x.wav", "x (2).wav", "x (3).wav"
        }  # fmt: skip
        assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("path", ["/asr", "/detect-language"])
def test_what_is_wrong_is_said_in_our_form(api: Client, path: str) -> None:
    for content, name, query, status, words in [
        (b"", "", {"encode": "false"}, 415, "audio_file: has no sound"),
        (b"#EXTM3U\nhttp://x/y.mp3\n", "a.mp3", {}, 415, "audio_file: 'a.mp3' is no recording"),
        (recording(1), "a.mp3", {"encode": "perhaps"}, 422, "encode: must be true or false"),
    ]:
        reply = send(api, path, content, name, **query)
        assert (reply.status, reply.json["status"]) == (status, "error"), reply.text
        assert words in reply.json["message"]
    missing = api.ask("POST", path, form(language="ru"), {"Content-Type": FORM})
    assert missing.status == 422
    assert missing.json["message"].startswith("audio_file: is missing")


def test_wrong_values_name_the_parameter(api: Client) -> None:
    for query in ({"output": "docx"}, {"task": "sing"}, {"language": "klingon"},
                  {"max_speakers": "99"}):  # fmt: skip
        reply = send(api, "/asr", recording(1), **query)
        assert reply.status == 422
        assert reply.json["message"].startswith(f"{next(iter(query))}: ")


def test_what_fails_is_kept(tmp_path: Path) -> None:
    with ScriptedDaemon(tmp_path, HELD_STILL) as daemon:
        api = Client(daemon)
        for path in ("/asr", "/detect-language"):
            reply = send(api, path, recording(1), "talk notmedia.mp3")
            assert (reply.status, reply.error_code) == (422, "failed")
        assert (daemon.manual / "talk notmedia.mp3").exists()


def test_what_takes_too_long_is_503_and_goes_on(tmp_path: Path) -> None:
    config: dict[str, dict[str, Any]] = {"api": {"port": 0, "wait_seconds": 0.5}}
    with ScriptedDaemon(tmp_path, HELD_STILL | config) as daemon:
        reply = send(Client(daemon), "/asr", recording(10), "slow.mp3")
        assert (reply.status, reply.error_code) == (503, "timeout")
        assert daemon.wait_for_result("slow.mp3", SOON_S)


def test_who_leaves_takes_the_upload_along(api: Client) -> None:
    body = form(part('name="audio_file"; filename="slow.mp3"', recording(100)))
    head = f"POST /asr?output=srt HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\n"
    with closing(socket.create_connection(("127.0.0.1", api.port), timeout=30)) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        api.daemon.wait_for_position("slow.mp3", 10)
    until(lambda: everything(api.daemon) == set(), "all of it is removed", SOON_S)


def test_more_than_an_upload_may_have_is_refused_at_the_headers(tmp_path: Path) -> None:
    config: dict[str, dict[str, Any]] = {"api": {"port": 0, "max_upload_mb": 1}}
    with ScriptedDaemon(tmp_path, HELD_STILL | config) as daemon:
        api = Client(daemon)
        assert send(api, "/asr", recording(3), encode="false").status == 200
        reply = send(api, "/detect-language", bytes(4 * 2**20), encode="false")
        assert (reply.status, reply.error_code) == (413, "body_too_large")
