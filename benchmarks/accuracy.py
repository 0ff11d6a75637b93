"""How right the texts, the times and the confidence are, against the ``whisperx`` command.

    python -m benchmarks.accuracy [--json FILE] [--picture FILE]
    python -m benchmarks.accuracy --limit 3 --minutes 1                # a quick look
    python -m benchmarks.accuracy --prompts 120 --sentences 200        # an hour

Human speech from Debian's packages: telephone prompts in Russian and English at 16 and 8 kHz,
read Russian prose, and two long recordings joined from these with pauses of 0.7 s. The daemon's
own worker and the command transcribe it with the same weights (base), int8, beam 5, temperature
0, the language given; each finds speech in its own way (Silero, pyannote). Both texts are
normalised alike (``spoken``), and numbers are put in words.

The intervals are 95 % bootstrap intervals over recordings, paired for the difference. A long
recording cannot be drawn in recordings: its words are aligned with the reference, and blocks of
about 50 reference words are drawn. Word times are compared with the labels of festvox-ru (see
``phones``), only for words that were heard right. About 20 minutes on two quiet cores: every
recording costs both of them some seconds, however short it is.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import confidence
from benchmarks.accuracy_tables import (
    confidence_table,
    errors_table,
    times_rows,
    times_table,
    verdict,
)
from benchmarks.figures import Heard, clusters_of, shares_of, times_of, word_errors
from benchmarks.hearing import HeardWord, OwnWorker, words_of
from benchmarks.measure import computing, end_in_order, require_everything
from benchmarks.scores import Comparison
from benchmarks.speech_sets import LANGUAGES, Sizes, SpeechSet, speech_sets
from benchmarks.spoken import spoken
from benchmarks.whisperx_command import PROGRAM, WhisperxCommand


def heard_by_us(sets: Sequence[SpeechSet]) -> dict[str, list[list[HeardWord]]]:
    """The words of the daemon's worker for each recording of each set, by the set's title."""
    found = {}
    with OwnWorker() as worker:
        for speech in sets:
            began = time.monotonic()
            found[speech.title] = [
                words_of(worker.segments(recording.path, speech.language), speech.language)
                for recording in speech.recordings
            ]
            _progress("ours", speech.title, len(speech.recordings), began)
    return found


def heard_by_command(sets: Sequence[SpeechSet], program: str) -> dict[str, list[list[str]]]:
    """The same for the ``whisperx`` command, which is called once for each language."""
    found: dict[str, list[list[str]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        command = WhisperxCommand(program, "pyannote", Path(scratch))
        for language in LANGUAGES:
            began = time.monotonic()
            chosen = [speech for speech in sets if speech.language == language]
            links = _links(chosen, Path(scratch) / language)
            texts = iter(command.transcribe(links, language).texts)
            for speech in chosen:
                found[speech.title] = [
                    spoken(next(texts), language).split() for _ in speech.recordings
                ]
            _progress("whisperx command", f"all sets {language}", len(links), began)
    return found


def _links(sets: Sequence[SpeechSet], folder: Path) -> list[Path]:
    """Every recording of the sets under a name of its own: prompts share names."""
    folder.mkdir()
    recordings = [recording for speech in sets for recording in speech.recordings]
    links = [folder / f"{number:04}.wav" for number in range(len(recordings))]
    for link, recording in zip(links, recordings, strict=True):
        link.symlink_to(recording.path)
    return links


def _progress(who: str, what: str, recordings: int, began: float) -> None:
    seconds = time.monotonic() - began
    print(f"  {who}: {what}, {recordings} recordings in {seconds:.0f} s", flush=True)


def main() -> None:
    """Measure and print."""
    options = _options()
    end_in_order()
    require_everything()
    began = time.monotonic()
    sizes = Sizes(options.prompts, options.sentences, options.minutes, options.limit)
    sets = speech_sets(sizes)
    ours, theirs = heard_by_us(sets), heard_by_command(sets, options.command)
    results = [Heard(speech, ours[speech.title], theirs[speech.title]) for speech in sets]
    report = _report(results, options.picture)
    report["computing"] = computing()
    report["seconds"] = round(time.monotonic() - began, 1)
    print(f"\n{report['computing']}; {report['seconds'] / 60:.1f} minutes in all.")
    if options.json:
        text = json.dumps(report, indent=2, ensure_ascii=False)
        options.json.write_text(text + "\n", encoding="utf-8")


def _report(results: Sequence[Heard], picture: Path | None) -> dict[str, Any]:
    """Print all tables and draw the picture; the same figures for the JSON."""
    comparisons = [word_errors(heard) for heard in results]
    rows = [row for heard in results for row in times_rows(heard.speech.title, times_of(heard))]
    clusters = [cluster for heard in results for cluster in clusters_of(heard)]
    bins, shares = confidence.reliability(clusters), shares_of(clusters)
    print(f"\n{errors_table(results, comparisons)}\n\n{times_table(rows)}")
    print(f"\n{confidence_table(bins, shares)}")
    if picture:
        confidence.draw(bins, picture)
    return {
        "sets": [_set_json(*pair) for pair in zip(results, comparisons, strict=True)],
        "word_times": rows,
        "confidence_tenths": [asdict(share) for share in bins],
        "right": {kind: asdict(share) for kind, share in shares.items()},
    }


def _set_json(heard: Heard, comparison: Comparison) -> dict[str, Any]:
    texts = zip(heard.said, heard.ours, heard.theirs, strict=True)
    return {
        "title": heard.speech.title,
        "words": sum(map(len, heard.said)),
        **asdict(comparison),
        "verdict": verdict(comparison),
        "texts": [
            {
                "said": " ".join(said),
                "ours": " ".join(word.word for word in own),
                "whisperx": " ".join(other),
            }
            for said, own, other in texts
        ],
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--prompts", type=int, default=40, help="in each of their four sets")
    parser.add_argument("--sentences", type=int, default=60, help="of prose, one in a file")
    parser.add_argument("--minutes", type=float, default=10, help="of each joined one; 0: none")
    parser.add_argument("--limit", type=int, help="recordings in a set, for a quick look")
    parser.add_argument("--command", default=str(PROGRAM), help=f"default: {PROGRAM}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the confidence there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
