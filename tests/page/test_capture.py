"""The microphone's sound in the audio thread of the real Chromium, at sound devices' rates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.scripted_daemon import ScriptedDaemon

TONE_HZ = 440
#: What the worklet sends for a second of a tone in each channel, half as loud as it can be.
HEARD = """async ([rate, channels, gain]) => {
  const context = new OfflineAudioContext({ length: rate, sampleRate: rate });
  await context.audioWorklet.addModule("/static/capture.js");
  const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
  const pieces = [];
  capture.port.onmessage = ({ data }) => pieces.push([Array.from(data.samples), data.peak]);
  const tone = new OscillatorNode(context, { frequency: 440 });
  const merger = new ChannelMergerNode(context, { numberOfInputs: channels });
  const loudness = new GainNode(context, { gain });
  tone.connect(loudness);
  for (let i = 0; i < channels; i++) loudness.connect(merger, 0, i);
  merger.connect(capture);
  tone.start();
  await context.startRendering();
  for (let i = 0; pieces.length < 9 && i < 200; i++) await new Promise((go) => setTimeout(go, 50));
  return pieces;
}"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path) as started:
        yield started


def test_a_tone_is_sent_as_it_is(daemon: ScriptedDaemon, open_page: Any) -> None:
    page = open_page(daemon).page
    for rate in (8_000, 16_000, 22_050, 44_100, 48_000):
        for channels in (1, 2):
            pieces = page.evaluate(HEARD, [rate, channels, 0.5])
            assert {len(samples) for samples, _ in pieces} == {round(rate / 10)}
            sound = np.concatenate([samples for samples, _ in pieces])
            assert len(sound) >= 0.9 * rate
            times = np.arange(len(sound)) / rate
            wanted = 32_767 * 0.5 * np.sin(2 * np.pi * TONE_HZ * times)
            assert float(np.abs(sound - wanted).max()) < 200, (rate, channels)
            assert [peak for _, peak in pieces] == pytest.approx([0.5] * len(pieces), abs=0.01)


def test_what_is_too_loud_is_cut_and_does_not_wrap(daemon: ScriptedDaemon, open_page: Any) -> None:
    page = open_page(daemon).page
    pieces = page.evaluate(HEARD, [48_000, 1, 2.0])
    sound = np.concatenate([samples for samples, _ in pieces])
    assert (sound.min(), sound.max()) == (-32_767, 32_767)
    assert max(peak for _, peak in pieces) == 1
