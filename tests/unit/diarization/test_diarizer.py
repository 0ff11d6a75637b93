"""Clustering and timelines on made-up voices, and words given to speakers; no model, no sound."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modules.diarization.clustering import Floats, Speech, timeline, voices_of
from modules.diarization.diarizer import Diarized, Diarizer
from modules.diarization.turns import joined, named, windows
from modules.transcript.model import Segment, Turn, Word
from modules.transcript.speakers import with_speakers

SIZE = 192


def unit(rows: Floats) -> Floats:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def spoken(order: list[int], seed: int = 0) -> Floats:
    """A window's embedding for each speaker in ``order``: alike by 0.6 within one speaker."""
    chance = np.random.default_rng(seed)
    voices = unit(chance.normal(size=(max(order) + 1, SIZE)))
    noise = unit(chance.normal(size=(len(order), SIZE)))
    return unit(np.sqrt(0.6) * voices[order] + np.sqrt(0.4) * noise)


def labels(embeddings: Floats, voices: Floats) -> list[int]:
    return [int(label) for label in (embeddings @ voices.T).argmax(axis=1)]


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_the_number_of_speakers_is_found(count: int) -> None:
    order = [number % count for number in range(40 * count)]
    embeddings = spoken(order)

    voices = voices_of(embeddings)

    assert len(voices) == count
    pairs = set(zip(order, labels(embeddings, voices), strict=True))
    assert len(pairs) == count, "a speaker was split or two were mixed"


