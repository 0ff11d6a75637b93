"""With the real model: most of a session's text is there when it ends, and it is the file's."""

from __future__ import annotations

import re
import shutil
import wave
from typing import Any

import pytest

from tests.daemon_process import DaemonProcess, text_of
from tests.live_client import Live
from tests.speech import asterisk_prompts, require_speech, word_error_rate
from tests.speech import joined as one_clip

pytestmark = pytest.mark.acceptance

#: A chunk, what is looked at behind it, and the half minute that its loudness depends on.
UNCERTAIN_S = 31.0 + 31.0
PATIENCE_S = 600.0
NEARLY_RIGHT = 0.5
#: Between two prompts, so that they are chunks of their own, and quickly done.
GAP_S = 5.5


def without_times(result: dict[str, Any]) -> dict[str, Any]:
    """What does not differ from run to run, nor from file to file."""
    aside = {
        "filename", "job_id", "source", "outputs", "processing_start", "processing_end",
        "processing_time_seconds", "processing_stats",
    }  # fmt: skip
    kept = {key: value for key, value in result.items() if key not in aside}
    return {**kept, "outputs_sha256": list(kept["outputs_sha256"].values())}


def finished_s(daemon: DaemonProcess) -> float:
    """How much of the only session is finished."""
    files = list((daemon.shared / ".transcriber" / "live").glob("*.checkpoint"))
    ends = re.findall(rb'"position_s":([0-9.]+)', files[0].read_bytes()) if files else []
    return max(map(float, ends), default=0.0)


@pytest.mark.parametrize("language", ["ru", "auto"])
def test_most_is_done_before_the_end_and_the_result_is_that_of_the_file(
    russian: DaemonProcess, language: str
) -> None:
    require_speech()
    clip = one_clip(asterisk_prompts("ru", wideband=True), 180, gap_s=GAP_S)
    with wave.open(str(clip.path)) as file:
        rate, samples = file.getframerate(), file.readframes(file.getnframes())
    length_s = len(samples) / 2 / rate
    assert length_s > 2 * UNCERTAIN_S
    with Live(russian) as live:
        live.begin(language=language, rate=rate, name=f"growing {language}")
        live.send(samples)
        sure_s = length_s - UNCERTAIN_S - 30
        russian.wait_for(lambda: finished_s(russian) >= sure_s, "most was done", PATIENCE_S)
        live.say("stop")
        stored = live.wait_for("stored")
    name = stored["recording"]
    result = russian.wait_for_result(name)
    found = re.search(
        rf"{re.escape(name)}: going on from the checkpoint at ([0-9.]+) s", russian.log
    )
    assert found
    assert float(found[1]) >= sure_s
    assert word_error_rate(clip.text, text_of(result)) <= NEARLY_RIGHT
    dropped_name = f"dropped {language}.wav"
    (russian.shared / f"{dropped_name}.settings.yaml").write_text(f"language: {language}\n")
    shutil.copyfile(russian.shared / name, russian.shared / dropped_name)
    dropped = russian.wait_for_result(dropped_name)
    assert without_times(dropped) == without_times(result)
