"""What the accuracy benchmark counts with: alignment, bootstrap, word times, confidence."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import word_times
from benchmarks.accuracy_tables import verdict
from benchmarks.confidence import Judged, Share, bin_of, draw, reliability, share_right, wilson
from benchmarks.figures import Heard, clusters_of, times_of, word_errors
from benchmarks.hearing import HeardWord, words_of
from benchmarks.phones import SpokenWord, class_of, moved, sounds_of, spoken_words, with_pauses
from benchmarks.scores import Interval, aligned, blocks, compared, rate, units_of
from benchmarks.speech_sets import Recording, SpeechSet
from benchmarks.spoken import spoken
from modules.transcript.model import Segment, Word
from tests.speech import Language, Phone

# --- alignment and bootstrap ---------------------------------------------------------------------


def test_each_error_is_charged_to_a_word_of_the_reference() -> None:
    found = aligned("a b c d".split(), "x a b q d".split())
    assert found.errors == (1, 0, 1, 0)
    assert found.pairs == ((0, 1), (1, 2), (3, 4))


def test_extra_words_at_the_end_are_charged_to_the_last_one() -> None:
    assert aligned(["a", "b"], "a b c d".split()).errors == (0, 2)


def test_an_empty_text_misses_every_word() -> None:
    found = aligned(["a", "b"], [])
    assert (found.errors, found.pairs) == ((1, 1), ())
    with pytest.raises(ValueError, match="no words"):
        aligned([], ["a"])


def test_blocks_are_about_fifty_words_and_lose_none() -> None:
    for count in (1, 49, 74, 76, 1013):
        parts = blocks(range(count))
        assert [item for part in parts for item in part] == list(range(count))
        assert max(map(len, parts)) <= 75
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_recording_is_one_unit_and_a_joined_one_many() -> None:
    errors = [1] * 10 + [0] * 90
    assert units_of(errors, joined=False) == [(10, 100)]
    assert units_of(errors, joined=True) == [(10, 50), (0, 50)]


def test_a_rate_weighs_words_and_not_recordings() -> None:
    assert rate([(1, 1), (0, 9)]).value == pytest.approx(0.1)
    with pytest.raises(ValueError, match="nothing to count"):
        rate([(0, 0)])


def test_the_interval_is_that_of_the_mean_of_many() -> None:
    found = rate([(1, 1), (0, 1)] * 200)
    assert found.value == 0.5
    # 1.96 standard errors of 400 coins: 0.049
    assert found.low == pytest.approx(0.451, abs=0.005)
    assert found.high == pytest.approx(0.549, abs=0.005)
    assert rate([(1, 1), (0, 1)] * 200) == found


def test_the_difference_is_paired() -> None:
    theirs = [(number % 7, 10) for number in range(60)]
    same = compared(theirs, theirs)
    assert same.ours == same.theirs
    assert same.ours.high > same.ours.low
    assert (same.difference.low, same.difference.high) == (0.0, 0.0)
    worse = compared([(errors + 1, words) for errors, words in theirs], theirs)
    assert worse.difference.low == pytest.approx(0.1)
    assert (verdict(same), verdict(worse)) == ("ours no worse", "ours WORSE")
    better = compared(theirs, [(errors + 1, words) for errors, words in theirs])
    assert verdict(better) == "ours no worse"


def test_units_of_other_recordings_are_refused() -> None:
    with pytest.raises(ValueError, match="not the same"):
        compared([(0, 5)], [(0, 6)])


# --- from letters to sounds ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "sounds"),
    [
        ("она", "V n V"),
        ("большего", "p V l sh V f V"),
        ("много", "m n V k V"),
        ("что", "sh t V"),
        ("яма", "j V m V"),
        ("объект", "V p j V k t"),
        ("честных", "ch V s n V h"),
        ("ванна", "f V n V"),
        ("счастье", "sch V s t j V"),
        ("учится", "V ch V c V"),
        ("эмма", "V m m V"),
        ("ее", "j V j V"),
        ("новее", "n V f V j V"),
    ],
)
def test_sounds_follow_the_package_s_rules(word: str, sounds: str) -> None:
    assert sounds_of(word) == sounds.split()


@pytest.mark.parametrize(
    ("phone", "expected"),
    [("zz", "s"), ("s", "s"), ("sh", "sh"), ("zh", "sh"), ("sch", "sch"), ("ay", "V"), ("ll", "l")],
)
def test_phones_fall_into_the_same_classes(phone: str, expected: str) -> None:
    assert class_of(phone) == expected


def _phones(names: str, each_s: float = 0.5) -> list[Phone]:
    return [Phone(n, i * each_s, (i + 1) * each_s) for i, n in enumerate(names.split())]


def test_words_begin_and_end_with_their_phones() -> None:
    first, second, third = spoken_words("Он — вёз дом.", _phones("pau oo n vv oo s pau d oo m"))
    assert (first.word, first.start_s, first.end_s) == ("он", 0.5, 1.5)
    assert (first.pause_before_s, first.pause_after_s) == (0.5, 0.0)
    assert (second.word, second.start_s, second.end_s) == ("вез", 1.5, 3.0)
    assert (second.pause_before_s, second.pause_after_s) == (0.0, 0.5)
    assert (third.start_s, third.end_s, third.pause_after_s) == (3.5, 5.0, 0.0)


def test_phones_of_another_text_are_refused() -> None:
    with pytest.raises(ValueError, match="do not say"):
        spoken_words("он вёл", _phones("pau oo n vv oo s pau"))


def test_pauses_of_joined_parts_reach_over_the_silence_between() -> None:
    part = [SpokenWord("да", 0.5, 1.0, 0.5, 0.25)]
    words = with_pauses([*part, *moved(part, 2.0)], end_s=3.5)
    assert [(w.pause_before_s, w.pause_after_s) for w in words] == [(0.5, 1.5), (1.5, 0.5)]
    assert words[1].start_s == 2.5


# --- normalisation -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Нажмите 1.", "ru", "нажмите один"),
        ("Вас 25, ещё 118 и 300", "ru", "вас двадцать пять еще сто восемнадцать и триста"),
        ("0, 10 and 101", "en", "zero ten and one hundred one"),
        ("call 0800 now", "en", "call zero eight zero zero now"),
        ("in 1999", "en", "in one nine nine nine"),
        ("press 4-2", "en", "press four two"),
    ],
)
def test_numbers_are_put_in_words(text: str, language: Language, expected: str) -> None:
    assert spoken(text, language) == expected


def test_every_number_up_to_999_has_words_of_its_own() -> None:
    languages: tuple[Language, ...] = ("ru", "en")
    for language in languages:
        texts = {spoken(str(number), language) for number in range(1000)}
        assert len(texts) == 1000
        assert not any(letter.isdigit() for text in texts for letter in text)


# --- the words of segments -----------------------------------------------------------------------


def _word(word: str, start_s: float, end_s: float, confidence: float = 0.5) -> Word:
    return Word(word=word, start=start_s, end=end_s, confidence=confidence)


def test_words_are_normalised_one_by_one() -> None:
    segment = Segment(
        start=0,
        end=4,
        text="Ещё раз — 25, серо-карие!",
        words=(
            _word("Ещё", 0, 1),
            _word("раз", 1, 2),
            _word("—", 2, 2),
            _word("25,", 2, 3),
            _word("серо", 3, 3.5, 0.9),
            _word("-карие!", 3.5, 4, 0.4),
        ),
        flags=("filler",),
    )
    found = words_of([segment], "ru")
    assert [word.word for word in found] == "еще раз двадцать пять серо карие".split()
    assert [word.start_s for word in found] == [0, 1, None, None, None, None]
    assert [word.confidence for word in found] == [0.5, 0.5, 0.5, 0.5, 0.4, 0.4]
    assert all(word.doubtful for word in found)


def test_a_word_cut_by_the_model_is_one_again() -> None:
    words = (_word("don", 0, 1, 0.9), _word("'t", 1, 2, 0.8), _word("go", 2, 3))
    found = words_of([Segment(start=0, end=3, text="don't go", words=words)], "en")
    assert found[0] == HeardWord("dont", 0, 2, 0.8, doubtful=False)
    assert found[1].word == "go"


def test_a_segment_without_words_still_gives_its_text() -> None:
    found = words_of([Segment(start=0, end=3, text="Well, no.")], "en")
    assert found == [
        HeardWord("well", None, None, None, doubtful=False),
        HeardWord("no", None, None, None, doubtful=False),
    ]


# --- word times ----------------------------------------------------------------------------------


def _set(joined: bool = False) -> Heard:
    said = (
        SpokenWord("раз", 1.0, 1.5, pause_before_s=1.0, pause_after_s=0.0),
        SpokenWord("два", 1.5, 2.0, pause_before_s=0.0, pause_after_s=0.3),
        SpokenWord("три", 2.3, 3.0, pause_before_s=0.3, pause_after_s=0.4),
    )
    ours = [
        HeardWord("раз", 0.9, 1.5, 0.95, doubtful=False),
        HeardWord("для", 1.5, 2.0, 0.2, doubtful=True),
        HeardWord("три", 2.4, 2.8, None, doubtful=False),
    ]
    recording = Recording(Path("a.wav"), "Раз, два, три.", said)
    return Heard(SpeechSet("prose", "ru", (recording,), joined), [ours], [["раз", "два"]])


def test_only_words_heard_right_have_time_errors() -> None:
    found = [(e.border, e.at_pause, round(e.late_s, 3)) for e in times_of(_set())]
    assert found == [
        ("start", True, -0.1),
        ("end", False, 0.0),
        ("start", False, 0.1),
        ("end", True, -0.2),
    ]


def test_times_of_other_words_are_refused() -> None:
    heard = _set()
    recording = Recording(Path("a.wav"), "Раз, два, пять.", heard.speech.recordings[0].words)
    other = Heard(SpeechSet("prose", "ru", (recording,)), heard.ours, heard.theirs)
    with pytest.raises(ValueError, match="other words"):
        times_of(other)


def test_words_without_a_time_of_their_own_are_left_out() -> None:
    said = [SpokenWord("раз", 1.0, 1.5)]
    heard = [HeardWord("раз", None, None, 0.9, doubtful=False)]
    assert word_times.time_errors(said, heard, [(0, 0)]) == []
    assert word_times.summary([]) is None


def test_a_constant_shift_shows_as_bias() -> None:
    errors = [word_times.TimeError("start", False, late_s) for late_s in (-0.3, -0.2, -0.1)]
    found = word_times.summary(errors)
    assert found is not None
    assert (found.words, found.median_s, found.bias_s) == (3, 0.2, -0.2)
    assert found.p90_s == pytest.approx(0.28)


# --- confidence ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("confidence", "number"), [(0.0, 0), (0.0999, 0), (0.3, 3), (0.7, 7), (0.9, 9), (1.0, 9)]
)
def test_a_border_belongs_to_the_upper_tenth(confidence: float, number: int) -> None:
    assert bin_of(confidence) == number


def test_right_is_what_the_alignment_finds() -> None:
    [cluster] = clusters_of(_set())
    assert list(cluster) == [
        Judged(0.95, right=True, doubtful=False),
        Judged(0.2, right=False, doubtful=True),
        Judged(None, right=True, doubtful=False),
    ]


def test_words_are_shared_out_by_confidence() -> None:
    clusters = clusters_of(_set())
    bins = reliability(clusters)
    assert [share.words for share in bins] == [0, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    assert bins[0].right is None
    assert bins[2].right is not None
    assert bins[2].right.value == 0.0
    flagged = share_right(clusters, lambda word: word.doubtful)
    assert (flagged.words, flagged.right and flagged.right.value) == (1, 0.0)


def test_a_few_right_words_prove_little() -> None:
    assert wilson(7, 7) == pytest.approx((0.646, 1.0), abs=0.001)
    share = share_right([[Judged(0.5, right=True, doubtful=False)] * 7] * 3, lambda _: True)
    assert share.words == 21
    assert share.right is not None
    assert share.right.low == pytest.approx(wilson(21, 21)[0])
    assert share.right.high == 1.0


def test_words_that_fail_together_widen_the_interval() -> None:
    right, wrong = (Judged(0.5, right=value, doubtful=False) for value in (True, False))
    together = share_right([[right] * 20, [wrong] * 20] * 10, lambda _: True).right
    apart = share_right([[right, wrong]] * 200, lambda _: True).right
    assert together is not None
    assert apart is not None
    assert together.high - together.low > 3 * (apart.high - apart.low)


def test_the_picture_is_the_same_for_the_same_figures(tmp_path: Path) -> None:
    bins = [Share(0, None)] * 8 + [Share(9, Interval(0.8, 0.6, 0.9)), Share(90, None)]
    for name in ("a.svg", "b.svg"):
        draw(bins, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "confidence of the word" in (tmp_path / "a.svg").read_text(encoding="utf-8")


# --- a whole set ---------------------------------------------------------------------------------


@pytest.mark.parametrize("joined", [True, False])
def test_both_are_scored_on_the_same_words(joined: bool) -> None:
    found = word_errors(_set(joined))
    assert found.ours.value == pytest.approx(1 / 3)
    assert found.theirs.value == pytest.approx(1 / 3)
    assert found.difference.value == 0.0
