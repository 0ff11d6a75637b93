"""Finished recordings with what a page has to show: speakers, doubts, text that was left out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modules.recordings.shared_folder import identity_of
from tests.builders import SETTINGS

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
SPEECH = SAMPLES / "please-hold-ru.wav"
SPEECH_S = 6.6


def words(text: str, start: float, each_s: float, sure: float = 0.95) -> list[dict[str, Any]]:
    """A word after the other; one with an asterisk is doubtful."""
    found = []
    for number, word in enumerate(text.split()):
        at = start + number * each_s
        found.append(
            {
                "word": word.replace("*", ""),
                "start": round(at, 3),
                "end": round(at + 0.9 * each_s, 3),
                "confidence": 0.3 if "*" in word else sure,
            }
        )
    return found


def segment(
    text: str, start: float, each_s: float = 0.4, speaker: str | None = None
) -> dict[str, Any]:
    said = words(text, start, each_s)
    found = {
        "start": start,
        "end": said[-1]["end"],
        "text": text.replace("*", ""),
        "words": said,
        "flags": [],
    }
    return found | ({"speaker": speaker} if speaker else {})


def finish(
    shared: Path,
    name: str,
    segments: Sequence[dict[str, Any]],
    source: Path = SPEECH,
    dropped: Sequence[dict[str, Any]] = (),
    duration_s: float = SPEECH_S,
    warnings: Sequence[dict[str, Any]] = (),
) -> None:
    """Put a recording there with its result, as if the daemon had made it."""
    path = shared / name
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    shutil.copyfile(source, part)
    speakers = sorted({s["speaker"] for s in segments if "speaker" in s})
    doubtful = [w for s in segments for w in s["words"] if w["confidence"] < 0.5]
    result = {
        "filename": name,
        "job_id": "made",
        "processing_start": "2024-01-31T10:00:00.000Z",
        "processing_end": "2024-01-31T10:00:09.000Z",
        "duration_seconds": duration_s,
        "settings": SETTINGS.model_dump(),
        "source": identity_of(part).model_dump(),
        "outputs": [],
        "transcription": {"text": " ".join(s["text"] for s in segments), "segments": segments},
        "metadata": {
            "language": "ru",
            "word_count": sum(len(s["words"]) for s in segments),
            "flagged_seconds": 2.0 * len(doubtful),
            "speakers": speakers,
            "dropped": list(dropped),
            "notes": [],
            "warnings": list(warnings),
        },
        "processing_stats": {"total_attempts": 1},
    }
    text = json.dumps(result, ensure_ascii=False, indent=2)
    path.with_name(f"{path.name}.result").write_text(text, encoding="utf-8")
    part.rename(path)


#: Two voices, two doubtful places, a line that nobody said.
TALK = [
    segment("В данный момент все *операторы заняты.", 0.2, speaker="SPEAKER_00"),
    segment("Пожалуйста, оставайтесь на линии.", 2.8, speaker="SPEAKER_01"),
    segment("Ваш *вызов будет принят.", 4.8, speaker="SPEAKER_00"),
]
DROPPED = [{"start": 4.4, "end": 4.7, "text": "Продолжение следует...", "flags": ["filler"]}]


TALK_NAME = "Совещание 14 ноября.wav"


def talk(shared: Path, name: str = TALK_NAME) -> str:
    finish(shared, name, TALK, dropped=DROPPED)
    return name


def correct(shared: Path, name: str) -> None:
    """Corrections of an earlier transcript, of which one still fits."""
    ops = [
        {"id": key, "op": "words", "segment": "0", "from": 4, "to": 5, "was": [was],
         "now": [now], "span": [1.8, 2.2]}
        for key, was, now in (("a", "операторы", "Операторы"), ("b", "автоматы", "операторы"))
    ]  # fmt: skip
    log = {"format": 1, "transcript_sha256": "0" * 64, "ops": ops}
    (shared / f"{name}.edit.json").write_text(json.dumps(log), encoding="utf-8")
