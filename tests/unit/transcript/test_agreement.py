"""What two passes agree on is committed once, in order, and never changed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from modules.transcript.agreement import HELD_BACK_S, Agreement, spaced
from modules.transcript.model import Segment, Word
from modules.transcript.sentences import joined
from tests.builders import a_word

#: Every spoken word is this long, with a gap behind it, in seconds.
LENGTH_S, GAP_S = 0.3, 0.1
EVERY_S = LENGTH_S + GAP_S


def said(texts: Sequence[str], shift_s: float = 0.0) -> list[Word]:
    """One word after the other, from the start."""
    return [
        a_word(
            f" {text}", round(i * EVERY_S + shift_s, 3), round(i * EVERY_S + LENGTH_S + shift_s, 3)
        )
        for i, text in enumerate(texts)
    ]


def heard(text: str, confidence: float | None = 0.9) -> list[Word]:
    return [w.model_copy(update={"confidence": confidence}) for w in said(text.split())]


def texts(words: Sequence[Word]) -> list[str]:
    return [word.word.strip() for word in words]


def test_two_passes_in_a_row_commit_what_they_agree_on() -> None:
    state, new = Agreement().heard(said("мама мыла рану".split()), 1.2)
    assert new == ()
    state, new = state.heard(said("Мама, мыла раму вчера".split()), 2.4)
    assert texts(new) == ["Мама,", "мыла"]
    assert texts(state.pending) == ["раму", "вчера"]
    state, new = state.heard(said("Мама мыла раму вчера вечером".split())[1:], 3.0)
    assert texts(new) == ["раму", "вчера"]
    assert texts(state.committed) == ["Мама,", "мыла", "раму", "вчера"]


def test_passes_of_two_kinds_that_take_turns_agree_each_with_its_own() -> None:
    quick, thorough = said("Скайлес тоже".split()), said("Скайлись тоже".split())
    state, _ = Agreement().heard(quick, 5)
    state, new = state.heard(thorough, 5)
    assert new == ()
    state, new = state.heard(quick, 5)
    assert texts(new) == ["Скайлес", "тоже"]
    assert state.pending == state.earlier == ()


def test_words_that_were_heard_at_other_times_are_not_the_same() -> None:
    state, _ = Agreement().heard(said(["да", "нет"]), 10)
    _, new = state.heard(said(["да", "нет"], shift_s=0.4), 10)
    assert new == ()


def test_the_last_words_are_held_back() -> None:
    words = heard("один два")
    until_s = (words[-1].end or 0) + HELD_BACK_S - 0.01
    state, _ = Agreement().heard(words, until_s)
    assert texts(state.shown(until_s)) == ["один", "два"]
    assert texts(state.shown(until_s - HELD_BACK_S)) == ["один"]
    state, new = state.heard(words, until_s)
    assert texts(new) == ["один"]
    assert texts(state.heard(words, until_s + 0.02)[1]) == ["два"]


def test_a_word_that_is_said_twice_is_committed_twice() -> None:
    words = said(["да", "да", "да"])
    state, _ = Agreement().heard(words[:1], 5)
    state, new = state.heard(words[:2], 5)
    assert texts(new) == ["да"]
    state, new = state.heard(words, 5)
    assert texts(new) == ["да"]
    assert texts(state.finished(words)) == ["да", "да", "да"]


def test_a_forced_commit_ends_at_the_longest_pause_and_leaves_the_newest() -> None:
    words = [*said(["раз", "два"]), a_word(" три", 1.5, 1.8), a_word(" четыре", 8.9, 9.4)]
    state, new = Agreement().heard(words, 10)[0].forced(10)
    assert texts(new) == ["раз", "два", "три"]
    assert texts(state.pending) == ["четыре"]
    assert Agreement().forced(10) == (Agreement(), ())


def test_the_final_keeps_what_was_committed_and_adds_the_rest() -> None:
    state, _ = Agreement().heard(said(["мама", "мыла"]), 5)
    state, _ = state.heard(said(["мама", "мыла"]), 5)
    final = state.finished(said(["Мама", "мила", "раму."]))
    assert texts(final) == ["мама", "мыла", "раму."]
    assert final[:2] == state.committed


def test_what_an_earlier_utterance_said_is_not_said_again() -> None:
    words = said(["хвост", "начало"])
    assert texts(Agreement(from_s=LENGTH_S).finished(words)) == ["начало"]


def test_words_without_times_and_without_words_change_nothing() -> None:
    state, new = Agreement().heard([a_word(" нигде")], 5)
    assert (state.pending, new) == ((), ())
    assert Agreement().finished([]) == ()


def test_words_of_segments_get_their_spaces_and_signs_back() -> None:
    words = tuple(a_word(w, i, i + 1) for i, w in enumerate(["Кто", "-то", "ждёт", "—", "да."]))
    found = spaced([Segment(start=0, end=5, text="Кто-то ждёт — да.", words=words)] * 2)
    assert [word.word for word in found[:4]] == [" Кто", "-то", " ждёт —", " да."]
    assert joined(found) == "Кто-то ждёт — да. Кто-то ждёт — да."
    assert found[2].end == 4


def test_where_a_language_has_no_spaces_none_are_made() -> None:
    words = tuple(a_word(w, i, i + 1) for i, w in enumerate("你好吗"))
    found = spaced([Segment(start=0, end=3, text="你好吗", words=words)] * 2)
    assert joined(found) == "你好吗你好吗"


# --- whatever the passes bring ----------------------------------------------------------------

anything = st.builds(
    lambda text, start, length: a_word(f" {text}", round(start, 3), round(start + length, 3)),
    st.sampled_from("да нет раз два три Да, нет. —".split()),
    st.floats(0, 20),
    st.floats(0, 2),
)
passes = st.lists(st.tuples(st.lists(anything, max_size=8), st.floats(0, 22), st.booleans()))


@given(passes, st.lists(anything, max_size=8), st.floats(0, 5))
def test_nothing_that_was_committed_changes_and_order_is_kept(
    heard: list[tuple[list[Word], float, bool]], last: list[Word], from_s: float
) -> None:
    state = Agreement(from_s)
    for words, until_s, force in heard:
        before = state
        state, new = state.forced(until_s) if force else state.heard(words, until_s)
        assert state.committed == before.committed + new
        assert not set(map(id, state.pending)) & set(map(id, new))
    final = state.finished(last)
    assert final[: len(state.committed)] == state.committed
    edges = [from_s, *(edge for word in final for edge in (word.start or 0, word.end or 0))]
    assert all(a <= b + 0.001 for a, b in itertools.pairwise(edges))


@given(
    st.lists(st.sampled_from("да нет раз два".split()), min_size=1, max_size=40),
    st.lists(st.integers(1, 6), min_size=1, max_size=40),
    st.integers(0, 2**32),
)
def test_what_is_heard_alike_each_time_is_committed_once(
    spoken: list[str], steps: list[int], noise: int
) -> None:
    """Passes over a growing sound, whose times tremble and whose last word may be cut off."""
    state, count = Agreement(), 0
    for number, step in enumerate(steps):
        count = min(len(spoken), count + step)
        shift_s = (noise >> number % 32 & 1) * 0.04
        until_s = count * EVERY_S + 0.2
        begin = max(0, len(state.committed) - 1)
        words = said(spoken[:count], shift_s)[begin:]
        state, _ = state.heard([*words, a_word(" э", until_s - 0.1, until_s)], until_s)
    assert texts(state.finished(said(spoken)[max(0, len(state.committed) - 1) :])) == spoken


def test_an_improbable_word_is_shown_once_two_passes_mean_it() -> None:
    words = heard("раз")[:1] + heard("раз два", 0.5)[1:] + heard("раз два три")[2:]
    state, _ = Agreement().heard(words, 5)
    assert texts(state.shown(5)) == ["раз"]  # what follows it would jump when it appears
    other = heard("пол")[:1] + words[1:]
    state, new = state.heard(other, 5)
    assert new == ()
    assert texts(state.shown(5)) == ["пол", "два", "три"]


def test_a_word_without_a_probability_counts_as_probable() -> None:
    state, _ = Agreement().heard(heard("раз два", None), 5)
    assert texts(state.shown(5)) == ["раз", "два"]


def test_where_speech_is_hard_a_word_has_to_be_more_probable() -> None:
    easy, _ = Agreement().heard(heard("раз два", 0.95), 5)
    assert texts(easy.shown(5)) == ["раз", "два"]
    hard, _ = Agreement().heard(heard("раз два", 0.8), 5)
    assert hard.shown(5) == ()
    assert not hard.is_doubtful  # so passes are not made more often
    hard, _ = hard.heard(heard("раз два", 0.8), 1.0)
    assert texts(hard.shown(5)) == ["два"], "two passes mean it; the first one is committed"
    unknown, _ = Agreement().heard(heard("раз два", None), 5)
    assert texts(unknown.shown(5)) == ["раз", "два"], "an engine without probabilities"


def test_what_is_shown_changes_with_a_commit_only() -> None:
    state, _ = Agreement().heard(heard("мама мыла раму"), 5)
    shown = state.shown(5)
    state, new = state.heard(heard("мама рыла раму вчера"), 5)
    assert texts(new) == ["мама"]
    shown = state.shown(5, shown)
    assert texts(shown) == ["мыла", "раму", "вчера"]
    state, new = state.heard(heard("мама рыла раму вчера"), 5)
    assert texts(new) == ["рыла", "раму", "вчера"]
    assert state.shown(5, shown) == ()


def test_a_shown_word_gives_way_to_a_commit_that_covers_its_beginning() -> None:
    state, _ = Agreement().heard(heard("мы-ла"), 5)
    shown = (heard("х х")[0].model_copy(update={"start": 0.1, "end": 0.9}),)
    state, new = state.heard(heard("мы-ла раму"), 5)
    assert texts(new) == ["мы-ла"]
    assert texts(state.shown(5, shown)) == ["раму"]
