"""Word error rates at several temperatures, through the daemon: which one should be shipped?

    python -m benchmarks.temperature [--prompts 40] [--minutes 10] [--temperatures 0 0.1]

Telephone prompts in Russian and English, all of them unless a number is given, and read Russian
prose. About half an hour for everything on two cores.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.measure import end_in_order, require_everything, table
from tests.acceptance.scores import total_word_error_rate
from tests.daemon_process import DaemonProcess, text_of
from tests.speech import Clip, Language, asterisk_prompts, festvox_russian, joined

TIMEOUT_S = 3600.0
LANGUAGES: tuple[Language, ...] = ("ru", "en")


def heard(language: Language, temperature: float, clips: dict[str, Clip]) -> dict[str, str]:
    """The texts of the recordings, by a daemon that is set so."""
    config = {"whisperx": {"language": language, "temperature": temperature}}
    with tempfile.TemporaryDirectory() as scratch, DaemonProcess(Path(scratch), config) as daemon:
        daemon.wait_until_warm()
        for name, clip in clips.items():
            daemon.put(clip.path, name)
        return {name: text_of(daemon.wait_for_result(name, TIMEOUT_S)) for name in clips}


def measure(
    temperature: float, sets: dict[tuple[Language, str], dict[str, Clip]]
) -> dict[str, tuple[float, float]]:
    """Word error rate and seconds for each set of recordings, by its title."""
    figures = {}
    for (language, title), clips in sets.items():
        began = time.monotonic()
        texts = heard(language, temperature, clips)
        wrong = total_word_error_rate((clips[name].text, texts[name]) for name in clips)
        figures[title] = wrong, time.monotonic() - began
        print(f"  temperature {temperature}, {title}: {wrong:.2%}", flush=True)
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--prompts", type=int, help="of each language; default: all")
    parser.add_argument("--minutes", type=float, default=10, help="of prose; 0 for none")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.0, 0.1])
    options = parser.parse_args()
    end_in_order()
    require_everything()
    sets = _sets(options.prompts, options.minutes)
    figures = {t: measure(t, sets) for t in options.temperatures}
    rows = [("word error rate", *(f"temperature {t}" for t in figures))]
    for _, title in sets:
        cells = [f"{figures[t][title][0]:.2%} in {figures[t][title][1]:.0f} s" for t in figures]
        rows.append((title, *cells))
    print(f"\n{table(rows)}\n\nThe times include the loading of the model.")


def _sets(prompts: int | None, minutes: float) -> dict[tuple[Language, str], dict[str, Clip]]:
    sets: dict[tuple[Language, str], dict[str, Clip]] = {}
    for language in LANGUAGES:
        clips = asterisk_prompts(language, prompts)
        named = {f"{i:03}-{clip.path.name}": clip for i, clip in enumerate(clips)}
        sets[language, f"{len(clips)} prompts, {language}"] = named
    if minutes:
        prose = joined(festvox_russian(), minutes * 60)
        sets["ru", f"{prose.duration_s / 60:.1f} min of prose, ru"] = {"prose.wav": prose}
    return sets


if __name__ == "__main__":
    main()