def test_a_recording_of_many_blocks_is_joined_across_them() -> None:
    order = [(number // 700) % 3 for number in range(4200)]

    assert len(voices_of(spoken(order))) == 3


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_given_number_of_speakers_is_kept(count: int) -> None:
    embeddings = spoken([0, 1, 2] * 30)

    assert len(voices_of(embeddings, count, count)) == count


def test_bounds_are_respected_and_no_more() -> None:
    embeddings = spoken([0, 1, 2] * 30)

    assert len(voices_of(embeddings, 1, 5)) == 3
    assert len(voices_of(embeddings, 1, 2)) == 2


def test_a_few_odd_windows_are_no_speaker() -> None:
    assert len(voices_of(spoken([0, 1] * 60 + [2, 3]))) == 2


def test_windows_in_which_both_speak_are_no_third_speaker() -> None:
    embeddings = spoken([0, 1] * 60)
    both = unit(embeddings[0:12:2] + embeddings[1:13:2])

    assert len(voices_of(np.concatenate([embeddings, both]))) == 2


def test_nothing_and_one_window() -> None:
    nothing = np.zeros((0, SIZE), dtype=np.float32)

    assert len(voices_of(nothing, 2, 2)) == 0
    assert timeline([], nothing, nothing) == []
    assert len(voices_of(spoken([0]), 2, 2)) == 1


def test_the_same_input_gives_the_same_speakers() -> None:
    embeddings = spoken([0, 1, 2] * 50)

    assert np.array_equal(voices_of(embeddings), voices_of(embeddings.copy()))


def test_the_timeline_changes_speaker_where_the_windows_do() -> None:
    embeddings = spoken([0] * 8 + [1] * 8)
    centres = tuple(0.75 + 0.75 * number for number in range(16))
    stretch = Speech(0.0, 12.75, 0, 16, centres)

    found = timeline([stretch], embeddings, voices_of(embeddings, 2, 2))

    assert [round(end - start) for start, end, _ in found] == [6, 6]
    assert found[0][1] == pytest.approx(6.375, abs=0.3)
    assert found[-1][1] == 12.75


def test_a_stretch_too_short_for_a_voice_takes_its_neighbours() -> None:
    embeddings = spoken([0] * 4)
    centres = (0.75, 1.5, 2.25, 3.0)
    stretches = [Speech(0.0, 3.75, 0, 4, centres), Speech(4.0, 4.2, 4, 4, ())]

    found = timeline(stretches, embeddings, voices_of(embeddings))

    assert [speaker for _, _, speaker in found] == [0, 0]


def test_windows_cover_the_stretch() -> None:
    assert windows(0, 3_000) == []
    assert windows(100, 16_100) == [(100, 16_100)]
    assert windows(0, 40_000) == [(0, 24_000), (12_000, 36_000), (16_000, 40_000)]


def test_slips_and_short_pauses_do_not_break_a_turn() -> None:
    found = joined([(0.0, 2.0, 1), (2.3, 2.6, 0), (2.7, 5.0, 1), (6.0, 7.0, 1), (7.0, 9.0, 0)])

    assert found == [(0.0, 5.0, "1"), (6.0, 7.0, "1"), (7.0, 9.0, "0")]


def test_speakers_are_numbered_as_they_appear() -> None:
    found = named([(5.0, 6.0, "a"), (0.0, 1.0, "b"), (2.0, 3.0, "a")])

    assert [turn.speaker for turn in found] == ["SPEAKER_00", "SPEAKER_01", "SPEAKER_01"]
    assert [turn.start for turn in found] == [0.0, 2.0, 5.0]


# --- pyannote, scripted -------------------------------------------------------------------------


class Pipeline:
    """Stands for whisperx's: two speakers, in a table, after it told its progress."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def __call__(self, samples: Floats, **asked: Any) -> dict[str, list[Any]]:
        self.asked = {"samples": len(samples), **asked}
        asked["progress_callback"](50.0)
        return {"start": [2.0, 0.0], "end": [3.0, 1.0], "speaker": ["SPEAKER_00", "SPEAKER_01"]}


def by_pyannote(folder: Path, alive: Callable[[], bool]) -> tuple[Diarized | None, Pipeline]:
    (folder / "config.yaml").touch()
    diarizer = Diarizer(folder, "cpu")
    diarizer._pipeline = pipeline = Pipeline()
    found = diarizer.turns(
        lambda: iter([np.zeros(8, dtype=np.float32)] * 3), lambda samples: [], 2, 3, alive
    )
    return found, pipeline


def test_pyannote_is_used_where_it_lies_and_gets_the_whole_recording(tmp_path: Path) -> None:
    found, pipeline = by_pyannote(tmp_path, lambda: True)

    assert found == Diarized(turns((0, 1, "SPEAKER_00"), (2, 3, "SPEAKER_01")), "pyannote")
    assert pipeline.asked["samples"] == 24
    assert (pipeline.asked["min_speakers"], pipeline.asked["max_speakers"]) == (2, 3)


def test_pyannote_can_be_stopped_at_its_next_sign_of_progress(tmp_path: Path) -> None:
    answers = iter([True, True, True, False])

    found, pipeline = by_pyannote(tmp_path, lambda: next(answers))

    assert found is None
    assert pipeline.asked


# --- words ---------------------------------------------------------------------------------------


def said(text: str, words: list[tuple[str, float, float]]) -> Segment:
    return Segment(
        start=words[0][1] if words else 0.0,
        end=words[-1][2] if words else 4.0,
        text=text,
        avg_logprob=-0.3,
        confidence=0.1,
        words=tuple(Word(word=w, start=a, end=b, confidence=0.5) for w, a, b in words),
    )


def turns(*spans: tuple[float, float, str]) -> list[Turn]:
    return [Turn(start=start, end=end, speaker=speaker) for start, end, speaker in spans]


HELLO = said(
    "Hello there! «Good day, sir.»",
    [
        ("Hello", 0.0, 0.5),
        ("there!", 0.5, 1.0),
        ("«Good", 1.6, 2.0),
        ("day,", 2.0, 2.4),
        ("sir.»", 2.4, 3.0),
    ],
)


def test_a_segment_is_cut_where_the_speaker_changes() -> None:
    parts = list(with_speakers([HELLO], turns((0.0, 1.2, "A"), (1.5, 3.0, "B"))))

    assert [(p.text, p.speaker, p.start, p.end) for p in parts] == [
        ("Hello there!", "A", 0.0, 1.0),
        ("«Good day, sir.»", "B", 1.6, 3.0),
    ]
    assert [word.speaker for p in parts for word in p.words] == ["A", "A", "B", "B", "B"]
    assert [p.avg_logprob for p in parts] == [-0.3, -0.3]
    assert [p.confidence for p in parts] == [0.5, 0.5]


def test_text_without_spaces_is_cut_at_the_words_place() -> None:
    segment = said("你好再见", [("你好", 0.0, 1.0), ("再见", 1.5, 2.5)])

    parts = list(with_speakers([segment], turns((0.0, 1.2, "A"), (1.2, 3.0, "B"))))

    assert [part.text for part in parts] == ["你好", "再见"]


def test_one_speaker_leaves_the_segment_whole() -> None:
    (part,) = with_speakers([HELLO], turns((0.0, 5.0, "A")))

    assert part.text == HELLO.text
    assert part.confidence == HELLO.confidence
    assert part.speaker == "A"


def test_a_single_word_amid_a_flow_is_a_slip_but_not_between_pauses() -> None:
    flow = said("a b c", [("a", 0.0, 1.0), ("b", 1.0, 1.4), ("c", 1.4, 3.0)])
    pause = said("a b c", [("a", 0.0, 1.0), ("b", 1.5, 1.9), ("c", 2.4, 3.0)])
    spans = turns((0.0, 1.0, "A"), (1.0, 2.0, "B"), (2.0, 3.0, "A"))

    assert [part.text for part in with_speakers([flow], spans)] == ["a b c"]
    assert [part.text for part in with_speakers([pause], spans)] == ["a", "b", "c"]


def test_a_word_outside_all_turns_takes_the_near_turn_or_its_neighbours() -> None:
    segment = said("a b c", [("a", 0.0, 1.0), ("b", 1.4, 1.8), ("c", 9.0, 9.5)])

    (part,) = with_speakers([segment], turns((0.0, 1.0, "A")))

    assert [word.speaker for word in part.words] == ["A", "A", "A"]


def test_a_segment_far_from_all_turns_has_no_speaker() -> None:
    (part,) = with_speakers([HELLO], turns((60.0, 70.0, "A")))

    assert part == HELLO


def test_a_segment_without_words_takes_who_speaks_most_in_it() -> None:
    segment = said("Something.", [])

    (part,) = with_speakers([segment], turns((0.0, 1.0, "A"), (1.0, 4.0, "B")))

    assert part.speaker == "B"
    assert part.text == "Something."


def test_words_that_are_not_in_the_text_do_not_cut_it() -> None:
    segment = HELLO.model_copy(update={"text": "Something else."})

    (part,) = with_speakers([segment], turns((0.0, 1.2, "A"), (1.5, 3.0, "B")))

    assert (part.text, part.speaker) == ("Something else.", "B")


def test_words_without_times_stay_with_the_word_before() -> None:
    words = (
        Word(word="Hello", start=0.0, end=1.0),
        Word(word="7"),
        Word(word="Bye", start=2, end=3),
    )
    segment = Segment(start=0.0, end=3.0, text="Hello 7 Bye", words=words)

    parts = list(with_speakers([segment], turns((0.0, 1.5, "A"), (1.6, 3.0, "B"))))

    assert [(part.text, part.start, part.end) for part in parts] == [
        ("Hello 7", 0.0, 1.0),
        ("Bye", 2.0, 3.0),
    ]


def test_without_turns_nothing_changes() -> None:
    assert list(with_speakers([HELLO], [])) == [HELLO]
