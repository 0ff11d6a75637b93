"""The warm daemon, the ``whisperx`` command and faster-whisper's batches, in one run.

    python -m benchmarks.bench [--json FILE] [--picture FILE]
    python -m benchmarks.bench --lengths 10 --repeats 1 --messages 3          # a quick look

All use the same weights (base), int8, beam 5 and Russian, on read prose joined to several lengths;
the daemon and the batches make word times as well. They take turns, and every ratio is that of one
turn, so that a busy moment of the machine meets both. What is measured of each:

- the daemon, its model loaded: from the end of the copy to the ``.result``;
- the command as a user calls it (see ``whisperx_command``), imports and model included;
- the batches (see ``batched``), from the moment that the model is loaded: imports do not count.

Memory is the sum of PSS, so that pages shared by several processes count once. The idle daemon
stays meanwhile, so libraries that the others share with it count half for them.

Then voice messages: clips of 5 to 15 s, copied into the folder at once, by a daemon without and one
with ``fast_mode``, against a shell loop over the command: measured on a few, scaled to all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.bench_report import (
    MESSAGES,
    TITLES,
    Runs,
    Taken,
    Trial,
    as_json,
    draw,
    goal_rows,
    goals,
    rows,
    scaled,
    units_heard,
)
from benchmarks.measure import (
    PSS_SAMPLE_S,
    PeakMemory,
    computing,
    cpu_s,
    cpu_s_of_ended,
    end_in_order,
    proportional_mb,
    require_bytecode,
    require_everything,
    seconds_to_results,
    started_besides,
    table,
    tree,
)
from benchmarks.whisperx_command import PROGRAM, WhisperxCommand
from modules.config.schema import WhisperxConfig
from tests.daemon_process import MODELS, PROJECT, DaemonError, DaemonProcess, text_of
from tests.speech import Clip, festvox_russian, joined, spread

#: Stages are shown for lengths up to this one.
STAGES_MOST_S = 600
TIMEOUT_S = 3600.0
LENGTHS_S = (10, 60, 600, 3600)
#: How often: from this length on so many times.
REPEATS = ((3600, 1), (600, 2), (60, 3), (0, 5))
MESSAGE_S = (5.0, 15.0)
MESSAGES_IN_THE_LOOP = 5
ROUNDS = 2
PACKAGES = ("whisperx", "faster-whisper", "ctranslate2", "torch")
FAST: dict[str, dict[str, object]] = {"whisperx": {"fast_mode": True}}

#: What it took, and the texts.
Go = tuple[Taken, list[str]]


# --- one go of each ------------------------------------------------------------------------------


def by_daemon(daemon: DaemonProcess, recordings: Mapping[str, Path]) -> Go:
    """From the end of the last copy to the last result, under these names."""
    processes, began_s = partial(tree, daemon.pid), cpu_s(tree(daemon.pid))
    with PeakMemory(processes) as rss, PeakMemory(processes, proportional_mb, PSS_SAMPLE_S) as pss:
        wall_s = seconds_to_results(daemon, recordings, TIMEOUT_S)
        used_s = cpu_s(processes()) - began_s
    texts = [text_of(daemon.wait_for_result(name)) for name in recordings]
    return Taken(wall_s, used_s, pss.peak_mb, rss.peak_mb), texts


def by_command(command: WhisperxCommand, daemon: DaemonProcess, recording: Path) -> Go:
    """All of one call."""
    processes, began_s = partial(started_besides, daemon.pid), cpu_s_of_ended()
    with PeakMemory(processes, proportional_mb, PSS_SAMPLE_S) as pss:
        run = command.transcribe([recording], "ru")
    used_s = cpu_s_of_ended() - began_s
    return Taken(run.seconds, used_s, pss.peak_mb, run.peak_mb), run.texts


def by_batches(daemon: DaemonProcess, recording: Path) -> Go:
    """Without imports and model, but for the memory; the whole process is measured beside it."""
    weights = MODELS / "faster-whisper-base"
    command = [sys.executable, "-m", "benchmarks.batched", str(weights), str(recording)]
    processes, began = partial(started_besides, daemon.pid), time.monotonic()
    with PeakMemory(processes) as rss, PeakMemory(processes, proportional_mb, PSS_SAMPLE_S) as pss:
        done = subprocess.run(  # nosec B603 # our own words, no shell
            command, cwd=PROJECT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        process_s = time.monotonic() - began
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    said = json.loads(done.stdout.splitlines()[-1])
    taken = Taken(said["seconds"], said["cpu_seconds"], pss.peak_mb, rss.peak_mb, process_s)
    return taken, [said["text"]]


def told(what: str, go: Callable[[], Go]) -> Go:
    """Print what it took; where it fails, end the program with a sentence that names it."""
    try:
        taken, texts = go()
    except (DaemonError, SystemExit, OSError, subprocess.SubprocessError) as error:
        raise SystemExit(f"{what} failed: {error}") from error
    print(f"  {what}: {taken.wall_s:.2f} s, {taken.pss_mb:.0f} MB", flush=True)
    return taken, texts


# --- recordings of several lengths ---------------------------------------------------------------


def lengths(
    scratch: Path, command: WhisperxCommand, wanted_s: Sequence[int], repeats: int | None
) -> list[Trial]:
    """All contenders on a recording of each length, with one daemon that stays."""
    clips = {seconds: read_prose(seconds) for seconds in wanted_s}
    if not clips:
        return []
    with DaemonProcess(scratch / "daemon") as daemon:
        daemon.wait_until_warm()
        return [
            _length(daemon, command, f"{seconds}", clip, repeats or usual_repeats(seconds))
            for seconds, clip in clips.items()
        ]


def read_prose(seconds: int) -> Clip:
    """Joined sentences of about that length, or one sentence where that comes closer."""
    sentences = festvox_russian()
    return min([joined(sentences, seconds), *sentences], key=lambda c: abs(c.duration_s - seconds))


def usual_repeats(seconds: int) -> int:
    """Short ones are done often, as a busy moment of the machine weighs more there."""
    return next(repeats for least_s, repeats in REPEATS if seconds >= least_s)


def _length(
    daemon: DaemonProcess, command: WhisperxCommand, key: str, clip: Clip, repeats: int
) -> Trial:
    title = f"{clip.duration_s:.0f} s"
    goes: dict[str, list[Go]] = {"daemon": [], "command": [], "batched": []}
    for number in range(repeats):
        turn = {
            "daemon": partial(by_daemon, daemon, {f"{key}-{number}.wav": clip.path}),
            "command": partial(by_command, command, daemon, clip.path),
            "batched": partial(by_batches, daemon, clip.path),
        }
        for who, go in turn.items():
            goes[who].append(told(f"{title}, turn {number + 1} of {repeats}, {TITLES[who]}", go))
    if command.stands_in:
        print(f"  {title}: the stand-in for ffmpeg takes {command.decoding_s(clip.path):.2f} s")
    return Trial(
        key,
        title,
        clip.duration_s,
        {who: _runs(done, [clip], joined_one=True) for who, done in goes.items()},
    )


def _runs(goes: Sequence[Go], clips: Sequence[Clip], joined_one: bool = False) -> Runs:
    units = [
        unit
        for clip, text in zip(clips, goes[-1][1], strict=True)
        for unit in units_heard(clip.text, text, joined_one)
    ]
    return Runs(tuple(taken for taken, _ in goes), tuple(units))


# --- voice messages ------------------------------------------------------------------------------


def messages(scratch: Path, command: WhisperxCommand, count: int, rounds: int) -> Trial:
    """Many short ones at once, without and with ``fast_mode``, against a loop over the command."""
    clips = voice_messages(count)
    names = {f"message-{number:04}.wav": clip.path for number, clip in enumerate(clips)}
    title = f"{count} voice messages"
    goes: dict[str, list[Go]] = {"daemon": [], "fast": []}
    loop = []
    for number in range(rounds):
        turn = f"{title}, round {number + 1} of {rounds}"
        if knows_fast_mode():
            with DaemonProcess(scratch / f"fast-{number}", FAST) as daemon:
                daemon.wait_until_warm()
                goes["fast"].append(told(f"{turn}, fast_mode", partial(by_daemon, daemon, names)))
        with DaemonProcess(scratch / f"usual-{number}") as daemon:
            daemon.wait_until_warm()
            goes["daemon"].append(told(f"{turn}, warm daemon", partial(by_daemon, daemon, names)))
            loop.append(_loop(turn, command, daemon, clips))
    runs = {who: _runs(done, clips) for who, done in goes.items() if done}
    return Trial(
        MESSAGES, title, sum(c.duration_s for c in clips), runs | {"command": Runs(tuple(loop))}
    )


def _loop(
    turn: str, command: WhisperxCommand, daemon: DaemonProcess, clips: Sequence[Clip]
) -> Taken:
    """A call for each of a few clips, from short to long, scaled to all."""
    by_length = sorted(clips, key=lambda clip: clip.duration_s)
    chosen = spread(by_length, min(MESSAGES_IN_THE_LOOP, len(clips)))
    calls = [
        told(
            f"{turn}, whisperx command, {number + 1} of {len(chosen)}",
            partial(by_command, command, daemon, clip.path),
        )
        for number, clip in enumerate(chosen)
    ]
    return scaled([taken for taken, _ in calls], len(clips))


def voice_messages(count: int) -> list[Clip]:
    """So many different sentences of 5 to 15 s."""
    least_s, most_s = MESSAGE_S
    found = [clip for clip in festvox_russian() if least_s <= clip.duration_s <= most_s]
    if count > len(found):
        raise SystemExit(f"--messages: there are {len(found)} clips of that length, not {count}")
    return spread(found, count)


def knows_fast_mode() -> bool:
    """Whether this version of the program has the setting."""
    return "fast_mode" in WhisperxConfig.model_fields


# --- the whole -----------------------------------------------------------------------------------


def main() -> None:
    """Measure and print."""
    options = _options()
    end_in_order()
    require_everything()
    require_bytecode(("torch", "transformers", "whisperx"))
    began, load = time.monotonic(), os.getloadavg()
    if options.messages and not knows_fast_mode():
        print("whisperx.fast_mode is not known to this version: it is left out.")
    with tempfile.TemporaryDirectory() as scratch:
        command = WhisperxCommand(options.command, options.vad_method, Path(scratch))
        trials = lengths(Path(scratch), command, options.lengths, options.repeats)
        if options.messages:
            rounds = min(ROUNDS, options.repeats or ROUNDS)
            trials.append(messages(Path(scratch), command, options.messages, rounds))
    about = machine(load, time.monotonic() - began)
    print(f"\n{table(rows(trials))}\n\n{table(goal_rows(goals(trials)))}\n\n{in_words(about)}")
    show_stages(options.lengths)
    if options.json:
        text = json.dumps(as_json(trials, about), indent=2, ensure_ascii=False)
        options.json.write_text(text + "\n", encoding="utf-8")
    if options.picture:
        draw(trials, options.picture)


def show_stages(lengths_s: Sequence[int]) -> None:
    """Print what encoder, decoder, words and the rest take of each length."""
    chosen = ",".join(str(seconds) for seconds in lengths_s if seconds <= STAGES_MOST_S)
    command = [sys.executable, "-m", "benchmarks.profile", "--lengths", chosen]
    if chosen:
        subprocess.run(command, cwd=PROJECT, timeout=TIMEOUT_S, check=True)  # nosec B603 # our own


def machine(load_at_start: Sequence[float], seconds: float) -> dict[str, Any]:
    """What the figures depend on besides the program."""
    return {
        "cores": os.cpu_count(),
        "computing": computing(),
        "load_at_start": [round(value, 2) for value in load_at_start],
        "load_at_end": [round(value, 2) for value in os.getloadavg()],
        "minutes": round(seconds / 60, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
    }


def in_words(about: Mapping[str, Any]) -> str:
    """The same to read."""
    loads = " and ".join(
        ", ".join(f"{value:.1f}" for value in about[key])
        for key in ("load_at_start", "load_at_end")
    )
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return (
        f"{about['cores']} cores, {about['system']}, {about['computing']}; "
        f"load at the start and at the end {loads}; {about['minutes']} minutes in all.\n{versions}."
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    usual = ",".join(map(str, LENGTHS_S))
    parser.add_argument(
        "--lengths", type=_lengths, default=usual, help=f"seconds; default: {usual}"
    )
    parser.add_argument("--repeats", type=_positive, help="of each length; default: by length")
    parser.add_argument("--messages", type=int, default=100, help="voice messages; 0: none")
    parser.add_argument("--command", default=str(PROGRAM), help=f"default: {PROGRAM}")
    parser.add_argument("--vad-method", default="pyannote", help="the command's; pyannote, silero")
    parser.add_argument("--json", type=_new_file, metavar="FILE", help="write the figures there")
    parser.add_argument("--picture", type=_new_file, metavar="FILE", help="draw them there")
    options = parser.parse_args()
    if not options.lengths and not options.messages:
        parser.error("there is nothing to measure")
    return options


def _lengths(text: str) -> list[int]:
    return [_positive(part) for part in text.split(",") if part]


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _new_file(text: str) -> Path:
    """Found wrong at once, and not after the better part of an hour."""
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path.parent}")
    return path


if __name__ == "__main__":
    main()
