"""Two checkouts on the same speech: are texts, word times and confidence no worse, at what cost?

    git worktree add ../before HEAD~3
    python -m benchmarks.accuracy_turns --before ../before [--prompts 100] [--sentences 100]

The sets of ``benchmarks.accuracy``, each copied at once to a warm daemon of one checkout, then to
one of the other, and with the next set the other way round. Intervals are as there, paired. Both
use the packages and weights of this checkout. 20 minutes with the defaults on two quiet cores.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.accuracy_tables import confidence_table, errors_table, times_rows, times_table
from benchmarks.bench import by_daemon
from benchmarks.bench_report import Taken
from benchmarks.confidence import reliability
from benchmarks.figures import Heard, clusters_of, shares_of, times_of, word_errors
from benchmarks.hearing import HeardWord, words_of
from benchmarks.measure import computing, end_in_order, require_everything, table
from benchmarks.speech_sets import LANGUAGES, Sizes, SpeechSet, speech_sets
from modules.transcript.model import Segment
from tests.daemon_process import PROJECT, DaemonProcess

Row = tuple[str, ...]
NAMES = ("after", "before")
COST_HEADINGS = ("cost", "wall before", "after", "ratio", "CPU before", "after", "ratio")


def heard_by(daemon: DaemonProcess, speech: SpeechSet) -> tuple[Taken, list[list[HeardWord]]]:
    """A whole set, copied at once."""
    names = [f"{speech.title} {number:03}.wav" for number in range(len(speech.recordings))]
    paths = dict(zip(names, (recording.path for recording in speech.recordings), strict=True))
    taken, _ = by_daemon(daemon, paths)
    results = (daemon.wait_for_result(name) for name in names)
    heard = (it["transcription"]["segments"] for it in results)
    found = ([Segment.model_validate(segment) for segment in segments] for segments in heard)
    return taken, [words_of(segments, speech.language) for segments in found]


def heard_by_both(before: Path, sets: Sequence[SpeechSet]) -> tuple[list[list[Heard]], list[Row]]:
    """What each side heard, with the other's words as theirs, and the rows of the costs."""
    found: list[list[Heard]] = [[], []]
    costs: list[Row] = []
    for language in LANGUAGES:
        with tempfile.TemporaryDirectory() as scratch, ExitStack() as open_:
            config = {"whisperx": {"language": language}}
            daemons = [
                open_.enter_context(DaemonProcess(Path(scratch) / name, config, project=project))
                for name, project in (("before", before), ("after", PROJECT))
            ]
            for daemon in daemons:
                daemon.wait_until_warm()
            for number, speech in enumerate(it for it in sets if it.language == language):
                turn = [(side, heard_by(daemons[side], speech)) for side in _order(number)]
                taken, words = zip(*(heard for _, heard in sorted(turn)), strict=True)
                costs.append(_cost(speech.title, *taken))
                print("  ".join(costs[-1]), flush=True)
                for side in (0, 1):
                    theirs = [[word.word for word in each] for each in words[1 - side]]
                    found[side].append(Heard(speech, words[side], theirs))
    return found, costs


def _order(number: int) -> tuple[int, int]:
    return (0, 1) if number % 2 else (1, 0)


def _cost(title: str, before: Taken, after: Taken) -> Row:
    return (
        title,
        f"{before.wall_s:.1f} s", f"{after.wall_s:.1f} s", f"{after.wall_s / before.wall_s:.3f}",
        f"{before.cpu_s:.1f} s", f"{after.cpu_s:.1f} s", f"{after.cpu_s / before.cpu_s:.3f}",
    )  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--before", type=Path, required=True, help="the other checkout")
    parser.add_argument("--prompts", type=int, default=100, help="in each of their four sets")
    parser.add_argument("--sentences", type=int, default=100, help="of prose, one in a file")
    parser.add_argument("--minutes", type=float, default=10, help="of each joined one; 0: none")
    parser.add_argument("--limit", type=int, help="recordings in a set, for a quick look")
    options = parser.parse_args()
    end_in_order()
    require_everything()
    print(computing())
    sizes = Sizes(options.prompts, options.sentences, options.minutes, options.limit)
    found, costs = heard_by_both(options.before.resolve(), speech_sets(sizes))
    after = found[1]
    print(f"\n{errors_table(after, [word_errors(heard) for heard in after], NAMES)}\n")
    print(f"{table([COST_HEADINGS, *costs])}\n")
    for name, heard in zip(("before", "after"), found, strict=True):
        rows = [row for it in heard for row in times_rows(it.speech.title, times_of(it))]
        clusters = [cluster for it in heard for cluster in clusters_of(it)]
        print(f"{name}\n{times_table(rows)}\n")
        print(f"{confidence_table(reliability(clusters), shares_of(clusters))}\n")


if __name__ == "__main__":
    main()
