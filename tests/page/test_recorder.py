"""A browser's own recorder speaks Deepgram's protocol: the real Chromium, and human speech."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.page import browsing, made
from tests.page.browsing import address_of, program
from tests.scripted_daemon import ScriptedDaemon

#: What a page of somebody else does, to the letter: a recorder whose pieces go into the socket.
RECORDING = """async (kind) => {
  const stream = await navigator.mediaDevices.getUserMedia({audio: true});
  const recorder = new MediaRecorder(stream, {mimeType: kind});
  const socket = new WebSocket(`ws://${location.host}/v1/listen?interim_results=true`);
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", reject);
  });
  const told = [];
  const closed = new Promise(resolve => socket.addEventListener("close", resolve));
  const heard = new Promise(resolve => {
    socket.addEventListener("message", event => {
      const message = JSON.parse(event.data);
      told.push(message);
      const words = message.channel?.alternatives[0].transcript || "";
      if (words.includes("w4") || message.type === "Error") resolve();
    });
  });
  recorder.addEventListener("dataavailable", event => {
    if (event.data.size > 0 && socket.readyState === WebSocket.OPEN) socket.send(event.data);
  });
  recorder.start(250);
  await heard;
  const stopped = new Promise(resolve => recorder.addEventListener("stop", resolve));
  recorder.stop();
  await stopped;
  socket.send(JSON.stringify({type: "CloseStream"}));
  const {code} = await closed;
  return {told, code};
}"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path) as started:
        yield started


@pytest.mark.parametrize(
    "kind", ["audio/webm;codecs=opus", "audio/webm;codecs=pcm", "audio/mp4;codecs=opus"]
)
def test_what_a_browser_records_is_heard_while_it_does(
    daemon: ScriptedDaemon, playwright: Any, kind: str
) -> None:
    chromium = playwright.chromium.launch(
        executable_path=program(),
        args=[
            "--no-sandbox", "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={made.SPEECH}",
        ],
    )  # fmt: skip
    try:
        context = chromium.new_context(permissions=["microphone"])
        context.set_default_timeout(browsing.PATIENCE_MS)
        page = context.new_page()
        page.goto(f"{address_of(daemon)}/")
        if not page.evaluate("kind => MediaRecorder.isTypeSupported(kind)", kind):
            pytest.skip(f"this Chromium records no {kind}")
        found = page.evaluate(RECORDING, kind)
    finally:
        chromium.close()
    errors = [each for each in found["told"] if each["type"] == "Error"]
    assert (found["code"], errors) == (1000, [])
    finals = [each for each in found["told"] if each["type"] == "Results" and each["is_final"]]
    text = " ".join(each["channel"]["alternatives"][0]["transcript"] for each in finals)
    assert text.split()[:5] == ["w0", "w1", "w2", "w3", "w4"]
    [stored] = daemon.shared.glob("*.wav")
    with wave.open(str(stored)) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
    assert len(samples) / 16_000 == pytest.approx(found["told"][-1]["duration"], abs=0.01)
    assert float(np.abs(samples.astype(float)).mean()) > 100, "it is silence"
