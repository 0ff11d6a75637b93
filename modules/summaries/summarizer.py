"""A text becomes a summary: cut into parts, notes of each, and these made into one.

Every part is read or there is no summary: an answer that was cut off, is empty or cannot be read,
and a server that read less than it was given, are errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from modules.errors import noted
from modules.summaries import prompts
from modules.summaries.budget import (
    FIRST_TOKENS,
    MOST_CHARS,
    Budget,
    Line,
    halves,
    in_pieces,
    next_part,
)
from modules.summaries.chat import Answer, Chat, SummaryError
from modules.summaries.notes import Notes, groups, parsed, together, without_thinking

#: A model that answers nothing, or no JSON, is asked again so often, a little less exactly.
_TRIES = 3
_TEMPERATURES = (0.0, 0.3, 0.6)
#: A part whose answer is too long is halved so often.
_HALVINGS = 4
#: Notes that still do not fit after so many rounds never will.
_ROUNDS = 6
#: The least room for a text, in characters.
_ROOM_LEAST = 300
#: The last line of a part ends so much after its beginning at most, in seconds.
_TAIL_S = 60.0
#: Less than this of what a text must have, by what was measured, and some of it was not read.
_READ_LEAST = 0.8


class Summarizer:
    """One text at a time. Each method raises SummaryError for a text that cannot be summarised,
    TranscriberError ``summary_unavailable`` while the server cannot be used."""

    def __init__(self, chat: Chat, window: int, on_step: Callable[[], None] = lambda: None) -> None:
        self._chat = chat
        self._on_step = on_step
        self._budget = Budget(window)

    def summarize(self, lines: Sequence[Line], language: str) -> tuple[Notes, int]:
        """The summary, and how many parts the text had."""
        sample = "\n".join(map(str, lines[:200]))
        instructions = prompts.extract(language, 999)
        # No window cuts a first part as small as this one: it is what others are measured by.
        room = self._room(instructions, sample)
        limit = min(room, int(FIRST_TOKENS * self._budget.chars(sample)))
        pieces = in_pieces(lines, limit // 2)
        found: list[Notes] = []
        begin: int | None = 0
        number = 0
        while begin is not None:
            number += 1
            part, begin = next_part(pieces, begin, limit)
            found += self._notes(part, language, number, _HALVINGS)
            limit = max(_ROOM_LEAST, self._room(instructions, sample))
        return self._reduced(together(found), language, lines[-1].start + _TAIL_S), number

    # --- parts ---

    def _room(self, instructions: str, sample: str) -> int:
        room = self._budget.room(instructions, sample)
        if room < _ROOM_LEAST:
            raise SummaryError(
                "summary_window_too_small",
                noted(
                    "A window of {window} tokens leaves no room for a text.",
                    window=self._budget.window,
                ),
                remedy=noted("Set a larger summary.context_tokens."),
            )
        return room

    def _notes(self, part: list[Line], language: str, number: int, left: int) -> list[Notes]:
        """Of a part; in halves where the answer was too long for its window."""
        text = "\n".join(map(str, part))
        try:
            instructions = prompts.extract(language, number)
            start_s = part[0].start
            found = self._asked(instructions, text, start_s, part[-1].start + _TAIL_S)
            return [found.of_part(start_s)]
        except SummaryError as error:
            if error.code != "summary_cut" or len(part) < 2 or not left:
                raise
        return [n for half in halves(part) for n in self._notes(half, language, number, left - 1)]

    # --- notes of all parts ---

    def _reduced(self, notes: Notes, language: str, end_s: float) -> Notes:
        """One set of minutes; in rounds where there are too many notes for the window."""
        instructions = prompts.reduce(language)
        for _ in range(_ROUNDS):
            text = notes.as_json()
            room = self._room(instructions, text)
            if len(text) <= room:
                return self._asked(instructions, text, 0.0, end_s, final=True)
            before = len(text)
            notes = together(
                self._asked(instructions, part.as_json(), 0.0, end_s).of_part(_start_of(part))
                for part in groups(notes, room)
            )
            if len(notes.as_json()) > 0.95 * before:
                break
        raise SummaryError(
            "summary_too_long",
            noted(
                "The notes of all parts do not fit into the model's window, and do not get shorter."
            ),
            remedy=noted("Set a larger summary.context_tokens, if the model has that window."),
        )

    # --- one question ---

    def _asked(
        self, instructions: str, text: str, start_s: float, end_s: float, final: bool = False
    ) -> Notes:
        """The notes in an answer that is whole."""
        problem = SummaryError("summary_empty", noted("The model answered nothing."))
        for temperature in _TEMPERATURES[:_TRIES]:
            self._on_step()
            answer = self._chat.ask(instructions, text, self._budget.answer_tokens, temperature)
            self._check(answer, len(instructions) + len(text))
            said = without_thinking(answer.text)
            if not said:
                problem = SummaryError("summary_empty", noted("The model answered nothing."))
                continue
            notes = parsed(said, start_s, end_s)
            if notes and (notes.overview or not final):
                return notes
            problem = SummaryError(
                "summary_unusable",
                noted("The model's answer is not the JSON that it was asked for."),
            )
        raise problem

    def _check(self, answer: Answer, chars: int) -> None:
        """Raises SummaryError for a question or an answer that is not whole."""
        if answer.prompt_tokens:
            known = self._budget.most_chars
            least = chars / MOST_CHARS if known is None else _READ_LEAST * chars / known
            if answer.prompt_tokens < math.floor(least):
                raise _not_read(answer.prompt_tokens, chars, known)
            self._budget.measure(chars, answer.prompt_tokens)
        if answer.finish_reason == "length":
            raise SummaryError(
                "summary_cut",
                noted(
                    "The model's answer was cut off at {answer_tokens} tokens.",
                    answer_tokens=self._budget.answer_tokens,
                ),
                remedy=noted(
                    "Set a larger summary.context_tokens, or use a model that thinks less."
                ),
            )
        if answer.finish_reason not in ("stop", "eos", "", None):
            raise SummaryError(
                "summary_refused",
                noted(
                    "The model broke off its answer ({finish_reason}).",
                    finish_reason=answer.finish_reason,
                ),
            )


def _start_of(notes: Notes) -> float:
    return min((item.time for _, item in notes.items() if item.time is not None), default=0.0)


def _not_read(tokens: int, chars: int, known: float | None) -> SummaryError:
    about = round(chars / (known or MOST_CHARS))
    return SummaryError(
        "summary_truncated",
        noted(
            "The server read {tokens} tokens of about {about}: the rest was dropped "
            "without a word.",
            tokens=tokens,
            about=about,
        ),
        remedy=noted(
            "Set summary.context_tokens to the window that the server really has, or enlarge "
            "that (with Ollama, OLLAMA_CONTEXT_LENGTH or num_ctx)."
        ),
    )
