"""What becomes of a long recording: memory, progress, a crash half-way, and an urgent one.

    python -m benchmarks.long_file [--minutes 30]

The recording is transcribed three times: undisturbed; with the daemon killed by SIGKILL half-way
and started again; and with a short recording put in with ``submit`` while it runs.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import PeakMemory, end_in_order, require_everything, table, tree
from tests.daemon_process import DaemonProcess, text_of
from tests.speech import Clip, asterisk_prompts, festvox_russian, joined, word_error_rate

URGENT_S = 10
#: At the latest; a quiet machine needs a fifteenth of the recording's length.
TIMEOUT_S = 3600.0
LIMIT_MB = 1800


@dataclass
class Watch:
    """What was seen of one run: when each percentage came, and the memory then, in MB."""

    seconds: float = 0.0
    peak_mb: float = 0.0
    steps: list[tuple[float, float, float]] = field(default_factory=list)


def undisturbed(daemon: DaemonProcess, clip: Clip) -> str:
    """Transcribe it in peace; returns the text."""
    name = daemon.put(clip.path, "undisturbed.wav")
    watch = Watch()
    result = _watched(daemon, name, watch)
    rows = [("after", "done", "memory of daemon and worker")]
    rows += [(f"{s:.1f} s", f"{p:.0f} %", f"{mb:.0f} MB") for s, p, mb in _some(watch.steps, 12)]
    wrong = word_error_rate(clip.text, text_of(result))
    print(f"\n1. Undisturbed: {watch.seconds:.1f} s, {len(watch.steps)} percentages seen.")
    print(table(rows))
    verdict = "under" if watch.peak_mb < LIMIT_MB else "OVER"
    print(f"Most memory: {watch.peak_mb:.0f} MB ({verdict} {LIMIT_MB}).")
    print(f"Word error rate: {wrong:.1%}.")
    return text_of(result)


def killed(daemon: DaemonProcess, clip: Clip, expected: str) -> None:
    """Kill the daemon half-way and start it again."""
    name = daemon.put(clip.path, "killed.wav")
    percentage = daemon.wait_until_half_done(name, TIMEOUT_S)["progress_info"]["percentage"]
    daemon.kill()
    print(f"\n2. The daemon was killed with SIGKILL at {percentage} % and started again.")
    daemon.start()
    result = daemon.wait_for_result(name, TIMEOUT_S)
    _say_how_it_went_on(daemon, name, result, expected)


def preempted(daemon: DaemonProcess, clip: Clip, urgent: Clip, expected: str) -> None:
    """Put a short one in with ``submit`` while the long one runs."""
    name = daemon.put(clip.path, "scanned.wav")
    daemon.wait_for(
        lambda: (
            (daemon.in_progress(name) or {}).get("progress_info", {}).get("percentage", 0) > 20
            or None
        ),
        f"{name} came to 20 %",
        TIMEOUT_S,
    )
    began = time.monotonic()
    print(f"\n3. {urgent.duration_s:.1f} s of speech, put in and ordered at 20 %:", flush=True)
    print(daemon.submit(daemon.put(urgent.path, "urgent.wav")).strip())
    short = daemon.wait_for_result("urgent.wav", TIMEOUT_S)
    seconds = time.monotonic() - began
    first = daemon.result(name) is None
    print(f"It was done {seconds:.1f} s later; first: {_yes(first)}.")
    print(f"It says: {text_of(short)}")
    _say_how_it_went_on(daemon, name, daemon.wait_for_result(name, TIMEOUT_S), expected)


def _watched(daemon: DaemonProcess, name: str, watch: Watch) -> dict[str, Any]:
    began = time.monotonic()
    with PeakMemory(lambda: tree(daemon.pid)) as memory:

        def look() -> dict[str, Any] | None:
            state = daemon.in_progress(name)
            if state is None:
                return daemon.result(name)
            percentage = state["progress_info"]["percentage"]
            if not watch.steps or watch.steps[-1][1] != percentage:
                step = (time.monotonic() - began, percentage, memory.latest_mb)
                watch.steps.append(step)
            return None

        result = daemon.wait_for(look, f"the result of {name}", TIMEOUT_S)
        watch.seconds = time.monotonic() - began
    watch.peak_mb = memory.peak_mb
    return result


def _say_how_it_went_on(
    daemon: DaemonProcess, name: str, result: dict[str, Any], expected: str
) -> None:
    for line in re.findall(rf".*{re.escape(name)}: (?:taken up|going on|attempt).*", daemon.log):
        print(f"The log: {line}")
    print(f"The text is that of the undisturbed run: {_yes(text_of(result) == expected)}.")
    print(f"Attempts: {result['processing_stats']['total_attempts']}.", flush=True)


def _yes(true: bool) -> str:
    return "yes" if true else "NO"


def _some(steps: list[tuple[float, float, float]], count: int) -> list[tuple[float, float, float]]:
    every = max(1, len(steps) // count)
    return steps[::every]


def main() -> None:
    """Show all three."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    minutes = parser.parse_args().minutes
    end_in_order()
    require_everything()
    clip = joined(festvox_russian(), minutes * 60)
    urgent = joined(asterisk_prompts("ru", wideband=True), URGENT_S)
    print(f"{clip.duration_s:.0f} s of read Russian, {clip.path.stat().st_size / 1e6:.0f} MB.")
    with tempfile.TemporaryDirectory() as scratch, DaemonProcess(Path(scratch)) as daemon:
        daemon.wait_until_warm()
        text = undisturbed(daemon, clip)
        killed(daemon, clip, text)
        preempted(daemon, clip, urgent, text)


if __name__ == "__main__":
    main()
